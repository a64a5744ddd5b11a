"""`serve_link`: the one loop that keeps a link alive.

    listening (tcp-listen, memory)      calling (tcp-connect, serial)

      LISTENING <──────┐                  CONNECTED <─────┐
        │ peer comes   │ last peer left     │ pipe ends    │ opened again
        v              │                    v              │
      CONNECTED ───────┘                  LOST ── back-off ┘

Both end in STOPPED when `stop` is set. A listener whose address cannot be had (taken, or the interface is not
up yet) is LOST as well and tries again with the same back-off: the network often comes up after us.

A link that flaps reports and logs once when it is lost and once when it is back, however many attempts lie
between. Only `LinkLost` is expected; whatever else a handler raises ends the link and goes up to the
supervisor, which logs, alarms and starts it again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import structlog

from lis.transport.address import (
    FolderTarget,
    LinkAddress,
    MemoryTarget,
    SerialTarget,
    TcpConnect,
    TcpListen,
)
from lis.transport.backoff import (
    BACKOFF_HEALTHY_AFTER_S,
    BACKOFF_HIGHEST_S,
    BACKOFF_LOCAL_HIGHEST_S,
    wait_before_retry_s,
)
from lis.transport.base import AddressError, LinkLost, LinkState, OnState, Pipe
from lis.transport.memory import MemoryNetwork
from lis.transport.serial_port import open_serial
from lis.transport.settings import LinkSettings
from lis.transport.tcp import connect_tcp, listen_tcp
from lis.transport.visit import OnPipe, Visit
from lis.transport.visitors import Visitors

log = structlog.get_logger()

_T = TypeVar("_T")


async def serve_link(
    address: LinkAddress,
    on_pipe: OnPipe,
    *,
    on_state: OnState,
    stop: asyncio.Event,
    settings: LinkSettings | None = None,
) -> None:
    """Keep the link open and run `on_pipe` for each pipe, until `stop` is set.

    When `stop` is set, or a newer peer takes the place, the pipe is closed under the handler: its `receive`
    gives `b""`, its `send` raises `LinkLost`; it has `HANDLER_END_TIMEOUT_S` to return. Raises `AddressError` for
    an address that cannot be served, and whatever `on_pipe` raised other than `LinkLost`.
    """
    settings = settings or LinkSettings()
    keeper = _Keeper(settings.name or address.url, on_state, stop, settings)
    match address.target:
        case TcpListen() | MemoryTarget():
            await _keep_listening(address, on_pipe, keeper)
        case TcpConnect() | SerialTarget():
            is_local = isinstance(address.target, SerialTarget) and "://" not in address.target.port
            keeper.wait_highest_s = BACKOFF_LOCAL_HIGHEST_S if is_local else BACKOFF_HIGHEST_S
            await _keep_calling(address, on_pipe, keeper)
        case FolderTarget():
            raise _not_a_pipe(address)
    on_state(LinkState.STOPPED, "")


async def open_pipe(address: LinkAddress, settings: LinkSettings | None = None) -> Pipe:
    """Open one pipe as the calling side, without keeping it alive: for simulators and tools.

    Raises `LinkLost` when it cannot be opened now, `AddressError` when this address cannot be called.
    """
    settings = settings or LinkSettings()
    match address.target:
        case TcpConnect() as target:
            return await connect_tcp(target, settings)
        case SerialTarget() as port:
            return await open_serial(port, send_timeout_s=settings.send_timeout_s)
        case MemoryTarget(name=name):
            return _network(address, settings).connect(name)
        case TcpListen():
            raise AddressError(f"link {address.url!r}: expected an address to call, got a listener")
        case FolderTarget():
            raise _not_a_pipe(address)


class _Keeper:
    """What every link loop needs: report each change once, count failures, wait, hear `stop`."""

    def __init__(
        self, name: str, on_state: OnState, stop: asyncio.Event, settings: LinkSettings
    ) -> None:
        self.name = name
        self.on_state = on_state
        self.stop = stop
        self.settings = settings
        self.wait_highest_s = BACKOFF_HIGHEST_S
        self._failures = 0
        self._is_lost = False

    def found(self, where: str) -> None:
        """The link is open. Logged only where it had been lost."""
        if self._is_lost:
            log.info("link_back", link=self.name, peer=where)
        self._is_lost = False

    def lost(self, reason: str) -> None:
        """The link is not open. Reported and logged once, until it is back."""
        if not self._is_lost:
            log.warning("link_lost", link=self.name, reason=reason)
            self.on_state(LinkState.LOST, reason)
        self._is_lost = True

    def forgive(self) -> None:
        """The pipe was a working one: the next wait is the shortest again."""
        self._failures = 0

    async def wait_before_retry(self) -> None:
        self._failures += 1
        chance = self.settings.chance()
        wait_s = wait_before_retry_s(self._failures, chance, highest_s=self.wait_highest_s)
        await self.unless_stopped(self.settings.sleep(wait_s))

    async def unless_stopped(self, work: Awaitable[_T]) -> _T | None:
        """The result of `work`, or None when `stop` came first; then `work` was cancelled."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return None if task.cancelled() else task.result()


