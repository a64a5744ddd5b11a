r"""Captures: what was on a line, as a file a person can read, and files of others.

Our form, `.cap`: a first line that names it, then one line for each piece of traffic,

    # lis capture 1
    2026-03-01T08:15:02.120000+00:00 in <ENQ>
    2026-03-01T08:15:02.130000+00:00 out <ACK>
    2026-03-01T08:15:02.190000+00:00 in <STX>1H|\^&|||c111<CR><ETX>5E<CR><LF>

- `in` came from the peer, `out` was sent by us. Times carry their offset.
- Printable ASCII stands for itself, so records can be read, searched and edited. Every other byte
  has its name (<STX>) or its value (<xB5>); `<` itself is <x3C>, and a blank at either end of the
  data is <x20>, which editors may not strip. Every byte string has exactly one form.
- Empty lines and lines that begin with # are passed over.

`read_any` takes that form and those found in the wild: wire bytes, frames one a line, plain
records, tagged text ([STX] or <STX>), HL7 with or without MLLP, one message or many. What it does
not know it gives back whole, with no protocol.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lis.wire.astm_assembly import decode_messages
from lis.wire.errors import LocalProtocolError, RemoteProtocolError
from lis.wire.hl7_batch import read_batch
from lis.wire.printout import blocks_in

__all__ = [
    "Chunk",
    "Direction",
    "Reading",
    "chunk_from_line",
    "line_of",
    "read_any",
    "read_capture",
    "untagged",
    "write_capture",
]

HEADING = "# lis capture 1"


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes that passed at one time in one direction."""

    at: datetime
    direction: Direction
    data: bytes

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise LocalProtocolError("time of a capture without offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file holds: messages one by one. `protocol` is "astm", "hl7", "printout" or None."""

    protocol: str | None
    units: tuple[bytes, ...]


# ------------------------------------------------------------------------------- bytes as text

# fmt: off
_NAMES = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US",
)
# fmt: on
_VALUES = {name: value for value, name in enumerate(_NAMES)} | {"DEL": 0x7F}
_FORMS = {value: f"<{name}>" for name, value in _VALUES.items()}
_FORMS |= {value: f"<x{value:02X}>" for value in (ord("<"), *range(0x80, 0x100))}
_MARK = re.compile(r"<(?:x([0-9A-F]{2})|([A-Z0-9]{2,3}))>|([ -;=-~]+)")


def _text_of(data: bytes) -> str:
    text = data.decode("latin-1").translate(_FORMS)
    if text[:1] == " ":
        text = "<x20>" + text[1:]
    if text[-1:] == " ":
        text = text[:-1] + "<x20>"
    return text


def _bytes_of(text: str) -> bytes:
    values = bytearray()
    position = 0
    while position < len(text):
        match = _MARK.match(text, position)
        if match is None or (match[2] and match[2] not in _VALUES):
            raise RemoteProtocolError(
                f"column {position + 1}: expected printable ASCII, <NAME> or <xHH>"
            )
        value, name, plain = match.groups()
        if plain:
            values += plain.encode("ascii")
        else:
            values.append(int(value, 16) if value else _VALUES[name])
        position = match.end()
    return bytes(values)


def line_of(chunk: Chunk) -> str:
    """One line of a capture, without its line end."""
    return f"{chunk.at.isoformat()} {chunk.direction} {_text_of(chunk.data)}"


def chunk_from_line(line: str) -> Chunk:
    """The inverse of `line_of`. Raises RemoteProtocolError for any other line."""
    time, _, rest = line.rstrip("\r\n").partition(" ")
    direction, _, text = rest.partition(" ")
    try:
        at = datetime.fromisoformat(time)
        chunk = Chunk(at=at, direction=Direction(direction), data=_bytes_of(text))
    except (ValueError, LocalProtocolError) as error:
        raise RemoteProtocolError(
            "expected an ISO 8601 time with offset, `in` or `out`, and the data"
        ) from error
    return chunk


def write_capture(chunks: Iterable[Chunk]) -> bytes:
    """A whole capture file."""
    lines = [HEADING, *(line_of(chunk) for chunk in chunks)]
    return ("\n".join(lines) + "\n").encode("ascii")


def read_capture(data: bytes) -> tuple[Chunk, ...]:
    """The chunks of a capture file. Raises RemoteProtocolError with the number of a bad line."""
    if not is_capture(data):
        raise RemoteProtocolError(f"line 1: expected {HEADING!r}")
    chunks = []
    lines = data.decode("ascii", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            try:
                chunks.append(chunk_from_line(line))
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"line {number}: {error}") from error
    return tuple(chunks)


def is_capture(data: bytes) -> bool:
    """Whether the bytes are a file of our form."""
    first = data[: len(HEADING) + 1].rstrip(b"\r\n")
    return first == HEADING.encode("ascii")


# -------------------------------------------------------------------------------- files of others

_MLLP_START, _MLLP_END = b"\x0b", b"\x1c"
_TAG = re.compile(rb"\[([A-Z][A-Z0-9]{1,2})\]|<([A-Z][A-Z0-9]{1,2})>")
_TAGGED_START = re.compile(rb"[\[<](?:STX|VT|SB)[\]>]")
_TAG_VALUES = {name.encode("ascii"): bytes([value]) for name, value in _VALUES.items()}
_TAG_VALUES |= {b"SB": _MLLP_START, b"EB": _MLLP_END, b"HT": b"\t"}
_MSH_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n\x0b]))MSH(?![A-Za-z0-9 \t])")


def read_any(data: bytes) -> Reading:
    """Recognise a file and take it apart into messages.

    HL7 units are the bytes of each message as they stand, without MLLP. ASTM units are records
    that end with CR: `decode_raw` of a unit gives the records of that message.
    """
    data = _one_side(read_capture(data)) if is_capture(data) else untagged(data)
    if _MSH_LINE.search(data):
        return Reading(protocol="hl7", units=_hl7_messages(data))
    messages = [item for item in decode_messages(data) if item.records]  # half a record is none
    if not messages and (blocks := blocks_in(data)):
        return Reading(protocol="printout", units=blocks)
    if messages:
        units = (b"".join(record + b"\r" for record in item.records) for item in messages)
        return Reading(protocol="astm", units=tuple(units))
    return Reading(protocol=None, units=(data,) if data else ())


def untagged(data: bytes) -> bytes:
    """Control characters that stand as text, `[STX]` or `<STX>`, as the bytes they are; else the same data."""
    if b"\x02" in data or not _TAGGED_START.search(data):
        return data
    return _TAG.sub(_untagged, data)


def _one_side(chunks: tuple[Chunk, ...]) -> bytes:
    """What the peer said; if it said nothing but control characters, what we said."""
    sides = (
        b"".join(chunk.data for chunk in chunks if chunk.direction is direction)
        for direction in (Direction.IN, Direction.OUT)
    )
    received, sent = sides
    return received if len(received.strip(bytes(range(0x20)))) else sent


def _untagged(match: re.Match[bytes]) -> bytes:
    return _TAG_VALUES.get(match[1] or match[2], match[0])


def _hl7_messages(data: bytes) -> tuple[bytes, ...]:
    if _MLLP_START not in data:
        return read_batch(data).messages
    blocks = (block.split(_MLLP_END, 1)[0] for block in data.split(_MLLP_START))
    return tuple(message for block in blocks for message in read_batch(block).messages)
