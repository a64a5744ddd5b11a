"""Queries about receptions, places and pools of numbers."""

from sqlalchemy import select
from sqlalchemy.orm import Session

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
