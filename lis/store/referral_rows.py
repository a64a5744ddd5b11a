"""Rows about what a sender said: of an order, of a person, of two persons who are one; and what waits for people.

Messages come twice, late and in the wrong order. So each row here keeps the newest that was said of every thing
(`lis.orders.order_saying`, `lis.orders.person_saying`), not the newest that arrived; what the laboratory does is derived from it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class PlacerOrder(Base):
    """All that one sender said of one of its orders; without a service request it is a tombstone or a hold to come."""

    __tablename__ = "placer_order"
    __table_args__ = (UniqueConstraint("source", "number", "authority"),)

    id: Mapped[Key] = mapped_column(init=False)
    source: Mapped[str]
    number: Mapped[str]
    authority: Mapped[str] = mapped_column(default="")
    service_request_id: Mapped[int | None] = mapped_column(
        ForeignKey("service_request.id"), index=True, default=None
    )
    said: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    settled: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)  # holds a person lifted
    is_refused: Mapped[bool] = mapped_column(default=False)  # a person refused it, with a reason


class OrderChange(Base):
    """The sender changed something after work began: a person acknowledges that they saw it."""

    __tablename__ = "order_change"
    __table_args__ = (
        UniqueConstraint("service_request_id", "field", "stamp"),
        Index("ix_order_change_open", "acknowledged_at", "id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    service_request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"))
    field: Mapped[str]  # code, priority, notes, patient, cancelled, held
    stamp: Mapped[str]  # when and in which message it was said
    noted_at: Mapped[datetime]
    had: Mapped[str] = mapped_column(default="")
    said: Mapped[str] = mapped_column(default="")
    is_applied: Mapped[bool] = mapped_column(default=False)
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_by: Mapped[str] = mapped_column(default="")


class OrderCode(Base):
    """What one sender's code means in our catalog, as a person said when they resolved a held order."""

    __tablename__ = "order_code"
    __table_args__ = (UniqueConstraint("source", "sent"),)

    id: Mapped[Key] = mapped_column(init=False)
    source: Mapped[str]
    sent: Mapped[str]
    code: Mapped[str]


class PatientSaid(Base):
    """What the hospital said of a person, field by field, each with its stamp; "" is a deletion."""

    __tablename__ = "patient_said"

    id: Mapped[Key] = mapped_column(init=False)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), unique=True)
    said: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)


class PatientMerge(Base):
    """Two identities that are one person; `moved` says what came over, so that it can go back."""

    __tablename__ = "patient_merge"

    id: Mapped[Key] = mapped_column(init=False)
    retired_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    surviving_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    merged_at: Mapped[datetime]
    merged_by: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    stamp: Mapped[str] = mapped_column(default="")  # of the message; "" when a person did it
    moved: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    unmerged_at: Mapped[datetime | None] = mapped_column(default=None)
    unmerged_by: Mapped[str] = mapped_column(default="")
    unmerge_reason: Mapped[str] = mapped_column(default="")


class IdentityIssue(Base):
    """A message about a person that nobody may carry out by rule: it waits, with its reason."""

    __tablename__ = "identity_issue"
    __table_args__ = (
        UniqueConstraint("source", "stamp", "kind", "subject"),
        Index("ix_identity_issue_open", "resolved_at", "id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    kind: Mapped[str]  # several_patients, merge_conflict, merge_contradiction, check_digit
    source: Mapped[str]
    stamp: Mapped[str]
    subject: Mapped[str]  # which group of the message
    opened_at: Mapped[datetime]
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    resolved_at: Mapped[datetime | None] = mapped_column(default=None)
    resolved_by: Mapped[str] = mapped_column(default="")
    resolution: Mapped[str] = mapped_column(default="")
