"""Rows about routing: how an analyzer takes work, what its reagents are good for, and every choice that was made."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class Takes(StrEnum):
    """Which work an analyzer is told of."""

    ABLE = "able"  # whatever it may measure: the tube goes where a person puts it
    CHOSEN = "chosen"  # only what was routed to it: a line or a sorter brings the tubes


class AnalyzerRouting(Base):
    """How one analyzer takes part in routing; one that has no row takes whatever it may measure."""

    __tablename__ = "analyzer_routing"

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), unique=True)
    takes: Mapped[Takes] = mapped_column(default=Takes.ABLE)
    sections: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)  # none: every section
    dead_volume_ul: Mapped[int] = mapped_column(default=0)
    rack_size: Mapped[int] = mapped_column(default=5)  # places of one rack on the load list
    stopped_reason: Mapped[str] = mapped_column(default="")  # a person took it out, and why
    stopped_by: Mapped[str] = mapped_column(default="")
    stopped_at: Mapped[datetime | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(default=1)


class ReagentState(Base):
    """What stock, or the analyzer itself, last said of the reagent of one test; no row: nobody says."""

    __tablename__ = "reagent_state"
    __table_args__ = (UniqueConstraint("device_id", "test_code"),)

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    test_code: Mapped[str]
    changed_at: Mapped[datetime]
    tests_left: Mapped[int | None] = mapped_column(default=None)
    valid_until: Mapped[datetime | None] = mapped_column(default=None)


class RoutingChoice(Base):
    """One choice with everything that spoke for and against; never changed, a new one is a new row."""

    __tablename__ = "routing_choice"
    __table_args__ = (Index("ix_routing_choice_work_order", "work_order_id", "id"),)

    id: Mapped[Key] = mapped_column(init=False)
    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id"))
    at: Mapped[datetime]
    actor: Mapped[str]
    trigger: Mapped[str]  # order, facts, person, refused
    outcome: Mapped[str]
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)
    from_device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)
    reason: Mapped[str] = mapped_column(default="")  # a person's own words
    judged: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
