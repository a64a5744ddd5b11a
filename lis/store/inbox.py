"""Keeping what arrived: the thread behind every ACK, and what happens to a message afterwards.

Theory of operation. `InboxWriter` is one thread with a connection of its own. A link calls `keep` on its
event loop and awaits the receipts; the ACK may go out when they are there and never before. The writer
commits whatever has arrived, at most `COMMIT_UNITS_MAX` units at a time (group commit: one fsync serves
all who wait), under the write lock with the highest priority, and then wakes each event loop once with
all its receipts.

What goes wrong, and what then holds:

* the disk is full, or the server is gone: everybody in the batch gets `KeepFailed` and refuses; the
  connection is opened anew for the next batch, so keeping resumes alone when there is space again;
* links bring more than the disk takes: they wait for their receipts, which is the back-pressure; past
  `QUEUE_UNITS_MAX` or `QUEUE_BYTES_MAX` a keep fails at once, so memory stays bounded;
* the process dies: what was not committed was not acknowledged, and is sent again.

A message moves once: `new` to `processed`, or to `held` with a reason a person can act on. A cut one is
`incomplete` from the start, evidence that is never delivered. So the four always sum up to what came in.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, literal_column, make_url, select, update
from sqlalchemy.orm import Session

from lis.domain.messages import Lane
from lis.domain.traffic import KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.store.inbox_batch import InboxTable, Job, SessionEnd, write_batch
from lis.store.inbox_tables import CONTENT_ERRORS, STORE_ERRORS, open_table
from lis.store.lock import Priority, StoreBusy
from lis.store.rows import Inbox, InboxState
from lis.store.unit import Hint, Store, Unit

log = structlog.get_logger()

COMMIT_UNITS_MAX = 200  # DESIGN 3: group commit
COMMIT_BYTES_MAX = 16 * 1024 * 1024  # so that one commit stays short when messages are large
QUEUE_UNITS_MAX = 10_000  # jobs waiting for the writer; far above one per link
QUEUE_BYTES_MAX = 256 * 1024 * 1024  # raw bytes waiting for the writer
STOP_WAIT_S = 30.0  # what waits is still committed when the process ends

OWNER = "inbox"  # in the lock's log

# Written out, not bound: SQLite uses a partial index only for a condition it can read.
_IS_NEW: ColumnElement[bool] = literal_column("inbox.state = 'new'")


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiting(Job):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[tuple[Receipt, ...]]
    size_bytes: int


_Answered = tuple[asyncio.Future[tuple[Receipt, ...]], tuple[Receipt, ...] | None]


class InboxWriter:
    """The one writer of inbox and journal in this process. Start it, `keep`, stop it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._url = make_url(store.url)
        self._table: InboxTable | None = None
        self._arrived = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._ends: deque[SessionEnd] = deque()
        self._queued_bytes = 0
        self._is_idle = False
        self._is_open = False
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="inbox-writer", daemon=True)

    def start(self) -> None:
        """Begin to accept. May be called once."""
        self._is_open = True
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end the thread; later calls of `keep` fail."""
        with self._arrived:
            self._is_open = False
            self._arrived.notify()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT_S)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs: for the supervisor."""
        return self._thread.is_alive()

    def keep(
        self,
        *,
        link_id: int,
        device_id: int | None,
        driver: str,
        driver_version: str,
        lines: Sequence[TrafficLine],
        units: Sequence[ReceivedUnit],
    ) -> Awaitable[tuple[Receipt, ...]]:
        """Commit with fsync, then answer one receipt per unit; called on an event loop.

        A complete unit needs no line: the writer adds one that points to the inbox row. An incoming
        line without bytes stands for the next unit. Raises `KeepFailed` when nothing was stored.
        """
        size_bytes = 0
        for unit in units:
            size_bytes += len(unit.raw)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Receipt, ...]] = loop.create_future()
        job = _Waiting(
            link_id=link_id,
            device_id=device_id,
            driver=driver,
            driver_version=driver_version,
            lines=lines,
            units=units,
            loop=loop,
            future=future,
            size_bytes=size_bytes,
        )
        with self._arrived:
            if not self._is_open:
                raise KeepFailed("the inbox writer does not run")
            if len(self._queue) >= QUEUE_UNITS_MAX or self._queued_bytes >= QUEUE_BYTES_MAX:
                raise KeepFailed(f"{len(self._queue)} units wait for the disk already")
            self._queue.append(job)
            self._queued_bytes += size_bytes
            if self._is_idle:
                self._arrived.notify()
        return future

    def end_session(self, inbox_ids: Sequence[int], *, is_closed: bool) -> None:
        """Note whether EOT came after our last ACK; written with the next commit, nobody waits."""
        with self._arrived:
            self._ends.append(SessionEnd(tuple(inbox_ids), is_closed))
            if self._is_idle:
                self._arrived.notify()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        jobs: list[_Waiting] = []
        try:
            while True:
                jobs, ends = self._take()
                if not jobs and not ends:
                    return
                self._commit(jobs, ends)
        finally:
            with self._arrived:
                self._is_open = False
                jobs += self._queue
                self._queue.clear()
            _answer([(job, None) for job in jobs])
            self._close_table()

    def _take(self) -> tuple[list[_Waiting], list[SessionEnd]]:
        """Wait for work and take one commit's worth; nothing means that the writer was stopped."""
        jobs: list[_Waiting] = []
        units, size_bytes = 0, 0
        with self._arrived:
            while not self._queue and not self._ends and self._is_open:
                self._is_idle = True
                self._arrived.wait()
            self._is_idle = False
            while self._queue and units < COMMIT_UNITS_MAX and size_bytes < COMMIT_BYTES_MAX:
                job = self._queue.popleft()
                jobs.append(job)
                units += max(1, len(job.units))
                size_bytes += job.size_bytes
            self._queued_bytes -= size_bytes
            ends = list(self._ends)
            self._ends.clear()
        return jobs, ends

    def _commit(self, jobs: list[_Waiting], ends: list[SessionEnd]) -> None:
        """Commit together; where the content of one job cannot be stored, the others go alone."""
        try:
            with self._store.lock.held(Priority.INBOX, owner=OWNER):
                if self._table is None:
                    self._table = open_table(self._url)
                receipts = write_batch(self._table, jobs, ends)
        except (*STORE_ERRORS, StoreBusy, UnicodeError) as error:
            self._close_table()
            if len(jobs) > 1 and isinstance(error, CONTENT_ERRORS):
                for number, job in enumerate(jobs):
                    self._commit([job], [] if number else ends)
                return
            self._note_failure(error)
            _answer([(job, None) for job in jobs])
            return
        self._note_recovery()
        _answer(list(zip(jobs, receipts, strict=True)))
        if jobs:
            links = dict.fromkeys(str(job.link_id) for job in jobs if job.units)
            self._store.announce(tuple(Hint("inbox", link) for link in links))

    def _close_table(self) -> None:
        """Closing rolls back what was not committed."""
        if self._table is not None:
            self._table.close()
            self._table = None

    def _note_failure(self, error: Exception) -> None:
        if not self._is_failing:
            log.error("inbox_write_failed", reason=str(error))
        self._is_failing = True

    def _note_recovery(self) -> None:
        if self._is_failing:
            log.info("inbox_write_recovered")
        self._is_failing = False


