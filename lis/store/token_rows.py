"""Rows about machines that may call us: other systems that send referrals over HTTP."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class MachineToken(Base):
    """A sender's key; only its hash is stored. `name` is the source that its orders carry."""

    __tablename__ = "machine_token"

    id: Mapped[Key] = mapped_column(init=False)
    token_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(index=True)
    scope: Mapped[str]
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(default=None)
