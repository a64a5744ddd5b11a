"""What may be read of a patient's results: released, current, and past the moment of undo only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.messages import ResultStatus
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder

# What a finished test was told as; anything else is still on its way.
_TOLD = (
    ResultStatus.FINAL,
    ResultStatus.CORRECTED,
    ResultStatus.AMENDED,
    ResultStatus.ENTERED_IN_ERROR,
)


def _is_outside(at: datetime) -> ColumnElement[bool]:
    """S03 and S08 as one condition: released, and the time to undo has passed."""
    return and_(
        Observation.bench_state == BenchState.RELEASED,
        Observation.visible_from.is_not(None),
        Observation.visible_from <= at,
        Observation.is_chosen,
    )


def _was_outside(at: datetime) -> ColumnElement[bool]:
    """Released and seen once, and replaced since."""
    return and_(
        Observation.bench_state == BenchState.SUPERSEDED,
        Observation.released_at.is_not(None),
        Observation.visible_from.is_not(None),
        Observation.visible_from <= at,
    )


def released_of_requisition(
    session: Session, requisition_id: int, at: datetime
) -> list[Observation]:
    """Released observations of one requisition, in catalog-independent order of release."""
    query = (
        select(Observation)
        .join(ServiceRequest, ServiceRequest.id == Observation.service_request_id)
        .where(ServiceRequest.requisition_id == requisition_id, _is_outside(at))
    )
    return list(session.scalars(query.order_by(Observation.test_code, Observation.version)))


def released_of_patient(
    session: Session, patient_id: int, at: datetime, *, limit: int
) -> list[Observation]:
    """The newest released observations of one patient, by time of analysis."""
    query = select(Observation).where(Observation.patient_id == patient_id, _is_outside(at))
    return list(
        session.scalars(
            query.order_by(Observation.analysed_at.desc(), Observation.id.desc()).limit(limit)
        )
    )


def history_of_patient(
    session: Session, patient_id: int, at: datetime, *, since: datetime, limit: int
) -> list[dict[str, Any]]:
    """Everything that is out or was out and has been replaced, with its tube; newest first.

    One statement: a replaced value comes with its successor, so that a correction shows both.
    """
    query = (
        select(*_HISTORY)
        .join(Specimen, Specimen.id == Observation.specimen_id, isouter=True)
        .where(
            Observation.patient_id == patient_id,
            or_(_is_outside(at), _was_outside(at)),
            or_(Observation.analysed_at.is_(None), Observation.analysed_at >= since),
        )
        .order_by(Observation.analysed_at.desc(), Observation.id.desc())
        .limit(limit)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def replaced_of_requisition(
    session: Session, requisition_id: int, at: datetime
) -> list[Observation]:
    """Values that were out and have been replaced since, oldest first."""
    query = (
        select(Observation)
        .join(ServiceRequest, ServiceRequest.id == Observation.service_request_id)
        .where(ServiceRequest.requisition_id == requisition_id, _was_outside(at))
    )
    return list(session.scalars(query.order_by(Observation.released_at, Observation.id)))


def count_open_work(session: Session, requisition_id: int, at: datetime) -> int:
    """How many of a requisition's tests have no result that is out."""
    return _count_open(session, ServiceRequest.requisition_id == requisition_id, at)


def count_open_work_of_patient(
    session: Session, patient_id: int, at: datetime, *, since: datetime
) -> int:
    """How many of a patient's tests ordered since then have no result that is out."""
    ordered = and_(Requisition.patient_id == patient_id, Requisition.created_at >= since)
    return _count_open(session, ordered, at)


def _count_open(session: Session, ordered: ColumnElement[bool], at: datetime) -> int:
    """Tests, not runs: a rerun or a replaced version is no second result to wait for."""
    told = (
        select(Observation.id)
        .where(
            Observation.service_request_id == WorkOrder.service_request_id,
            Observation.test_code == WorkOrder.test_code,
            Observation.status.in_(_TOLD),
            _is_outside(at),
        )
        .exists()
    )
    tests = (
        select(WorkOrder.service_request_id, WorkOrder.test_code)
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .where(ordered, WorkOrder.state != WorkOrderState.CANCELLED, ~told)
        .distinct()
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(tests)) or 0


def specimens_by_ids(session: Session, specimen_ids: Iterable[int]) -> dict[int, Specimen]:
    """Specimens by key."""
    keys = tuple(set(specimen_ids))
    if not keys:
        return {}
    return {row.id: row for row in session.scalars(select(Specimen).where(Specimen.id.in_(keys)))}


_HISTORY = (
    Observation.id,
    Observation.bench_state,
    Observation.status,
    Observation.test_code,
    Observation.instrument_code,
    Observation.reported,
    Observation.comparator,
    Observation.value,
    Observation.unit,
    Observation.flag,
    Observation.interval_text,
    Observation.comment,
    Observation.analysed_at,
    Observation.created_at,
    Observation.released_at,
    Observation.visible_from,
    Observation.specimen_id,
    Specimen.collected_from,
)
