"""Fixtures: running links, callers and ptys that are gone after the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from lis.transport import LinkAddress, LinkSettings, LinkState, OnPipe, serve_link
from tests.transport.wires import Peer, Pty, RunningLink, Served


@pytest.fixture(autouse=True)
async def no_thread_pool_left_behind() -> AsyncIterator[None]:
    """The thread pool of the loop (names to resolve, `to_thread`) ends with the test, not a moment later."""
    yield
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Start links; they are stopped after the test, and a crash nobody looked at fails it."""
    running: list[RunningLink] = []

    def start(url: str, on_pipe: OnPipe, **settings: object) -> RunningLink:
        stop = asyncio.Event()
        states: asyncio.Queue[tuple[LinkState, str]] = asyncio.Queue()
        link = serve_link(
            LinkAddress.parse(url),
            on_pipe,
            on_state=lambda state, detail: states.put_nowait((state, detail)),
            stop=stop,
            settings=LinkSettings(**settings),
        )
        running.append(RunningLink(asyncio.create_task(link), stop, states))
        return running[-1]

    yield start
    for link in running:
        if not link.task.done():
            await link.end()


@pytest.fixture
def new_pty() -> Iterator[Callable[[], Pty]]:
    made: list[Pty] = []

    def make() -> Pty:
        made.append(Pty.open())
        return made[-1]

    yield make
    for pty in made:
        pty.unplug()


@pytest.fixture
async def call() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Call a port on loopback."""
    peers: list[Peer] = []

    async def connect(port: int, **options: object) -> Peer:
        peers.append(Peer(*await asyncio.open_connection("127.0.0.1", port, **options)))
        return peers[-1]

    yield connect
    for peer in peers:
        await peer.close()
