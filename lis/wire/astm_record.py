r"""ASTM records: from bytes to fields (LIS02-A2 / E1394).

    R|1|^^^Glucose\^^^Urea|5.5|mmol/L||N
    |   |        |       |
    R.1 R.3      repeat  R.4          field | repeat \ component ^ escape &   (named by H.2)

Rules of this file:
- What came is kept. `Record.raw` is the record byte for byte; fields are cut and decoded only
  when somebody asks, so a histogram of 27 kB that no driver reads costs nothing.
- Fields count from 1 and the record letter is field 1, as in the standard and every manual:
  R.3 is the test, H.5 the sender.
- `field` and `component` give text with escape sequences resolved; `verbatim` gives a field as
  it stands. A null field is "" and means unknown; `DELETED`, two quotation marks, means delete.
- The delimiters are valid from their H record to the next one (`astm_delimiters`).
- Records are written by `astm_build`; both are offered here together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from lis.wire.astm_build import RecordWriter, record
from lis.wire.astm_delimiters import (
    DEFAULT_DELIMITERS,
    Delimiters,
    check_charset,
    cut,
    escape,
    unescape,
)

__all__ = [
    "DEFAULT_DELIMITERS",
    "DELETED",
    "Delimiters",
    "Message",
    "Node",
    "Record",
    "RecordWriter",
    "escape",
    "record",
    "unescape",
]

DELETED = '""'  # LIS02-A2 5.4.9: delete what you hold; an empty field says nothing


class Record:
    """One record, cut lazily. Fields, components and repeats count from 1."""

    __slots__ = ("_charset", "_components", "_fields", "delimiters", "raw", "type")

    def __init__(
        self,
        raw: bytes,
        delimiters: Delimiters = DEFAULT_DELIMITERS,
        charset: str = "latin-1",
    ) -> None:
        self.raw = raw
        self.delimiters = delimiters
        self._charset = charset
        self._fields: list[str] | None = None
        self._components: dict[tuple[int, int], tuple[str, ...]] = {}
        self.type = raw[:1].decode("latin-1").upper()
        """The record letter in upper case (5.4.1: case does not matter)."""

    def __repr__(self) -> str:
        return f"<Record {self.type} of {len(self.raw)} bytes>"  # no values: reprs reach logs

    @property
    def charset(self) -> str:
        """What the record is read in."""
        return self._charset

    @property
    def fields(self) -> list[str]:
        """All fields as they stand; `fields[0]` is the record letter."""
        if self._fields is None:
            self._fields = self._split()
        return self._fields

    def verbatim(self, field: int) -> str:
        """Field `field` exactly as sent; "" beyond the last one."""
        fields = self.fields
        return fields[field - 1] if 0 < field <= len(fields) else ""

    def field(self, field: int) -> str:
        """The whole field as text, escape sequences resolved."""
        text = self.verbatim(field)
        return self._text(text, field) if text else ""

    def repeats(self, field: int) -> tuple[str, ...]:
        """The repeats of a field as text; an empty field has none."""
        return tuple(self._text(item, field) for item in self._repeats(field))

    def components(self, field: int, repeat: int = 1) -> tuple[str, ...]:
        """The components of one repeat as text; an empty repeat has none."""
        known = self._components.get((field, repeat))
        if known is None:  # an order is asked again for each of its results
            known = self._components[field, repeat] = self._cut_components(field, repeat)
        return known

    def _cut_components(self, field: int, repeat: int) -> tuple[str, ...]:
        repeats = self._repeats(field)
        if not 0 < repeat <= len(repeats) or not repeats[repeat - 1]:
            return ()
        if self._is_definition(field):
            return (repeats[0],)
        parts = cut(repeats[repeat - 1], self.delimiters.component, self.delimiters)
        return tuple(self._text(part, field) for part in parts)

    def component(self, field: int, component: int, repeat: int = 1) -> str:
        """One component as text; "" if it is not there."""
        components = self.components(field, repeat)
        return components[component - 1] if 0 < component <= len(components) else ""

    def _repeats(self, field: int) -> list[str]:
        text = self.verbatim(field)
        if not text:
            return []
        if self._is_definition(field):
            return [text]
        return cut(text, self.delimiters.repeat, self.delimiters)

    def _is_definition(self, field: int) -> bool:
        return field == 2 and self.type == "H"

    def _text(self, text: str, field: int) -> str:
        if self._is_definition(field):
            return text  # H.2 names the delimiters and is not parsed (6.2)
        return unescape(text, self.delimiters, self._charset)

    def _split(self) -> list[str]:
        text = _decoded(self.raw, self._charset)
        mark = self.delimiters.field
        if self.type != "H" or text[1:2] != mark:  # a header that names no delimiter of its own
            return cut(text, mark, self.delimiters)
        if text[2:3] == mark and text[5:6] in {mark, ""}:
            named, rest = text[2:5], text[5:]  # `H||^&`: field and repeat delimiter are the same
        else:
            named, found, rest = text[2:].partition(mark)
            rest = found + rest
        return [text[0], named, *cut(rest, mark, self.delimiters)[1:]]


def _decoded(raw: bytes, charset: str) -> str:
    """Text of a record; bytes that are no text in `charset` survive as surrogate escapes."""
    return raw.decode(charset, errors="surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A record and where it stands: the open header, patient, order and result above it."""

    record: Record
    parent: Record | None
    header: Record | None
    patient: Record | None
    order: Record | None
    result: Record | None


