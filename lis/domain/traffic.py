"""What passes between a link and whoever keeps its traffic.

Drivers never see the store: wiring hands them two functions. `keep` takes the lines and units that must
be on disk before anything is acknowledged and returns a receipt for each unit; `answer` turns a kept
request into the bytes or records to send back. The values they exchange live here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lis.domain.ids import InboxId
from lis.domain.messages import Lane, Protocol


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLine:
    """One line of the journal. `data` is empty where the bytes went into the inbox whole."""

    at: datetime
    direction: Direction
    data: bytes
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUnit:
    """One message, or the evidence of a cut one, as raw bytes exactly as received."""

    protocol: Protocol
    lane: Lane
    raw: bytes
    received_at: datetime
    control_id: str = ""  # HL7 MSH-10: with equal bytes it makes a resend recognisable (A6)
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that a unit is on disk."""

    inbox_id: InboxId
    is_duplicate: bool = False  # same link, control id and bytes: nothing new was stored
    reply: bytes | None = None  # what the first copy was answered, so that a resend gets the same


Keep = Callable[[Sequence[TrafficLine], Sequence[ReceivedUnit]], Awaitable[tuple[Receipt, ...]]]
"""Commit with fsync, then return one receipt per unit, in order. Raises nothing but `KeepFailed`."""

Answer = Callable[[Receipt], Awaitable[tuple[bytes, ...]]]
"""Compute (or read again) the answer to a kept request: HL7 payloads, or ASTM records; () = silence."""


class KeepFailed(Exception):
    """The unit is not on disk (disk full, store gone): the link must refuse, not acknowledge."""
