"""Queries of the desk's look-up: a number, a name or a telephone to orders; orders to their tests and values.

Every search starts at an index and ends at a limit, so it takes as long with a million orders as with ten.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState
from lis.store.list_rows import Telling
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.people_queries import find_patients
from lis.store.people_rows import Patient
from lis.store.traffic_rows import Device

_NUMBERS = (  # where a printed or told number may stand, with the order it leads to
    (Specimen.accession, Specimen.requisition_id),
    (ServiceRequest.filler_number, ServiceRequest.requisition_id),
    (ServiceRequest.placer_number, ServiceRequest.requisition_id),
    (Requisition.placer_group, Requisition.id),
)


def requisitions_by_number(session: Session, text: str, *, limit: int) -> list[int]:
    """Keys of the orders that carry exactly this number, newest first."""
    found: set[int] = set()
    for number, key in _NUMBERS:
        found |= set(session.scalars(select(key).where(number == text).limit(limit)))
    return sorted(found, reverse=True)[:limit]


def newest_of_patients(
    session: Session, patient_ids: Collection[int], *, before: int | None = None, limit: int
) -> list[int]:
    """Keys of the newest orders of some patients."""
    query = select(Requisition.id).where(Requisition.patient_id.in_(patient_ids))
    if before is not None:
        query = query.where(Requisition.id < before)
    return list(session.scalars(query.order_by(Requisition.id.desc()).limit(limit)))


def find_requisitions(
    session: Session, text: str, *, before: int | None, limit: int, people: int
) -> list[tuple[Requisition, Patient]]:
    """Newest orders under a number, or of the first `people` whose name begins so; page on by key."""
    keys = [
        key
        for key in requisitions_by_number(session, text, limit=limit)
        if before is None or key < before
    ]
    if not keys:
        patients = [row.id for row in find_patients(session, text, limit=people)]
        keys = newest_of_patients(session, patients, before=before, limit=limit)
    return requisitions_with_patients(session, keys)


def requisitions_with_patients(
    session: Session, keys: Collection[int]
) -> list[tuple[Requisition, Patient]]:
    """Some orders with their patients, newest first."""
    query = (
        select(Requisition, Patient)
        .join(Patient, Patient.id == Requisition.patient_id)
        .where(Requisition.id.in_(keys))
    )
    rows = session.execute(query.order_by(Requisition.id.desc()))
    return [(requisition, patient) for requisition, patient in rows]


_TEST_COLUMNS = (
    WorkOrder.id.label("work_order_id"),
    WorkOrder.service_request_id,
    WorkOrder.specimen_id,
    WorkOrder.test_code,
    WorkOrder.state.label("work_state"),
    WorkOrder.rerun,
    WorkOrder.device_id,
    Device.name.label("device"),
    ServiceRequest.requisition_id,
    ServiceRequest.code.label("orderable"),
    ServiceRequest.state.label("request_state"),
    ServiceRequest.hold_reason,
    ServiceRequest.priority,
    Specimen.accession,
    Specimen.specimen_type,
    Specimen.patient_id,
    Specimen.state.label("specimen_state"),
    Specimen.reject_reason,
    Specimen.received_at,
    Specimen.location,
    Specimen.collected_from,
)


def ordered_tests(session: Session, *conditions: Any, limit: int | None = None) -> list[Any]:
    """Ordered tests on tubes, as flat rows in the order of the work orders."""
    query = (
        select(*_TEST_COLUMNS)
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .join(Device, Device.id == WorkOrder.device_id, isouter=True)
        .where(*conditions)
        .order_by(WorkOrder.id)
    )
    return list(session.execute(query.limit(limit) if limit else query))


def ordered_of_requisitions(session: Session, keys: Collection[int]) -> list[Any]:
    """Every test of some orders."""
    return ordered_tests(session, ServiceRequest.requisition_id.in_(keys))


def ordered_of_tubes(session: Session, keys: Collection[int]) -> list[Any]:
    """Every test on some tubes."""
    return ordered_tests(session, WorkOrder.specimen_id.in_(keys))


def requests_of_requisitions(session: Session, keys: Collection[int]) -> list[ServiceRequest]:
    """What was ordered, with or without a tube."""
    query = select(ServiceRequest).where(ServiceRequest.requisition_id.in_(keys))
    return list(session.scalars(query.order_by(ServiceRequest.id)))


_RUN_COLUMNS = (
    Observation.id,
    Observation.specimen_id,
    Observation.test_code,
    Observation.bench_state,
    Observation.is_chosen,
    Observation.holds,
    Observation.lane,
    Observation.released_at,
    Observation.visible_from,
    Observation.reported,
    Observation.comparator,
    Observation.value,
    Observation.unit,
    Observation.flag,
    Observation.interval_text,
)


def values_of_tubes(session: Session, specimen_ids: Collection[int]) -> list[Any]:
    """Every value of some tubes that no other replaced, oldest first."""
    query = select(*_RUN_COLUMNS).where(
        Observation.specimen_id.in_(specimen_ids),
        Observation.bench_state != BenchState.SUPERSEDED,
    )
    return list(session.execute(query.order_by(Observation.id)))


def earlier_tests(
    session: Session, patient_id: int, tests: Collection[str], *, since: datetime
) -> list[Any]:
    """Orders of some tests for a patient since a moment: test, state, when ordered, when collected."""
    query = (
        select(WorkOrder.test_code, WorkOrder.state, WorkOrder.created_at, Specimen.collected_from)
        .join(Specimen, Specimen.id == WorkOrder.specimen_id)
        .where(
            Specimen.patient_id == patient_id,
            WorkOrder.test_code.in_(tests),
            WorkOrder.created_at >= since,
        )
    )
    return list(session.execute(query.order_by(WorkOrder.id)))


def tellings_of(session: Session, requisition_ids: Sequence[int]) -> list[Telling]:
    """Who was told what about some orders, newest first."""
    query = select(Telling).where(Telling.requisition_id.in_(requisition_ids))
    return list(session.scalars(query.order_by(Telling.id.desc())))