@dataclass(frozen=True, slots=True)
class Message:
    """The records of one message, or of several in a row."""

    records: tuple[Record, ...]

    @classmethod
    def parse(cls, records: Sequence[bytes], charset: str = "latin-1") -> Self:
        """Nothing is cut or decoded yet. Delimiters come from each H and hold until the next."""
        check_charset(charset)
        delimiters = DEFAULT_DELIMITERS
        parsed = []
        for raw in records:
            if raw[:1] in b"Hh" and raw:
                delimiters = Delimiters.from_header(raw)
            parsed.append(Record(raw, delimiters, charset))
        return cls(tuple(parsed))

    @property
    def header(self) -> Record | None:
        """The first record, if it is an H."""
        return self.records[0] if self.records and self.records[0].type == "H" else None

    @property
    def delimiters(self) -> Delimiters:
        """The delimiters of the first record."""
        return self.records[0].delimiters if self.records else DEFAULT_DELIMITERS

    def of_type(self, letter: str) -> tuple[Record, ...]:
        """All records with that letter."""
        return tuple(item for item in self.records if item.type == letter)

    def walk(self) -> Iterator[Node]:
        """Each record with those above it (LIS02-A2 4.1).

        A comment belongs to the record before it that is not a comment, a manufacturer record
        to the one before it that is neither. P closes the open order, O the open result.
        """
        open_: dict[str, Record | None] = dict.fromkeys("HPOR")
        last: Record | None = None
        subject: Record | None = None
        for item in self.records:
            letter = item.type
            parent = {"C": last, "M": subject}.get(letter) or _parent(letter, open_)
            if letter in _BELOW:
                open_ |= dict.fromkeys(_BELOW[letter])
                open_[letter] = item
            yield Node(
                record=item,
                parent=parent,
                header=open_["H"],
                patient=open_["P"],
                order=open_["O"],
                result=open_["R"],
            )
            last = last if letter == "C" else item
            subject = subject if letter in {"C", "M"} else item


_BELOW = {"H": "POR", "P": "OR", "O": "R", "R": "", "Q": "POR", "S": "POR", "L": "POR"}
_ABOVE = {"P": "H", "O": "PH", "R": "OPH", "Q": "H", "S": "H", "L": "H"}


def _parent(letter: str, open_: dict[str, Record | None]) -> Record | None:
    above = (open_[level] for level in _ABOVE.get(letter, "ROPH" if letter != "H" else ""))
    return next((found for found in above if found is not None), None)
