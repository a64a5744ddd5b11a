"""Letting one unit of work at a time make what a name stands for.

Two clerks who register the same newcomer, or an EMR that sends one order over two connections, both look, both find
nothing and both insert. SQLite has one writer and needs nothing. On PostgreSQL a unit takes a lock on the name, held
until it ends: the second looks when the first has committed, and finds.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def hold_names(session: Session, kind: str, names: Iterable[tuple[str, ...]]) -> None:
    """Wait until no other unit holds one of these names; then hold them until this unit ends.

    Names are taken in one order, so two units with the same names never wait for each other.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    for key in sorted({_key(kind, name) for name in names}):
        session.execute(select(func.pg_advisory_xact_lock(key)))


def _key(kind: str, name: tuple[str, ...]) -> int:
    """A signed 64-bit number, as the lock takes it; a chance meeting of two names costs a moment's wait."""
    digest = hashlib.sha256(repr((kind, *name)).encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
