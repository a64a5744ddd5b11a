"""What an ASTM link tells its keeper, in the order it happened.

Only `FrameReceived` asks for something: make `raw` durable, then call `accept` (or `refuse`).
Until then the link reads no further, so it is always the last event of a list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lis.wire.astm_settings import Tolerance
from lis.wire.astm_texts import records_in

__all__ = [
    "AstmMessage",
    "DuplicateFrame",
    "Event",
    "FrameReceived",
    "FrameRefused",
    "KeepAlive",
    "MessageSent",
    "Noise",
    "SendDelay",
    "SendDelayed",
    "SendFailed",
    "SendFailure",
    "SessionEnded",
    "SessionStarted",
    "ToleranceUsed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AstmMessage:
    """One message: the accepted bytes, and the records in them without CR.

    `raw` is the frames exactly as received, one after the other. A frame that also carries
    another message is in each as a frame of its own with that message's part of the text, so
    that `decode_raw(raw) == records` always holds; the bytes as they came are in the events.
    `complete` says that it began with H and ended with L. A message that is not complete is
    evidence, never a result.

    Records that came in frames are cut from `raw` each time they are asked for; `lines` are those
    that came without.
    """

    raw: bytes
    complete: bool
    lines: tuple[bytes, ...] | None = None

    @property
    def records(self) -> tuple[bytes, ...]:
        """All whole records; whoever needs them twice keeps them."""
        return tuple(records_in(self.raw)) if self.lines is None else self.lines

    def each_record(self) -> Iterator[bytes]:
        """The same one by one, for who looks for something in them."""
        return records_in(self.raw) if self.lines is None else iter(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """The peer may send now (it sent ENQ and got ACK, or just began)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReceived:
    """A frame that is right and new. Keep it, then `accept`.

    `is_framed` is false for records that came without frames. `messages` were ended by this one.
    `serial` names it in a late `accept`.
    """

    is_framed: bool
    raw: bytes
    messages: tuple[AstmMessage, ...]
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRefused:
    """A frame was answered with NAK; the reason names no content."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateFrame:
    """The peer repeated a frame that is durable already; it got its ACK again."""

    number: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """Neutral again. `is_clean`: the peer ended it itself and left no message unfinished."""

    incomplete: AstmMessage | None
    clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """ENQ and EOT with nothing between them: the peer only asked whether we live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToleranceUsed:
    """The peer took a liberty that the settings allow."""

    name: Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Bytes that mean nothing where they came."""

    data: bytes
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent:
    """The peer acknowledged every frame of it."""

    records: tuple[bytes, ...]


class SendDelay(StrEnum):
    BUSY = "busy"  # NAK to our ENQ
    CONTENTION = "contention"  # both sent ENQ
    UNANSWERED = "unanswered"  # nothing came to our ENQ


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDelayed:
    """The link will enquire again by itself, not before `retry_at`."""

    reason: SendDelay
    retry_at: float


class SendFailure(StrEnum):
    BUSY = "busy"  # NAK to our ENQ, again and again
    UNANSWERED = "unanswered"  # nothing came to our ENQ or to a frame
    REFUSED = "refused"  # a frame was refused as often as the standard allows
    INTERRUPTED = "interrupted"  # the peer asked us to stop before the last frame
    LINK_LOST = "link_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFailed:
    """The message did not arrive whole. The link forgets it; the caller decides on a repeat."""

    records: tuple[bytes, ...]
    reason: SendFailure


Event = (
    SessionStarted
    | FrameReceived
    | FrameRefused
    | DuplicateFrame
    | SessionEnded
    | KeepAlive
    | ToleranceUsed
    | Noise
    | MessageSent
    | SendDelayed
    | SendFailed
)
