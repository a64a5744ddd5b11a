"""A serial cable with its speed: two ptys, and a byte takes its time from one to the other.

    laboratory -- pySerial -- pty A   paced   pty B -- pySerial -- analyzer

Beside it a path that comes and goes, as /dev/ttyUSB0 does when somebody pulls the adapter out.
"""

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BYTES_PER_S_9600_8N1 = 960.0  # ten bit times a byte
CHUNK_BYTES = 24  # a receiver sees 9600 baud in pieces of 25 ms


class PacedLine:
    """Must be entered inside a running loop; `a` and `b` are device names."""

    def __init__(self, bytes_per_s: float = BYTES_PER_S_9600_8N1) -> None:
        self._rate = bytes_per_s
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters.append(master)
            self._slaves.append(slave)
        self.a, self.b = (os.ttyname(slave) for slave in self._slaves)
        self.carried_bytes = 0
        self._carriers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "PacedLine":
        one, other = self._masters
        self._carriers = [
            asyncio.create_task(self._carry(one, other)),
            asyncio.create_task(self._carry(other, one)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pull_out()

    async def pull_out(self) -> None:
        """The adapter is gone: both ends fail, as an unplugged device does. Harmless twice."""
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        while self._masters:
            os.close(self._slaves.pop())
            os.close(self._masters.pop())

    async def _carry(self, source: int, target: int) -> None:
        while True:
            await _until_readable(source)
            data = os.read(source, CHUNK_BYTES)
            await asyncio.sleep(len(data) / self._rate)
            os.write(target, data)
            self.carried_bytes += len(data)


async def _until_readable(descriptor: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


@contextmanager
def device(path: Path, target: str) -> Iterator[None]:
    """A device path that is there as long as the block runs."""
    path.symlink_to(target)
    try:
        yield
    finally:
        path.unlink()
