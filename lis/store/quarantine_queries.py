"""Questions about quarantines: devices and tests from which nothing leaves until a person clears them (S23)."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.store.rows import Quarantine


def quarantined_tests(session: Session, device_ids: Collection[int]) -> set[tuple[int, str]]:
    """(device, test) of every test that is closed on these devices."""
    query = select(Quarantine.device_id, Quarantine.test_code).where(
        Quarantine.device_id.in_(tuple(device_ids)),
        Quarantine.cleared_at.is_(None),
        Quarantine.test_code != "",
    )
    return {(row.device_id, row.test_code) for row in session.execute(query)}


def open_quarantines(session: Session) -> Sequence[Quarantine]:
    """Everything that is closed, device by device, the oldest first."""
    return session.scalars(
        select(Quarantine)
        .where(Quarantine.cleared_at.is_(None))
        .order_by(Quarantine.device_id, Quarantine.id)
    ).all()


def lock_quarantines(session: Session, device_id: int, test_code: str) -> Sequence[Quarantine]:
    """The open quarantines of a device (`test_code` "") or of one test on it, locked for a change."""
    return session.scalars(
        select(Quarantine)
        .where(
            Quarantine.device_id == device_id,
            Quarantine.test_code == test_code,
            Quarantine.cleared_at.is_(None),
        )
        .order_by(Quarantine.id)
        .with_for_update()
    ).all()
