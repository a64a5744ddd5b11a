"""Rows about the desk's lists: who was told what by telephone, saved filters, orders that are being typed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class Telling(Base):
    """Somebody asked where the results are, and was told: never changed afterwards."""

    __tablename__ = "telling"

    id: Mapped[Key] = mapped_column(init=False)
    requisition_id: Mapped[int] = mapped_column(ForeignKey("requisition.id"), index=True)
    told_at: Mapped[datetime]
    told_by: Mapped[str]  # login
    told_to: Mapped[str]  # who called, in the caller's own words
    relation: Mapped[str]  # doctor, ward, patient, anyone
    telephone: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    told: Mapped[list[Any]] = mapped_column(
        JSON, default_factory=list
    )  # each test as it was shown then: code, standing, value if it was released


class SavedFilter(Base):
    """A filter of the work plan that one person keeps under a name."""

    __tablename__ = "saved_filter"
    __table_args__ = (UniqueConstraint("user", "name"),)

    id: Mapped[Key] = mapped_column(init=False)
    user: Mapped[str]  # login
    name: Mapped[str]
    changed_at: Mapped[datetime]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class OrderDraft(Base):
    """An order that somebody is typing: kept so that a closed browser loses nothing. One a person."""

    __tablename__ = "order_draft"

    user: Mapped[str] = mapped_column(primary_key=True)  # login
    changed_at: Mapped[datetime]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
