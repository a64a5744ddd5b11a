"""Rows about quality control: materials, lots, levels, targets, runs, points, gates."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.control import RunVerdict
from lis.store.base import Base, Key


class ControlMaterial(Base):
    """A control product."""

    __tablename__ = "control_material"

    id: Mapped[Key] = mapped_column(init=False)
    name: Mapped[str] = mapped_column(unique=True)
    manufacturer: Mapped[str] = mapped_column(default="")


class ControlLot(Base):
    """One lot of a control product."""

    __tablename__ = "control_lot"
    __table_args__ = (UniqueConstraint("material_id", "lot"),)

    id: Mapped[Key] = mapped_column(init=False)
    material_id: Mapped[int] = mapped_column(ForeignKey("control_material.id"))
    lot: Mapped[str]
    expires_on: Mapped[str] = mapped_column(default="")  # YYYY-MM-DD
    is_in_use: Mapped[bool] = mapped_column(default=True)


class ControlLevel(Base):
    """One level of a lot, and the ids under which instruments report it."""

    __tablename__ = "control_level"
    __table_args__ = (UniqueConstraint("lot_id", "level"),)

    id: Mapped[Key] = mapped_column(init=False)
    lot_id: Mapped[int] = mapped_column(ForeignKey("control_lot.id"))
    level: Mapped[str]  # L1, L2, L3
    specimen_ids: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)


class Target(Base):
    """Mean and SD of one test at one level on one device (or any), from a moment on."""

    __tablename__ = "target"
    __table_args__ = (Index("ix_target_level_test", "level_id", "test_code"),)

    id: Mapped[Key] = mapped_column(init=False)
    level_id: Mapped[int] = mapped_column(ForeignKey("control_level.id"))
    test_code: Mapped[str]
    mean: Mapped[Decimal]
    sd: Mapped[Decimal]
    effective_from: Mapped[datetime]
    author: Mapped[str]
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)


class ControlRun(Base):
    """One QC event: the levels of a test measured together on one instrument."""

    __tablename__ = "control_run"
    __table_args__ = (Index("ix_control_run_gate", "device_id", "test_code", "at"),)

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    test_code: Mapped[str]
    at: Mapped[datetime]  # analysis time of its last point
    created_at: Mapped[datetime]
    module: Mapped[str] = mapped_column(default="")
    reagent_lot: Mapped[str] = mapped_column(default="")
    specimen_type: Mapped[str] = mapped_column(default="")
    verdict: Mapped[RunVerdict] = mapped_column(default=RunVerdict.PENDING)
    violations: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    conventions: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    needs_action: Mapped[bool] = mapped_column(default=False)
    action: Mapped[str] = mapped_column(default="")  # corrective action that a person recorded
    action_by: Mapped[str] = mapped_column(default="")
    action_at: Mapped[datetime | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(default=1)


class ControlPoint(Base):
    """One control result with the target and SD in force when it was measured."""

    __tablename__ = "control_point"
    __table_args__ = (
        UniqueConstraint("inbox_id", "record"),
        Index("ix_control_point_run_key", "run_key"),
        Index("ix_control_point_run", "run_id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    run_id: Mapped[int] = mapped_column(ForeignKey("control_run.id"))
    level_id: Mapped[int] = mapped_column(ForeignKey("control_level.id"))
    at: Mapped[datetime]
    run_key: Mapped[str]
    reported: Mapped[str]
    mean: Mapped[Decimal]
    sd: Mapped[Decimal]
    level: Mapped[str]
    value: Mapped[Decimal | None] = mapped_column(default=None)
    target_id: Mapped[int | None] = mapped_column(ForeignKey("target.id"), default=None)
    is_flagged: Mapped[bool] = mapped_column(default=False)
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    record: Mapped[str] = mapped_column(default="")
    voided_at: Mapped[datetime | None] = mapped_column(default=None)
    voided_by: Mapped[str] = mapped_column(default="")
    void_reason: Mapped[str] = mapped_column(default="")
    comment: Mapped[str] = mapped_column(default="")


class GateProjection(Base):
    """The stored `lis.domain.control.GateState` of one gate; written by `lis.qc` only.

    Events and actions are JSON kept as text: a state that did not change is recognised by its text and
    need not be read again (`lis.qc.stored`).
    """

    __tablename__ = "gate_state"
    __table_args__ = (
        UniqueConstraint("device_id", "test_code", "module", "reagent_lot", "specimen_type"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    test_code: Mapped[str]
    module: Mapped[str] = mapped_column(default="")
    reagent_lot: Mapped[str] = mapped_column(default="")
    specimen_type: Mapped[str] = mapped_column(default="")
    events: Mapped[str] = mapped_column(Text, default="[]")
    actions: Mapped[str] = mapped_column(Text, default="[]")
    window_s: Mapped[int] = mapped_column(default=86_400)
    valid_until: Mapped[datetime | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(default=1)


class GateException(Base):
    """A named person opens a due or missing gate for a while (S02); never a rejected one."""

    __tablename__ = "gate_exception"

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), index=True)
    test_code: Mapped[str]
    reason: Mapped[str]
    granted_by: Mapped[str]
    granted_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class ReagentLoad(Base):
    """Which reagent lot was loaded when: most devices never send it (S37)."""

    __tablename__ = "reagent_load"

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), index=True)
    test_code: Mapped[str]
    lot: Mapped[str]
    loaded_at: Mapped[datetime]
    unloaded_at: Mapped[datetime | None] = mapped_column(default=None)
    entered_by: Mapped[str] = mapped_column(default="")
