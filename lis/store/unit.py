"""The store, and the unit of work: one transaction = one use case.

Everything a use case changes commits together: its rows, its audit entries and its outbox rows. A unit
that raises leaves nothing. Nobody else commits, and units do not nest: a use case inside another one
takes the `Unit` as an argument.

What happens at the end of a clean unit, in this order: pending rows are flushed, outbox rows are
inserted in one statement, audit entries are chained to the head read inside this transaction and
inserted in one statement (on PostgreSQL unsealed, see `lis.store.audit`), commit, the write lock is
given up, and only then do listeners get the hints. A hint is an id and no truth: whoever gets one
reads the database.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from psycopg.errors import ProgramLimitExceeded
from sqlalchemy import insert, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from lis.domain.clock import Clock
from lis.store.audit import AuditEntry, canonical_text, write_entries
from lis.store.base import Base, storable_text
from lis.store.definition_cache import DefinitionCache
from lis.store.engine import Engines, open_engines
from lis.store.identity import IdSource, RandomIds
from lis.store.lock import Priority, StoreBusy, WriteLock
from lis.store.migrations import migrate, stamp
from lis.store.rows import Outbox, OutboxState

DEFINITIONS = "definitions"  # key of the cache in `Session.info`

_NEXT_NUMBER = text(
    "INSERT INTO sequence (name, value) VALUES (:name, :start) "
    "ON CONFLICT (name) DO UPDATE SET value = sequence.value + 1 RETURNING value"
)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something changed: look again. `topic` is one of observation, device, gate, inbox, ..."""

    topic: str
    key: str


Listener = Callable[[tuple[Hint, ...]], None]


class NestedUnit(RuntimeError):
    """A unit was opened inside another one on the same thread: our bug."""


def is_store_away(error: Exception) -> bool:
    """Whether the store could not work at all, so that the same work may succeed later.

    PostgreSQL also calls a row that its limits cannot hold "operational"; that is the content's fault
    and would fail for ever.
    """
    if isinstance(error, OperationalError):
        return not isinstance(error.orig, ProgramLimitExceeded)
    return isinstance(error, InterfaceError | StoreBusy)


class Unit:
    """One transaction and what must commit with it. Made by `Store.unit` only."""

    def __init__(self, *, session: Session, now: datetime, actor: str, ids: IdSource) -> None:
        self.session = session
        self.now = now  # fixed for the whole unit
        self.actor = storable_text(actor)
        self.ids = ids
        self._audit: list[AuditEntry] = []
        self._outbox: list[dict[str, Any]] = []
        self._hints: dict[Hint, None] = {}  # ordered, without repetition

    def audit(
        self,
        action: str,
        entity: str,
        key: object,
        *,
        seen: object = None,
        before: object = None,
        after: object = None,
    ) -> None:
        """Note who did what to which thing: what they saw, and the values before and after."""
        entity_key = storable_text(str(key))
        document = canonical_text(
            at=self.now,
            actor=self.actor,
            action=action,
            entity=entity,
            key=entity_key,
            seen=seen,
            before=before,
            after=after,
        )
        self._audit.append(
            AuditEntry(
                at=self.now,
                actor=self.actor,
                action=action,
                entity=entity,
                entity_key=entity_key,
                text=document,
            )
        )

    def send(
        self,
        *,
        destination: str,
        key: str,
        order_key: str,
        payload: Mapping[str, Any],
        not_before: datetime,
    ) -> None:
        """Add a delivery; nobody outside sees it before `not_before`. `key` is used once for ever."""
        self._outbox.append(
            {
                "destination": destination,
                "key": key,
                "order_key": order_key,
                "payload": dict(payload),
                "created_at": self.now,
                "not_before": not_before,
                "state": OutboxState.NEW,
                "attempts": 0,
                "last_error": "",
            }
        )
        self.publish("outbox", destination)

    def publish(self, topic: str, key: object) -> None:
        """Hint to listeners, after the commit, that `key` changed."""
        self._hints[Hint(topic, str(key))] = None

    def next_number(self, sequence: str, *, start: int = 1) -> int:
        """The next number of a sequence; a unit that fails gives its number back."""
        return int(
            self.session.execute(_NEXT_NUMBER, {"name": sequence, "start": start}).scalar_one()
        )

    def settle(self) -> tuple[Hint, ...]:
        """Write what was buffered, flush, and return the hints. Called once, by the store."""
        self.session.flush()
        if self._outbox:
            self.session.execute(insert(Outbox), self._outbox)
        write_entries(self.session, self._audit)
        return tuple(self._hints)


class Store:
    """The database of one laboratory as this process sees it."""

    def __init__(self, *, url: str, engines: Engines, clock: Clock, ids: IdSource) -> None:
        self.url = url
        self.clock = clock
        self.ids = ids
        self.engines = engines
        self.definitions = DefinitionCache()
        self.is_sqlite = engines.write.dialect.name == "sqlite"
        self.lock = WriteLock(is_exclusive=self.is_sqlite)
        self._listeners: list[Listener] = []
        self._thread = threading.local()

    @classmethod
    def open(cls, url: str, *, clock: Clock, ids: IdSource | None = None) -> Self:
        """Open engines and set pragmas; creates and migrates nothing."""
        return cls(url=url, engines=open_engines(url), clock=clock, ids=ids or RandomIds())

    def create_all(self) -> None:
        """Make all tables from the metadata: for tests and the demo; a real install migrates."""
        with self.engines.write.begin() as connection:
            Base.metadata.create_all(connection)
            stamp(connection)

    def migrate(self) -> None:
        """Bring the store to the newest schema; safe to call at every start, by every process."""
        migrate(self.engines.write, self.clock)

    @contextmanager
    def unit(self, actor: str, *, priority: Priority = Priority.PEOPLE) -> Iterator[Unit]:
        """One use case: committed on a clean exit, rolled back on any exception."""
        if getattr(self._thread, "unit", None) is not None:
            raise NestedUnit(f"{actor} opened a unit inside one of {self._thread.unit}")
        self._thread.unit = actor
        try:
            with self.lock.held(priority, owner=actor), self._write_session() as session:
                unit = Unit(session=session, now=self.clock.now(), actor=actor, ids=self.ids)
                yield unit
                hints = unit.settle()
                session.commit()
        finally:
            self._thread.unit = None
        if hints:
            self.announce(hints)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only snapshot: every query in it sees the same moment."""
        with Session(self.engines.read, expire_on_commit=False) as session:
            session.info[DEFINITIONS] = self.definitions
            yield session

    def on_commit(self, listener: Listener) -> None:
        """Call `listener` with the hints of each committed unit, on the committing thread.

        A listener must be quick and must not raise: the commit has already happened.
        """
        self._listeners.append(listener)

    def announce(self, hints: tuple[Hint, ...]) -> None:
        """Tell the listeners; for writers outside a unit (the inbox)."""
        for listener in self._listeners:
            listener(hints)

    def close(self) -> None:
        """Close all connections."""
        self.engines.dispose()

    @contextmanager
    def _write_session(self) -> Iterator[Session]:
        with Session(self.engines.write, expire_on_commit=False) as session:
            session.info[DEFINITIONS] = self.definitions
            session.connection()  # BEGIN IMMEDIATE now: facts are read under the lock
            yield session
