"""Forgetting old traffic, as slowly as it takes, and never what a kept result was read from.

Theory of operation. `[journal] keep_days` says how long traffic is kept; 0 keeps it for ever. Then go, oldest first:

* journal lines: the frames of a message lie in its inbox row once more, so no value loses its bytes;
* host queries of that age;
* a day later, so that nothing points to them any more, messages that made nothing: no result, no control point, no
  record that waits, no referral. What points to a message is read from the schema itself, so a table of
  tomorrow protects its messages without being named here.

A message that is new or held is never forgotten: somebody still has to look at it.

Each step is one unit of at most `STEP_ROWS` rows at the lowest priority, and a sweep looks at `WINDOW_IDS` messages
at a time. A process that dies between two steps, or within one, leaves a store in which less was forgotten; the
next sweep begins anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import structlog
from sqlalchemy import Column, ColumnElement, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lis.store.base import Base
from lis.store.key_walk import first_id_since
from lis.store.lock import Priority
from lis.store.rows import HostQueryLog, Inbox, InboxState, Journal
from lis.store.unit import Store

log = structlog.get_logger()

ACTOR: Final = "retention"
STEP_ROWS: Final = 200  # deleted in one transaction: about 10 ms
WINDOW_IDS: Final = 5_000  # messages looked at for one step, without the write lock
INBOX_LAG: Final = timedelta(days=1)  # messages go after the lines that point to them
SWEEP_EVERY: Final = timedelta(hours=1)
FORGETTABLE: Final = (InboxState.PROCESSED, InboxState.INCOMPLETE)


class _Phase(Enum):
    """What a sweep is at; they follow each other."""

    LINES = "lines"
    QUERIES = "queries"
    MESSAGES = "messages"


@dataclass(slots=True)
class _Sweep:
    """One pass over everything that is old."""

    cutoff: datetime
    phase: _Phase = _Phase.LINES
    next_id: int = 0
    lines: int = 0
    queries: int = 0
    messages: int = 0


class Retention:
    """Forgets old traffic of one store, a step a call."""

    def __init__(self, store: Store, *, keep_days: int) -> None:
        self._store = store
        self._keep = timedelta(days=keep_days)
        self._sweep: _Sweep | None = None
        self._rest_until: datetime | None = None

    def step(self) -> bool:
        """Forget a little; False when there is nothing to do for now."""
        now = self._store.clock.now()
        if not self._keep or (self._rest_until is not None and now < self._rest_until):
            return False
        sweep = self._sweep = self._sweep or _Sweep(now - self._keep)
        match sweep.phase:
            case _Phase.LINES:
                count = self._delete_old(Journal.id, Journal.at, sweep.cutoff)
                sweep.lines += count
                sweep.phase = _Phase.LINES if count else _Phase.QUERIES
            case _Phase.QUERIES:
                count = self._delete_old(HostQueryLog.id, HostQueryLog.at, sweep.cutoff)
                sweep.queries += count
                sweep.phase = _Phase.QUERIES if count else _Phase.MESSAGES
            case _Phase.MESSAGES:
                return self._forget_messages(sweep, now)
        return True

    def _delete_old(
        self,
        key: InstrumentedAttribute[int],
        at: InstrumentedAttribute[datetime],
        cutoff: datetime,
    ) -> int:
        with self._store.read() as session:
            end = first_id_since(session, key, at, cutoff)
            ids = session.scalars(
                select(key).where(key < end, at < cutoff).order_by(key).limit(STEP_ROWS)
            ).all()
        if not ids:
            return 0
        with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
            unit.session.execute(delete(key.class_).where(key.in_(ids)))
        return len(ids)

    def _forget_messages(self, sweep: _Sweep, now: datetime) -> bool:
        cutoff = sweep.cutoff - INBOX_LAG
        with self._store.read() as session:
            end = first_id_since(session, Inbox.id, Inbox.received_at, cutoff)
            start = sweep.next_id or session.scalar(select(func.min(Inbox.id))) or end
            window = (start, min(start + WINDOW_IDS, end))
            ids = forgettable(session, window, cutoff)
        if ids:
            with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
                still = forgettable(unit.session, (ids[0], ids[-1] + 1), cutoff)
                unit.session.execute(delete(Inbox).where(Inbox.id.in_(still)))
            sweep.messages += len(still)
        sweep.next_id = ids[-1] + 1 if len(ids) == STEP_ROWS else window[1]
        if sweep.next_id < end:
            return True
        self._end(sweep, now)
        return False

    def _end(self, sweep: _Sweep, now: datetime) -> None:
        counts = {"lines": sweep.lines, "queries": sweep.queries, "messages": sweep.messages}
        if any(counts.values()):
            with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
                unit.audit("traffic_forgotten", "Journal", f"{sweep.cutoff:%Y-%m-%d}", after=counts)
            log.info("traffic_forgotten", before=sweep.cutoff.isoformat(), **counts)
        self._sweep, self._rest_until = None, now + SWEEP_EVERY


def forgettable(session: Session, window: tuple[int, int], cutoff: datetime) -> list[int]:
    """Messages of a window of ids that are old, done, and that nothing points to."""
    start, end = window
    unused = [
        Inbox.id.not_in(select(column).where(column >= start, column < end))
        for column in pointing_to_inbox()
    ]
    query = select(Inbox.id).where(
        Inbox.id >= start,
        Inbox.id < end,
        Inbox.received_at < cutoff,
        Inbox.state.in_(FORGETTABLE),
        *unused,
    )
    return list(session.scalars(query.order_by(Inbox.id).limit(STEP_ROWS)))


def pointing_to_inbox() -> list[ColumnElement[int]]:
    """Every column of the schema that points to a message, but those of the traffic itself."""
    traffic = {Journal.__tablename__, HostQueryLog.__tablename__}
    return [
        column
        for table in Base.metadata.sorted_tables
        if table.name not in traffic
        for column in table.columns
        if column.name.endswith("inbox_id") or _refers_to_inbox(column)
    ]


def _refers_to_inbox(column: Column[int]) -> bool:
    return any(key.column.table.name == Inbox.__tablename__ for key in column.foreign_keys)
