"""Taking people out of a capture, so that it can be shown to others and kept as a test.

Everything keeps its length and its shape: in a field that may name a person each letter becomes X and each digit
0; separators, frames and cuts stay where they were, and right checksums are made right again. Specimen and
order numbers become counted ones, the same for the same, so that a query and its answer still fit. Text in which
control characters are written out (`[STX]`) becomes the bytes it speaks of: else no frame would be found in it.

What is not recognised is refused: a file that is half redacted is worse than none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lis.wire.astm_frame import checksum
from lis.wire.capture import (
    Direction,
    is_capture,
    read_any,
    read_capture,
    untagged,
    write_capture,
)

_FRAME = re.compile(rb"\x02[0-7]([^\x02\x03\x04\x05\x17]*)[\x03\x17]([0-9A-Fa-f]{2})")
_LINE = re.compile(rb"[^\r\n\x02\x03\x04\x05\x0b\x1c]+")
_SEGMENT = re.compile(rb"\A[A-Z][A-Z0-9]{2}[^A-Za-z0-9\s]")
_HEADER = re.compile(rb"\A(?:[0-7])?H[!-/:-@\[-`{-~]")
_SEXES = {b"M", b"F", b"U", b"O", b"Male", b"Female", b"Unknown"}  # kept, wherever they stand
_KEPT_WORD = re.compile(rb"[A-Za-z]{1,12}|[0-9]{1,6}")  # `Error`, `111`: what a comment begins with

ALL = range(2, 200)
ASTM_PERSONAL: dict[bytes, Sequence[int]] = {
    b"P": range(3, 60),
    b"O": (17, 18),
    b"R": (11,),
    b"C": (4,),
}
ASTM_NUMBERS: dict[bytes, Sequence[int]] = {b"O": (3, 4), b"Q": (3, 4)}
HL7_PERSONAL: dict[bytes, Sequence[int]] = {
    b"PID": ALL,
    **dict.fromkeys((b"PD1", b"NK1", b"GT1", b"IN1", b"IN2", b"MRG", b"PV2", b"FAM"), ALL),
    b"PV1": [field for field in ALL if field != 2],
    b"ORC": (10, 11, 12, 14, 19, 23, 24, 25),
    b"OBR": (10, 16, 17, 28, 32, 33, 34, 35),
    b"OBX": (16,),
    b"NTE": (3,),
}
HL7_NUMBERS: dict[bytes, Sequence[int]] = {
    b"ORC": (2, 3, 4),
    b"OBR": (2, 3),
    b"SPM": (2, 3),
    b"SAC": (3, 4),
    b"QRD": (8,),
    b"QPD": (3,),
}


class NotRedactable(Exception):
    """The file holds nothing we know, so nothing could be found and removed in it."""


def redacted(
    data: bytes,
    *,
    numbered: Mapping[str, Sequence[int]] | None = None,
    personal: Mapping[str, Sequence[int]] | None = None,
) -> bytes:
    """The same file without personal data. Raises `NotRedactable`.

    `numbered` and `personal`: fields, by record or segment, in which this instrument has specimen numbers
    and names beside those of the standard.
    """
    reading = read_any(data)
    if reading.protocol not in {"astm", "hl7"}:
        raise NotRedactable("expected ASTM or HL7 messages, found none")
    numbers = _Numbers(_by_bytes(numbered), _by_bytes(personal))
    if not is_capture(data):
        return _redacted_bytes(untagged(data), numbers)
    chunks = read_capture(data)
    streams = {
        side: _redacted_bytes(b"".join(c.data for c in chunks if c.direction is side), numbers)
        for side in Direction
    }
    positions = dict.fromkeys(Direction, 0)
    clean = []
    for chunk in chunks:
        start = positions[chunk.direction]
        positions[chunk.direction] = end = start + len(chunk.data)
        clean.append(replace(chunk, data=streams[chunk.direction][start:end]))
    return write_capture(clean)


def _by_bytes(given: Mapping[str, Sequence[int]] | None) -> dict[bytes, Sequence[int]]:
    return {record.encode("ascii"): numbers for record, numbers in (given or {}).items()}


class _Numbers:
    """Counted stand-ins of the same length; the same number always gets the same one."""

    def __init__(
        self, numbered: dict[bytes, Sequence[int]], personal: dict[bytes, Sequence[int]]
    ) -> None:
        self._known: dict[bytes, bytes] = {}
        self.numbered = numbered
        self.personal = personal

    def stand_in(self, number: bytes) -> bytes:
        core = number.strip(b" -")
        if core in {b"", b"ALL", b'""'}:
            return number
        if core not in self._known:
            text = b"%d" % (len(self._known) + 1)
            self._known[core] = text.rjust(len(core), b"0")[-len(core) :]
        return number.replace(core, self._known[core], 1)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a record, and where it stands in the file."""

    start: int
    text: bytes


