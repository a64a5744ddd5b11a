"""Rows about steps: what one analyzer was told of a work order, and what it said (LAW: AWOS)."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lis.domain.awos import AwosState
from lis.store.base import Base, Key


class AnalyzerStep(Base):
    """One work order on one analyzer. `step_id` is what the analyzer knows it by; it is never given again with another
    meaning (LAW-R06): a work order that is sent once more after its step ended gets a step of its own."""

    __tablename__ = "analyzer_step"
    __table_args__ = (
        Index("ix_analyzer_step_identity", "device_id", "step_id", unique=True),
        Index("ix_analyzer_step_work_order", "work_order_id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id"))
    step_id: Mapped[str]
    changed_at: Mapped[datetime]
    state: Mapped[AwosState] = mapped_column(default=AwosState.CREATED)
    is_unwanted: Mapped[bool] = mapped_column(default=False)  # its work was routed elsewhere
