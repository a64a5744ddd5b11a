"""Reading the fields of a JSON document that people wrote.

A document of definitions decides about patients, so it is read strictly: a field that is missing, of the
wrong kind or unknown (a typing error would otherwise switch a limit off silently) raises `Malformed`
with the path to it. Decimals are written as text: a JSON float has already lost what was written.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from lis.domain.errors import Malformed

HOURS_PER_DAY = 24
HOURS_PER_YEAR = 8766  # 365.25 days
AGE_UNITS = {"h": 1, "d": HOURS_PER_DAY, "y": HOURS_PER_YEAR}

_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_AGE = re.compile(r"(\d{1,7})([hdy])")

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Fields:
    """The fields of one JSON object; `end()` refuses those that nobody asked for."""

    def __init__(self, document: object, where: str) -> None:
        if not isinstance(document, Mapping):
            raise Malformed(expected="an object", got=document, where=where)
        self._document: Mapping[str, Any] = document
        self._asked: set[str] = set()
        self.where = where

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required when there is no default."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self._wrong("a text", value, name)
        return value

    def name(self, name: str) -> str:
        """A text that is required and not empty."""
        value = self.text(name)
        if not value.strip():
            raise self._wrong("a text that is not empty", value, name)
        return value

    def flag(self, name: str) -> bool:
        """true or false; false when absent."""
        value = self._take(name, default=False)
        if not isinstance(value, bool):
            raise self._wrong("true or false", value, name)
        return value

    def count(self, name: str) -> int | None:
        """A whole number, zero or more; None when absent or null."""
        value = self._take(name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._wrong("a whole number", value, name)
        if value is not None and value < 0:
            raise self._wrong("a whole number, zero or more", value, name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A decimal written as text; None when absent or null."""
        value = self._take(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise self._wrong('a decimal written as text, such as "4.50"', value, name)
        return Decimal(value)

    def age_h(self, name: str) -> int | None:
        """An age such as "36h", "28d" or "18y", in hours; None when absent or null."""
        value = self._take(name, None)
        if value is None:
            return None
        match = _AGE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self._wrong('an age such as "36h", "28d" or "18y"', value, name)
        return int(match[1]) * AGE_UNITS[match[2]]

    def choice(self, name: str, kind: type[E], default: E | None = None) -> E:
        """One of the values of an enum."""
        value = self._take(name, default)
        if value not in [member.value for member in kind]:
            raise self._wrong("one of " + ", ".join(member.value for member in kind), value, name)
        return kind(value)

    def words(self, name: str) -> frozenset[str]:
        """A list of texts, as a set; empty when absent."""
        return frozenset(self.items(name, word))

    def items(self, name: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """A list whose items `read(item, where)` understands; empty when absent."""
        value = self._take(name, [])
        if not isinstance(value, list):
            raise self._wrong("a list", value, name)
        return tuple(
            read(item, f"{self.where}.{name}[{index}]") for index, item in enumerate(value)
        )

    def mapping(self, name: str, read: Callable[[object, str], T]) -> dict[str, T]:
        """An object whose values `read(value, where)` understands; empty when absent."""
        value = self._take(name, {})
        if not isinstance(value, Mapping):
            raise self._wrong("an object", value, name)
        return {str(key): read(item, f"{self.where}.{name}.{key}") for key, item in value.items()}

    def part(self, name: str) -> "Fields | None":
        """A nested object; None when absent or null."""
        value = self._take(name, None)
        return None if value is None else Fields(value, f"{self.where}.{name}")

    def end(self) -> None:
        """Refuse fields that nobody asked for."""
        unknown = sorted(set(self._document) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise Malformed(expected=f"only {known}", got=unknown, where=self.where)

    def _take(self, name: str, default: Any) -> Any:
        self._asked.add(name)
        return self._document.get(name, default)

    def _wrong(self, expected: str, got: object, name: str) -> Malformed:
        return Malformed(expected=expected, got=got, where=f"{self.where}.{name}")


def word(item: object, where: str) -> str:
    """An item that is a text."""
    if not isinstance(item, str):
        raise Malformed(expected="a text", got=item, where=where)
    return item


def age_text(hours: int) -> str:
    """The inverse of `Fields.age_h`: in the largest unit that is exact."""
    for unit in ("y", "d"):
        if hours and hours % AGE_UNITS[unit] == 0:
            return f"{hours // AGE_UNITS[unit]}{unit}"
    return f"{hours}h"
