"""Identities, and the accession number that is printed on tubes.

Keys inside the store are integers, public identities are UUIDv7 text; each entity has its own type so
that a checker notices when one is handed over for another. An id is never an authority: whoever
presents one must still be allowed to see what it names.

An accession number is digits only with a trailing check digit (S17). The check is Damm's
quasigroup method (H. M. Damm, 2004): it finds every single wrong digit and every swap of two
neighbours, which a plain weighted sum does not. Two numbers that differ only by leading zeros are
the same tube to a scanner that trims them, so a number never starts with zero.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NewType, Self

from lis.domain.errors import Malformed

InboxId = NewType("InboxId", int)
DeviceId = NewType("DeviceId", int)
LinkId = NewType("LinkId", int)
PatientId = NewType("PatientId", int)
RequisitionId = NewType("RequisitionId", int)
ServiceRequestId = NewType("ServiceRequestId", int)
SpecimenId = NewType("SpecimenId", int)
WorkOrderId = NewType("WorkOrderId", int)
ObservationId = NewType("ObservationId", int)
UserId = NewType("UserId", int)

KEY_LENGTH_MAX = 200  # an index page of PostgreSQL takes 2,700 bytes; a character has four at most
KEY_HEAD_LENGTH = 100

ACCESSION_DIGITS_MIN = 8
ACCESSION_DIGITS_MAX = 16  # Code 128 set C stays under 40 mm at 0.33 mm modules

_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
_ACCESSION = re.compile(rf"[1-9][0-9]{{{ACCESSION_DIGITS_MIN - 1},{ACCESSION_DIGITS_MAX - 1}}}")


def check_digit(digits: str) -> str:
    """The Damm check digit of a string of decimal digits."""
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][int(digit)]
    return str(interim)


def bounded_key(text: str) -> str:
    """Text from outside as a key that every index can hold: as it is, or its beginning and its digest.

    Different texts have different keys. NUL and lone surrogates, which no store takes, are kept out.
    """
    if len(text) <= KEY_LENGTH_MAX and "\x00" not in text and _is_encodable(text):
        return text
    raw = text.encode("utf-8", "surrogatepass")
    head = text[:KEY_HEAD_LENGTH].replace("\x00", "?").encode("utf-8", "replace").decode()
    return f"{head}#{hashlib.sha256(raw).hexdigest()}"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True, order=True)
class AccessionNumber:
    """The laboratory's number of one specimen, as printed on its label, check digit included."""

    text: str

    @classmethod
    def parse(cls, text: str, *, where: str = "accession number") -> Self:
        """Read a number; raise `Malformed` when it is not one of ours. Never guesses or pads."""
        if not _ACCESSION.fullmatch(text):
            expected = f"{ACCESSION_DIGITS_MIN}-{ACCESSION_DIGITS_MAX} digits, not starting with 0"
            raise Malformed(expected=expected, got=text, where=where)
        if check_digit(text) != "0":
            raise Malformed(expected="a valid check digit", got=text, where=where)
        return cls(text)

    @classmethod
    def from_serial(cls, *, prefix: str, serial: int, width: int = 7) -> Self:
        """Make the number `prefix` + zero-padded `serial` + check digit."""
        digits = f"{prefix}{serial:0{width}d}"
        return cls.parse(digits + check_digit(digits))

    def __str__(self) -> str:
        return self.text
