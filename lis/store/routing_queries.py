"""Queries about routing: what an analyzer may have, what lies before it, what was chosen and why."""

from collections.abc import Collection, Sequence

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from lis.domain.lifecycle import LIVE_SPECIMEN_STATES, WorkOrderState
from lis.store.order_rows import (
    WORK_ORDER_IS_AT_DEVICE,
    WORK_ORDER_IS_UNROUTED,
    ServiceRequest,
    Specimen,
    WorkOrder,
)
from lis.store.people_rows import Patient
from lis.store.routing_rows import AnalyzerRouting, ReagentState, RoutingChoice
from lis.store.step_rows import AnalyzerStep
from lis.store.traffic_rows import Alarm, Device, Link

ROUTED_MAX = 500  # work orders in one unit: some 100 tubes
WAITING_MAX = 20_000  # keys looked through at once; the oldest are routed first
URGENT = ("S", "A")
# As written in the partial indexes, or a query does not use them.
_AT_DEVICE = text(f"work_order.{WORK_ORDER_IS_AT_DEVICE}")
_UNROUTED = text(f"work_order.{WORK_ORDER_IS_UNROUTED}")
_AWAY = ("lost", "stopped")


def routings_of(session: Session, device_ids: Collection[int]) -> dict[int, AnalyzerRouting]:
    """How some analyzers take part in routing; one without a row is not there."""
    query = select(AnalyzerRouting).where(AnalyzerRouting.device_id.in_(tuple(device_ids)))
    return {row.device_id: row for row in session.scalars(query)}


def reagents_of(
    session: Session, device_ids: Collection[int], tests: Collection[str]
) -> dict[tuple[int, str], ReagentState]:
    """What is known of the reagents of some tests."""
    query = select(ReagentState).where(
        ReagentState.device_id.in_(tuple(device_ids)), ReagentState.test_code.in_(tuple(tests))
    )
    return {(row.device_id, row.test_code): row for row in session.scalars(query)}


def devices_away(session: Session, device_ids: Collection[int]) -> set[int]:
    """Analyzers whose link is lost or kept by nobody."""
    query = select(Link.device_id).where(
        Link.device_id.in_(tuple(device_ids)), Link.purpose == "instrument", Link.state.in_(_AWAY)
    )
    return {key for key in session.scalars(query) if key is not None}


def devices_silent(session: Session, device_ids: Collection[int], *, kind: str) -> set[int]:
    """Analyzers with an open alarm of silence."""
    query = (
        select(Link.device_id)
        .join(Alarm, Alarm.subject == Link.name)
        .where(Alarm.closed_at.is_(None), Alarm.kind == kind, Link.device_id.in_(tuple(device_ids)))
    )
    return {key for key in session.scalars(query) if key is not None}


