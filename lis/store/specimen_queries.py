"""Queries about receptions, places and pools of numbers."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState
from lis.store.observation_rows import DiagnosticReport, Observation, ReportDelivery
from lis.store.order_rows import WorkOrder
from lis.store.specimen_rows import NumberPool, PooledNumber, ReceptionDecision, SpecimenPlace


def decisions_of(session: Session, specimen_id: int) -> list[ReceptionDecision]:
    """What reception decided of a tube, oldest first."""
    query = select(ReceptionDecision).where(ReceptionDecision.specimen_id == specimen_id)
    return list(session.scalars(query.order_by(ReceptionDecision.id)))


def places_of(session: Session, specimen_id: int) -> list[SpecimenPlace]:
    """Where a tube stood, oldest first."""
    query = select(SpecimenPlace).where(SpecimenPlace.specimen_id == specimen_id)
    return list(session.scalars(query.order_by(SpecimenPlace.id)))


def who_stands_at(session: Session, rack: str, position: str) -> SpecimenPlace | None:
    """The tube that stands at a position now."""
    query = select(SpecimenPlace).where(
        SpecimenPlace.rack == rack,
        SpecimenPlace.position == position,
        SpecimenPlace.until.is_(None),
    )
    return session.scalars(query).first()


def pool_for_update(session: Session, pool_id: int) -> NumberPool | None:
    """A pool, locked until the unit ends."""
    query = select(NumberPool).where(NumberPool.id == pool_id).with_for_update()
    return session.scalars(query).one_or_none()


def pooled_number(session: Session, accession: str) -> PooledNumber | None:
    """A number that was given out in a pool, locked until the unit ends."""
    query = select(PooledNumber).where(PooledNumber.accession == accession).with_for_update()
    return session.scalars(query).one_or_none()


def numbers_of_pool(session: Session, pool_id: int) -> list[PooledNumber]:
    """The numbers of a pool in the order in which they were given out."""
    query = select(PooledNumber).where(PooledNumber.pool_id == pool_id)
    return list(session.scalars(query.order_by(PooledNumber.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How much of a tube passed a step: first and last moment, how often, and by whom."""

    first: datetime | None = None
    last: datetime | None = None
    tests: int = 0
    people: tuple[str, ...] = ()


def measured_of_tube(session: Session, specimen_id: int) -> Passed:
    """When values of a tube came in."""
    query = select(
        func.min(Observation.created_at),
        func.max(Observation.created_at),
        func.count(Observation.test_code.distinct()),
    ).where(Observation.specimen_id == specimen_id)
    first, last, tests = session.execute(query).one()
    return Passed(first=first, last=last, tests=tests)


def verified_of_tube(session: Session, specimen_id: int) -> Passed:
    """When values of a tube were released, and by whom."""
    query = select(Observation.released_at, Observation.validator, Observation.test_code).where(
        Observation.specimen_id == specimen_id,
        Observation.bench_state == BenchState.RELEASED,
        Observation.released_at.is_not(None),
    )
    rows = session.execute(query.order_by(Observation.released_at)).all()
    if not rows:
        return Passed()
    return Passed(
        first=rows[0][0],
        last=rows[-1][0],
        tests=len({row[2] for row in rows}),
        people=tuple(dict.fromkeys(row[1] for row in rows if row[1])),
    )


def sent_of_tube(session: Session, specimen_id: int) -> Passed:
    """When reports that are about a tube arrived, and where."""
    requests = select(WorkOrder.service_request_id).where(WorkOrder.specimen_id == specimen_id)
    query = (
        select(ReportDelivery.delivered_at, ReportDelivery.destination, ReportDelivery.report_id)
        .join(DiagnosticReport, DiagnosticReport.id == ReportDelivery.report_id)
        .where(
            DiagnosticReport.service_request_id.in_(requests),
            ReportDelivery.delivered_at.is_not(None),
        )
        .order_by(ReportDelivery.delivered_at)
    )
    rows = session.execute(query).all()
    if not rows:
        return Passed()
    return Passed(
        first=rows[0][0],
        last=rows[-1][0],
        tests=len({row[2] for row in rows}),
        people=tuple(dict.fromkeys(row[1] for row in rows)),
    )
