"""Queries behind a release: requests, their reports, and the runs that count for them."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.result_facts import ReportFacts, RequestFacts
from lis.store.observation_rows import DiagnosticReport, Observation
from lis.store.order_rows import Requisition, ServiceRequest, WorkOrder
from lis.store.traffic_rows import Outbox, OutboxState


def lock_requests(session: Session, request_ids: Collection[int]) -> dict[int, RequestFacts]:
    """Service requests by key, locked: versions of one report are counted by one writer at a time."""
    query = (
        select(
            ServiceRequest.id,
            ServiceRequest.filler_number,
            ServiceRequest.state,
            Requisition.source,
        )
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .where(ServiceRequest.id.in_(request_ids))
        .order_by(ServiceRequest.id)
        .with_for_update(of=ServiceRequest)
    )
    return {row["id"]: RequestFacts(**row) for row in session.execute(query).mappings()}


def reports_of(session: Session, request_ids: Collection[int]) -> dict[int, ReportFacts]:
    """Reports by service request."""
    query = select(
        DiagnosticReport.id,
        DiagnosticReport.public_id,
        DiagnosticReport.service_request_id,
        DiagnosticReport.status,
        DiagnosticReport.version,
    ).where(DiagnosticReport.service_request_id.in_(request_ids))
    return {
        row["service_request_id"]: ReportFacts(**row) for row in session.execute(query).mappings()
    }


def expected_tests(session: Session, request_ids: Collection[int]) -> dict[int, set[str]]:
    """The tests still wanted, by service request: those with a work order that is not cancelled."""
    query = (
        select(WorkOrder.service_request_id, WorkOrder.test_code)
        .where(
            WorkOrder.service_request_id.in_(request_ids),
            WorkOrder.state != WorkOrderState.CANCELLED,
        )
        .distinct()
    )
    found: dict[int, set[str]] = {}
    for request_id, test in session.execute(query):
        found.setdefault(request_id, set()).add(test)
    return found


def released_runs(session: Session, request_ids: Collection[int]) -> list[dict[str, Any]]:
    """The released observations of some requests, oldest first."""
    query = (
        select(
            Observation.id,
            Observation.service_request_id,
            Observation.test_code.label("test"),
            Observation.bench_state,
            Observation.status,
            Observation.is_chosen,
            Observation.visible_from,
        )
        .where(
            Observation.service_request_id.in_(request_ids),
            Observation.bench_state == BenchState.RELEASED,
        )
        .order_by(Observation.id)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def deliveries_of(session: Session, report_public_id: str) -> list[Outbox]:
    """All deliveries of one report, oldest first."""
    query = select(Outbox).where(
        Outbox.key >= f"{report_public_id}:", Outbox.key < f"{report_public_id};"
    )
    return list(session.scalars(query.order_by(Outbox.id).with_for_update()))


def cancel_deliveries(session: Session, outbox_ids: Collection[int]) -> None:
    """Take back deliveries that nobody has begun."""
    session.execute(
        update(Outbox)
        .where(Outbox.id.in_(outbox_ids), Outbox.state == OutboxState.NEW)
        .values(state=OutboxState.CANCELLED)
    )


def move_requests(session: Session, rows: list[dict[str, Any]]) -> None:
    """Set the state of service requests; one row is `id` and `state`."""
    if rows:
        session.execute(update(ServiceRequest), rows)