def loads_of(session: Session, device_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """(urgent, routine) work orders that each analyzer has before it."""
    is_urgent = ServiceRequest.priority.in_(URGENT)
    query = (
        select(
            WorkOrder.device_id,
            func.sum(case((is_urgent, 1), else_=0)),
            func.sum(case((is_urgent, 0), else_=1)),
        )
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .where(_AT_DEVICE, WorkOrder.device_id.in_(tuple(device_ids)))
        .group_by(WorkOrder.device_id)
    )
    return {key: (urgent, routine) for key, urgent, routine in session.execute(query)}


def unrouted_ids(session: Session, *, limit: int = WAITING_MAX) -> list[int]:
    """Keys of work orders on received, live tubes that no analyzer was chosen for, the oldest first."""
    query = (
        select(WorkOrder.id)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .where(
            _UNROUTED,
            Specimen.received_at.is_not(None),
            Specimen.state.in_(tuple(LIVE_SPECIMEN_STATES)),
        )
    )
    return list(session.scalars(query.order_by(WorkOrder.id).limit(limit)))


def work_orders_by_ids(session: Session, keys: Collection[int]) -> list[WorkOrder]:
    """Work orders by key, the oldest first."""
    query = select(WorkOrder).where(WorkOrder.id.in_(tuple(keys)))
    return list(session.scalars(query.order_by(WorkOrder.id)))


def hold_work_orders(session: Session, keys: Collection[int]) -> list[WorkOrder]:
    """Work orders by key as they are now, held until the unit ends.

    A link may be telling an analyzer of the same order: who only read it would write back an old state.
    """
    query = select(WorkOrder).where(WorkOrder.id.in_(tuple(keys))).order_by(WorkOrder.id)
    return list(
        session.scalars(query.with_for_update(), execution_options={"populate_existing": True})
    )


def pairs_at_devices(session: Session) -> list[tuple[int, str]]:
    """(device, test) of everything that lies at an analyzer now."""
    query = select(WorkOrder.device_id, WorkOrder.test_code).where(
        _AT_DEVICE, WorkOrder.device_id.is_not(None)
    )
    rows = session.execute(query.distinct())
    return [(device, test) for device, test in rows if device is not None]


def work_at_device(
    session: Session,
    device_id: int,
    *,
    tests: Collection[str] | None = None,
    states: Collection[WorkOrderState] | None = None,
    limit: int = ROUTED_MAX,
) -> list[WorkOrder]:
    """What lies at one analyzer, the oldest first."""
    query = select(WorkOrder).where(_AT_DEVICE, WorkOrder.device_id == device_id)
    if tests is not None:
        query = query.where(WorkOrder.test_code.in_(tuple(tests)))
    if states is not None:
        query = query.where(WorkOrder.state.in_(tuple(states)))
    return list(session.scalars(query.order_by(WorkOrder.id).limit(limit)))


def steps_by_work_order(
    session: Session, work_order_ids: Collection[int]
) -> dict[int, list[AnalyzerStep]]:
    """The steps of some work orders on all analyzers, the oldest first."""
    found: dict[int, list[AnalyzerStep]] = {}
    query = select(AnalyzerStep).where(AnalyzerStep.work_order_id.in_(tuple(work_order_ids)))
    for step in session.scalars(query.order_by(AnalyzerStep.id)):
        found.setdefault(step.work_order_id, []).append(step)
    return found


def specimens_by_ids(session: Session, keys: Collection[int]) -> dict[int, Specimen]:
    """Tubes by key."""
    query = select(Specimen).where(Specimen.id.in_(tuple(keys)))
    return {row.id: row for row in session.scalars(query)}


def choices_of(session: Session, work_order_ids: Collection[int]) -> dict[int, list[RoutingChoice]]:
    """Every choice made for some work orders, the newest first."""
    found: dict[int, list[RoutingChoice]] = {}
    query = select(RoutingChoice).where(RoutingChoice.work_order_id.in_(tuple(work_order_ids)))
    for row in session.scalars(query.order_by(RoutingChoice.id.desc())):
        found.setdefault(row.work_order_id, []).append(row)
    return found


def last_choices(session: Session, work_order_ids: Collection[int]) -> dict[int, RoutingChoice]:
    """The newest choice made for each of some work orders."""
    newest = (
        select(func.max(RoutingChoice.id))
        .where(RoutingChoice.work_order_id.in_(tuple(work_order_ids)))
        .group_by(RoutingChoice.work_order_id)
    )
    query = select(RoutingChoice).where(RoutingChoice.id.in_(newest))
    return {row.work_order_id: row for row in session.scalars(query)}


def work_order_for_change(session: Session, public_id: str) -> WorkOrder | None:
    """One work order by its public id, locked."""
    query = select(WorkOrder).where(WorkOrder.public_id == public_id).with_for_update()
    return session.scalars(query).one_or_none()


def load_list(
    session: Session, device_id: int, *, limit: int
) -> Sequence[tuple[WorkOrder, ServiceRequest, Specimen, Patient]]:
    """What waits to be put on one analyzer, tube by tube, urgent tubes first, then by age."""
    rank = case((ServiceRequest.priority == "S", 0), (ServiceRequest.priority == "A", 1), else_=2)
    first = (
        select(
            WorkOrder.specimen_id, func.min(rank).label("rank"), func.min(WorkOrder.id).label("age")
        )
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .where(_AT_DEVICE, WorkOrder.device_id == device_id)
        .group_by(WorkOrder.specimen_id)
        .order_by(func.min(rank), func.min(WorkOrder.id))
        .limit(limit)
        .subquery()
    )
    query = (
        select(WorkOrder, ServiceRequest, Specimen, Patient)
        .join(first, first.c.specimen_id == WorkOrder.specimen_id)
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .join(Patient, Patient.id == Specimen.patient_id)
        .where(_AT_DEVICE, WorkOrder.device_id == device_id)
        .order_by(first.c.rank, first.c.age, WorkOrder.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def device_for_change(session: Session, device_id: int) -> Device | None:
    """One device, locked."""
    return session.scalars(
        select(Device).where(Device.id == device_id).with_for_update()
    ).one_or_none()
