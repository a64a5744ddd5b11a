"""Pipes without a wire, for tests and for simulators that live in the same process.

    ours, theirs = memory_pair()

What one end sends, the other receives. Like a socket the pair is bounded: after `MEMORY_BUFFER_BYTES` that
nobody read, `send` waits, and a peer that never reads ends as `LinkLost`. Like a socket it can break:
`lose()` makes both ends raise, as an unplugged cable does.

A `MemoryNetwork` gives pipes names, so that `memory://xn-1` is a link like any other: `serve_link` listens on
the name and `connect` is the analyzer's call. It is an object, not a global: two laboratories in one process
do not hear each other.
"""

import asyncio
from collections.abc import Callable

from lis.transport.base import RECEIVE_LIMIT_BYTES, SEND_TIMEOUT_S, ArrivingPipe, LinkLost

# As much as a loopback socket holds by default, near enough.
MEMORY_BUFFER_BYTES = 65_536


class _Lane:
    """Bytes on their way in one direction."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.is_finished = False  # the writer closed: what is here may be read, then b""
        self.is_deaf = False  # the reader closed: writing is pointless
        self.is_lost = False
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        # The event wakes all who wait now; each looks again for itself.
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def has_news(self) -> bool:
        return bool(self.bytes) or self.is_finished or self.is_deaf or self.is_lost

    def is_broken(self) -> bool:
        return self.is_finished or self.is_deaf or self.is_lost

    def takes_bytes(self) -> bool:
        return len(self.bytes) < MEMORY_BUFFER_BYTES or self.is_broken()


class MemoryPipe:
    """One end of a pair."""

    def __init__(
        self, *, peer: str, incoming: _Lane, outgoing: _Lane, send_timeout_s: float
    ) -> None:
        self.peer = peer
        self._in = incoming
        self._out = outgoing
        self._send_timeout_s = send_timeout_s
        self._sending = asyncio.Lock()

    async def receive(self) -> bytes:
        lane = self._in
        await lane.until(lane.has_news)
        if lane.is_deaf:
            return b""
        if lane.is_lost:
            raise LinkLost(f"memory pipe to {self.peer} was cut")
        data = bytes(lane.bytes[:RECEIVE_LIMIT_BYTES])
        del lane.bytes[:RECEIVE_LIMIT_BYTES]
        lane.tell()
        return data

    async def send(self, data: bytes) -> None:
        sent = 0
        async with self._sending:
            while sent < len(data):
                sent += await self._send_some(data[sent : sent + MEMORY_BUFFER_BYTES])

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Close; here there is nothing to flush."""
        self._in.is_deaf = True
        self._in.tell()
        self.finish_sending()

    def finish_sending(self) -> None:
        """Half-close, as a socket does with shutdown: the other end reads on, we still receive."""
        self._out.is_finished = True
        self._out.tell()

    def lose(self) -> None:
        """Cut the cable: both ends raise `LinkLost` from now on."""
        for lane in (self._in, self._out):
            lane.is_lost = True
            lane.tell()

    async def _send_some(self, data: bytes) -> int:
        lane = self._out
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await lane.until(lane.takes_bytes)
        except TimeoutError:
            self.abort()
            raise LinkLost(f"{self.peer} took no bytes for {self._send_timeout_s} s") from None
        if lane.is_broken():
            raise LinkLost(f"memory pipe to {self.peer} is closed")
        taken = data[: MEMORY_BUFFER_BYTES - len(lane.bytes)]
        lane.bytes += taken
        lane.tell()
        return len(taken)


def memory_pair(
    *, names: tuple[str, str] = ("memory:a", "memory:b"), send_timeout_s: float = SEND_TIMEOUT_S
) -> tuple[MemoryPipe, MemoryPipe]:
    """Two ends of one pipe; each has the other's name as its peer."""
    there, back = _Lane(), _Lane()
    first = MemoryPipe(peer=names[1], incoming=back, outgoing=there, send_timeout_s=send_timeout_s)
    second = MemoryPipe(peer=names[0], incoming=there, outgoing=back, send_timeout_s=send_timeout_s)
    return first, second


class MemoryNetwork:
    """Names for memory pipes: who listens, and how to reach them."""

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[ArrivingPipe], None]] = {}
        self._calls = 0

    def listen(self, name: str, arrive: Callable[[ArrivingPipe], None]) -> None:
        """Hand every caller of `name` to `arrive`. Raises `LinkLost` where somebody listens already."""
        if name in self._listeners:
            raise LinkLost(f"memory://{name} has a listener already")
        self._listeners[name] = arrive

    def stop_listening(self, name: str) -> None:
        """Callers of `name` are refused from now on."""
        del self._listeners[name]

    def connect(self, name: str) -> MemoryPipe:
        """Our end of a new pipe to whoever listens. Raises `LinkLost` where nobody does."""
        arrive = self._listeners.get(name)
        if arrive is None:
            raise LinkLost(f"nobody listens on memory://{name}")
        self._calls += 1
        ours, theirs = memory_pair(names=(f"memory://{name}#{self._calls}", f"memory://{name}"))
        arrive(theirs)
        return ours
