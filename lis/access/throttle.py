"""Counting failures in the store, so that a limit survives a restart and holds in every process."""

from datetime import timedelta

from lis.store.unit import Unit
from lis.store.user_queries import counted_failure, login_failure


def is_locked(unit: Unit, subject: str) -> bool:
    """Whether this account, address or receipt must wait."""
    row = login_failure(unit.session, subject)
    return row is not None and row.locked_until is not None and row.locked_until > unit.now


def count_failure(unit: Unit, subject: str, *, limit: int, lock: timedelta) -> None:
    """Count one failure; lock the subject for `lock` at `limit` failures within `lock`."""
    row = counted_failure(unit.session, subject, at=unit.now)
    row.failures = row.failures + 1 if unit.now - row.last_at < lock else 1
    row.last_at = unit.now
    if row.failures >= limit:
        row.locked_until = unit.now + lock
