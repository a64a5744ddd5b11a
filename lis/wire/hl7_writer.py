r"""Our own HL7 messages: text in, bytes out; and times as HL7 writes them.

What we write always has the separators `|^~\&` and a CR after each segment. Nothing a caller
passes can become a separator, a segment or the end of a frame: separators are escaped, a line
break becomes `\.br\`, every other control character `\X..\`. What comes from people, from
instruments and from other systems is written the same way, as data.

A field is one `Value`, and its Python shape is its HL7 shape:

    "5.2"                            one plain field
    None or ""                       empty; at the end of a segment it is not written at all
    DELETED                          two quotation marks: "delete what you know"
    ("6690-2", "WBC", "LN")          components
    ("A1", ("Hosp", "1.2", "ISO"))   a tuple inside a tuple: subcomponents
    [("A1",), ("B2",)]               a list: repetitions

`Segment.repeats(n)` of the reader gives the same shape back (`[r.parts() for r in ...]`).

Times are written with seconds and offset. They are read with the precision they came in, from
a year to a ten-thousandth of a second, and a time without offset is in the zone its caller
names: the instrument's or the site's, never the server's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum, auto

from lis.wire.errors import LocalProtocolError
from lis.wire.hl7 import DELETED, HEADERS, Separators
from lis.wire.hl7_charset import Unencodable, encode

__all__ = [
    "DELETED",
    "SEPARATORS",
    "Precision",
    "Timestamp",
    "Value",
    "is_plain",
    "is_written",
    "message",
    "parse_timestamp",
    "segment",
    "timestamp",
]

Component = str | tuple[str | None, ...] | None
Repetition = str | tuple[Component, ...] | None
Value = Repetition | Sequence[Repetition]

ENCODING_CHARACTERS = "^~\\&"
SEPARATORS = Separators("|", *ENCODING_CHARACTERS)

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPECIAL = re.compile(r"[\x00-\x1f\x7f|^~\\&]")
_ESCAPED = {
    **{chr(code): f"\\X{code:02X}\\" for code in (*range(0x20), 0x7F)},
    "\n": "\\.br\\",
    "|": "\\F\\",
    "^": "\\S\\",
    "~": "\\R\\",
    "&": "\\T\\",
    "\\": "\\E\\",
}
_ESCAPES = str.maketrans(_ESCAPED)

_TIME = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})"
    r"(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?([+-][0-9]{4})?"
)


class Precision(Enum):
    """The smallest part of a time that was sent."""

    YEAR = auto()
    MONTH = auto()
    DAY = auto()
    HOUR = auto()
    MINUTE = auto()
    SECOND = auto()
    FRACTION = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A time as it was sent; `at` is its first moment, aware."""

    at: datetime
    precision: Precision
    has_offset: bool


def segment(name: str, *fields: Value) -> str:
    """One segment without its CR. For MSH, FHS and BHS the first field given is number 3."""
    if not _NAME.fullmatch(name):
        raise LocalProtocolError(f"expected a segment name such as OBX or ZLB, got {name!r}")
    start = f"{name}|{ENCODING_CHARACTERS}" if name in HEADERS else name
    return _joined("|", [start, *(_field(value) for value in fields)])


def message(
    segments: Sequence[str], charset: str = "utf-8", *, unencodable: Unencodable = Unencodable.HEX
) -> bytes:
    """Segments made by `segment`, each with its CR, in a codec Python knows."""
    if not segments or not segments[0].startswith(f"MSH|{ENCODING_CHARACTERS}"):
        raise LocalProtocolError("expected a message that begins with MSH")
    for number, text in enumerate(segments, 1):
        if _CONTROL.search(text):
            raise LocalProtocolError(
                f"expected escaped text, segment {number} has control characters"
            )
    raw = encode("\r".join(segments) + "\r", charset, unencodable)
    if not raw.startswith(b"MSH|"):
        raise LocalProtocolError(f"expected a codec that contains ASCII, got {charset!r}")
    return raw


def is_plain(text: str) -> bool:
    """Whether text is written as it is: it has no separator and no control character."""
    return not _SPECIAL.search(text)


def is_written(text: str) -> bool:
    """Whether text may stand in a segment as it is: separators may, control characters may not."""
    return not _CONTROL.search(text)


def timestamp(at: datetime) -> str:
    """`YYYYMMDDHHMMSS+ZZZZ`; refuses a time without zone."""
    offset = at.utcoffset()
    if offset is None:
        raise LocalProtocolError("expected a time with its zone, got one without")
    if offset % timedelta(minutes=1):  # local mean times of the 19th century have odd seconds
        at = at.astimezone(UTC)
    iso = at.isoformat(timespec="seconds")  # 2026-11-22T10:10:10+03:00
    return iso[:4] + iso[5:7] + iso[8:10] + iso[11:13] + iso[14:16] + iso[17:22] + iso[23:]


def parse_timestamp(text: str, zone: tzinfo) -> Timestamp | None:
    """Read DT, TS or DTM; None when the text is not a time HL7 can mean."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    *parts, fraction, offset = match.groups()
    given = [int(part) for part in parts if part is not None]
    year, month, day, hour, minute, second = given + [0, 1, 1, 0, 0, 0][len(given) :]
    microsecond = int((fraction or "").ljust(6, "0"))
    has_fraction = fraction is not None
    try:
        at = datetime(year, month, day, hour, minute, second, microsecond, _offset(offset) or zone)
        at.astimezone(UTC)  # the first and last days of the calendar have no UTC
    except (ValueError, OverflowError):
        return None
    precision = Precision.FRACTION if has_fraction else list(Precision)[len(given) - 1]
    return Timestamp(at=at, precision=precision, has_offset=offset is not None)


def _field(value: Value) -> str:
    if value is None or isinstance(value, str):
        return _escaped(value)
    if isinstance(value, tuple):
        return _repetition(value)
    if isinstance(value, list):
        return "~".join(_repetition(repetition) for repetition in value)
    raise _not_text(value)


def _repetition(value: Repetition) -> str:
    if isinstance(value, tuple):
        return _joined("^", [_component(component) for component in value])
    return _escaped(value)


def _component(value: Component) -> str:
    if isinstance(value, tuple):
        return _joined("&", [_escaped(part) for part in value])
    return _escaped(value)


def _escaped(value: str | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _not_text(value)
    if is_plain(value):
        return value
    return value.replace("\r\n", "\n").translate(_ESCAPES)


def _not_text(value: object) -> LocalProtocolError:
    return LocalProtocolError(f"expected text, None, tuple or list, got {type(value).__name__}")


def _joined(separator: str, parts: list[str]) -> str:
    """Join without the empty parts at the end, which mean nothing."""
    end = len(parts)
    while end and not parts[end - 1]:
        end -= 1
    return separator.join(parts[:end])


def _offset(text: str | None) -> timezone | None:
    if text is None:
        return None
    hours, minutes = int(text[1:3]), int(text[3:])
    if minutes > 59:
        raise ValueError
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)