def _redacted_bytes(data: bytes, numbers: _Numbers) -> bytes:
    clean = bytearray(data)
    frames = list(_FRAME.finditer(data))
    texts = [_Piece(match.start(1), match[1]) for match in frames]
    outside = _outside(data, [match.span() for match in frames])
    marks: dict[str, bytes] = {"astm": b"|", "component": b"^", "repeat": b"\\"}
    for record in (*_records(texts), *([piece] for piece in outside)):
        whole = b"".join(piece.text for piece in record)
        masked = _masked(whole, marks, numbers)
        position = 0
        for piece in record:
            end = position + len(piece.text)
            clean[piece.start : piece.start + len(piece.text)] = masked[position:end]
            position = end
    for match in frames:
        body = data[match.start() + 1 : match.start(2)]
        if checksum(body) == match[2].upper():
            body = bytes(clean[match.start() + 1 : match.start(2)])
            clean[match.start(2) : match.end(2)] = checksum(body)
    return bytes(clean)


def _records(texts: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Records cut at CR, though a frame may have cut them too."""
    record: list[_Piece] = []
    for text in texts:
        position = 0
        for part in re.split(rb"([\r\n]+)", text.text):
            piece = _Piece(text.start + position, part)
            position += len(part)
            if part.strip(b"\r\n"):
                record.append(piece)
            elif part:
                yield record
                record = []
    yield record


def _outside(data: bytes, spans: Sequence[tuple[int, int]]) -> Iterator[_Piece]:
    """Lines that stand in no frame: HL7, plain records."""
    position = 0
    for start, end in (*spans, (len(data), len(data))):
        for match in _LINE.finditer(data, position, start):
            yield _Piece(match.start(), match[0])
        position = end


def _masked(line: bytes, marks: dict[str, bytes], numbers: _Numbers) -> bytes:
    if _SEGMENT.match(line):
        separator = line[3:4]
        return _masked_fields(
            line,
            separator,
            b"^~&",
            personal=HL7_PERSONAL,
            counted=HL7_NUMBERS,
            numbers=numbers,
            shift=0,
        )
    if _HEADER.match(line):
        begin = line.index(b"H") + 1
        marks["astm"] = line[begin : begin + 1]
        marks["repeat"] = line[begin + 1 : begin + 2]
        marks["component"] = line[begin + 2 : begin + 3]
        return line
    parts = marks["component"] + marks["repeat"]
    return _masked_fields(
        line,
        marks["astm"],
        parts,
        personal=ASTM_PERSONAL,
        counted=ASTM_NUMBERS,
        numbers=numbers,
        shift=1,
    )


def _masked_fields(
    line: bytes,
    separator: bytes,
    parts: bytes,
    *,
    personal: dict[bytes, Sequence[int]],
    counted: dict[bytes, Sequence[int]],
    numbers: _Numbers,
    shift: int,
) -> bytes:
    """`shift`: the record letter is field 1 of an ASTM record, a segment name is field 0."""
    fields = line.split(separator)
    name = fields[0].lstrip(b"01234567").upper() if shift else fields[0]
    for index in range(1, len(fields)):
        number = index + shift
        if number in counted.get(name, ()) or number in numbers.numbered.get(name, ()):
            fields[index] = _each_part(fields[index], parts, numbers)
        elif fields[index] not in _SEXES and (
            number in personal.get(name, ()) or number in numbers.personal.get(name, ())
        ):
            fields[index] = _mask(fields[index], keeps_first=name == b"C", parts=parts)
    return separator.join(fields)


def _each_part(field: bytes, parts: bytes, numbers: _Numbers) -> bytes:
    pieces = re.split(b"([" + re.escape(parts) + b"])", field)
    return b"".join(piece if len(piece) <= 1 else numbers.stand_in(piece) for piece in pieces)


def _mask(field: bytes, *, keeps_first: bool, parts: bytes) -> bytes:
    if keeps_first:
        first, mark, rest = field.partition(parts[:1])
        if _KEPT_WORD.fullmatch(first):
            return first + mark + _blank(rest)
    return _blank(field)


_BLANKS = bytes(
    ord("0")
    if chr(code).isdigit() and code < 0x80
    else ord("X")
    if (chr(code).isalpha() and code < 0x80) or code >= 0x80
    else code
    for code in range(256)
)


def _blank(text: bytes) -> bytes:
    return text.translate(_BLANKS)
