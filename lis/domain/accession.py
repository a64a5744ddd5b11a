"""How a site writes its accession numbers: a pattern, and the check digit behind it (S17).

    YY12NNNNNN    YY     the year, two digits: a number comes again after a hundred years, not after 24 months
                  12     digits as they stand: the site's own
                  N...   the serial of that year and site
                  (the check digit of `lis.domain.ids` follows and is not written in the pattern)

All numbers of an installation share one space. Two sites either have the same pattern, and then one counter, or
patterns that no number can belong to both of: another length, or different fixed digits at one place.
"""

import re
from dataclasses import dataclass
from typing import Self

from lis.domain.errors import Malformed
from lis.domain.ids import ACCESSION_DIGITS_MAX, ACCESSION_DIGITS_MIN, AccessionNumber

DEFAULT_PATTERN = "YYNNNNNNN"
SERIAL_DIGITS_MIN = 4  # fewer run out in a day

_PATTERN = re.compile(
    rf"(?P<before>[0-9]*)YY(?P<after>[0-9]*)(?P<serial>N{{{SERIAL_DIGITS_MIN},}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessionPattern:
    """One site's way to number its tubes."""

    text: str
    before: str
    after: str
    width: int  # digits of the serial

    @classmethod
    def parse(cls, text: str, *, where: str = "accession") -> Self:
        """Read a pattern; raise `Malformed` with what is wrong."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            expected = f"digits, YY and at least {SERIAL_DIGITS_MIN} N, such as {DEFAULT_PATTERN}"
            raise Malformed(expected=expected, got=text, where=where)
        if text.startswith("0"):
            raise Malformed(expected="a number that does not start with 0", got=text, where=where)
        length = len(text) + 1
        if not ACCESSION_DIGITS_MIN <= length <= ACCESSION_DIGITS_MAX:
            expected = f"{ACCESSION_DIGITS_MIN - 1}-{ACCESSION_DIGITS_MAX - 1} characters"
            raise Malformed(expected=expected, got=text, where=where)
        return cls(
            text=text, before=found["before"], after=found["after"], width=len(found["serial"])
        )

    def prefix(self, year: int) -> str:
        """What stands before the serial in this year: also the name of the counter."""
        return f"{self.before}{year % 100:02d}{self.after}"

    @property
    def serial_max(self) -> int:
        """The last serial of a year; the next would be a digit too long."""
        return int("9" * self.width)

    def number(self, *, year: int, serial: int) -> AccessionNumber:
        """The accession number of a serial. Raises `Malformed` when the year's numbers are used up."""
        if not 0 < serial <= self.serial_max:
            expected = f"a serial of at most {self.width} digits"
            raise Malformed(expected=expected, got=serial, where=f"accession pattern {self.text}")
        return AccessionNumber.from_serial(
            prefix=self.prefix(year), serial=serial, width=self.width
        )

    def may_meet(self, other: "AccessionPattern") -> bool:
        """Whether one number could belong to both, although they do not share a counter."""
        if self.text == other.text or len(self.text) != len(other.text):
            return False
        return all(
            mine == theirs or not (mine.isdigit() and theirs.isdigit())
            for mine, theirs in zip(self.text, other.text, strict=True)
        )