# ---- we listen


class _Listener(Protocol):
    @property
    def address(self) -> str: ...
    async def close(self) -> None: ...


async def _keep_listening(address: LinkAddress, on_pipe: OnPipe, keeper: _Keeper) -> None:
    while not keeper.stop.is_set():
        visitors = Visitors(
            name=keeper.name,
            address=address.url,
            on_pipe=on_pipe,
            on_state=keeper.on_state,
            settings=keeper.settings,
        )
        try:
            listener = await _listen(address, visitors, keeper.settings)
        except LinkLost as lost:
            keeper.lost(str(lost))
            await keeper.wait_before_retry()
            continue
        keeper.found(listener.address)
        async with _closing(listener):
            visitors.listening_at(listener.address)
            await visitors.serve(keeper.stop)


async def _listen(address: LinkAddress, visitors: Visitors, settings: LinkSettings) -> _Listener:
    match address.target:
        case TcpListen() as target:
            return await listen_tcp(target, visitors.arrive, settings)
        case MemoryTarget(name=name):
            network = _network(address, settings)
            network.listen(name, visitors.arrive)
            return _MemoryListener(network, name)
        case _:
            raise AssertionError(address)


class _MemoryListener:
    def __init__(self, network: MemoryNetwork, name: str) -> None:
        self._network = network
        self._name = name
        self.address = f"memory://{name}"

    async def close(self) -> None:
        self._network.stop_listening(self._name)


@asynccontextmanager
async def _closing(listener: _Listener) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await listener.close()


# ---- we call


async def _keep_calling(address: LinkAddress, on_pipe: OnPipe, keeper: _Keeper) -> None:
    while not keeper.stop.is_set():
        try:
            pipe = await keeper.unless_stopped(open_pipe(address, keeper.settings))
        except LinkLost as lost:
            keeper.lost(str(lost))
            await keeper.wait_before_retry()
            continue
        if pipe is None:
            return
        opened_at_s = keeper.settings.monotonic_s()
        keeper.found(pipe.peer)
        reason = await _serve_one(pipe, on_pipe, keeper)
        if keeper.stop.is_set():
            return
        if keeper.settings.monotonic_s() - opened_at_s >= BACKOFF_HEALTHY_AFTER_S:
            keeper.forgive()
        keeper.lost(reason)
        await keeper.wait_before_retry()


async def _serve_one(pipe: Pipe, on_pipe: OnPipe, keeper: _Keeper) -> str:
    """Run the handler to its end, or to ours. Returns why it ended."""
    visit = Visit(pipe, on_pipe)
    keeper.on_state(LinkState.CONNECTED, pipe.peer)
    stopping = asyncio.create_task(keeper.stop.wait())
    try:
        await asyncio.wait({visit.task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await visit.dismiss()
    return visit.outcome()


def _network(address: LinkAddress, settings: LinkSettings) -> MemoryNetwork:
    if settings.memory is None:
        raise AddressError(f"link {address.url!r}: expected a memory network in the settings")
    return settings.memory


def _not_a_pipe(address: LinkAddress) -> AddressError:
    return AddressError(f"link {address.url!r}: expected a byte link, got a folder")
