"""Where public identities come from.

Integers identify rows inside, UUIDv7 text outside: it sorts by time, so new rows stay together in an
index, and says nothing about how many there are. An id is never an authority. Tests take `CountingIds`
to know every id beforehand.
"""

import itertools
from typing import Protocol

import uuid_utils


class IdSource(Protocol):
    """Makes new public identities."""

    def new(self) -> str:
        """A UUIDv7 as text that no one was given before."""
        ...


class RandomIds:
    """UUIDv7 of the present moment."""

    def new(self) -> str:
        return str(uuid_utils.uuid7())


class CountingIds:
    """Well-formed UUIDv7 in a fixed order: the same ids in every run of a test."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"00000000-0000-7000-8000-{next(self._numbers):012x}"
