"""What leaves the laboratory: one row per delivery and destination, written with what it reports.

Theory of operation. A unit of work adds rows (`Unit.send`); a sender per destination claims what is due,
sends it and marks what came of it. Rows of one `order_key` (a filler order number) leave strictly in the
order they were written and one at a time: a row waits while an earlier one of its key is still `new` or
`sent`. Other keys are not held up by it.

    new --claim--> sent --acknowledged--> acknowledged
     ^               |--retry_at (transport failed)--> new, due later
     |               '--dead (refused)--> dead, with an alarm
     |                                      |
     '------------ replay by a person ------'
    new --cancel, only before not_before--> cancelled

* A claim is a lease: a sender that dies is forgotten, and when the lease ends the row is claimed again. The
  peer recognises a second copy, because `key` travels as its message id and `body` never changes.
* Undo is a cancel before `not_before` (S08). Claim and cancel are one UPDATE each on the same row, so
  only one of them can win.
* A transport failure is retried for ever, with full jitter so that a hundred orders do not knock at once
  on an EMR that has just come back. A refusal is not retried: a person looks and replays.
* A replay that would put an old version over a newer one that was already taken is refused.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Exists,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from lis.domain.errors import NotFound, Refused
from lis.store.rows import Outbox, OutboxState
from lis.store.traffic_queries import close_alarm, open_alarm
from lis.store.unit import Unit

LEASE = timedelta(seconds=60)  # longer than a sender waits for one acknowledgement
RETRY_MIN_S = 1.0
RETRY_MAX_S = 300.0  # delivery_security 4.1: 1 s .. 5 min
RETRY_DOUBLINGS_MAX = 9  # 1 s doubled nine times passes RETRY_MAX_S

DEAD_LETTER = "dead_letter"  # alarm kind

# Written out, not bound: SQLite uses a partial index only for a condition it can read.
_IS_WAITING: ColumnElement[bool] = literal_column("outbox.state IN ('new','sent')")


def claim_due(
    session: Session, destination: str, now: datetime, limit: int, *, lease: timedelta = LEASE
) -> list[Outbox]:
    """Lease what may be sent now, oldest first; at most one row per order key."""
    rows = list(
        session.scalars(
            select(Outbox)
            .where(
                _IS_WAITING,
                Outbox.destination == destination,
                Outbox.not_before <= now,
                or_(Outbox.next_attempt_at.is_(None), Outbox.next_attempt_at <= now),
                or_(Outbox.lease_until.is_(None), Outbox.lease_until <= now),
                ~_blocked(now),
            )
            .order_by(Outbox.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    for row in rows:
        row.state = OutboxState.SENT
        row.lease_until = now + lease
        row.attempts += 1
        row.sent_at = row.sent_at or now
    session.flush()
    return rows


def next_due(session: Session, destination: str) -> datetime | None:
    """When the next row may become due: how long a sender without hints may sleep."""
    moments = session.execute(
        select(
            func.min(Outbox.not_before).filter(
                Outbox.next_attempt_at.is_(None), Outbox.lease_until.is_(None)
            ),
            func.min(Outbox.next_attempt_at).filter(Outbox.lease_until.is_(None)),
            func.min(Outbox.lease_until),
        ).where(_IS_WAITING, Outbox.destination == destination)
    ).one()
    return min((moment for moment in moments if moment is not None), default=None)


def mark_acknowledged(unit: Unit, outbox_id: int) -> None:
    """The destination took it. Marking twice does no harm."""
    row = _row(unit.session, outbox_id)
    if row.state is OutboxState.ACKNOWLEDGED:
        return
    row.state = OutboxState.ACKNOWLEDGED
    row.acknowledged_at = unit.now
    row.lease_until = row.next_attempt_at = None
    row.last_error = ""
    unit.publish("outbox", row.destination)


def retry_at(unit: Unit, outbox_id: int, at: datetime, error: str) -> None:
    """The transport failed, or the peer asks for another try: due again at `at`."""
    row = _row(unit.session, outbox_id)
    if row.state is not OutboxState.SENT:  # another sender, after our lease ended, knows better
        return
    row.state = OutboxState.NEW
    row.next_attempt_at = at
    row.lease_until = None
    row.last_error = error


def retry_delay(attempts: int, random: Callable[[], float]) -> timedelta:
    """How long to wait after the n-th attempt; `random` gives a number in [0, 1)."""
    doublings = min(max(attempts, 1), RETRY_DOUBLINGS_MAX)
    ceiling_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0**doublings)
    return timedelta(seconds=RETRY_MIN_S + random() * (ceiling_s - RETRY_MIN_S))


def mark_dead(unit: Unit, outbox_id: int, reason: str) -> None:
    """The destination refused it: kept with the reason, and a person is told."""
    row = _row(unit.session, outbox_id)
    if row.state is not OutboxState.SENT:
        return
    row.state = OutboxState.DEAD
    row.last_error = reason
    row.lease_until = row.next_attempt_at = None
    open_alarm(
        unit,
        kind=DEAD_LETTER,
        subject=row.key,
        parameters={"destination": row.destination, "reason": reason, "outbox": row.id},
    )
    unit.audit("dead", "outbox", row.key, after={"reason": reason})
    unit.publish("outbox", row.destination)


def replay(unit: Unit, outbox_id: int, reason: str) -> Outbox:
    """A person sends a dead letter again, and says why."""
    row = _row(unit.session, outbox_id)
    if row.state is not OutboxState.DEAD:
        raise Refused("outbox_not_dead", key=row.key, state=row.state.value)
    if not reason.strip():
        raise Refused("reason_missing", action="replay")
    newer = select(Outbox.key).where(
        Outbox.destination == row.destination,
        Outbox.order_key == row.order_key,
        Outbox.id > row.id,
        Outbox.state.in_((OutboxState.ACKNOWLEDGED, OutboxState.SENT)),
    )
    if taken := unit.session.scalars(newer.limit(1)).first():
        raise Refused("newer_version_delivered", key=row.key, newer=taken)
    row.state = OutboxState.NEW
    row.attempts = 0
    row.next_attempt_at = unit.now
    close_alarm(unit, kind=DEAD_LETTER, subject=row.key)
    unit.audit("replay", "outbox", row.key, before={"error": row.last_error}, after=reason)
    unit.publish("outbox", row.destination)
    return row


def cancel(unit: Unit, key: str) -> bool:
    """Take a delivery back before anybody could see it (S08); False when it is too late."""
    result = unit.session.execute(
        update(Outbox)
        .where(Outbox.key == key, Outbox.state == OutboxState.NEW, Outbox.not_before > unit.now)
        .values(state=OutboxState.CANCELLED)
    )
    assert isinstance(result, CursorResult), "an UPDATE has a row count"
    return result.rowcount == 1


def dead_letters(session: Session, limit: int, *, after_id: int = 0) -> Sequence[Outbox]:
    """What waits for a person, oldest first, by key."""
    return session.scalars(
        select(Outbox)
        .where(Outbox.state == OutboxState.DEAD, Outbox.id > after_id)
        .order_by(Outbox.id)
        .limit(limit)
    ).all()


def _blocked(now: datetime) -> Exists:
    """An earlier row of the same key still waits, or another one of it is in flight."""
    other = aliased(Outbox)
    is_in_flight = and_(other.state == OutboxState.SENT, other.lease_until > now)
    is_earlier = and_(other.id < Outbox.id, other.state.in_((OutboxState.NEW, OutboxState.SENT)))
    return exists().where(
        other.destination == Outbox.destination,
        other.order_key == Outbox.order_key,
        other.id != Outbox.id,
        or_(is_earlier, is_in_flight),
    )


def _row(session: Session, outbox_id: int) -> Outbox:
    row = session.get(Outbox, outbox_id, with_for_update=True)
    if row is None:
        raise NotFound("outbox", outbox_id)
    return row
