"""MLLP: the envelope HL7 v2 messages travel in, as a sans-I/O framer.

    VT        payload                  FS   CR
    0x0B      any bytes but FS         0x1C 0x0D

The standard has two rules more: nothing travels between frames, and CR follows FS. Real
cables break both, so this framer anchors on VT and FS only:

    BETWEEN    waits for VT; anything else is noise, counted and dropped (0x02 heartbeats of
               Mindray BC analyzers, CR LF that line-minded senders put after a frame, NUL)
    INSIDE     collects until FS; VT is data here, embedded binary contains it
    ENDED      a frame was just delivered; one CR belongs to it, in this read or a later one
    SKIPPING   the frame grew over the limit: drop bytes until its FS, keeping none

A frame is delivered at its FS at once. Some senders never send the CR and then wait for our
answer, so waiting for it would be a deadlock; a CR that does arrive is swallowed in ENDED.

Half a frame and then silence means the peer died. `next_deadline()` says when to call
`tick()`; what had arrived comes back as a `StalledFrame`, to be kept as evidence and never
delivered as a message. On TCP the caller then closes the connection, also after `Oversized`.
On a serial line nothing can be closed and the framer simply looks for the next frame. A link
that is idle between frames has no deadline: analyzers are silent for days.

Cost: every byte is looked at once and copied at most twice, whatever the size of the reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from lis.wire.errors import LocalProtocolError

__all__ = [
    "CR",
    "FS",
    "VT",
    "BlockReceived",
    "CutFrame",
    "Event",
    "MllpFramer",
    "MllpSettings",
    "Noise",
    "Oversized",
    "StalledFrame",
    "frame",
]

VT = b"\x0b"
FS = b"\x1c"
CR = b"\x0d"

FRAME_LIMIT_BYTES = 16 * 1024 * 1024  # histograms and PDF reports in Base64 reach a few MiB
HALF_FRAME_TIMEOUT_S = 30.0  # requirement M7; a peer that lives sends its frame in one go
EVIDENCE_BYTES = 64 * 1024  # of an oversized frame: its MSH is enough to see what it was
NOISE_SAMPLE_BYTES = 64  # enough to recognise a heartbeat or another protocol in the log


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpSettings:
    """How much and how long. The defaults fit every analyzer we know."""

    frame_limit_bytes: int = FRAME_LIMIT_BYTES
    half_frame_timeout_s: float = HALF_FRAME_TIMEOUT_S
    restart_after_s: float | None = None
    """A read that begins with VT, this long after the last byte of an unfinished frame, starts
    a new frame instead of continuing the old one. None: VT inside a frame is always data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReceived:
    """One whole frame; `payload` is exactly what stood between VT and FS."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Bytes outside frames were dropped."""

    count: int
    sample: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversized:
    """A frame passed the limit; close the connection. `head` is how it began."""

    limit_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledFrame:
    """A frame began and the peer fell silent (or began another one, see `restart_after_s`)."""

    partial: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFrame:
    """The connection was lost inside a frame."""

    partial: bytes


Event = BlockReceived | Noise | Oversized | StalledFrame | CutFrame


class State(Enum):
    BETWEEN = auto()
    INSIDE = auto()
    ENDED = auto()
    SKIPPING = auto()


