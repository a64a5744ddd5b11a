"""Queries about tokens of machines."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.store.token_rows import MachineToken


def machine_token_by_hash(session: Session, token_hash: str) -> MachineToken | None:
    """The token with this hash."""
    query = select(MachineToken).where(MachineToken.token_hash == token_hash)
    return session.scalars(query).one_or_none()


def machine_token_by_id(session: Session, token_id: int) -> MachineToken | None:
    """One token."""
    return session.get(MachineToken, token_id)


def all_machine_tokens(session: Session) -> list[MachineToken]:
    """All tokens ever made, oldest first; an installation has a handful."""
    return list(session.scalars(select(MachineToken).order_by(MachineToken.id)))
