"""How much waits in the queues, for /metrics and /healthz, and what the delivery screen shows.

A dead letter is found through its alarm, which has an index: the outbox itself keeps every delivery ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal_column, select, text
from sqlalchemy.orm import Session

from lis.store.outbox import DEAD_LETTER
from lis.store.traffic_rows import Alarm, Inbox, InboxState, Outbox, OutboxState

# Only what waits: counting everything that was ever processed would read a whole index.
WAITING_INBOX = (InboxState.NEW, InboxState.HELD, InboxState.INCOMPLETE)
WAITING_OUTBOX = (OutboxState.NEW, OutboxState.SENT, OutboxState.DEAD)


def queue_depths(session: Session) -> list[tuple[str, str, int]]:
    """(queue, state, rows) for every state that waits, also when nothing does."""
    inbox_query = select(Inbox.state, func.count()).where(Inbox.state.in_(WAITING_INBOX))
    outbox_query = select(Outbox.state, func.count()).where(Outbox.state.in_(WAITING_OUTBOX))
    inbox = {row[0]: row[1] for row in session.execute(inbox_query.group_by(Inbox.state))}
    outbox = {row[0]: row[1] for row in session.execute(outbox_query.group_by(Outbox.state))}
    return [
        *(("inbox", state.value, inbox.get(state, 0)) for state in WAITING_INBOX),
        *(("outbox", state.value, outbox.get(state, 0)) for state in WAITING_OUTBOX),
    ]


def answers(session: Session) -> bool:
    """Whether the store answers a question at all."""
    return session.execute(text("SELECT 1")).scalar() == 1


# --- the delivery screen ------------------------------------------------------------------------

# Written out, not bound: SQLite uses the partial index only for a condition it can read.
_IS_WAITING: ColumnElement[bool] = literal_column("outbox.state IN ('new','sent')")
_IS_ITS_ALARM: ColumnElement[bool] = and_(
    Alarm.kind == DEAD_LETTER, Alarm.closed_at.is_(None), Alarm.subject == Outbox.key
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one destination in one state."""

    destination: str
    state: OutboxState
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was refused, and since when it waits for a person."""

    row: Outbox
    died_at: datetime


def deliveries_waiting(session: Session) -> list[Waiting]:
    """Deliveries that are due, in flight or between two tries, by destination and state."""
    rows = session.execute(
        select(Outbox.destination, Outbox.state, func.count(), func.min(Outbox.created_at))
        .where(_IS_WAITING)
        .group_by(Outbox.destination, Outbox.state)
    )
    return [
        Waiting(destination=destination, state=state, count=count, oldest_at=oldest)
        for destination, state, count, oldest in rows
    ]


def failing_destinations(session: Session) -> dict[str, str]:
    """Destinations whose deliveries wait after a failed try, with the newest error."""
    rows = session.execute(
        select(Outbox.destination, Outbox.last_error)
        .where(_IS_WAITING, Outbox.last_error != "")
        .order_by(Outbox.next_attempt_at, Outbox.id)
    )
    return {destination: error for destination, error in rows}  # noqa: C416 - rows are not tuples


def dead_counts(session: Session) -> dict[str, int]:
    """How many dead letters wait for a person, by destination."""
    query = (
        select(Outbox.destination, func.count())
        .join(Alarm, _IS_ITS_ALARM)
        .where(Outbox.state == OutboxState.DEAD)
        .group_by(Outbox.destination)
    )
    return {destination: count for destination, count in session.execute(query)}  # noqa: C416


def dead_letters_page(session: Session, *, limit: int) -> list[DeadLetter]:
    """Dead letters, the oldest first."""
    query = (
        select(Outbox, Alarm.opened_at)
        .join(Alarm, _IS_ITS_ALARM)
        .where(Outbox.state == OutboxState.DEAD)
        .order_by(Outbox.id)
        .limit(limit)
    )
    return [DeadLetter(row=row, died_at=at) for row, at in session.execute(query)]


def waiting_page(session: Session, *, limit: int) -> Sequence[Outbox]:
    """Deliveries that have not left yet, the oldest first."""
    return session.scalars(select(Outbox).where(_IS_WAITING).order_by(Outbox.id).limit(limit)).all()


def acknowledged_page(session: Session, *, limit: int) -> Sequence[Outbox]:
    """The newest deliveries that their destination took."""
    return session.scalars(
        select(Outbox)
        .where(Outbox.state == OutboxState.ACKNOWLEDGED)
        .order_by(Outbox.id.desc())
        .limit(limit)
    ).all()
