"""A message taken apart, record by record and field by field: what the message lab shows.

Nothing is judged here. Each record has the name under which a driver speaks of it (`R|3`, `OBX|7`, `2/OBX|1` in the
second message of a payload), each field its place, and beside the place what a profile reads there. A field with
text that no place of the profile names is *unused*: nobody would notice if it changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from lis.domain.messages import Protocol
from lis.drivers.expressions import compiled
from lis.drivers.profile import FieldMap, Profile
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_record import Message as AstmMessage
from lis.wire.astm_record import Record
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message as Hl7Message
from lis.wire.hl7 import Segment, split_messages
from lis.wire.hl7_charset import DEFAULT_FALLBACK
from lis.wire.path import FieldPath

FIELDS_MAX: Final = 200  # of one record; the standards know 43 at most
CHARACTERS_MAX: Final = 2_000  # of one field that are shown; the raw message has all of it
PAYLOAD_MESSAGES_MAX: Final = 1_000
OUTLINE: Final = {"H": "POQRC", "P": "OQRC", "O": "RC", "Q": "RC", "R": "C", "L": "POQRC"}
SEGMENT_OUTLINE: Final = {
    "MSH": ("PID", "PV1", "ORC", "OBR", "SPM", "SAC", "OBX", "NTE"),
    "PID": ("PV1", "ORC", "OBR", "OBX", "NTE"),
    "SPM": ("OBR", "OBX", "NTE"),
    "OBR": ("OBX", "NTE"),
    "OBX": ("NTE",),
}
"""What a record closes when it opens, by letter and by segment."""


_MARKS: Final = {Protocol.ASTM: ("H.2",), Protocol.HL7: ("MSH-1", "MSH-2")}


@dataclass(frozen=True, slots=True)
class Cell:
    """One field, or one component of it."""

    place: str
    text: str
    uses: tuple[str, ...] = ()  # names of `FieldMap` and other parts of the profile that read here
    parts: tuple["Cell", ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether something reads this field or a part of it."""
        return bool(self.uses) or any(part.uses for part in self.parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One record or segment."""

    name: str
    kind: str  # the letter or the segment
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """A record and what stands above it: a `Scope` that no later record changes."""

    name: str
    records: Mapping[str, Record | Segment]

    @property
    def kind(self) -> str:
        """The letter or the segment's name; a line that is no segment may hold any sign."""
        number, mark, rest = self.name.partition("/")
        own = rest if mark and number.isdecimal() else self.name
        return own.split("|", 1)[0]

    def text(self, path: FieldPath) -> str:
        """The text at `path`; "" where it is not there."""
        record = self.records.get(path.record)
        return "" if record is None else path.read(record)

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        """The repeats of the field at `path`."""
        record = self.records.get(path.record)
        if record is None:
            return ()
        if isinstance(record, Record):
            return record.repeats(path.field)
        return tuple(part.component(1) for part in record.repeats(path.field))


def contexts_of(protocol: Protocol, raw: bytes, charset: str = "") -> Iterator[Context]:
    """Every record of a kept message with what stands above it; nothing for what cannot be read."""
    if protocol is Protocol.ASTM:
        records = AstmMessage.parse(decode_raw(raw), charset or "latin-1").records
        yield from _walk([(record.type, record) for record in records if record.raw.strip()], "")
        return
    if protocol is not Protocol.HL7:
        return  # a print-out has lines, no fields
    fallback = (charset, *DEFAULT_FALLBACK) if charset else DEFAULT_FALLBACK
    for number, payload in enumerate(split_messages(raw)[:PAYLOAD_MESSAGES_MAX], 1):
        try:
            message = Hl7Message.parse(payload, fallback=fallback)
        except RemoteProtocolError:
            continue
        prefix = "" if number == 1 else f"{number}/"
        yield from _walk([(segment.name, segment) for segment in message.segments], prefix)


def _walk(rows: Sequence[tuple[str, Record | Segment]], prefix: str) -> Iterator[Context]:
    counts: dict[str, int] = {}
    open_: dict[str, Record | Segment] = {}
    for kind, record in rows:
        counts[kind] = counts.get(kind, 0) + 1
        outline = OUTLINE if isinstance(record, Record) else SEGMENT_OUTLINE
        for closed in outline.get(kind, ()):
            open_.pop(closed, None)
        open_[kind] = record
        yield Context(f"{prefix}{kind}|{counts[kind]}", dict(open_))


def rows_of(profile: Profile, raw: bytes, charset: str = "") -> tuple[Row, ...]:
    """Every record of a message, with what the profile reads in each of its fields."""
    uses = uses_of(profile)
    return tuple(
        _row(context, uses)
        for context in contexts_of(profile.protocol, raw, charset or _charset(profile, raw))
    )


def _charset(profile: Profile, raw: bytes) -> str:
    """The first charset of the profile that reads the bytes; HL7 says its own."""
    if profile.protocol is Protocol.HL7:
        return ""
    for charset in profile.charsets:
        try:
            raw.decode(charset)
        except UnicodeDecodeError:
            continue
        return charset
    return "latin-1"


def _row(context: Context, uses: Mapping[str, tuple[str, ...]]) -> Row:
    cells = cells_of(context.records[context.kind])
    return Row(context.name, context.kind, tuple(_used(cell, uses) for cell in cells))


def _used(cell: Cell, uses: Mapping[str, tuple[str, ...]]) -> Cell:
    parts = tuple(_used(part, uses) for part in cell.parts)
    own = uses.get(cell.place, ())
    if not parts:  # a field that is not cut is its own first component
        own += uses.get(f"{cell.place}.1", ())
    return Cell(cell.place, cell.text, own, parts)


def cells_of(record: Record | Segment) -> Iterator[Cell]:
    """The fields that hold text; components where there are several."""
    if isinstance(record, Record):
        for number in range(2, min(len(record.fields), FIELDS_MAX) + 1):
            if text := record.verbatim(number):
                place = f"{record.type}.{number}"
                parts = _cells(place, record.components(number))
                yield Cell(place, _shown(text), (), parts)
        return
    for number in range(1, min(record.field_count, FIELDS_MAX) + 1):
        if text := record.raw_field(number):
            place = f"{record.name}-{number}"
            first = record.repeats(number)[:1]
            components = [
                part[0] if len(part) == 1 else "&".join(part) for part in first[0].parts()
            ]
            yield Cell(place, _shown(text), (), _cells(place, components))


def _cells(place: str, components: Sequence[str]) -> tuple[Cell, ...]:
    if len(components) < 2:
        return ()
    return tuple(
        Cell(f"{place}.{number}", _shown(text))
        for number, text in enumerate(components, 1)
        if text.strip()
    )


def _shown(text: str) -> str:
    """What can be shown: cut, and bytes of another charset as Latin-1 letters."""
    clean = text[:CHARACTERS_MAX].encode("utf-8", errors="surrogateescape")
    return clean.decode("utf-8", errors="backslashreplace")


def uses_of(profile: Profile) -> dict[str, tuple[str, ...]]:
    """By place: what the profile reads there."""
    found: dict[str, list[str]] = {}
    for field in fields(FieldMap):
        for parts in compiled(profile.fields)[field.name].alternatives:
            for path in parts:
                found.setdefault(_place(path), []).append(field.name)
    rules = [("delimiters", place) for place in _MARKS.get(profile.protocol, ())]
    rules += [("controls", rule.path) for rule in profile.controls]
    rules += [("identity", rule.path) for group in profile.identity for rule in group]
    rules += [("rows", rule.path) for _, rule in profile.rows]
    rules += [("read_mode", place) for place in profile.read_mode.path.split()]
    for name, text in rules:
        place = _place(FieldPath.parse(text))
        if name not in found.setdefault(place, []):
            found[place].append(name)
    return {place: tuple(names) for place, names in found.items()}


def _place(path: FieldPath) -> str:
    mark = "." if len(path.record) == 1 else "-"
    component = f".{path.component}" if path.component else ""
    return f"{path.record}{mark}{path.field}{component}"
