"""Journal lines that wait for the next commit.

What came in is written with the keep that makes it durable. What we sent, and what we refused, is evidence and
no promise: those lines wait here, go with the next keep, or by themselves after half a second. The buffer is
bounded; when the store is away, the oldest lines go first and a line says how many.

What means nothing (noise, refused frames, halves of messages) is evidence too, but a humming cable or an
attacker makes it without end: of that a link keeps so much a minute, and counts the rest.
"""

from collections import deque
from datetime import datetime

from lis.domain.traffic import Direction, TrafficLine

FLUSH_AFTER_S = 0.5  # what a person sees on the instrument board may be that old
LINES_MAX = 1_000  # some minutes of a busy link without a store
LINE_BYTES_MAX = 64 * 1024  # of one line; what is longer stands in the inbox whole
EVIDENCE_BYTES_MAX = (
    256 * 1024
)  # a minute: hundreds of damaged frames, and 370 MB a day at the very most
EVIDENCE_PERIOD_S = 60.0
LOST_NOTE = "lines lost while the store was away: {count}"


class JournalBuffer:
    """Lines of one link, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[TrafficLine] = deque()
        self._lost = 0
        self._since: float | None = None

    def add(
        self, at: datetime, direction: Direction, data: bytes, now: float, note: str = ""
    ) -> None:
        """Remember one line; `now` is monotonic, `at` the time on the line."""
        if len(self._lines) >= LINES_MAX:
            self._lines.popleft()
            self._lost += 1
        line = TrafficLine(at=at, direction=direction, data=data[:LINE_BYTES_MAX], note=note)
        self._lines.append(line)
        if self._since is None:
            self._since = now

    @property
    def flush_at(self) -> float | None:
        """When the lines should be written at the latest; None while there are none."""
        return None if self._since is None else self._since + FLUSH_AFTER_S

    def take(self) -> tuple[TrafficLine, ...]:
        """All lines; they are gone from here."""
        lines = tuple(self._lines)
        if self._lost:
            note = LOST_NOTE.format(count=self._lost)
            first = TrafficLine(at=lines[0].at, direction=Direction.OUT, data=b"", note=note)
            lines = (first, *lines)
        self._lines.clear()
        self._lost = 0
        self._since = None
        return lines

    def put_back(self, lines: tuple[TrafficLine, ...], now: float) -> None:
        """The lines could not be written; they wait again, and are tried again half a second later."""
        self._lines.extendleft(reversed(lines))
        while len(self._lines) > LINES_MAX:
            self._lines.popleft()
            self._lost += 1
        self._since = now if self._lines else None


class Evidence:
    """How much of what means nothing one link may still keep in this minute."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._left_bytes = EVIDENCE_BYTES_MAX
        self.dropped_bytes = 0  # since somebody asked last

    def admit(self, data: bytes, now: float) -> bytes:
        """The beginning of `data` that may be kept; nothing when the minute's share is used up."""
        if self._since is None or now - self._since >= EVIDENCE_PERIOD_S:
            self._since, self._left_bytes = now, EVIDENCE_BYTES_MAX
        kept = data[: self._left_bytes]
        self._left_bytes -= len(kept)
        self.dropped_bytes += len(data) - len(kept)
        return kept

    def take_dropped(self) -> int:
        """How many bytes were not kept; asking forgets them."""
        dropped, self.dropped_bytes = self.dropped_bytes, 0
        return dropped
