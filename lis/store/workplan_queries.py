"""Queries of the work plan, the outstanding list and the filters that people keep.

All start at `ix_work_order_unfinished`, the partial index over work orders that are neither answered nor
cancelled: it holds what is open today, however many orders the years have left.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, text
from sqlalchemy.orm import Session

from lis.domain.lifecycle import RequestState, SpecimenState
from lis.store.list_rows import OrderDraft, SavedFilter
from lis.store.lookup_queries import ordered_tests
from lis.store.observation_rows import Observation
from lis.store.order_rows import WORK_ORDER_IS_UNFINISHED, ServiceRequest, Specimen, WorkOrder
from lis.store.traffic_rows import Device

UNFINISHED = text(f"work_order.{WORK_ORDER_IS_UNFINISHED}")
HERE = (SpecimenState.RECEIVED, SpecimenState.STORED)
URGENT_FIRST = case(
    (ServiceRequest.priority == "S", 0), (ServiceRequest.priority == "A", 1), else_=2
)
_WAITING = text("observation.bench_state IN ('received','held','technically_verified')")


def tubes_with_work(
    session: Session,
    *,
    tests: Collection[str],
    states: Iterable[SpecimenState] = HERE,
    priorities: Collection[str] = (),
    after: tuple[int, int] | None = None,
    limit: int,
) -> list[tuple[int, int]]:
    """(urgency, key) of tubes that have unfinished work among some tests: urgent ones first, then by age."""
    urgency = func.min(URGENT_FIRST).label("urgency")
    query = (
        select(urgency, WorkOrder.specimen_id)
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .where(
            UNFINISHED,
            WorkOrder.test_code.in_(tests),
            Specimen.state.in_(tuple(states)),
            ServiceRequest.state == RequestState.ACTIVE,
        )
        .group_by(WorkOrder.specimen_id)
    )
    if priorities:
        query = query.where(ServiceRequest.priority.in_(priorities))
    if after is not None:
        query = query.having(_comes_after(urgency, *after))
    rows = session.execute(query.order_by(urgency, WorkOrder.specimen_id).limit(limit))
    return [(row[0], row[1]) for row in rows]


def _comes_after(urgency: Any, rank: int, key: int) -> ColumnElement[bool]:
    later: ColumnElement[bool] = (urgency > rank) | (
        (urgency == rank) & (WorkOrder.specimen_id > key)
    )
    return later


def unfinished_tests(
    session: Session, *, tests: Collection[str], received_before: datetime, limit: int
) -> list[Any]:
    """Tests of received tubes that have no answer, oldest order first."""
    return ordered_tests(
        session,
        UNFINISHED,
        WorkOrder.test_code.in_(tests),
        Specimen.state.in_(HERE),
        Specimen.received_at <= received_before,
        ServiceRequest.state == RequestState.ACTIVE,
        limit=limit,
    )


def tubes_with_waiting_values(session: Session, *, tests: Collection[str], limit: int) -> list[int]:
    """Tubes with values that nobody has decided about yet, oldest value first."""
    query = (
        select(Observation.specimen_id)
        .where(_WAITING, Observation.specimen_id.is_not(None), Observation.test_code.in_(tests))
        .order_by(Observation.id)
        .limit(limit)
    )
    return list(dict.fromkeys(key for key in session.scalars(query) if key is not None))


def devices_in_use(session: Session) -> list[Device]:
    """All analyzers by name."""
    return list(session.scalars(select(Device).order_by(Device.name)))


def device_by_name(session: Session, name: str) -> Device | None:
    """One analyzer, or work by hand at a site."""
    return session.scalars(select(Device).where(Device.name == name)).one_or_none()


# --- what people keep ---------------------------------------------------------------------------


def filters_of(session: Session, user: str) -> list[SavedFilter]:
    """The filters that a person keeps, by name."""
    query = select(SavedFilter).where(SavedFilter.user == user)
    return list(session.scalars(query.order_by(SavedFilter.name)))


def filter_by_name(session: Session, user: str, name: str) -> SavedFilter | None:
    """One filter of a person."""
    query = select(SavedFilter).where(SavedFilter.user == user, SavedFilter.name == name)
    return session.scalars(query).one_or_none()


def draft_of(session: Session, user: str) -> OrderDraft | None:
    """The order that a person is typing."""
    return session.get(OrderDraft, user)
