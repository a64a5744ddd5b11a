"""One question to a field: does its text match? The smallest part of a profile, below everything else of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldRule:
    """True where the text at `path` matches the whole `pattern`; "" asks for an empty field."""

    path: str
    pattern: str
