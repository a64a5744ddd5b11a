"""TCP pipes: called by us, or accepted by a listener; with TLS where a context is given.

Small answers matter more than throughput here (an ACK is one byte), so Nagle is off. A cable that was pulled
says nothing: keep-alive asks after a minute of silence and gives up about a minute later. An idle but living
link stays open for ever, as analyzers expect.

The write buffer of asyncio is switched off: when `send` returns, the bytes are with the kernel.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

import structlog

from lis.transport.address import TcpConnect, TcpListen, host_and_port, is_numeric, is_unspecified
from lis.transport.base import (
    CLOSE_TIMEOUT_S,
    RECEIVE_LIMIT_BYTES,
    SEND_SLICE_BYTES,
    SEND_TIMEOUT_S,
    AddressError,
    ArrivingPipe,
    LinkLost,
    slices,
)
from lis.transport.settings import LinkSettings

# A host in the same building answers in milliseconds; a lost SYN is repeated after 1, 3 and 7 s.
CONNECT_TIMEOUT_S = 10.0
TLS_HANDSHAKE_TIMEOUT_S = 10.0

# Together a dead peer is found after 60 + 4 * 15 = 120 s of silence.
KEEPALIVE_IDLE_S = 60
KEEPALIVE_INTERVAL_S = 15
KEEPALIVE_PROBES = 4

# Connections the kernel may hold while we are busy; peers beyond it are asked to come again.
LISTEN_BACKLOG = 16

# Addresses whose refusal was logged: enough to find a wrong setting, not enough to fill the disk.
REFUSALS_LOGGED_MAX = 64

log = structlog.get_logger()


class TcpPipe:
    """One TCP connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        name = writer.get_extra_info("peername")
        self.peer = host_and_port(name[0], name[1]) if name else "unknown peer"
        self.host: str = name[0] if name else ""
        self._reader = reader
        self._writer = writer
        self._send_timeout_s = send_timeout_s
        self._is_closed = False
        self._shutting: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        writer.transport.set_write_buffer_limits(high=0)
        _tune(writer.get_extra_info("socket"))

    async def receive(self) -> bytes:
        data = b"" if self._is_closed else await self._read()
        # What arrived while we were closing was not acknowledged: the peer still has it.
        return b"" if self._is_closed else data

    async def send(self, data: bytes) -> None:
        async with self._sending:
            for piece in slices(data, SEND_SLICE_BYTES):
                await self._send_piece(piece)

    async def close(self) -> None:
        # A task of its own: the handler and the loop above may both close, and either may be cancelled.
        if self._shutting is None:
            self._shutting = asyncio.create_task(self._shut())
        await asyncio.shield(self._shutting)

    async def _shut(self) -> None:
        self._is_closed = True
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except OSError:
            # A peer that is gone, or does not read our last bytes, cannot be taken leave of.
            self._writer.transport.abort()

    def abort(self) -> None:
        """Cut at once, without flushing or waiting."""
        self._is_closed = True
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(RECEIVE_LIMIT_BYTES)
        except OSError as error:
            if self._is_closed:
                return b""
            raise LinkLost(f"{self.peer}: {_cause(error)}") from error

    async def _send_piece(self, piece: bytes) -> None:
        if self._is_closed or self._writer.is_closing():
            raise LinkLost(f"{self.peer}: connection is closed")
        try:
            self._writer.write(piece)
            async with asyncio.timeout(self._send_timeout_s):
                await self._writer.drain()
        except TimeoutError as error:
            self.abort()
            raise LinkLost(f"{self.peer} took no bytes for {self._send_timeout_s} s") from error
        except OSError as error:
            raise LinkLost(f"{self.peer}: {_cause(error)}") from error


async def connect_tcp(target: TcpConnect, settings: LinkSettings) -> TcpPipe:
    """Call the address. Raises `LinkLost` when nobody answers."""
    where = host_and_port(target.host, target.port)
    handshake_s = TLS_HANDSHAKE_TIMEOUT_S if settings.tls else None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                target.host,
                target.port,
                limit=RECEIVE_LIMIT_BYTES,
                ssl=settings.tls,
                ssl_handshake_timeout=handshake_s,
            )
    except TimeoutError as error:
        raise LinkLost(f"{where}: no answer in {CONNECT_TIMEOUT_S} s") from error
    except OSError as error:
        raise LinkLost(f"{where}: {_cause(error)}") from error
    return TcpPipe(reader, writer, send_timeout_s=settings.send_timeout_s)


class TcpListener:
    """An open listening socket that hands each allowed peer to `arrive`."""

    def __init__(self, server: asyncio.Server, address: str) -> None:
        self._server = server
        self.address = address

    async def close(self) -> None:
        """Stop listening. Pipes that were handed over live on."""
        self._server.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._server.wait_closed()
        except TimeoutError:
            # From Python 3.12 this also waits for TLS handshakes under way; they end by their own time-out.
            log.warning("listener_closed_during_handshake", address=self.address)


async def listen_tcp(
    target: TcpListen, arrive: Callable[[ArrivingPipe], None], settings: LinkSettings
) -> TcpListener:
    """Listen on the address.

    Raises `LinkLost` when it cannot be had (taken, or the interface is down) and `AddressError` when it turns
    out to mean every interface without `public=1`.
    """
    admit = _Doorkeeper(arrive, settings).admit
    where = host_and_port(target.host, target.port)
    try:
        host = await _one_address(target)
        server = await asyncio.start_server(
            admit,
            host,
            target.port,
            limit=RECEIVE_LIMIT_BYTES,
            backlog=LISTEN_BACKLOG,
            ssl=settings.tls,
            ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S if settings.tls else None,
        )
    except OSError as error:
        raise LinkLost(f"cannot listen on {where}: {_cause(error)}") from error
    bound = server.sockets[0].getsockname()
    return TcpListener(server, host_and_port(bound[0], bound[1]))


class _Doorkeeper:
    """Lets allowed peers in, and logs each refused address once."""

    def __init__(self, arrive: Callable[[ArrivingPipe], None], settings: LinkSettings) -> None:
        self._arrive = arrive
        self._settings = settings
        self._refused: set[str] = set()

    def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = TcpPipe(reader, writer, send_timeout_s=self._settings.send_timeout_s)
        if self._settings.is_allowed(pipe.host):
            self._arrive(pipe)
            return
        pipe.abort()
        if pipe.host not in self._refused and len(self._refused) < REFUSALS_LOGGED_MAX:
            self._refused.add(pipe.host)
            log.warning("peer_refused", link=self._settings.name, peer=pipe.host)


async def _one_address(target: TcpListen) -> str:
    """The one numeric address to bind, so that port 0 is one port and a hidden 0.0.0.0 is seen."""
    host = target.host if is_numeric(target.host) else await _resolve(target.host)
    if is_unspecified(host) and not target.public:
        raise AddressError(
            f"link tcp-listen://{target.host}: expected the address of one interface, or ?public=1 to "
            f"listen on all of them, got {host}"
        )
    return host


async def _resolve(name: str) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # macOS has another name; its demo does without
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return error.strerror or str(error) or type(error).__name__
