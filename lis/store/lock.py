"""One fair write lock per process.

SQLite admits one writer, and its own waiting is unfair: whoever polls at the right moment wins, and a
second writer with 10 ms transactions pushes the first one's commits to seconds. So every write of this
process passes this lock first, and SQLite's own lock is then always free (but for other processes).

Order of service: the smaller `Priority` first, first come first served within one. A waiter that was
passed over `PASSED_OVER_MAX` times goes before everybody, oldest first, so that the outbox is never
starved by a busy bench. The bound is a count of grants, not a time: it needs no clock and can be tested
exactly. The lock is handed over directly to the chosen waiter; nobody can barge in between.

On PostgreSQL the database keeps writers apart by row; there the lock only measures.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

import structlog

log = structlog.get_logger()

PASSED_OVER_MAX = 8  # grants; at <= 20 ms a transaction nobody waits much longer than 160 ms
LONG_HOLD_S = 0.020  # DESIGN 3: no transaction over 20 ms; a longer one is reported
WAIT_MAX_S = 30.0  # a writer that waits longer fails loudly: something holds the lock for ever


class Priority(IntEnum):
    """Who goes first. An analyzer waits for its ACK with a timer; a background job with none."""

    INBOX = 0
    PEOPLE = 1
    INTAKE = 2
    OUTBOX = 3
    BACKGROUND = 4


class StoreBusy(Exception):
    """The write lock did not become free in time."""


@dataclass(slots=True, eq=False)
class _Waiter:
    priority: Priority
    granted: threading.Event = field(default_factory=threading.Event)
    passed_over: int = 0


class WriteLock:
    """The lock described above. `is_exclusive=False` admits everybody and only measures."""

    def __init__(self, *, is_exclusive: bool = True, wait_max_s: float = WAIT_MAX_S) -> None:
        self._is_exclusive = is_exclusive
        self._wait_max_s = wait_max_s
        self._mutex = threading.Lock()
        self._is_held = False
        self._waiters: list[_Waiter] = []  # in order of arrival
        self.longest_hold_s = 0.0  # since the process started: for the metrics page

    @contextmanager
    def held(self, priority: Priority, *, owner: str) -> Iterator[None]:
        """Hold the lock; raise `StoreBusy` when it does not become free in time."""
        if self._is_exclusive:
            self._acquire(priority, owner)
        started = time.perf_counter()
        try:
            yield
        finally:
            if self._is_exclusive:
                self._release()
            self._measure(time.perf_counter() - started, priority, owner)

    def waiting(self) -> int:
        """How many wait now."""
        with self._mutex:
            return len(self._waiters)

    def _acquire(self, priority: Priority, owner: str) -> None:
        with self._mutex:
            if not self._is_held:
                self._is_held = True
                return
            waiter = _Waiter(priority)
            self._waiters.append(waiter)
        if waiter.granted.wait(self._wait_max_s):
            return
        with self._mutex:
            if waiter.granted.is_set():  # granted between the time-out and here
                return
            self._waiters.remove(waiter)
        raise StoreBusy(f"{owner} waited {self._wait_max_s} s for the write lock")

    def _release(self) -> None:
        with self._mutex:
            if not self._waiters:
                self._is_held = False
                return
            chosen = choose_next(self._waiters)
            position = self._waiters.index(chosen)
            for earlier in self._waiters[:position]:
                earlier.passed_over += 1
            del self._waiters[position]
            chosen.granted.set()

    def _measure(self, held_s: float, priority: Priority, owner: str) -> None:
        self.longest_hold_s = max(self.longest_hold_s, held_s)
        if held_s > LONG_HOLD_S:
            log.warning(
                "long_transaction",
                owner=owner,
                priority=priority.name.lower(),
                held_ms=round(held_s * 1000, 1),
            )


def choose_next(waiters: list[_Waiter]) -> _Waiter:
    """Pure: who of `waiters` (in order of arrival, at least one) is served next."""
    starving = [waiter for waiter in waiters if waiter.passed_over >= PASSED_OVER_MAX]
    if starving:
        return starving[0]
    return min(waiters, key=lambda waiter: waiter.priority)  # min keeps the first of equals
