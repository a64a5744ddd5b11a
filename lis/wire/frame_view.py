"""Kept bytes cut into frames again, each with its checksum judged: for a person who looks at a line.

The link judged every frame before it was acknowledged. This says it once more of bytes that were refused, repeated
or kept long ago, and never raises: what is no frame is a piece without a checksum.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from lis.wire.astm_frame import STX, checksum
from lis.wire.printout import is_dated_slip

_FRAME = re.compile(rb"\x02([0-7][^\x02\x03\x17]*[\x03\x17])(.{0,2})\r?\n?", re.DOTALL)
_PIECE = re.compile(rb"\x02?[^\x02]+|\x02")


class Checksum(StrEnum):
    GOOD = "good"
    BAD = "bad"
    NONE = "none"  # no frame: control characters, HL7, slips, lines without frames


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameView:
    """One frame, or a piece between frames."""

    data: bytes
    checksum: Checksum
    expected: str = ""  # where the checksum is bad: what was computed


def frames_of_bytes(data: bytes) -> tuple[FrameView, ...]:
    """The pieces of `data`, in order; together they are `data` again."""
    return tuple(_view(match[0]) for match in _PIECE.finditer(data))


def checksum_of(data: bytes) -> Checksum:
    """Bad if any frame in these bytes has a wrong checksum, good if all are right."""
    found = {view.checksum for view in frames_of_bytes(data)}
    return next((one for one in (Checksum.BAD, Checksum.GOOD) if one in found), Checksum.NONE)


def last_frame(raw: bytes) -> bytes:
    """The last frame of kept ASTM bytes; all of them where there are no frames."""
    start = raw.rfind(STX)
    return raw if start < 0 else raw[start:]


def _view(piece: bytes) -> FrameView:
    if not piece.startswith(STX) or is_dated_slip(piece):
        return FrameView(data=piece, checksum=Checksum.NONE)
    match = _FRAME.match(piece)
    if match is None:
        return FrameView(data=piece, checksum=Checksum.BAD)
    computed = checksum(match[1])
    if match[2].upper() == computed:
        return FrameView(data=piece, checksum=Checksum.GOOD)
    return FrameView(data=piece, checksum=Checksum.BAD, expected=computed.decode("ascii"))
