r"""The ASTM frame: one checksummed block of a message (LIS01-A2 6.3, 8.3; E1381-95 the same).

    STX  FN  text ............  ETB  C1 C2  CR LF      more of this message follows
    STX  FN  text ............  ETX  C1 C2  CR LF      the text ends here
         |<--- checksummed --->|

- FN is one digit, 0 to 7. The first frame of a session carries 1, then it counts modulo 8.
- C1 C2 is the sum of all bytes from FN to ETB or ETX, modulo 256, as two upper-case hex digits.
- The checksum is over bytes. What character set the text is in is decided later.
- ETB does not mean "same record" and ETX does not mean "end of message": some analyzers cut a
  stream of records every 240 bytes in mid-field, others end every record with ETB. Only CR ends
  a record, and only the L record ends a message.

A plain sum does not see two swapped bytes or two errors that cancel out. The frame number and
the shape of the records are the second line of defence; the medical checks are the third.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from lis.wire.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "ACK",
    "CR",
    "ENQ",
    "EOT",
    "ETB",
    "ETX",
    "LF",
    "NAK",
    "STX",
    "TEXT_LIMIT_1995_BYTES",
    "TEXT_LIMIT_BYTES",
    "Frame",
    "blocks_of",
    "checksum",
    "framed",
    "frames_of",
]

STX = b"\x02"
ETX = b"\x03"
EOT = b"\x04"
ENQ = b"\x05"
ACK = b"\x06"
NAK = b"\x15"
ETB = b"\x17"
LF = b"\n"
CR = b"\r"

FRAME_NUMBERS = 8  # one digit, 0 to 7 (LIS01-A2 6.3.2.1)
TEXT_LIMIT_1995_BYTES = 240  # 247 with the overhead (E1381-95 6.3.1); every receiver takes it
TEXT_LIMIT_BYTES = 63_993  # 64,000 with the overhead (LIS01-A2 8.3.1)

# LIS01-A2 6.6: these steer the line and may never stand in the text. CR is the one exception.
_RESTRICTED = bytes([0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x10, 0x11, 0x12, 0x13, 0x14])
RESTRICTED_IN_TEXT = _RESTRICTED + bytes([0x15, 0x16, 0x17])

_NEVER_IN_RECORD = RESTRICTED_IN_TEXT + CR
_LAST = CR + ETX
_BLOCK_END = CR + LF

_HEX = tuple(b"%02X" % value for value in range(256))
_DIGIT = tuple(b"%d" % value for value in range(FRAME_NUMBERS))
_BLOCK = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2})\r\n?", re.DOTALL)


def checksum(body: bytes | memoryview) -> bytes:
    """Two upper-case hex digits over `body`, which is everything from FN to ETB or ETX."""
    return _HEX[sum(body) & 0xFF]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One block: its number, its text, and whether it ended with ETX."""

    number: int
    text: bytes
    is_last: bool = True

    def to_bytes(self) -> bytes:
        """The block as it goes on the wire. Raises LocalProtocolError for what may never go."""
        if not 0 <= self.number < FRAME_NUMBERS:
            raise LocalProtocolError(f"frame number {self.number}, expected 0 to 7")
        if len(self.text.translate(None, RESTRICTED_IN_TEXT)) != len(self.text):
            raise LocalProtocolError(f"frame {self.number} holds a line control character")
        return framed(self.number, self.text, ETX if self.is_last else ETB)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read one whole block. Raises RemoteProtocolError with what was expected and computed."""
        match = _BLOCK.fullmatch(raw)
        if match is None:
            raise RemoteProtocolError(
                f"expected STX, a digit 0-7, text, ETB or ETX, two hex digits, CR LF; "
                f"got {len(raw)} bytes of another shape"
            )
        number, text, end, sent = match.groups()
        computed = checksum(number + text + end)
        if sent.upper() != computed:
            raise RemoteProtocolError(
                f"checksum {sent!r}, computed {computed!r} in frame {number.decode()}"
            )
        return cls(number=int(number), text=text, is_last=end == ETX)


def framed(number: int, text: bytes, end: bytes) -> bytes:
    """The bytes of a frame, without the checks of `Frame.to_bytes`."""
    body = _DIGIT[number] + text + end
    return STX + body + _HEX[sum(body) & 0xFF] + b"\r\n"


def frames_of(
    records: Sequence[bytes],
    *,
    limit: int = TEXT_LIMIT_1995_BYTES,
    start: int = 1,
    record_per_frame: bool = True,
) -> Iterator[Frame]:
    """The frames that carry `records` (each without its CR), numbered from `start`.

    A record that is too long is cut with ETB. With `record_per_frame` (the standard, 6.3.1.1)
    every record starts a new frame and its last frame ends with ETX; without it the records are
    one stream cut every `limit` bytes, as Roche cobas analyzers send and like to receive it.
    """
    texts = _texts_of(records, limit=limit, record_per_frame=record_per_frame)
    for count, (text, end) in enumerate(texts, start):
        yield Frame(number=count % FRAME_NUMBERS, text=text, is_last=end == ETX)


def blocks_of(
    records: Sequence[bytes],
    *,
    limit: int = TEXT_LIMIT_1995_BYTES,
    start: int = 1,
    record_per_frame: bool = True,
) -> list[bytes]:
    """The same frames as wire bytes at once: what a link sends, without a `Frame` for each."""
    if not record_per_frame or len(max(records, key=len, default=b"")) >= limit:
        texts = _texts_of(records, limit=limit, record_per_frame=record_per_frame)
        return [framed(count % FRAME_NUMBERS, *part) for count, part in enumerate(texts, start)]
    _check_text(records)
    blocks = []
    for count, record in enumerate(records, start):  # the usual case: one record is one frame
        body = _DIGIT[count % FRAME_NUMBERS] + record + _LAST
        blocks.append(STX + body + _HEX[sum(body) & 0xFF] + _BLOCK_END)
    return blocks


def _texts_of(
    records: Sequence[bytes], *, limit: int, record_per_frame: bool
) -> Iterator[tuple[bytes, bytes]]:
    if limit < 1:
        raise LocalProtocolError(f"frame text limit of {limit} bytes, expected at least 1")
    _check_text(records)
    texts = records if record_per_frame else (CR.join(records),)
    for text in texts:
        ended = text + CR
        if len(ended) <= limit:
            yield ended, ETX
            continue
        for begin in range(0, len(ended), limit):
            end = begin + limit
            yield ended[begin:end], ETX if end >= len(ended) else ETB


def _check_text(records: Sequence[bytes]) -> None:
    stream = b"".join(records)
    if len(stream.translate(None, _NEVER_IN_RECORD)) != len(stream):
        raise LocalProtocolError("a record holds CR or a line control character")
