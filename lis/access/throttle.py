"""Counting failures in the store, so that a limit survives a restart and holds in every process."""

from datetime import timedelta

from lis.store.system_rows import LoginFailure
from lis.store.unit import Unit
from lis.store.user_queries import login_failure


def is_locked(unit: Unit, subject: str) -> bool:
    """Whether this account, address or receipt must wait."""
    row = login_failure(unit.session, subject)
    return row is not None and row.locked_until is not None and row.locked_until > unit.now


def count_failure(unit: Unit, subject: str, *, limit: int, lock: timedelta) -> None:
    """Count one failure; lock the subject for `lock` at `limit` failures within `lock`."""
    row = login_failure(unit.session, subject)
    if row is None:
        row = LoginFailure(subject=subject, failures=0, last_at=unit.now)
        unit.session.add(row)
    row.failures = row.failures + 1 if unit.now - row.last_at < lock else 1
    row.last_at = unit.now
    if row.failures >= limit:
        row.locked_until = unit.now + lock
