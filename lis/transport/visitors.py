"""The peers of one listening link.

An instrument has one cable, so its link has one peer. Peers that lose power or a switch come back without
having said goodbye, while the old connection still looks alive: therefore **a new connection replaces the old
one**. The old pipe is closed and its handler awaited first, so that two handlers never serve one link. Of
several that arrive meanwhile, the newest stays.

An EMR may keep several connections at once (`single_peer` off). There the limit refuses newcomers, since no
connection is known to be dead.
"""

import asyncio
from collections import deque

import structlog

from lis.transport.base import ArrivingPipe, LinkState, OnState
from lis.transport.settings import LinkSettings
from lis.transport.visit import OnPipe, Visit

# Accepted connections that wait for the loop below, where several may be served. A single-peer link keeps one.
ARRIVALS_WAITING_MAX = 8

log = structlog.get_logger()


class Visitors:
    """Takes what a listener accepts and serves it."""

    def __init__(
        self, *, name: str, address: str, on_pipe: OnPipe, on_state: OnState, settings: LinkSettings
    ) -> None:
        self._name = name
        self._address = address
        self._on_pipe = on_pipe
        self._on_state = on_state
        self._peers_max = 1 if settings.single_peer else settings.peers_max
        self._waiting: deque[ArrivingPipe] = deque()
        self._waiting_max = 1 if settings.single_peer else ARRIVALS_WAITING_MAX
        self._knock = asyncio.Event()
        self._visits: list[Visit] = []
        self._is_open = True

    def arrive(self, pipe: ArrivingPipe) -> None:
        """Called by the listener for each accepted connection; does not wait."""
        if not self._is_open:
            pipe.abort()
            return
        if len(self._waiting) >= self._waiting_max:
            self._waiting.popleft().abort()
        self._waiting.append(pipe)
        self._knock.set()

    def listening_at(self, address: str) -> None:
        """The listener is open; `address` holds the real port."""
        self._address = address
        self._on_state(LinkState.LISTENING, address)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Raises what a handler crashed with; nobody is served after that."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._wait_for_change(stopping)
                self._see_off_the_ended()
                await self._let_in_the_waiting()
        finally:
            stopping.cancel()
            await self._close()
        for visit in self._visits:
            visit.outcome()

    async def _wait_for_change(self, stopping: "asyncio.Task[bool]") -> None:
        knocking = asyncio.create_task(self._knock.wait())
        tasks = {stopping, knocking, *(visit.task for visit in self._visits)}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            knocking.cancel()
        self._knock.clear()

    def _see_off_the_ended(self) -> None:
        ended = [visit for visit in self._visits if visit.task.done()]
        self._visits = [visit for visit in self._visits if not visit.task.done()]
        for visit in ended:
            log.info("peer_left", link=self._name, reason=visit.outcome())
        if ended and not self._visits:
            self._on_state(LinkState.LISTENING, self._address)

    async def _let_in_the_waiting(self) -> None:
        while self._waiting:
            if self._peers_max == 1:
                await self._replace_old_peer()
            pipe = self._waiting.popleft()
            if len(self._visits) >= self._peers_max:
                log.warning(
                    "peer_refused", link=self._name, peer=pipe.peer, reason="too many peers"
                )
                pipe.abort()
                continue
            log.info("peer_came", link=self._name, peer=pipe.peer)
            self._visits.append(Visit(pipe, self._on_pipe))
            self._on_state(LinkState.CONNECTED, pipe.peer)

    async def _replace_old_peer(self) -> None:
        for visit in self._visits:
            log.info("peer_replaced", link=self._name, peer=visit.pipe.peer)
            await visit.dismiss()
        replaced, self._visits = self._visits, []
        for visit in replaced:
            visit.outcome()

    async def _close(self) -> None:
        self._is_open = False
        while self._waiting:
            self._waiting.popleft().abort()
        await asyncio.gather(*(visit.dismiss() for visit in self._visits))
