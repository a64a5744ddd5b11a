"""Rows about what was asked for: requisitions, service requests, specimens, work orders."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.lifecycle import RequestState, SpecimenState, WorkOrderState
from lis.store.base import Base, Key

# As written in the partial index, or a query does not use it.
WORK_ORDER_IS_UNFINISHED = "state NOT IN ('resulted','cancelled')"
WORK_ORDER_IS_UNROUTED = "state IN ('pending','failed')"
WORK_ORDER_IS_AT_DEVICE = "state IN ('queued','sent','acknowledged','in_process')"


class Requisition(Base):
    """One referral of one patient: everything that was asked for together."""

    __tablename__ = "requisition"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    created_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(default="")  # EMR name, or "form"
    placer_group: Mapped[str] = mapped_column(default="", index=True)
    placer_authority: Mapped[str] = mapped_column(default="")
    requester: Mapped[str] = mapped_column(default="")
    requester_code: Mapped[str] = mapped_column(default="")
    ward: Mapped[str] = mapped_column(default="")
    priority: Mapped[str] = mapped_column(default="R")
    reason: Mapped[str] = mapped_column(default="")
    notes: Mapped[str] = mapped_column(default="")
    source_inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)


class ServiceRequest(Base):
    """One ordered test or panel; the filler number is ours, unique for ever."""

    __tablename__ = "service_request"
    __table_args__ = (Index("ix_service_request_placer", "placer_number", "placer_authority"),)

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    requisition_id: Mapped[int] = mapped_column(ForeignKey("requisition.id"), index=True)
    code: Mapped[str]  # orderable code of the catalog; as sent while on hold
    filler_number: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    filler_authority: Mapped[str] = mapped_column(default="")
    placer_number: Mapped[str] = mapped_column(default="")
    placer_authority: Mapped[str] = mapped_column(default="")
    placer_code: Mapped[str] = mapped_column(default="")  # OBR-4 exactly as sent, for the reply
    state: Mapped[RequestState] = mapped_column(default=RequestState.ACTIVE)
    hold_reason: Mapped[str] = mapped_column(default="")
    priority: Mapped[str] = mapped_column(default="R")
    notes: Mapped[str] = mapped_column(default="")
    version: Mapped[int] = mapped_column(default=1)


class Specimen(Base):
    """One tube. The collection period carries how certain it is (S26)."""

    __tablename__ = "specimen"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    requisition_id: Mapped[int] = mapped_column(ForeignKey("requisition.id"), index=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    accession: Mapped[str] = mapped_column(unique=True)
    specimen_type: Mapped[str]
    created_at: Mapped[datetime]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("specimen.id"), default=None)
    container: Mapped[str] = mapped_column(default="")
    collected_from: Mapped[datetime | None] = mapped_column(default=None)
    collected_to: Mapped[datetime | None] = mapped_column(default=None)
    collected_certainty: Mapped[str] = mapped_column(default="unknown")  # exact, estimated, unknown
    collector: Mapped[str] = mapped_column(default="")
    received_at: Mapped[datetime | None] = mapped_column(default=None)
    received_by: Mapped[str] = mapped_column(default="")
    quantity: Mapped[Decimal | None] = mapped_column(default=None)
    quantity_unit: Mapped[str] = mapped_column(default="")
    condition: Mapped[str] = mapped_column(default="")
    deviation: Mapped[str] = mapped_column(default="")
    reject_reason: Mapped[str] = mapped_column(default="")
    location: Mapped[str] = mapped_column(default="")
    stable_from: Mapped[datetime | None] = mapped_column(default=None)
    state: Mapped[SpecimenState] = mapped_column(default=SpecimenState.EXPECTED)
    suspicion: Mapped[str] = mapped_column(default="")  # S04: holds everything from this draw
    received_again_at: Mapped[datetime | None] = mapped_column(
        default=None
    )  # S16: the number came to reception a second time: perhaps two tubes carry it
    version: Mapped[int] = mapped_column(default=1)


class WorkOrder(Base):
    """One test on one specimen for one analyzer (LAW: AWOS); `public_id` is never reused."""

    __tablename__ = "work_order"
    __table_args__ = (
        Index("ix_work_order_specimen_test", "specimen_id", "test_code"),
        Index(  # the work plan and the outstanding list
            "ix_work_order_unfinished",
            "test_code",
            "specimen_id",
            sqlite_where=text(WORK_ORDER_IS_UNFINISHED),
            postgresql_where=text(WORK_ORDER_IS_UNFINISHED),
        ),
        Index(  # what waits to be routed, the oldest first
            "ix_work_order_unrouted",
            "id",
            sqlite_where=text(WORK_ORDER_IS_UNROUTED),
            postgresql_where=text(WORK_ORDER_IS_UNROUTED),
        ),
        Index(  # what one analyzer has before it
            "ix_work_order_at_device",
            "device_id",
            "id",
            sqlite_where=text(WORK_ORDER_IS_AT_DEVICE),
            postgresql_where=text(WORK_ORDER_IS_AT_DEVICE),
        ),
    )

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    service_request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), index=True)
    specimen_id: Mapped[int] = mapped_column(ForeignKey("specimen.id"))
    test_code: Mapped[str]
    created_at: Mapped[datetime]
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)
    state: Mapped[WorkOrderState] = mapped_column(default=WorkOrderState.PENDING)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)
    rerun: Mapped[int] = mapped_column(default=0)
    dilution: Mapped[Decimal | None] = mapped_column(default=None)
    reason: Mapped[str] = mapped_column(default="")
    pinned_device_id: Mapped[int | None] = mapped_column(
        ForeignKey("device.id"), default=None
    )  # a person chose the analyzer
    version: Mapped[int] = mapped_column(default=1)


class Sequence(Base):
    """A counter that moves only forward inside a unit of work: accession and filler numbers."""

    __tablename__ = "sequence"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