def _answer(answers: Sequence[tuple[_Waiting, tuple[Receipt, ...] | None]]) -> None:
    """Wake each event loop once with everything that its links wait for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answered]] = {}
    for job, receipts in answers:
        by_loop.setdefault(job.loop, []).append((job.future, receipts))
    for loop, answered in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, answered)


def _resolve(answered: list[_Answered]) -> None:
    for future, receipts in answered:
        if future.done():  # the link was closed meanwhile; the unit is kept all the same
            continue
        if receipts is None:
            future.set_exception(KeepFailed("the store did not take it"))
        else:
            future.set_result(receipts)


# --- what happens to a message afterwards -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxCounts:
    """Promise 2 in numbers: what came in is processed, held, new or incomplete; nothing else."""

    received: int
    new: int
    processed: int
    held: int
    incomplete: int


def claim_new(session: Session, limit: int) -> list[Inbox]:
    """The oldest new messages of the result lane, in inbox order.

    Only looks; who processes them locks them in the unit that writes, and finds those that are still
    new. A reader may look before the write lock is taken.
    """
    return list(
        session.scalars(
            select(Inbox)
            .where(_IS_NEW, Inbox.lane == Lane.RESULT.value)
            .order_by(Inbox.id)
            .limit(limit)
        )
    )


def mark_processed(unit: Unit, inbox_id: int, verdict: Mapping[str, Any]) -> None:
    """The message was read and its content is stored."""
    _move(unit, inbox_id, InboxState.PROCESSED, verdict, "")


def mark_held(unit: Unit, inbox_id: int, reason: str, verdict: Mapping[str, Any]) -> None:
    """The message as a whole waits for a person."""
    _move(unit, inbox_id, InboxState.HELD, verdict, reason)


def store_reply(unit: Unit, inbox_id: int, reply: bytes) -> None:
    """Keep the answer to a request: a resend gets the same bytes."""
    unit.session.execute(update(Inbox).where(Inbox.id == inbox_id).values(reply=reply))


def stored_reply(session: Session, inbox_id: int) -> bytes | None:
    """The answer kept for a request, or None while there is none."""
    return session.scalars(select(Inbox.reply).where(Inbox.id == inbox_id)).one_or_none()


def inbox_counts(session: Session) -> InboxCounts:
    """How many messages stand where. Reads a whole index: for reconciling, not for a screen."""
    by_state = session.execute(select(Inbox.state, func.count()).group_by(Inbox.state)).all()
    counts = {row[0]: row[1] for row in by_state}
    return InboxCounts(
        received=session.execute(select(func.count()).select_from(Inbox)).scalar_one(),
        new=counts.get(InboxState.NEW, 0),
        processed=counts.get(InboxState.PROCESSED, 0),
        held=counts.get(InboxState.HELD, 0),
        incomplete=counts.get(InboxState.INCOMPLETE, 0),
    )


def _move(
    unit: Unit, inbox_id: int, state: InboxState, verdict: Mapping[str, Any], reason: str
) -> None:
    unit.session.execute(
        update(Inbox)
        .where(Inbox.id == inbox_id, Inbox.state == InboxState.NEW)
        .values(state=state, hold_reason=reason, verdict=dict(verdict), processed_at=unit.now)
    )
    unit.publish("inbox", inbox_id)
