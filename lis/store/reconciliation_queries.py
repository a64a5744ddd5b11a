"""What the house says it did: figures to hold against what its surroundings counted."""

from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lis.domain.lifecycle import BenchState
from lis.store.control_rows import ControlPoint
from lis.store.observation_rows import Observation, UnreadableRecord
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.rows import Inbox, InboxState, Outbox, OutboxState

T = TypeVar("T")

FORM = "form"  # a referral from the counter: no EMR waits for its results


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """Counts over the whole store."""

    released: int
    released_of_form: int
    controls: int
    held: dict[str, int]  # what waits, each under its first reason
    reasons: dict[str, int]  # what waits, under every reason
    messages_new: int
    deliveries_open: int
    dead: int


def store_figures(session: Session) -> StoreFigures:
    """Count everything in a few queries."""
    bench = _counts(session, Observation.bench_state)
    inbox = _counts(session, Inbox.state)
    outbox = _counts(session, Outbox.state)
    waiting = Observation.bench_state.not_in((BenchState.RELEASED, BenchState.REJECTED))
    holds = session.scalars(select(Observation.holds).where(waiting)).all()
    unreadable = session.scalars(select(UnreadableRecord.reason)).all()
    of_form = (
        select(func.count())
        .select_from(Observation)
        .join(ServiceRequest, ServiceRequest.id == Observation.service_request_id)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .where(Observation.bench_state == BenchState.RELEASED, Requisition.source == FORM)
    )
    return StoreFigures(
        released=bench.get(BenchState.RELEASED, 0),
        released_of_form=session.scalar(of_form) or 0,
        controls=session.scalar(select(func.count()).select_from(ControlPoint)) or 0,
        held=dict(
            Counter([str(reasons[0]) if reasons else "" for reasons in holds] + list(unreadable))
        ),
        reasons=dict(Counter(str(reason) for reasons in holds for reason in reasons)),
        messages_new=inbox.get(InboxState.NEW, 0),
        deliveries_open=outbox.get(OutboxState.NEW, 0) + outbox.get(OutboxState.SENT, 0),
        dead=outbox.get(OutboxState.DEAD, 0),
    )


def _counts(session: Session, column: InstrumentedAttribute[T]) -> dict[T, int]:
    rows = session.execute(select(column, func.count()).group_by(column)).all()
    return {state: count for state, count in rows}  # noqa: C416 - rows are not tuples to the checker
