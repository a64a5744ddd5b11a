"""Reading a pipe with a deadline, and a pipe that was read a little too early."""

import asyncio

from lis.transport import Pipe


async def read_until(pipe: Pipe, *deadlines: float | None) -> bytes | None:
    """The next bytes; None when the earliest deadline (loop time) came first; b"" at the end."""
    given = [deadline for deadline in deadlines if deadline is not None]
    if not given:
        return await pipe.receive()
    try:
        async with asyncio.timeout_at(min(given)):
            return await pipe.receive()
    except TimeoutError:
        return None


class ResumedPipe:
    """A pipe whose first bytes somebody else has read already."""

    def __init__(self, pipe: Pipe, first: bytes) -> None:
        self._pipe = pipe
        self._first = first

    @property
    def peer(self) -> str:
        return self._pipe.peer

    async def receive(self) -> bytes:
        if self._first:
            data, self._first = self._first, b""
            return data
        return await self._pipe.receive()

    async def send(self, data: bytes) -> None:
        await self._pipe.send(data)

    async def close(self) -> None:
        await self._pipe.close()
