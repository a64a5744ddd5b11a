"""What the tests of this floor hold in their hands: running links, the far end of a socket or pty, a manual sleep."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lis.transport import LinkState, Pipe

Served = Callable[..., "RunningLink"]


@dataclass
class RunningLink:
    """A `serve_link` in a task of its own, and what it said about itself."""

    task: asyncio.Task[None]
    stop: asyncio.Event
    states: asyncio.Queue[tuple[LinkState, str]]
    history: list[LinkState] = field(default_factory=list)

    async def reaches(self, wanted: LinkState) -> str:
        """The detail of the next report, which must be of this state."""
        state, detail = await self.states.get()
        self.history.append(state)
        assert state is wanted, f"expected {wanted}, got {state} {detail!r}"
        return detail

    async def port(self) -> int:
        return int((await self.reaches(LinkState.LISTENING)).rpartition(":")[2])

    async def end(self) -> None:
        self.stop.set()
        await self.task


class ManualSleep:
    """A sleep that lasts until the test says so."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        over = asyncio.Event()
        self._asked.put_nowait((seconds, over))
        await over.wait()

    async def begun(self) -> tuple[float, asyncio.Event]:
        """Wait until somebody sleeps: how long it would be, and the event that ends it."""
        return await self._asked.get()

    async def next_wait(self) -> float:
        """Wait until somebody sleeps, end that sleep, and say how long it would have been."""
        seconds, over = await self.begun()
        over.set()
        return seconds


@dataclass
class Pty:
    """A pseudo-terminal: the test holds the analyzer's end, pyserial opens `path`."""

    master: int
    slave: int
    path: str

    @classmethod
    def open(cls) -> "Pty":
        master, slave = os.openpty()
        return cls(master, slave, os.ttyname(slave))

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self.master, data)

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await asyncio.to_thread(os.read, self.master, size - len(data))
        return data

    def let_go_of_slave(self) -> None:
        """As long as the test holds the slave too, closing the master is not seen as unplugging."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def unplug(self) -> None:
        self.let_go_of_slave()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


async def echo(pipe: Pipe) -> None:
    """Send back what comes, until the peer closes."""
    while data := await pipe.receive():
        await pipe.send(data)


async def receive_exactly(pipe: Pipe, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await pipe.receive()
        assert piece, f"closed after {len(data)} of {size} bytes"
        data += piece
    return data


async def drain(pipe: Pipe) -> bytes:
    """Everything up to the close."""
    data = bytearray()
    while piece := await pipe.receive():
        data += piece
    return bytes(data)


class Peer:
    """The other end as plain asyncio streams: nothing of lis in it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
