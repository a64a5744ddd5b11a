"""What is stored of one message, as it was when the message was taken in: for comparing it with today's reading."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.store.control_rows import ControlPoint
from lis.store.observation_rows import Observation, UnreadableRecord
from lis.store.rows import HostQueryLog


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOf:
    """All rows that a message made."""

    observations: Sequence[Observation]  # of each record the first version
    controls: Sequence[ControlPoint]
    unreadable: Sequence[UnreadableRecord]
    queries: Sequence[HostQueryLog]


def stored_of(session: Session, inbox_id: int, device_id: int) -> StoredOf:
    """The rows of one message; a person's later versions point elsewhere or have a higher number."""
    first: dict[str, Observation] = {}
    for row in session.scalars(
        select(Observation).where(Observation.inbox_id == inbox_id).order_by(Observation.id)
    ):
        first.setdefault(row.record, row)
    return StoredOf(
        observations=tuple(first.values()),
        controls=session.scalars(
            select(ControlPoint).where(ControlPoint.inbox_id == inbox_id)
        ).all(),
        unreadable=session.scalars(
            select(UnreadableRecord).where(UnreadableRecord.inbox_id == inbox_id)
        ).all(),
        queries=session.scalars(
            select(HostQueryLog).where(
                HostQueryLog.device_id == device_id, HostQueryLog.inbox_id == inbox_id
            )
        ).all(),
    )


def runs_known(session: Session, keys: Collection[str]) -> set[str]:
    """Which of these runs are stored, as a result or as a control, from whatever message."""
    wanted = tuple(set(keys))
    if not wanted:
        return set()
    results = select(Observation.run_key).where(Observation.run_key.in_(wanted))
    controls = select(ControlPoint.run_key).where(ControlPoint.run_key.in_(wanted))
    return {*session.scalars(results), *session.scalars(controls)}
