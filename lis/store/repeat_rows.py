"""Rows about repeating: what rules ordered or could not, versions on their way into force, and stop switches."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.repeat_rules import ProposalState
from lis.store.base import Base, Key


class RepeatMade(Base):
    """What one rule made of one value, once for ever by `key`; a refusal is kept with its reason.

    A reflex that its value no longer justifies is marked here (S27); nothing is deleted.
    """

    __tablename__ = "repeat_made"
    __table_args__ = (
        Index("ix_repeat_made_specimen", "specimen_id"),
        Index("ix_repeat_made_observation", "observation_id"),
        Index("ix_repeat_made_work_order", "work_order_id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    key: Mapped[str] = mapped_column(unique=True)
    observation_id: Mapped[int] = mapped_column(ForeignKey("observation.id"))
    specimen_id: Mapped[int] = mapped_column(ForeignKey("specimen.id"))
    test_code: Mapped[str]  # of the value that the rule spoke about
    rule: Mapped[str]
    rule_version: Mapped[str]
    action: Mapped[str]
    created_at: Mapped[datetime]
    made_test: Mapped[str] = mapped_column(default="")
    factor: Mapped[Decimal | None] = mapped_column(default=None)
    service_request_id: Mapped[int | None] = mapped_column(
        ForeignKey("service_request.id"), default=None
    )
    work_order_id: Mapped[int | None] = mapped_column(ForeignKey("work_order.id"), default=None)
    refused: Mapped[str] = mapped_column(
        default=""
    )  # why nothing was made: volume, stability, tube
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    unjustified_at: Mapped[datetime | None] = mapped_column(default=None)
    unjustified_why: Mapped[str] = mapped_column(default="")


class RepeatProposal(Base):
    """A version of the rules between its author and the second person."""

    __tablename__ = "repeat_proposal"

    id: Mapped[Key] = mapped_column(init=False)
    version: Mapped[str] = mapped_column(unique=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    author: Mapped[str]
    created_at: Mapped[datetime]
    effective_from: Mapped[datetime]
    state: Mapped[ProposalState] = mapped_column(default=ProposalState.PROPOSED)
    dry_run: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)  # as last counted
    dry_run_at: Mapped[datetime | None] = mapped_column(default=None)
    decided_by: Mapped[str] = mapped_column(default="")
    decided_at: Mapped[datetime | None] = mapped_column(default=None)
    decision: Mapped[str] = mapped_column(default="")  # in the words of who decided
    row_version: Mapped[int] = mapped_column(default=1)


class RepeatStop(Base):
    """A pressed stop switch: of one rule, or ("") of all. Pressed by one person at once."""

    __tablename__ = "repeat_stop"
    __table_args__ = (Index("ix_repeat_stop_open", "resumed_at", "id"),)

    id: Mapped[Key] = mapped_column(init=False)
    rule: Mapped[str]
    stopped_at: Mapped[datetime]
    stopped_by: Mapped[str]
    reason: Mapped[str]
    resumed_at: Mapped[datetime | None] = mapped_column(default=None)
    resumed_by: Mapped[str] = mapped_column(default="")
    resume_reason: Mapped[str] = mapped_column(default="")
