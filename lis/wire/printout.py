r"""Print-outs on a line: what small instruments send that were made for a printer.

    STX  24/10/29 13:08 ID# 1DC042FP   [B. Plasma] Na  131  mmol/L K  9.7  mmol/L ...  ETX

No frame number, no checksum, no answer: an Arkray Spotchem EL sends its slip between STX and ETX and never
looks back (capture). So nothing on this line can be asked for again, and two dangers follow:

- a bit that flips is not seen. What a value looks like is all there is to check: `PrintoutLayout` takes a text
  apart only where it fits to the last character, and says what did not fit;
- what is not kept at once is lost. `PrintoutFramer` gives each block whole; whoever keeps it must not read on
  before it is on disk.

Bytes between blocks are noise. STX inside a block begins a new one: the first was cut. Half a block and then
silence is given up after `HALF_BLOCK_TIMEOUT_S`, a block over the limit at once; both stay evidence.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "BlockCut",
    "BlockReceived",
    "Event",
    "NoiseReceived",
    "Printout",
    "PrintoutFramer",
    "PrintoutLayout",
    "block_of",
    "blocks_in",
    "is_dated_slip",
    "is_printout",
    "text_in",
]

STX, ETX = b"\x02", b"\x03"
BLOCK_LIMIT_BYTES = 64 * 1024  # ours: a slip is some hundred characters
HALF_BLOCK_TIMEOUT_S = 10.0  # ours: a slip of 1 kB takes about a second at 9600 baud
NOISE_SAMPLE_BYTES = 64  # of what stands between blocks

_DATE = re.compile(rb"\x02\d\d[/.-]\d\d")
_BLOCK = re.compile(rb"\x02[\t\r\n -\xff]*\x03")


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """A whole block, STX and ETX included."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class BlockCut:
    """The beginning of a block that did not end, and why."""

    partial: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class NoiseReceived:
    """Bytes outside a block; the first of them."""

    count: int
    sample: bytes


Event = BlockReceived | BlockCut | NoiseReceived


class PrintoutFramer:
    """Bytes to blocks; any cutting of the stream gives the same blocks."""

    def __init__(self, limit_bytes: int = BLOCK_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._partial = bytearray()  # begins with STX, or is empty
        self._last_byte_at = 0.0

    def receive_bytes(self, data: bytes, now: float) -> list[Event]:
        """What these bytes complete."""
        events: list[Event] = []
        for piece in re.split(rb"(?=\x02)", data):
            if piece:
                self._take(piece, events)
        self._last_byte_at = now
        return events

    def next_deadline(self) -> float | None:
        """When to call `tick`; None between blocks."""
        return self._last_byte_at + HALF_BLOCK_TIMEOUT_S if self._partial else None

    def tick(self, now: float) -> list[Event]:
        """Give up a block whose sender fell silent. Harmless before the deadline."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        return [self._cut("half a block, then silence")]

    def connection_lost(self) -> list[Event]:
        """The pipe ended."""
        return [self._cut("the connection was lost in a block")] if self._partial else []

    def _take(self, piece: bytes, events: list[Event]) -> None:
        """A piece that holds STX at its first place or nowhere."""
        if piece.startswith(STX) and self._partial:
            events.append(self._cut("a new block began"))
        if not piece.startswith(STX) and not self._partial:
            _note_noise(piece, events)
            return
        inside, end, rest = piece.partition(ETX)
        self._partial += inside + end
        if len(self._partial) > self._limit_bytes:
            events.append(self._cut(f"a block over {self._limit_bytes} bytes"))
        elif end:
            events.append(BlockReceived(bytes(self._partial)))
            self._partial.clear()
        if rest:
            _note_noise(rest, events)

    def _cut(self, reason: str) -> BlockCut:
        partial = bytes(self._partial[: self._limit_bytes])
        self._partial.clear()
        return BlockCut(partial, reason)


def _note_noise(data: bytes, events: list[Event]) -> None:
    if data.strip(b"\r\n\0"):
        events.append(NoiseReceived(len(data), data[:NOISE_SAMPLE_BYTES]))


# ------------------------------------------------------------------------- texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Printout:
    """A text taken apart: the head's groups, each row's groups, and what fitted nowhere."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remnants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintoutLayout:
    """How a slip is written: a pattern of its head, and of each row behind it.

    Blanks divide them. Any run of blanks and line ends is one blank to the patterns, so that columns may be as wide as
    they like and no pattern tries a long run again and again.
    """

    head: str
    row: str

    def read(self, text: str) -> Printout | None:
        """The parts of `text`; None if it does not even begin like this."""
        text = " ".join(text.split())
        head = _compiled(self.head).match(text)
        if head is None:
            return None
        body = text[head.end() :]
        rows: list[tuple[str, ...]] = []
        remnants: list[str] = []
        position = 0
        for match in _compiled(rf"(?<!\S)(?:{self.row})(?!\S)").finditer(body):
            remnants.append(body[position : match.start()].strip())
            rows.append(_groups(match))
            position = match.end()
        remnants.append(body[position:].strip())
        return Printout(
            head=_groups(head),
            rows=tuple(rows),
            remnants=tuple(remnant for remnant in remnants if remnant),
        )


def _groups(match: re.Match[str]) -> tuple[str, ...]:
    return tuple(group or "" for group in match.groups())


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


# ------------------------------------------------------------------------- kept bytes, files


def is_printout(raw: bytes) -> bool:
    """Whether kept bytes are one block: an ASTM frame goes on behind its ETX."""
    return _BLOCK.fullmatch(raw.strip(b"\r\n")) is not None


def is_dated_slip(raw: bytes) -> bool:
    """Whether it is one block that opens with a date, as no ASTM frame does."""
    return is_printout(raw) and _DATE.match(raw.lstrip(b"\r\n")) is not None


def blocks_in(data: bytes) -> tuple[bytes, ...]:
    """The blocks of a file."""
    return tuple(_BLOCK.findall(data))


def block_of(text: bytes) -> bytes:
    """A block around a text."""
    return STX + text + ETX


def text_in(raw: bytes) -> bytes:
    """The text of a kept block."""
    return raw.strip(b"\r\n").removeprefix(STX).removesuffix(ETX)
