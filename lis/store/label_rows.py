"""Rows about labels: which were printed for a tube, where, by whom and why again."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class LabelPrint(Base):
    """One order to a label printer. `number` counts per tube from 1: two may not print "the first" at once."""

    __tablename__ = "label_print"
    __table_args__ = (UniqueConstraint("specimen_id", "number"),)

    id: Mapped[Key] = mapped_column(init=False)
    specimen_id: Mapped[int] = mapped_column(ForeignKey("specimen.id"))
    number: Mapped[int]
    printer: Mapped[str]
    created_at: Mapped[datetime]
    actor: Mapped[str]
    copies: Mapped[int] = mapped_column(default=1)
    reason: Mapped[str] = mapped_column(default="")  # "" only for the first
