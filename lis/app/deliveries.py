"""What people see of deliveries: the queues of each destination, dead letters, what was taken.

Read-only but for one thing: a person may send a dead letter again, and says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.app.alarms import DESTINATION
from lis.app.board import age_s
from lis.store import queue_queries, traffic_queries
from lis.store.outbox import replay
from lis.store.rows import Outbox, OutboxState
from lis.store.unit import Unit

DELIVERIES_MAX: Final = 100  # rows in each list: a page, not an archive


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """One delivery, without what it carries."""

    id: int
    destination: str
    key: str
    order: str
    report: int | None
    version: int | None
    state: OutboxState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    acknowledged_at: datetime | None
    error: str
    died_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLine:
    """The queues of one destination."""

    destination: str
    waiting: int
    in_flight: int
    dead: int
    oldest_at: datetime | None
    oldest_age_s: int | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """The delivery screen."""

    at: datetime
    destinations: tuple[DestinationLine, ...]
    dead: tuple[DeliveryLine, ...]
    waiting: tuple[DeliveryLine, ...]
    acknowledged: tuple[DeliveryLine, ...]


def read_deliveries(session: Session, *, at: datetime) -> Deliveries:
    """What waits, what was refused and what was taken, over all destinations."""
    dead = queue_queries.dead_letters_page(session, limit=DELIVERIES_MAX)
    return Deliveries(
        at=at,
        destinations=_destinations(session, at),
        dead=tuple(_delivery(one.row, one.died_at) for one in dead),
        waiting=_deliveries(queue_queries.waiting_page(session, limit=DELIVERIES_MAX)),
        acknowledged=_deliveries(queue_queries.acknowledged_page(session, limit=DELIVERIES_MAX)),
    )


def replay_delivery(unit: Unit, outbox_id: int, *, reason: str) -> None:
    """Send a dead letter again; the refusals are those of `lis.store.outbox.replay`."""
    replay(unit, outbox_id, reason)


def _destinations(session: Session, at: datetime) -> tuple[DestinationLine, ...]:
    waiting = queue_queries.deliveries_waiting(session)
    dead, errors = queue_queries.dead_counts(session), queue_queries.failing_destinations(session)
    configured = {
        DESTINATION + link.name.removesuffix(":send")
        for link in traffic_queries.all_links(session)
        if link.purpose == "emr_send"
    }
    names = configured | set(dead) | {one.destination for one in waiting}
    lines = []
    for name in sorted(names):
        counts = {one.state: one.count for one in waiting if one.destination == name}
        oldest = min((one.oldest_at for one in waiting if one.destination == name), default=None)
        lines.append(
            DestinationLine(
                destination=name,
                waiting=counts.get(OutboxState.NEW, 0),
                in_flight=counts.get(OutboxState.SENT, 0),
                dead=dead.get(name, 0),
                oldest_at=oldest,
                oldest_age_s=age_s(at, oldest),
                error=errors.get(name, ""),
            )
        )
    return tuple(lines)


def _deliveries(rows: Iterable[Outbox]) -> tuple[DeliveryLine, ...]:
    return tuple(_delivery(row) for row in rows)


def _delivery(row: Outbox, died_at: datetime | None = None) -> DeliveryLine:
    return DeliveryLine(
        id=row.id,
        destination=row.destination,
        key=row.key,
        order=row.order_key,
        report=row.payload.get("report"),
        version=row.payload.get("version"),
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        acknowledged_at=row.acknowledged_at,
        error=row.last_error,
        died_at=died_at,
    )
