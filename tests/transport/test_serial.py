"""Serial pipes over real ptys and pySerial's own URLs."""

import asyncio
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lis.transport import LinkAddress, LinkLost, LinkSettings, Pipe, open_pipe
from lis.transport.address import SerialTarget
from lis.transport.serial_port import SERIAL_BUFFER_BYTES, present_ports
from tests.transport.wires import Pty, drain, open_descriptors, receive_exactly

NewPty = Callable[[], Pty]


async def open_serial(path: str, query: str = "", **settings: object) -> Pipe:
    return await open_pipe(LinkAddress.parse(f"serial://{path}{query}"), LinkSettings(**settings))


RATES = [f"?baudrate={rate}" for rate in (1200, 2400, 4800, 9600, 300, 19200, 38400)]
FORMATS = ["bytesize=7&parity=E", "bytesize=7&parity=O&stopbits=2", "bytesize=8&parity=E"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        *RATES,
        *(f"?baudrate=9600&{form}" for form in FORMATS),
        "?baudrate=9600&bytesize=8&parity=N&stopbits=1",
        "?baudrate=115200&rtscts=1",
    ],
)
async def test_L1_01_every_setting_of_the_standard_opens_a_port(
    new_pty: NewPty, query: str
) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path, query)

    await pty.write(b"\x05")
    assert await pipe.receive() == b"\x05"
    await pipe.send(b"\x06")

    assert await pty.read(1) == b"\x06"
    assert pipe.peer == pty.path
    await pipe.close()


def test_L1_01_a_serial_link_is_9600_8n1_where_nothing_is_said() -> None:
    target = LinkAddress.parse("serial:///dev/ttyS0").target
    assert isinstance(target, SerialTarget)
    said = (target.baudrate, target.bytesize, target.parity, target.stopbits)
    assert said == (9600, 8, "N", 1)


async def test_every_byte_value_passes_unchanged(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    every_byte = bytes(range(256))

    await pty.write(every_byte)
    assert await receive_exactly(pipe, 256) == every_byte
    await pipe.send(every_byte)

    assert await pty.read(256) == every_byte
    await pipe.close()


async def test_a_megabyte_goes_through_a_pty_both_ways(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    data = random.Random(3).randbytes(1_000_000)

    writing = asyncio.create_task(asyncio.to_thread(write_all, pty.master, data))
    assert await receive_exactly(pipe, len(data)) == data
    await writing
    reading = asyncio.create_task(pty.read(len(data)))
    await pipe.send(data)

    assert await reading == data
    await pipe.close()


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data[:4096]) :]


async def test_a_slow_reader_bounds_what_is_kept(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    data = bytes(1_000_000)
    writing = asyncio.create_task(asyncio.to_thread(write_all, pty.master, data))

    received = len(await pipe.receive())
    while received < len(data):
        # One read of the thread may come on top of a buffer that was nearly full.
        assert len(pipe._buffer) <= SERIAL_BUFFER_BYTES + 4096
        received += len(await pipe.receive())

    await writing
    await pipe.close()


async def test_an_unplugged_port_is_a_lost_link(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    receiving = asyncio.create_task(pipe.receive())
    await pty.write(b"half a fra")
    assert await receiving == b"half a fra"

    pty.unplug()

    with pytest.raises(LinkLost, match=pty.path):
        await pipe.receive()
    with pytest.raises(LinkLost):
        await pipe.send(b"\x15")
    await pipe.close()


async def test_a_port_that_takes_nothing_is_lost_after_the_send_timeout(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path, send_timeout_s=0.05)
    receiving = asyncio.create_task(pipe.receive())

    with pytest.raises(LinkLost, match="timeout"):
        await pipe.send(bytes(100_000))

    with pytest.raises(LinkLost, match="timeout"):
        await receiving
    with pytest.raises(LinkLost):
        await pipe.send(b"more")
    await pipe.close()


async def test_closing_wakes_receive_and_is_harmless_twice_and_at_once(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    receiving = asyncio.create_task(pipe.receive())
    await asyncio.sleep(0)

    await asyncio.gather(pipe.close(), pipe.close())
    await pipe.close()

    assert await receiving == b""
    assert await pipe.receive() == b""
    with pytest.raises(LinkLost, match="closed"):
        await pipe.send(b"x")


async def test_closing_ends_a_stuck_send(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)
    sending = asyncio.create_task(pipe.send(bytes(100_000)))
    await pty.read(256)

    await pipe.close()

    with pytest.raises(LinkLost):
        await sending


async def test_a_second_program_cannot_open_the_same_port(new_pty: NewPty) -> None:
    pty = new_pty()
    pipe = await open_serial(pty.path)

    with pytest.raises(LinkLost, match=pty.path):
        await open_serial(pty.path)
    await pipe.close()


@pytest.mark.parametrize("url", ["serial:///dev/no-such-port", "serial+nonsense://x"])
async def test_a_port_that_is_not_there_is_a_lost_link(url: str) -> None:
    with pytest.raises(LinkLost):
        await open_pipe(LinkAddress.parse(url))


async def test_loop_back_url_of_pyserial_works() -> None:
    pipe = await open_pipe(LinkAddress.parse("serial+loop://?baudrate=115200"))

    await pipe.send(b"\x02frame\x03")
    assert await receive_exactly(pipe, 7) == b"\x02frame\x03"
    await pipe.close()


async def test_a_serial_to_tcp_box_works_through_pyserials_socket_url() -> None:
    async def box(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1) + b"K")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(box, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pipe = await open_pipe(LinkAddress.parse(f"serial+socket://127.0.0.1:{port}"))

    await pipe.send(b"O")
    assert await receive_exactly(pipe, 2) == b"OK"
    with pytest.raises(LinkLost, match="disconnected"):
        await drain(pipe)
    await pipe.close()
    server.close()
    await server.wait_closed()


async def test_no_thread_and_no_descriptor_is_left_behind(new_pty: NewPty) -> None:
    pty = new_pty()
    threads, descriptors = threading.active_count(), open_descriptors()

    for _ in range(5):
        pipe = await open_serial(pty.path)
        await pipe.send(b"\x05")
        await pipe.close()

    assert threading.active_count() == threads
    assert open_descriptors() == descriptors


async def test_a_cancelled_opening_leaves_nothing_behind(new_pty: NewPty) -> None:
    pty = new_pty()
    threads = set(threading.enumerate())
    opening = asyncio.create_task(open_serial(pty.path))
    await asyncio.sleep(0)

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for thread in set(threading.enumerate()) - threads:
        thread.join()

    again = await open_serial(pty.path)
    await again.close()


def test_present_ports_are_devices() -> None:
    assert all(Path(name).is_absolute() for name in present_ports())
