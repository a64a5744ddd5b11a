"""What an analyzer reported, and the number that may be read from it.

The reported text is kept verbatim for ever; comparator and `Decimal` beside it are derived and may be
absent. Nothing is guessed: text that is not plainly a number (`*****`, `1 234`, `3.26E+05 cp/mL`) has
no number, and the caller decides whether that holds the result or whether the test is qualitative.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Self

NUMBER_LENGTH_MAX = 40  # longer digit strings are not measurements; also bounds Decimal's work

_NUMBER = re.compile(
    r"(?P<comparator><=|>=|<|>)?\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)",
    re.ASCII,  # digits of other scripts are no number here: a person reads them first
)


class Comparator(StrEnum):
    """Relation of the true value to the number, as FHIR's quantity-comparator."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedValue:
    """One value as reported: verbatim `text`, and `comparator` with `number` if it is numeric."""

    text: str
    comparator: Comparator | None = None
    number: Decimal | None = None

    @classmethod
    def read(
        cls,
        text: str,
        *,
        decimal_comma: bool = False,
        comparators: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Derive comparator and number from `text`; the text itself is never changed.

        `comparators` are other ways to write the four signs, the longest first found.
        """
        candidate = text.strip()
        for sign in sorted(comparators, key=len, reverse=True):
            if sign and candidate.startswith(sign):
                candidate = comparators[sign] + candidate.removeprefix(sign)
                break
        if decimal_comma:
            candidate = candidate.replace(",", ".", 1)
        match = _NUMBER.fullmatch(candidate) if len(candidate) <= NUMBER_LENGTH_MAX else None
        if match is None:
            return cls(text=text)
        comparator = match["comparator"]
        return cls(
            text=text,
            comparator=Comparator(comparator) if comparator else None,
            number=Decimal(match["number"]),
        )

    @property
    def is_censored(self) -> bool:
        """Whether only a bound of the value is known (`<0.1`, `>500`)."""
        return self.comparator is not None
