"""Addresses of fields, as manuals write them and driver profiles hold them.

    R.3.4        ASTM: record R, field 3 (the letter is field 1), component 4
    O.5[2].4     the second repeat of O.5, component 4
    R.4          the whole field 4
    R.3.4/2      the second of the pieces that slashes cut a text into: cobas `^^^717/1/not`
    OBX-5.1      HL7: segment OBX, field 5, component 1
    PID-3[2].1   the second repeat of PID-3
    OBX-5.1.2    subcomponent 2

A path is a value: it is parsed once, when the profile is made, so a typing error in a profile
fails at start and not at the first result.
"""

import re
from dataclasses import dataclass
from typing import Self

from lis.wire.astm_record import Record
from lis.wire.errors import LocalProtocolError
from lis.wire.hl7 import Segment

__all__ = ["PIECE_MARK", "FieldPath"]

PIECE_MARK = "/"
_FORM = re.compile(
    r"(?P<record>[A-Z]\.|[A-Z][A-Z0-9]{2}-)(?P<field>[1-9]\d{0,2})"
    r"(?:\[(?P<repeat>[1-9]\d{0,3})\])?"
    r"(?:\.(?P<component>[1-9]\d{0,2}))?(?:\.(?P<subcomponent>[1-9]\d{0,2}))?"
    r"(?:/(?P<piece>[1-9]))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class FieldPath:
    """Where a value stands. Everything counts from 1; None means the whole field or repeat."""

    record: str
    field: int
    component: int | None = None
    repeat: int = 1
    subcomponent: int | None = None
    piece: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `R.3.4`, `O.5[2].4`, `OBX-5.1`. Raises LocalProtocolError for anything else."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise LocalProtocolError(
                f"field path {text!r}, expected a form like R.4, R.3.4, O.5[2].4 or OBX-5.1"
            )
        record = match["record"]
        if record.endswith(".") and match["subcomponent"]:
            raise LocalProtocolError(f"field path {text!r}: ASTM fields have no subcomponents")
        return cls(
            record=record[:-1],
            field=int(match["field"]),
            component=_number(match["component"]),
            repeat=_number(match["repeat"]) or 1,
            subcomponent=_number(match["subcomponent"]),
            piece=_number(match["piece"]),
        )

    def __str__(self) -> str:
        mark = "." if len(self.record) == 1 else "-"
        repeat = f"[{self.repeat}]" if self.repeat > 1 else ""
        parts = "".join(f".{part}" for part in (self.component, self.subcomponent) if part)
        piece = f"{PIECE_MARK}{self.piece}" if self.piece else ""
        return f"{self.record}{mark}{self.field}{repeat}{parts}{piece}"

    def read(self, record: Record | Segment) -> str:
        """The text at this path, "" if it is not there."""
        name = record.type if isinstance(record, Record) else record.name
        if name != self.record:
            raise LocalProtocolError(f"field path {self} cannot read a record {name!r}")
        text = (
            self._read_segment(record) if isinstance(record, Segment) else self._read_record(record)
        )
        if self.piece is None:
            return text
        pieces = text.split(PIECE_MARK)
        return pieces[self.piece - 1] if self.piece <= len(pieces) else ""

    def _read_record(self, record: Record) -> str:
        if self.component is not None:
            return record.component(self.field, self.component, self.repeat)
        repeats = record.repeats(self.field) if self.repeat > 1 else (record.field(self.field),)
        return repeats[self.repeat - 1] if self.repeat <= len(repeats) else ""

    def _read_segment(self, segment: Segment) -> str:
        if self.component is not None:
            return segment.component(
                self.field, self.component, repeat=self.repeat, sub=self.subcomponent
            )
        if self.repeat == 1:
            return segment.field(self.field)
        repeats = segment.repeats(self.field)
        return repeats[self.repeat - 1].text if self.repeat <= len(repeats) else ""


def _number(text: str | None) -> int | None:
    return int(text) if text else None
