"""The bus: news of what changed, never the truth.

After each commit the store hands over hints (a topic and an id). Subscribers in this process are worker
loops and live pages; in other processes they are reached through MQTT when it is configured. Losing a
hint costs latency, not a result: every worker also looks at the database at a fixed pace, and a page that
reconnects asks again. So a queue that is full may forget its oldest hint.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from lis.store.unit import Hint

QUEUE_HINTS_MAX: Final = (
    10_000  # per subscriber; a page that is this far behind re-reads everything
)


class Subscription:
    """One subscriber's queue, safe to fill from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, topics: frozenset[str]) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Hint] = asyncio.Queue(QUEUE_HINTS_MAX)
        self.topics = topics
        self.forgotten = 0

    def offer(self, hints: tuple[Hint, ...]) -> None:
        """Add hints from any thread."""
        wanted = [hint for hint in hints if not self.topics or hint.topic in self.topics]
        if wanted and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, wanted)

    def _put(self, hints: list[Hint]) -> None:
        for hint in hints:
            if self._queue.full():
                self._queue.get_nowait()
                self.forgotten += 1
            self._queue.put_nowait(hint)

    async def next(self, timeout_s: float) -> Hint | None:
        """The next hint, or None after `timeout_s`.

        Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that meets a hint, and a
        worker that was told to stop would go on for ever.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def drain(self) -> tuple[Hint, ...]:
        """Everything that is waiting now."""
        found = []
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        return tuple(found)

    async def batches(self) -> AsyncIterator[tuple[Hint, ...]]:
        """Hints as they come, everything that waited together in one batch, without repetition."""
        while True:
            first = await self._queue.get()
            yield tuple(dict.fromkeys((first, *self.drain())))


class Bus:
    """Hands hints to every subscriber of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    def publish(self, hints: tuple[Hint, ...]) -> None:
        """Tell everybody; called by the store after a commit, from any thread."""
        with self._lock:
            subscriptions = tuple(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(hints)

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[Subscription]:
        """Listen on the running loop to some topics (none named = all) while the block lasts."""
        subscription = Subscription(asyncio.get_running_loop(), frozenset(topics))
        with self._lock:
            self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.remove(subscription)
