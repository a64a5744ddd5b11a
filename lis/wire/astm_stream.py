"""From bytes to tokens: control characters, blocks, records without frames, junk.

    ... noise  ENQ  noise  STX FN text ETX C1 C2 CR LF  noise  EOT ...
               Control     Block                               Control

Rules of this file:
- It knows how things look, not what they mean now: that is the link's table.
- A token depends on the bytes before it and never on how a transport cut them.
- Where an end may still go on (CR that LF may follow, an ENQ that may be a damaged byte of a
  frame), it asks to be called again with `is_quiet` after a short silence.
- It searches each byte once, however slowly it comes, and holds no more than the limit.

What goes wrong on real cables, and what we do:
- Noise before STX: junk, passed over. Noise inside: the checksum is wrong.
- STX inside a frame: the sender started again. The first part is junk, and `Block.broken` keeps it,
  because a text byte damaged into STX looks the same: the link then looks twice.
- A text byte damaged into ETX: what follows looks like a checksum by luck once in 256 times, but
  then text goes on after its CR, which no sender does: fault.
- ENQ or EOT inside a frame: with more of the frame behind it, a damaged byte (CR differs from ENQ
  in one bit) and answering it would acknowledge a damaged frame; with silence behind it, a sender
  that gave up. For the same reason ENQ inside a session, where a damaged STX may look like it,
  counts only with silence behind it: no sender goes on before its ENQ is answered.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from lis.wire.astm_frame import CR, ENQ, EOT, ETB, ETX, LF, STX, checksum
from lis.wire.astm_settings import Tolerance
from lis.wire.astm_unframed import is_unframed_end

__all__ = ["Block", "Control", "Junk", "Stream", "Text", "Token", "Waits", "half_block"]

_CONTROL_END = re.compile(rb"[\x02\x04\x05]")
_BLOCK_END = re.compile(rb"[\x02\x03\x17]")
_LINE_END = re.compile(rb"[\r\n\x02\x04\x05]")
_REPLY_END = re.compile(rb"[\x04\x05\x06\x15]")
_TRAILING_CONTROLS = re.compile(rb"[\x04\x05]+\Z")
_SIGN = rb"[!-/:-@\[-`{-~]"
_HEADER = re.compile(
    rb"(?:\A|(?<=[\x00-\x1f\xff]))[Hh](?:\Z|(" + _SIGN + rb")(?:\Z|(?=" + _SIGN + rb")))"
)
_HEADER_WHOLE_BYTES = 3  # H, field delimiter, one more sign
_WHOLE_BLOCK = re.compile(rb"\x02[0-7]([^\x02\x03\x17]*)([\x03\x17])([0-9A-F]{2})\r\n")
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")
_DIGITS = b"01234567"
_STX, _ETX, _EOT, _ENQ, _ETB = STX[0], ETX[0], EOT[0], ENQ[0], ETB[0]
_TAB, _LF, _CR = 0x09, LF[0], CR[0]
_CONTROLS = {ENQ[0], EOT[0]}
_OVERHEAD_BYTES = 7  # STX FN, ETX C1 C2 CR LF


@dataclass(slots=True)  # not frozen: made once per frame, seen by the link only
class Control:
    """ENQ, EOT, ACK or NAK."""

    byte: bytes


@dataclass(slots=True)  # not frozen: made once per frame, seen by the link only
class Block:
    """STX to the end of the block. `fault` says what is wrong with it, "" nothing."""

    raw: bytes
    number: int
    stop: int  # where the text ends in `raw`
    is_last: bool
    fault: str
    tolerances: tuple[Tolerance, ...]
    broken: bytes  # what stood between an earlier STX and this one

    @property
    def text(self) -> bytes:
        """A copy: a large one is better not kept beside `raw`."""
        return self.raw[2 : self.stop]

    @property
    def text_bytes(self) -> int:
        return max(self.stop - 2, 0)


def half_block(data: bytes, *, waited_s: float) -> Block:
    """A frame whose end never came, to be refused."""
    fault = f"half a frame, then silence for {waited_s:g} s"
    return Block(data, -1, 0, is_last=True, fault=fault, tolerances=(), broken=b"")


@dataclass(slots=True)  # not frozen: made once per frame, seen by the link only
class Text:
    """Records without frames, from H on; `is_whole` if they reached an L record."""

    raw: bytes
    is_whole: bool


@dataclass(slots=True)  # not frozen: made once per frame, seen by the link only
class Junk:
    """Bytes that are nothing."""

    data: bytes
    where: str


Token = Control | Block | Text | Junk
_NO_JUNK = Junk(b"", "")


class Waits(Enum):
    """What the stream waits for when it gives no token."""

    NOTHING = auto()
    BLOCK = auto()  # the rest of a frame
    QUIET = auto()  # silence, which would end what is there
    TEXT = auto()  # the rest of records without frames


class Stream:
    """The bytes received and not understood yet."""

    __slots__ = (
        "_broken",
        "_buffer",
        "_is_line_start",
        "_is_overfull",
        "_limit_bytes",
        "_line",
        "_mark",
        "_scan",
        "_tolerances",
        "doubts_enq",
        "sniffs",
        "waits",
    )

    def __init__(self, tolerances: frozenset[Tolerance], limit_bytes: int) -> None:
        self._tolerances = tolerances
        self._limit_bytes = limit_bytes
        self.clear()

    def clear(self) -> None:
        """Forget everything, as for a new connection."""
        self._buffer = bytearray()
        self._forget()
        self._is_line_start = True
        self.sniffs = True  # whether records without frames may begin here
        self.doubts_enq = False  # whether ENQ counts only with silence behind it
        self.waits = Waits.NOTHING

    def _forget(self) -> None:
        """Start looking at the first byte of the buffer anew."""
        self._scan = 0  # up to here the open block or text was searched
        self._line = 0  # where the last line of the open text begins
        self._mark = b""  # field delimiter of the open text; empty if none is open
        self._broken = b""
        self._is_overfull = False

    @property
    def size_bytes(self) -> int:
        return len(self._buffer)

    def push(self, data: bytes) -> None:
        self._buffer += data

    def whole_block(self, data: bytes) -> Block | None:
        """The usual case, taken fast: one read is one frame, right in every byte."""
        if self._buffer:
            return None
        match = _WHOLE_BLOCK.fullmatch(data)
        if match is None or checksum(data[1:-4]) != match[3]:
            return None
        self._is_line_start = True
        return Block(data, data[1] - 0x30, match.end(1), match[2] == ETX, "", (), b"")

    def truncate(self, limit_bytes: int) -> None:
        """Keep no more than that of what waits unread."""
        del self._buffer[limit_bytes:]

    def drop(self) -> Token | None:
        """Give up waiting: what is there, as records without frames or as junk."""
        is_text = bool(self._mark)
        if not self._buffer and not self._is_overfull:
            return None
        data = self._take(len(self._buffer))
        self._is_line_start = True
        return Text(data, is_whole=False) if is_text else Junk(data, "unfinished")

    def take_reply(self) -> Token | None:
        """The next answer of a receiver. CR, LF and NUL mean nothing there."""
        while self._buffer:
            match = _REPLY_END.match(self._buffer)
            if match is not None:
                self._is_line_start = True
                return Control(self._take(1))
            found = _REPLY_END.search(self._buffer)
            data = self._take(found.start() if found else len(self._buffer))
            if data.strip(b"\r\n\0"):
                return Junk(data, "instead of a reply")
        return None

    def take(self, *, is_quiet: bool = False) -> Token | None:
        """The next token, or None; then `waits` says what is missing."""
        self.waits = Waits.NOTHING
        while self._buffer:
            if self._mark:
                return self._take_text(is_quiet=is_quiet)
            first = self._buffer[0]
            if first == _STX:
                return self._take_block(is_quiet=is_quiet)
            if first == _ENQ and self.doubts_enq:
                return self._take_doubtful_enq(is_quiet=is_quiet)
            if first in _CONTROLS:
                self._is_line_start = True
                return Control(self._take(1))
            junk = self._take_junk()
            if junk is None or junk.data.strip(b"\r\n\0"):
                return junk
        return None

    def _take(self, count: int) -> bytes:
        """Cut `count` bytes off the front."""
        if count == len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            data = bytes(self._buffer[:count])
            del self._buffer[:count]
        self._forget()
        return data

    # ------------------------------------------------------------------ junk, and text

    def _take_doubtful_enq(self, *, is_quiet: bool) -> Token | None:
        if len(self._buffer) > 1:
            return Junk(self._take(1), "outside frames")
        if not is_quiet:
            self.waits = Waits.QUIET
            return None
        self._is_line_start = True
        return Control(self._take(1))

    def _take_junk(self) -> Junk | None:
        buffer = self._buffer
        control = _CONTROL_END.search(buffer)
        end = control.start() if control else len(buffer)
        if self.sniffs:
            header = _HEADER.search(buffer, 0 if self._is_line_start else 1, end)
            if header is not None and header.end() < end:
                if header.start() == 0:
                    self._mark = header[1]
                    return _NO_JUNK  # the caller goes on with the text
                end = header.start()
            elif header is not None and control is None:  # only the beginning of an H record
                if header.start() == 0:
                    self.waits = Waits.BLOCK
                    return None
                end = header.start()
        data = self._take(end)
        self._is_line_start = data[-1] < 0x20 or data[-1] == 0xFF
        return Junk(data, "outside frames")

    def _take_text(self, *, is_quiet: bool) -> Token | None:
        buffer = self._buffer
        self._is_line_start = True
        while (match := _LINE_END.search(buffer, self._scan)) is not None:
            place = match.start()
            line = bytes(buffer[self._line : place])
            is_control = match[0] not in {CR, LF}
            if is_unframed_end(line, self._mark):
                return Text(self._take(place if is_control else place + 1), is_whole=True)
            if is_control:
                return Text(self._take(place), is_whole=False)
            if self._line and _HEADER.match(line) is not None and len(line) >= _HEADER_WHOLE_BYTES:
                return Text(self._take(self._line), is_whole=False)
            self._scan = self._line = place + 1
        self._scan = len(buffer)
        if len(buffer) > self._limit_bytes:
            self._is_line_start = False
            return Text(self._take(len(buffer)), is_whole=False)
        is_end = is_unframed_end(bytes(buffer[self._line : self._line + 80]), self._mark)
        if is_end and is_quiet:
            return Text(self._take(len(buffer)), is_whole=True)
        self.waits = Waits.QUIET if is_end else Waits.TEXT
        return None

    # ---------------------------------------------------------------------------- blocks

    def _take_block(self, *, is_quiet: bool) -> Token | None:
        buffer = self._buffer
        match = _BLOCK_END.search(buffer, self._scan or 1)
        if match is None:
            return self._unfinished_block(is_quiet=is_quiet)
        place = match.start()
        if match[0] == STX:
            data = self._take(place)
            self._broken = data[1:]
            return Junk(data, "broken frame")
        self._scan = place
        self.waits = Waits.BLOCK
        if buffer[place + 3 : place + 5] == b"\r\n" and _HEX.match(buffer, place + 1):
            return self._block(place, place + 5)  # as it should be
        if len(buffer) < place + 3:
            return None
        if _HEX.match(buffer, place + 1) is None:
            return self._block(place, place + 1, "no checksum of two hex digits")
        if len(buffer) < place + 4:
            return None
        return self._block_end(place, is_quiet=is_quiet)

    def _block_end(self, place: int, *, is_quiet: bool) -> Token | None:
        """CR LF, or what some send instead."""
        buffer = self._buffer
        first = buffer[place + 3]
        if first == _LF:
            return self._block(place, place + 4, "", Tolerance.LF_ONLY_END)
        if first != _CR:
            return self._block(place, place + 3, "no CR after the checksum")
        if len(buffer) == place + 4 and not is_quiet:
            self.waits = Waits.QUIET
            return None
        second = buffer[place + 4] if len(buffer) > place + 4 else _EOT
        if second in {_STX, _EOT}:  # the next thing: LF was left out
            return self._block(place, place + 4, "", Tolerance.CR_ONLY_END)
        if 0x20 <= second < 0xFF or second in {_CR, _TAB, _ETX, _ETB}:
            return self._block(place, place + 4, "text goes on after the end of the block")
        return self._block(place, place + 5, "", Tolerance.CR_ONLY_END)  # LF came damaged

    def _unfinished_block(self, *, is_quiet: bool) -> Token | None:
        buffer = self._buffer
        self._scan = len(buffer)
        controls = _TRAILING_CONTROLS.search(buffer, max(1, len(buffer) - 8))
        if controls is not None and is_quiet:
            return Junk(self._take(controls.start()), "broken frame")
        if len(buffer) > self._limit_bytes + _OVERHEAD_BYTES:
            del buffer[1:]
            self._scan, self._is_overfull = 1, True
        self.waits = Waits.BLOCK if controls is None else Waits.QUIET
        return None

    def _block(self, place: int, end: int, fault: str = "", *liberties: Tolerance) -> Block:
        broken, is_overfull = self._broken, self._is_overfull
        raw = self._take(end)
        self._is_line_start = True
        number = _DIGITS.find(raw[1:2]) if place > 1 else -1
        sent = raw[place + 1 : place + 3]
        computed = checksum(memoryview(raw)[1 : place + 1])
        if is_overfull:
            fault = f"text of more than {self._limit_bytes} bytes"
        elif not fault and number < 0:
            fault = "frame number is no digit from 0 to 7"
        elif not fault and sent != computed:
            if sent.upper() == computed:
                liberties = (*liberties, Tolerance.LOWER_CASE_CHECKSUM)
            elif Tolerance.WRONG_CHECKSUM in self._tolerances:
                liberties = (*liberties, Tolerance.WRONG_CHECKSUM)
            else:
                fault = f"checksum {sent!r}, computed {computed!r} in frame {number}"
        if liberties and not fault:
            denied = next((item for item in liberties if item not in self._tolerances), None)
            fault = f"not allowed: {denied}" if denied else ""
        is_last = raw[place] == _ETX
        return Block(raw, number, place, is_last, fault, liberties, broken)
