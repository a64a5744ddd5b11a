"""TCP pipes over real loopback sockets."""

import asyncio
import ipaddress
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lis.transport import AddressError, LinkAddress, LinkLost, LinkSettings, Pipe, open_pipe
from lis.transport.address import TcpListen
from lis.transport.base import RECEIVE_LIMIT_BYTES, ArrivingPipe
from lis.transport.tcp import TcpListener, TcpPipe, listen_tcp
from tests.transport.wires import Peer, Served, drain, echo, receive_exactly

Call = Callable[..., Awaitable[Peer]]
TLS = Path(__file__).parent / "tls"


class Door:
    """An open listener on loopback and what it was given."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[TcpPipe] = asyncio.Queue()
        self.listeners: list[TcpListener] = []
        self.pipes: list[TcpPipe] = []

    async def open(self, **settings: object) -> int:
        target = TcpListen(host="127.0.0.1", port=0)
        listener = await listen_tcp(target, self.arrived.put_nowait, LinkSettings(**settings))
        self.listeners.append(listener)
        return int(listener.address.rpartition(":")[2])

    async def next(self) -> TcpPipe:
        self.pipes.append(await self.arrived.get())
        return self.pipes[-1]

    async def close(self) -> None:
        for pipe in self.pipes:
            await pipe.close()
        for listener in self.listeners:
            await listener.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    opened = Door()
    yield opened
    await opened.close()


async def test_bytes_go_both_ways_and_the_peer_has_a_name(door: Door, call: Call) -> None:
    port = await door.open()
    analyzer = await call(port)
    pipe = await door.next()

    analyzer.writer.write(b"\x05")
    assert await pipe.receive() == b"\x05"
    await pipe.send(b"\x06")

    assert await analyzer.reader.readexactly(1) == b"\x06"
    name = analyzer.writer.get_extra_info("sockname")
    assert pipe.peer == f"127.0.0.1:{name[1]}"


async def test_M7_small_answers_are_not_delayed_and_dead_peers_are_noticed(
    door: Door, call: Call
) -> None:
    await call(await door.open())
    pipe = await door.next()

    connection = pipe._writer.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def test_a_megabyte_goes_through_both_ways(door: Door, call: Call) -> None:
    data = random.Random(2).randbytes(1_000_000)
    analyzer = await call(await door.open())
    pipe = await door.next()

    sending = asyncio.create_task(pipe.send(data))
    assert await analyzer.reader.readexactly(len(data)) == data
    await sending
    analyzer.writer.write(data)

    assert await receive_exactly(pipe, len(data)) == data


async def test_one_read_is_bounded(door: Door, call: Call) -> None:
    analyzer = await call(await door.open())
    pipe = await door.next()
    analyzer.writer.write(bytes(1_000_000))

    assert 0 < len(await pipe.receive()) <= RECEIVE_LIMIT_BYTES


async def test_a_half_closed_peer_still_gets_its_answer(door: Door, call: Call) -> None:
    analyzer = await call(await door.open())
    pipe = await door.next()
    analyzer.writer.write(b"question")
    analyzer.writer.write_eof()

    assert await drain(pipe) == b"question"
    await pipe.send(b"answer")
    await pipe.close()

    assert await analyzer.reader.read() == b"answer"


async def test_a_reset_connection_is_a_lost_link(door: Door, call: Call) -> None:
    analyzer = await call(await door.open())
    pipe = await door.next()
    raw = analyzer.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    analyzer.writer.transport.abort()

    with pytest.raises(LinkLost, match=r"127\.0\.0\.1:\d+: "):
        await pipe.receive()
    with pytest.raises(LinkLost, match="closed"):
        await pipe.send(b"\x06")


async def test_a_peer_that_never_reads_is_dropped_after_the_send_timeout(
    door: Door, call: Call
) -> None:
    port = await door.open(send_timeout_s=0.05)
    await call(port, limit=1)
    pipe = await door.next()

    with pytest.raises(LinkLost, match=r"took no bytes for 0\.05 s"):
        await pipe.send(bytes(50_000_000))

    assert pipe._writer.transport.get_write_buffer_size() == 0
    with pytest.raises(LinkLost):
        await pipe.send(b"more")
    assert await pipe.receive() == b""


async def test_concurrent_sends_do_not_mix(door: Door, call: Call) -> None:
    analyzer = await call(await door.open())
    pipe = await door.next()
    messages = [bytes([letter]) * 200_000 for letter in b"abc"]

    sending = asyncio.gather(*(pipe.send(message) for message in messages))
    received = await analyzer.reader.readexactly(600_000)
    await sending

    assert received == b"".join(messages)


async def test_closing_wakes_our_receive_and_is_harmless_twice(door: Door, call: Call) -> None:
    analyzer = await call(await door.open())
    pipe = await door.next()
    receiving = asyncio.create_task(pipe.receive())

    await pipe.close()
    await pipe.close()

    assert await receiving == b""
    assert await pipe.receive() == b""
    assert await analyzer.reader.read() == b""
    with pytest.raises(LinkLost):
        await pipe.send(b"x")


async def test_closing_does_not_wait_for_a_peer_that_never_reads(
    door: Door, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lis.transport.tcp.CLOSE_TIMEOUT_S", 0.01)
    port = await door.open()
    await call(port, limit=1)
    pipe = await door.next()
    sending = asyncio.create_task(pipe.send(bytes(50_000_000)))
    while not pipe._writer.transport.get_write_buffer_size():
        await asyncio.sleep(0)

    await asyncio.gather(pipe.close(), pipe.close())

    with pytest.raises(LinkLost):
        await sending


async def test_a_host_name_is_resolved_to_one_address() -> None:
    listener = await listen_tcp(TcpListen(host="localhost", port=0), abort, LinkSettings())

    host, _, port = listener.address.rpartition(":")
    assert host in {"127.0.0.1", "[::1]"}
    assert int(port) > 0
    await listener.close()


def abort(pipe: ArrivingPipe) -> None:
    pipe.abort()


async def test_a_port_where_nobody_listens_is_a_lost_link(door: Door) -> None:
    port = await door.open()
    await door.listeners.pop().close()

    with pytest.raises(LinkLost, match=f"127.0.0.1:{port}: "):
        await open_pipe(LinkAddress.parse(f"tcp-connect://127.0.0.1:{port}"))


async def test_M11_only_allowed_peers_may_speak(served: Served, call: Call) -> None:
    elsewhere = (ipaddress.ip_network("10.1.2.0/24"),)
    link = served("tcp-listen://127.0.0.1:0", echo, allowed_peers=elsewhere)
    stranger = await call(await link.port())

    assert await stranger.reader.read() == b""
    assert link.states.empty()


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.1.3.3", False),
        ("fe80::1%eth0", True),
        ("2001:db8::1", False),
        ("", False),
    ],
)
def test_the_allow_list_knows_networks(host: str, is_allowed: bool) -> None:
    networks = (ipaddress.ip_network("10.1.2.0/24"), ipaddress.ip_network("fe80::/10"))

    assert LinkSettings(allowed_peers=networks).is_allowed(host) is is_allowed
    assert LinkSettings().is_allowed(host)


@pytest.mark.parametrize("host", ["0", "0x0", "0.0"])
async def test_a_host_name_that_hides_every_interface_is_found_when_resolved(host: str) -> None:
    with pytest.raises(AddressError, match="public=1"):
        await listen_tcp(TcpListen(host=host, port=0), abort, LinkSettings())


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "loopback.pem", TLS / "loopback.key")
    return context


async def test_M11_a_link_may_be_encrypted(served: Served) -> None:
    link = served("tcp-listen://127.0.0.1:0", echo, tls=server_context())
    trusting = ssl.create_default_context(cafile=TLS / "loopback.pem")
    address = LinkAddress.parse(f"tcp-connect://127.0.0.1:{await link.port()}")

    pipe = await open_pipe(address, LinkSettings(tls=trusting))
    await pipe.send(b"over TLS")

    assert await receive_exactly(pipe, 8) == b"over TLS"
    await pipe.close()


async def test_a_certificate_that_is_not_trusted_is_a_lost_link(served: Served) -> None:
    link = served("tcp-listen://127.0.0.1:0", echo, tls=server_context())
    address = LinkAddress.parse(f"tcp-connect://127.0.0.1:{await link.port()}")

    with pytest.raises(LinkLost, match="TLS: CERTIFICATE_VERIFY_FAILED"):
        await open_pipe(address, LinkSettings(tls=ssl.create_default_context()))


async def test_a_peer_without_tls_never_replaces_one_with_it(served: Served, call: Call) -> None:
    served_peers: asyncio.Queue[str] = asyncio.Queue()

    async def note(pipe: Pipe) -> None:
        served_peers.put_nowait(pipe.peer)
        await echo(pipe)

    link = served("tcp-listen://127.0.0.1:0", note, tls=server_context())
    port = await link.port()
    trusting = ssl.create_default_context(cafile=TLS / "loopback.pem")
    pipe = await open_pipe(
        LinkAddress.parse(f"tcp-connect://127.0.0.1:{port}"), LinkSettings(tls=trusting)
    )
    plain = await call(port)
    plain.writer.write(b"\x05H|\\^&\r no TLS here")

    assert await plain.reader.read() is not None
    await pipe.send(b"still here")
    assert await receive_exactly(pipe, 10) == b"still here"
    assert served_peers.qsize() == 1
    await pipe.close()


def test_M11_tls_older_than_1_2_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED

    with pytest.raises(AddressError, match="at least TLSv1_2"):
        LinkSettings(tls=context)
