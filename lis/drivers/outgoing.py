"""Where messages of our own leave a link, and where their answers come back.

A port belongs to one analyzer. Whoever holds its open connection (a session) opens it; whoever has something to say
calls `exchange` and waits for the acknowledgement whose MSA-2 is the MSH-10 of its message. One message is on its
way at a time. An answer to anything else is late and means nothing: it is journalled by the session, and dropped.

`turn` keeps the order of things on an analyzer that asks: while its question is being answered nothing of ours goes
out, so the reply always comes before the order that belongs to it (LAW-R01), also where the two travel on
different connections.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lis.transport import LinkLost

Send = Callable[[bytes], Awaitable[None]]


class OutgoingPort:
    """The way to one analyzer."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._one_at_a_time = asyncio.Lock()
        self._opened = asyncio.Event()
        self._send: Send | None = None
        self._hang_up: Callable[[], Awaitable[None]] | None = None
        self._waiting: tuple[str, asyncio.Future[bytes | str]] | None = None

    @property
    def is_open(self) -> bool:
        return self._send is not None

    async def until_open(self) -> None:
        """Wait until a connection is there."""
        await self._opened.wait()

    def open(self, send: Send, hang_up: Callable[[], Awaitable[None]]) -> None:
        """A connection is there; a newer one takes the place of an older."""
        self._fail("another connection took its place")
        self._send, self._hang_up = send, hang_up
        self._opened.set()

    def close(self, send: Send) -> None:
        """That connection has ended."""
        if self._send != send:
            return
        self._send = self._hang_up = None
        self._opened.clear()
        self._fail("the connection ended before the answer came")

    async def hang_up(self) -> None:
        """End the connection, so that a late answer can never meet another message (M9)."""
        if self._hang_up is not None:
            await self._hang_up()

    def offer(self, control_id: str, payload: bytes) -> bool:
        """An acknowledgement came; whether somebody waited for it."""
        if self._waiting is None or self._waiting[0] != control_id:
            return False
        _, future = self._waiting
        if future.done():
            return False
        future.set_result(payload)
        return True

    async def exchange(self, payload: bytes, *, control_id: str, wait_s: float) -> bytes | None:
        """Send a message and wait for its acknowledgement; None when none came in time. Raises `LinkLost`."""
        async with self._one_at_a_time:
            future: asyncio.Future[bytes | str] = asyncio.get_running_loop().create_future()
            try:
                async with self.turn:
                    if self._send is None:
                        raise LinkLost("no connection to the analyzer")
                    self._waiting = (control_id, future)
                    await self._send(payload)
                async with asyncio.timeout(wait_s):
                    answer = await future
            except TimeoutError:
                return None
            finally:
                self._waiting = None
        if isinstance(answer, str):
            raise LinkLost(answer)
        return answer

    def _fail(self, reason: str) -> None:
        """Tell whoever waits why no answer will come."""
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_result(reason)
