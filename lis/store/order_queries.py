"""Queries about requisitions, service requests, specimens and work orders."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from lis.domain.lifecycle import LIVE_SPECIMEN_STATES, WorkOrderState
from lis.store.order_rows import (
    WORK_ORDER_IS_UNFINISHED,
    Requisition,
    ServiceRequest,
    Specimen,
    WorkOrder,
)
from lis.store.people_rows import Patient

_UNFINISHED = text(f"work_order.{WORK_ORDER_IS_UNFINISHED}")  # as written in the partial index
OPEN_WORK_ORDER_STATES = (
    WorkOrderState.PENDING,
    WorkOrderState.QUEUED,
    WorkOrderState.SENT,
    WorkOrderState.ACKNOWLEDGED,
    WorkOrderState.IN_PROCESS,
)


def specimens_by_accession(session: Session, accessions: Iterable[str]) -> dict[str, Specimen]:
    """Specimens by accession number, exactly as printed."""
    keys = tuple(set(accessions))
    if not keys:
        return {}
    return {
        row.accession: row
        for row in session.scalars(select(Specimen).where(Specimen.accession.in_(keys)))
    }


def specimen_by_id(session: Session, specimen_id: int) -> Specimen | None:
    """One specimen."""
    return session.get(Specimen, specimen_id)


def specimens_of_requisition(session: Session, requisition_id: int) -> list[Specimen]:
    """The tubes of one requisition."""
    query = select(Specimen).where(Specimen.requisition_id == requisition_id)
    return list(session.scalars(query.order_by(Specimen.id)))


def specimens_of_requisitions(session: Session, requisition_ids: Iterable[int]) -> list[Specimen]:
    """The tubes of some requisitions."""
    query = select(Specimen).where(Specimen.requisition_id.in_(tuple(set(requisition_ids))))
    return list(session.scalars(query.order_by(Specimen.id)))


def work_orders_of_specimens(session: Session, specimen_ids: Iterable[int]) -> list[WorkOrder]:
    """All work orders on some specimens, oldest first."""
    keys = tuple(set(specimen_ids))
    if not keys:
        return []
    query = select(WorkOrder).where(WorkOrder.specimen_id.in_(keys))
    return list(session.scalars(query.order_by(WorkOrder.id)))


def work_orders_of_requests(session: Session, request_ids: Iterable[int]) -> list[WorkOrder]:
    """All work orders behind some service requests, oldest first."""
    keys = tuple(set(request_ids))
    if not keys:
        return []
    query = select(WorkOrder).where(WorkOrder.service_request_id.in_(keys))
    return list(session.scalars(query.order_by(WorkOrder.id)))


def specimens_with_open_orders(
    session: Session,
    *,
    site_id: int,
    tests: Iterable[str],
    limit: int,
    between: tuple[str, str] | None = None,
    is_received: bool = False,
) -> list[Specimen]:
    """Live tubes of a site that have open work orders for some tests: never sent ones first, then by age.

    `between`: only numbers of that length from the first to the last. `is_received`: only tubes that
    reception has scanned.
    """
    is_new = WorkOrder.state.in_((WorkOrderState.PENDING, WorkOrderState.QUEUED))
    was_sent = func.min(case((is_new, 0), else_=1))
    query = (
        select(Specimen)
        .join(WorkOrder, Specimen.id == WorkOrder.specimen_id)
        .where(
            Specimen.site_id == site_id,
            Specimen.state.in_(tuple(LIVE_SPECIMEN_STATES)),
            _UNFINISHED,
            WorkOrder.state.in_(OPEN_WORK_ORDER_STATES),
            WorkOrder.test_code.in_(tuple(tests)),
        )
        .group_by(Specimen.id)
    )
    if between is not None:
        query = query.where(
            func.length(Specimen.accession) == len(between[0]), Specimen.accession.between(*between)
        )
    if is_received:
        query = query.where(Specimen.received_at.is_not(None))
    rows = session.scalars(query.order_by(was_sent, func.min(WorkOrder.id)).limit(limit))
    return list(rows)


def service_requests_by_ids(
    session: Session, request_ids: Iterable[int]
) -> dict[int, ServiceRequest]:
    """Service requests by key."""
    keys = tuple(set(request_ids))
    if not keys:
        return {}
    return {
        row.id: row
        for row in session.scalars(select(ServiceRequest).where(ServiceRequest.id.in_(keys)))
    }


def service_request_by_id(session: Session, request_id: int) -> ServiceRequest | None:
    """One service request."""
    return session.get(ServiceRequest, request_id)


def service_requests_by_placer(
    session: Session, number: str, authority: str
) -> list[ServiceRequest]:
    """Service requests that an EMR knows under this placer number."""
    query = select(ServiceRequest).where(
        ServiceRequest.placer_number == number, ServiceRequest.placer_authority == authority
    )
    return list(session.scalars(query.order_by(ServiceRequest.id)))


def service_requests_of_requisition(session: Session, requisition_id: int) -> list[ServiceRequest]:
    """The orders of one requisition."""
    query = select(ServiceRequest).where(ServiceRequest.requisition_id == requisition_id)
    return list(session.scalars(query.order_by(ServiceRequest.id)))


def service_requests_of_requisitions(
    session: Session, requisition_ids: Iterable[int]
) -> list[ServiceRequest]:
    """The orders of some requisitions."""
    keys = tuple(set(requisition_ids))
    query = select(ServiceRequest).where(ServiceRequest.requisition_id.in_(keys))
    return list(session.scalars(query.order_by(ServiceRequest.id)))


def requisitions_by_ids(session: Session, requisition_ids: Iterable[int]) -> dict[int, Requisition]:
    """Requisitions by key."""
    keys = tuple(set(requisition_ids))
    if not keys:
        return {}
    return {
        row.id: row for row in session.scalars(select(Requisition).where(Requisition.id.in_(keys)))
    }


def requisition_by_public_id(session: Session, public_id: str) -> Requisition | None:
    """One requisition by public id."""
    return session.scalars(
        select(Requisition).where(Requisition.public_id == public_id)
    ).one_or_none()


def recent_requisitions(
    session: Session, *, before_id: int | None, limit: int
) -> list[tuple[Requisition, Patient]]:
    """Newest requisitions with their patients, by key (never by offset)."""
    query = select(Requisition, Patient).join(Patient, Patient.id == Requisition.patient_id)
    if before_id is not None:
        query = query.where(Requisition.id < before_id)
    rows = session.execute(query.order_by(Requisition.id.desc()).limit(limit))
    return [(requisition, patient) for requisition, patient in rows]


def add_rerun_order(
    session: Session,
    *,
    of: WorkOrder,
    public_id: str,
    at: datetime,
    reason: str,
    dilution: Decimal | None,
) -> WorkOrder:
    """One more work order for the same test on the same tube; its number is never reused."""
    highest = session.scalar(
        select(func.max(WorkOrder.rerun)).where(
            WorkOrder.specimen_id == of.specimen_id, WorkOrder.test_code == of.test_code
        )
    )
    made = WorkOrder(
        public_id=public_id,
        service_request_id=of.service_request_id,
        specimen_id=of.specimen_id,
        test_code=of.test_code,
        created_at=at,
        rerun=(highest or 0) + 1,
        dilution=dilution,
        reason=reason,
    )
    session.add(made)
    session.flush()
    return made
