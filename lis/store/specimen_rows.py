"""Rows about tubes: what reception decided of each test, where a tube stood, numbers given out to branches in advance."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.catalog import Storage
from lis.domain.reception import ReceptionVerdict
from lis.store.base import Base, Key


class ReceptionDecision(Base):
    """What reception decided of one test on one tube (S35). A deviation names who decided and is for the report."""

    __tablename__ = "reception_decision"

    id: Mapped[Key] = mapped_column(init=False)
    specimen_id: Mapped[int] = mapped_column(ForeignKey("specimen.id"), index=True)
    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id"))
    test_code: Mapped[str]
    verdict: Mapped[ReceptionVerdict]
    decided_at: Mapped[datetime]
    decided_by: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    recollected_on_id: Mapped[int | None] = mapped_column(ForeignKey("specimen.id"), default=None)


class SpecimenPlace(Base):
    """Where a tube stood for a while; `until` is empty for where it stands now."""

    __tablename__ = "specimen_place"

    id: Mapped[Key] = mapped_column(init=False)
    specimen_id: Mapped[int] = mapped_column(ForeignKey("specimen.id"), index=True)
    storage: Mapped[Storage]
    rack: Mapped[str]
    position: Mapped[str]
    since: Mapped[datetime]
    actor: Mapped[str]
    until: Mapped[datetime | None] = mapped_column(default=None)


class NumberPool(Base):
    """Numbers that a branch may use without a line to the laboratory."""

    __tablename__ = "number_pool"

    id: Mapped[Key] = mapped_column(init=False)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"), index=True)
    issued_at: Mapped[datetime]
    issued_by: Mapped[str]
    size: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    returned_at: Mapped[datetime | None] = mapped_column(default=None)
    returned_by: Mapped[str] = mapped_column(default="")


class PooledNumber(Base):
    """One number of a pool. A number that was not used when the pool came back is never given to anybody."""

    __tablename__ = "pooled_number"

    id: Mapped[Key] = mapped_column(init=False)
    pool_id: Mapped[int] = mapped_column(ForeignKey("number_pool.id"), index=True)
    accession: Mapped[str] = mapped_column(unique=True)
    specimen_id: Mapped[int | None] = mapped_column(
        ForeignKey("specimen.id"), default=None, unique=True
    )
    used_at: Mapped[datetime | None] = mapped_column(default=None)
