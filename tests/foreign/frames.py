"""Frames of ASTM E1381 as the foreign analyzer builds and reads them; nothing of lis in here.

    STX FN text ETX C1 C2 CR LF     the last frame of a record
    STX FN text ETB C1 C2 CR LF     more of this record follows

Facts used (reference/astm.md, section 6): L1-08 layout, L1-09 frame numbers 1..7, 0, 1.. over the whole session,
L1-10 at most 240 characters of text in E1381-95, L1-11 a record starts a frame of its own, L1-12 the checksum
is the sum of the bytes from FN to ETB or ETX modulo 256 as two upper-case hex digits, L1-25 characters that no
text may hold, L2-02 a record ends with CR.

The reader is strict. It plays an instrument whose firmware forgives nothing, so that whatever the host sends
differently is seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

STX, ETX, EOT, ENQ, ACK, NAK, ETB = (bytes([code]) for code in (2, 3, 4, 5, 6, 21, 23))
CR, LF = b"\r", b"\n"

TEXT_MAX = 240  # E1381-95, the limit every instrument can take
FRAME_NUMBERS = 8

# SOH STX ETX EOT ENQ ACK DLE DC1-DC4 NAK SYN ETB LF; CR only as the end of a record.
FORBIDDEN_IN_TEXT = frozenset(b"\x01\x02\x03\x04\x05\x06\x10\x11\x12\x13\x14\x15\x16\x17\n")


class FrameError(Exception):
    """The host sent a frame that a strict instrument cannot take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    number: int
    text: bytes
    ends_record: bool


def checksum(covered: bytes) -> bytes:
    """Two upper-case hex digits over the bytes from FN to ETB or ETX."""
    return f"{sum(covered) % 256:02X}".encode("ascii")


def build_frame(frame: Frame) -> bytes:
    covered = str(frame.number).encode("ascii") + frame.text + (ETX if frame.ends_record else ETB)
    return STX + covered + checksum(covered) + CR + LF


def spoil_checksum(raw: bytes) -> bytes:
    """The same frame with a checksum that does not fit, as a disturbed cable makes it."""
    good = int(raw[-4:-2], 16)
    return raw[:-4] + f"{(good + 1) % 256:02X}".encode("ascii") + raw[-2:]


def session_frames(records: Iterator[str], *, text_max: int = TEXT_MAX) -> Iterator[Frame]:
    """The frames of a whole session: each record on its own, cut where it is longer than a frame."""
    number = 1
    for record in records:
        rest = record.encode("latin-1") + CR
        while rest:
            text, rest = rest[:text_max], rest[text_max:]
            yield Frame(number=number, text=text, ends_record=not rest)
            number = (number + 1) % FRAME_NUMBERS


def read_frame(raw: bytes, *, text_max: int = TEXT_MAX) -> Frame:
    """One frame from STX to LF. Raises `FrameError` with what was expected and what came."""
    if len(raw) < 7 or raw[:1] != STX or raw[-2:] != CR + LF:
        raise FrameError(f"expected STX FN text ETX C1 C2 CR LF, got {raw!r}")
    covered, digits = raw[1:-4], raw[-4:-2]
    if digits != checksum(covered):
        raise FrameError(f"checksum {digits!r}, computed {checksum(covered)!r} in {raw!r}")
    number, text, end = covered[:1], covered[1:-1], covered[-1:]
    if end not in {ETX, ETB} or not b"0" <= number <= b"7":
        raise FrameError(f"expected a number 0-7 and ETX or ETB at the end, got {raw!r}")
    if len(text) > text_max:
        raise FrameError(f"expected at most {text_max} characters of text, got {len(text)}")
    return Frame(
        number=int(number), text=_allowed(text, ends_record=end == ETX), ends_record=end == ETX
    )


def _allowed(text: bytes, *, ends_record: bool) -> bytes:
    forbidden = FORBIDDEN_IN_TEXT.intersection(text)
    if forbidden:
        raise FrameError(f"characters {bytes(sorted(forbidden))!r} are not allowed in {text!r}")
    body = text.removesuffix(CR)
    if CR in body:
        raise FrameError(f"expected one record in a frame, got {text!r}")
    if ends_record and body == text:
        raise FrameError(f"expected CR at the end of the record, got {text!r}")
    return text
