"""What a session tells its supervisor: what was kept, how sessions ended, what went wrong.

No event holds a value of a patient: they travel into logs. Ids lead to the bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lis.domain.ids import InboxId
from lis.domain.messages import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKept:
    """A message is on disk; for evidence of a cut one `is_complete` is false."""

    inbox_id: InboxId
    lane: Lane
    is_complete: bool = True
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed:
    """The peer ended a session (ASTM EOT) or fell silent. Clean = our last ACK was heard (S19)."""

    inbox_ids: tuple[InboxId, ...]
    is_clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRejected:
    """Something was refused, or dropped, and why."""

    reason: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnavailable:
    """A unit could not be kept and was refused; the peer will send it again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to a request was taken by the peer (ASTM), or sent (HL7)."""

    inbox_id: InboxId
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFailed:
    """The answer to a request did not reach the peer."""

    inbox_id: InboxId
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibertyTaken:
    """The peer needed a tolerance of its link settings, for the first time in this session."""

    name: str


SessionEvent = (
    UnitKept
    | SessionClosed
    | InputRejected
    | StoreUnavailable
    | Answered
    | AnswerFailed
    | LibertyTaken
)
OnEvent = Callable[[SessionEvent], None]
