"""Rows about results: immutable observation versions, reports, critical calls, attachments.

An observation is never edited in what it says. Its bench state moves by the table in
`lis.domain.lifecycle`; another value, unit, time or patient is a new version that points to the one
before. `record` and `inbox_id` lead from every value to the raw bytes it was read from.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.store.base import Base, Key


class Observation(Base):
    """One version of one measured value."""

    __tablename__ = "observation"
    __table_args__ = (
        UniqueConstraint("inbox_id", "record", "version"),
        Index("ix_observation_run_key", "run_key"),
        Index("ix_observation_specimen_test", "specimen_id", "test_code"),
        Index("ix_observation_patient_test", "patient_id", "test_code", "analysed_at"),
        Index("ix_observation_request", "service_request_id"),
        Index(
            "ix_observation_waiting",
            "bench_state",
            "id",
            sqlite_where=text("bench_state IN ('received','held','technically_verified')"),
            postgresql_where=text("bench_state IN ('received','held','technically_verified')"),
        ),
        Index(
            "ix_observation_lane",
            "lane",
            "id",
            sqlite_where=text("lane <> ''"),
            postgresql_where=text("lane <> ''"),
        ),
        Index("ix_observation_device_time", "device_id", "test_code", "analysed_at"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    created_at: Mapped[datetime]
    run_key: Mapped[str]  # S19: instrument, specimen, test, analysis time, run
    test_code: Mapped[str]  # catalog code; "" while the instrument's code is unknown
    instrument_code: Mapped[str]
    reported: Mapped[str]  # verbatim
    version: Mapped[int] = mapped_column(default=1)
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("observation.id"), default=None)
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    record: Mapped[str] = mapped_column(default="")
    # whose it is
    specimen_text: Mapped[str] = mapped_column(default="")  # the id as the instrument sent it
    specimen_id: Mapped[int | None] = mapped_column(ForeignKey("specimen.id"), default=None)
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"), default=None)
    service_request_id: Mapped[int | None] = mapped_column(
        ForeignKey("service_request.id"), default=None
    )
    work_order_id: Mapped[int | None] = mapped_column(ForeignKey("work_order.id"), default=None)
    read_mode: Mapped[str] = mapped_column(default="")
    position: Mapped[str] = mapped_column(default="")  # rack and place, as the instrument said
    # what it says
    comparator: Mapped[str] = mapped_column(default="")
    value: Mapped[Decimal | None] = mapped_column(default=None)
    unit: Mapped[str] = mapped_column(default="")
    unit_ucum: Mapped[str] = mapped_column(default="")
    reported_unit: Mapped[str] = mapped_column(default="")  # verbatim
    reported_status: Mapped[str] = mapped_column(default="final")  # as the instrument said
    reported_flags: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    flag: Mapped[str] = mapped_column(default="")  # ours: "", L, H, LL, HH, A
    interval_text: Mapped[str] = mapped_column(default="")
    interval_reason: Mapped[str] = mapped_column(default="")  # which band, or why none
    catalog_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("definition_version.id"), default=None
    )
    comment: Mapped[str] = mapped_column(default="")
    supplements: Mapped[list[Any]] = mapped_column(
        JSON, default_factory=list
    )  # rows of the message that stand behind this value (Ct, end points): read, never judged
    # how it was measured
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)
    method: Mapped[str] = mapped_column(default="")
    module: Mapped[str] = mapped_column(default="")
    serial: Mapped[str] = mapped_column(default="")
    reagent_lot: Mapped[str] = mapped_column(default="")
    calibrator_lot: Mapped[str] = mapped_column(default="")
    control_lots: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    operator: Mapped[str] = mapped_column(default="")
    analysed_at: Mapped[datetime | None] = mapped_column(default=None)
    clock_offset_s: Mapped[int | None] = mapped_column(default=None)
    dilution: Mapped[Decimal | None] = mapped_column(default=None)
    basis: Mapped[str] = mapped_column(default="undiluted")
    run: Mapped[str] = mapped_column(default="")
    is_chosen: Mapped[bool] = mapped_column(default=True)  # which run counts (S20)
    # where it stands
    bench_state: Mapped[BenchState] = mapped_column(default=BenchState.RECEIVED)
    status: Mapped[ResultStatus] = mapped_column(default=ResultStatus.REGISTERED)  # outward
    lane: Mapped[str] = mapped_column(default="")  # worklist lane while it waits, else ""
    holds: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)  # open reasons
    verdicts: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)  # every rule that spoke
    row_version: Mapped[int] = mapped_column(default=1)  # moves with each bench change (S07)
    shown_hash: Mapped[str] = mapped_column(default="")  # hash of what a verifier sees (S07)
    released_at: Mapped[datetime | None] = mapped_column(default=None)
    visible_from: Mapped[datetime | None] = mapped_column(
        default=None
    )  # S08: nobody outside before
    validator: Mapped[str] = mapped_column(default="")  # login, or rule id and version
    signature: Mapped[str] = mapped_column(default="")  # meaning and hash of what was signed


class UnreadableRecord(Base):
    """A record of a message that could not be read: waits for a person, never dropped."""

    __tablename__ = "unreadable_record"
    __table_args__ = (UniqueConstraint("inbox_id", "record", "field"),)

    id: Mapped[Key] = mapped_column(init=False)
    inbox_id: Mapped[int] = mapped_column(ForeignKey("inbox.id"), index=True)
    record: Mapped[str]
    field: Mapped[str]
    raw: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(default=None)
    resolved_by: Mapped[str] = mapped_column(default="")


class DiagnosticReport(Base):
    """The report of one service request; its status is derived from the observations, never set."""

    __tablename__ = "diagnostic_report"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    service_request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), unique=True)
    created_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(default="registered")
    version: Mapped[int] = mapped_column(default=0)
    document_set: Mapped[str] = mapped_column(default="")


class ReportDelivery(Base):
    """Who received which version when (promise 6)."""

    __tablename__ = "report_delivery"
    __table_args__ = (UniqueConstraint("report_id", "version", "destination"),)

    id: Mapped[Key] = mapped_column(init=False)
    report_id: Mapped[int] = mapped_column(ForeignKey("diagnostic_report.id"), index=True)
    version: Mapped[int]
    destination: Mapped[str]
    created_at: Mapped[datetime]
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("outbox.id"), default=None)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_by: Mapped[str] = mapped_column(default="")
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)


class CriticalCall(Base):
    """The task to call a critical value: opens in the transaction that saw it (S09)."""

    __tablename__ = "critical_call"

    id: Mapped[Key] = mapped_column(init=False)
    observation_id: Mapped[int | None] = mapped_column(ForeignKey("observation.id"), index=True)
    opened_at: Mapped[datetime]
    snapshot: Mapped[str]  # value, unit and flag as judged
    state: Mapped[str] = mapped_column(default="open")  # open, attempted, read_back, closed
    is_confirmed: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    closed_by: Mapped[str] = mapped_column(default="")


class Attachment(Base):
    """A histogram, image or document that belongs to a message or a result."""

    __tablename__ = "attachment"

    id: Mapped[Key] = mapped_column(init=False)
    name: Mapped[str]
    media_type: Mapped[str]
    data: Mapped[bytes]
    created_at: Mapped[datetime]
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    observation_id: Mapped[int | None] = mapped_column(ForeignKey("observation.id"), default=None)
