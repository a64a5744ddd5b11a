"""Queries about steps on analyzers, and the one function that changes their state."""

from collections.abc import Collection, Iterable
from datetime import datetime

import structlog
from sqlalchemy import exists, or_, select, text, true
from sqlalchemy.orm import Session

from lis.domain.awos import (
    AWOS,
    OPEN_AWOS_STATES,
    TOLD_AWOS_STATES,
    AwosEvent,
    AwosState,
    work_order_event,
)
from lis.domain.lifecycle import (
    LIVE_SPECIMEN_STATES,
    WORK_ORDER,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.domain.messages import OrderProgress, ProgressKind
from lis.store.observation_rows import Observation
from lis.store.order_rows import WORK_ORDER_IS_UNFINISHED, Specimen, WorkOrder
from lis.store.step_rows import AnalyzerStep

log = structlog.get_logger()

STEPS_MAX = 500  # looked at in one go; the rest on the next
_TO_TELL = (WorkOrderState.PENDING, WorkOrderState.QUEUED, WorkOrderState.SENT)
_TAKEN_BACK = (AwosState.CANCELLED, AwosState.CANCEL_SENT, AwosState.RUNNING)
_UNFINISHED = text(f"work_order.{WORK_ORDER_IS_UNFINISHED}")  # as written in the partial index
_NOT_NEEDED = (WorkOrderState.RESULTED, WorkOrderState.CANCELLED)
_PROGRESS = {
    ProgressKind.STARTED: AwosEvent.START,
    ProgressKind.COMPLETED: AwosEvent.COMPLETE,
    ProgressKind.STOPPED: AwosEvent.STOP,
}


def move_step(session: Session, step: AnalyzerStep, event: AwosEvent, at: datetime) -> bool:
    """Apply an event to a step and to its work order; False where it changed nothing.

    What an analyzer says may be impossible; then it is logged and nothing changes.
    """
    if not AWOS.allows(step.state, event):
        log.warning("step_event_impossible", step=step.id, state=step.state, awos_event=event)
        return False
    before, step.state = step.state, AWOS.apply(step.state, event)
    if step.state is before:
        return False
    step.changed_at = at
    said = work_order_event(before, step.state)
    if said is WorkOrderEvent.FAIL and _is_told_elsewhere(session, step):
        return True
    order = session.get_one(WorkOrder, step.work_order_id) if said is not None else None
    if order is not None and said is not None and WORK_ORDER.allows(order.state, said):
        moved = WORK_ORDER.apply(order.state, said)
        if moved is not order.state:
            order.state = moved
            order.version += 1
            if moved is WorkOrderState.ACKNOWLEDGED:
                order.acknowledged_at = at
    return True


def _is_told_elsewhere(session: Session, step: AnalyzerStep) -> bool:
    """Whether another analyzer has this work order too: then it has not failed."""
    query = exists().where(
        AnalyzerStep.work_order_id == step.work_order_id,
        AnalyzerStep.device_id != step.device_id,
        AnalyzerStep.state.in_(tuple(TOLD_AWOS_STATES)),
    )
    return bool(session.scalar(select(query)))


def note_progress(
    session: Session, device_id: int, news: Iterable[OrderProgress], at: datetime
) -> None:
    """What an analyzer reports of steps; of steps that it was never given nothing is known."""
    for entry in news:
        step = step_by_id(session, device_id, entry.step_id)
        if step is not None:
            move_step(session, step, _PROGRESS[entry.kind], at)


def step_by_id(session: Session, device_id: int, step_id: str) -> AnalyzerStep | None:
    """One step by the id that the analyzer knows."""
    query = select(AnalyzerStep).where(
        AnalyzerStep.device_id == device_id, AnalyzerStep.step_id == step_id
    )
    return session.scalars(query).one_or_none()


def steps_of_work_orders(
    session: Session, device_id: int, work_order_ids: Collection[int]
) -> dict[int, list[AnalyzerStep]]:
    """The steps of some work orders on one analyzer, oldest first."""
    found: dict[int, list[AnalyzerStep]] = {}
    if not work_order_ids:
        return found
    query = select(AnalyzerStep).where(
        AnalyzerStep.device_id == device_id,
        AnalyzerStep.work_order_id.in_(tuple(work_order_ids)),
    )
    for step in session.scalars(query.order_by(AnalyzerStep.id)):
        found.setdefault(step.work_order_id, []).append(step)
    return found


def work_orders_by_public_ids(session: Session, ids: Collection[str]) -> dict[str, WorkOrder]:
    """Work orders by the id that nobody else has."""
    if not ids:
        return {}
    query = select(WorkOrder).where(WorkOrder.public_id.in_(tuple(ids)))
    return {row.public_id: row for row in session.scalars(query)}


def steps_not_needed(session: Session, device_id: int) -> list[tuple[AnalyzerStep, WorkOrder]]:
    """Open steps of an analyzer whose work order was cancelled, answered, or routed elsewhere."""
    query = (
        select(AnalyzerStep, WorkOrder)
        .join(WorkOrder, WorkOrder.id == AnalyzerStep.work_order_id)
        .where(
            AnalyzerStep.device_id == device_id,
            AnalyzerStep.state.in_(tuple(OPEN_AWOS_STATES)),
            or_(WorkOrder.state.in_(_NOT_NEEDED), AnalyzerStep.is_unwanted),
        )
    )
    rows = session.execute(query.order_by(AnalyzerStep.id).limit(STEPS_MAX))
    return [(step, order) for step, order in rows]


def has_measured(session: Session, device_id: int, work_order_id: int) -> bool:
    """Whether this analyzer has given a value for that work order."""
    query = exists().where(
        Observation.device_id == device_id, Observation.work_order_id == work_order_id
    )
    return bool(session.scalar(select(query)))


def unsent_work_orders(
    session: Session,
    *,
    device_id: int,
    site_id: int,
    tests: Collection[str],
    is_chosen_only: bool = False,
) -> list[WorkOrder]:
    """Work orders on received, live specimens of a site that this analyzer may have and was never told of.

    What was taken back is told again only when it is routed here again. What a person sent elsewhere is left out, and
    with `is_chosen_only` whatever was not routed here.
    """
    if not tests:
        return []
    is_here = WorkOrder.device_id == device_id
    told = exists().where(
        AnalyzerStep.device_id == device_id,
        AnalyzerStep.work_order_id == WorkOrder.id,
        or_(AnalyzerStep.state.not_in(_TAKEN_BACK), WorkOrder.device_id != device_id),
    )
    here = is_here if is_chosen_only else true()
    query = (
        select(WorkOrder)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .where(
            Specimen.site_id == site_id,
            Specimen.received_at.is_not(None),
            Specimen.state.in_(tuple(LIVE_SPECIMEN_STATES)),
            _UNFINISHED,
            WorkOrder.state.in_(_TO_TELL),
            WorkOrder.test_code.in_(tuple(tests)),
            or_(WorkOrder.pinned_device_id.is_(None), WorkOrder.pinned_device_id == device_id),
            here,
            ~told,
        )
    )
    return list(session.scalars(query.order_by(WorkOrder.id).limit(STEPS_MAX)))


def open_steps(session: Session, device_id: int) -> list[AnalyzerStep]:
    """What this analyzer may still measure."""
    states = (*OPEN_AWOS_STATES, AwosState.CANCEL_SENT)
    query = select(AnalyzerStep).where(
        AnalyzerStep.device_id == device_id, AnalyzerStep.state.in_(states)
    )
    return list(session.scalars(query.order_by(AnalyzerStep.id).limit(STEPS_MAX)))