class MllpFramer:
    """Bytes in, events out, for one direction of one connection."""

    __slots__ = ("_last_byte_at", "_partial", "_settings", "_state", "_steps", "noise_bytes")

    def __init__(self, settings: MllpSettings | None = None) -> None:
        self._settings = settings or MllpSettings()
        self._state = State.BETWEEN
        self._partial = bytearray()
        self._last_byte_at = 0.0
        self.noise_bytes = 0
        self._steps: dict[State, Callable[[bytes, int, list[Event]], int]] = {
            State.BETWEEN: self._find_start,
            State.INSIDE: self._collect,
            State.ENDED: self._swallow_cr,
            State.SKIPPING: self._skip,
        }

    @property
    def is_inside_frame(self) -> bool:
        return self._state in {State.INSIDE, State.SKIPPING}

    def receive_bytes(self, data: bytes, now: float) -> list[Event]:
        """Take one read of any length; `now` is a monotonic clock in seconds."""
        events: list[Event] = []
        if not data:
            return events
        if self._is_restart(data, now):
            events.append(StalledFrame(partial=self._abandon()))
        position = 0
        while position < len(data):
            position = self._steps[self._state](data, position, events)
        self._last_byte_at = now
        return events

    def next_deadline(self) -> float | None:
        """When to call `tick`; None while no frame is open."""
        if not self.is_inside_frame:
            return None
        return self._last_byte_at + self._settings.half_frame_timeout_s

    def tick(self, now: float) -> list[Event]:
        """Give up a frame whose sender fell silent. Harmless before the deadline."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        was_skipping = self._state is State.SKIPPING  # then Oversized has already been said
        partial = self._abandon()
        return [] if was_skipping else [StalledFrame(partial=partial)]

    def connection_lost(self, now: float) -> list[Event]:  # noqa: ARG002  # same shape as every link
        """The pipe ended; the framer may be used again for the next connection."""
        was_inside = self._state is State.INSIDE
        partial = self._abandon()
        return [CutFrame(partial=partial)] if was_inside else []

    # One step per state: read from `position`, change the state, return the new position.

    def _find_start(self, data: bytes, position: int, events: list[Event]) -> int:
        start = data.find(VT, position)
        end = len(data) if start < 0 else start
        if end > position:
            self.noise_bytes += end - position
            sample = data[position : min(end, position + NOISE_SAMPLE_BYTES)]
            events.append(Noise(count=end - position, sample=sample))
        if start < 0:
            return end
        self._state = State.INSIDE
        return start + 1

    def _collect(self, data: bytes, position: int, events: list[Event]) -> int:
        stop = data.find(FS, position)
        end = len(data) if stop < 0 else stop
        if len(self._partial) + end - position > self._settings.frame_limit_bytes:
            events.append(self._refuse(data[position : min(end, position + EVIDENCE_BYTES)]))
            return position
        if stop < 0:
            self._partial += memoryview(data)[position:]
            return end
        events.append(BlockReceived(payload=self._complete(data, position, end)))
        self._state = State.ENDED
        return stop + 1

    def _swallow_cr(self, data: bytes, position: int, _events: list[Event]) -> int:
        self._state = State.BETWEEN
        return position + 1 if data[position] == CR[0] else position

    def _skip(self, data: bytes, position: int, _events: list[Event]) -> int:
        stop = data.find(FS, position)
        if stop < 0:
            return len(data)
        self._state = State.ENDED
        return stop + 1

    def _complete(self, data: bytes, position: int, end: int) -> bytes:
        if not self._partial:
            return data[position:end]
        self._partial += memoryview(data)[position:end]
        payload = bytes(self._partial)
        self._partial = bytearray()
        return payload

    def _refuse(self, data: bytes) -> Oversized:
        head = (bytes(self._partial[:EVIDENCE_BYTES]) + data)[:EVIDENCE_BYTES]
        self._partial = bytearray()
        self._state = State.SKIPPING
        return Oversized(limit_bytes=self._settings.frame_limit_bytes, head=head)

    def _abandon(self) -> bytes:
        partial = bytes(self._partial)
        self._partial = bytearray()
        self._state = State.BETWEEN
        return partial

    def _is_restart(self, data: bytes, now: float) -> bool:
        pause_s = self._settings.restart_after_s
        if pause_s is None or self._state is not State.INSIDE:
            return False
        return data.startswith(VT) and now - self._last_byte_at >= pause_s


def frame(payload: bytes) -> bytes:
    """Put a payload into its envelope; refuses one that would end the frame early."""
    if FS in payload:
        raise LocalProtocolError(
            f"expected a payload without FS (0x1C), found one at byte {payload.index(FS)}"
        )
    return VT + payload + FS + CR
