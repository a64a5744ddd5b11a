"""The loop that keeps a link alive."""

import asyncio
import random
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lis.transport import (
    AddressError,
    LinkAddress,
    LinkLost,
    LinkSettings,
    LinkState,
    MemoryNetwork,
    Pipe,
    open_pipe,
    serve_link,
)
from tests.transport.wires import (
    ManualSleep,
    Peer,
    Pty,
    Served,
    echo,
    open_descriptors,
    receive_exactly,
)

Call = Callable[..., Awaitable[Peer]]
NewPty = Callable[[], Pty]


class Diary:
    """A handler that echoes and writes down who came and who went."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.live = 0
        self.live_max = 0

    async def __call__(self, pipe: Pipe) -> None:
        self.live += 1
        self.live_max = max(self.live, self.live_max)
        self.entries.append(f"came {pipe.peer}")
        try:
            await echo(pipe)
        finally:
            self.live -= 1
            self.entries.append(f"went {pipe.peer}")


# ---- we listen


async def test_the_real_port_is_reported_and_peers_are_served(served: Served, call: Call) -> None:
    link = served("tcp-listen://127.0.0.1:0", echo)
    analyzer = await call(await link.port())
    analyzer.writer.write(b"\x05")

    assert await analyzer.reader.readexactly(1) == b"\x05"
    assert (await link.reaches(LinkState.CONNECTED)).startswith("127.0.0.1:")

    await analyzer.close()
    await link.reaches(LinkState.LISTENING)
    await link.end()
    await link.reaches(LinkState.STOPPED)


async def test_a_new_connection_replaces_the_old_one(served: Served, call: Call) -> None:
    diary = Diary()
    link = served("tcp-listen://127.0.0.1:0", diary)
    port = await link.port()
    old = await call(port)
    first_name = await link.reaches(LinkState.CONNECTED)
    new = await call(port)
    second_name = await link.reaches(LinkState.CONNECTED)

    assert await old.reader.read() == b""
    new.writer.write(b"me")
    assert await new.reader.readexactly(2) == b"me"
    assert diary.entries == [f"came {first_name}", f"went {first_name}", f"came {second_name}"]
    assert diary.live_max == 1


async def test_the_old_handler_ends_before_the_new_one_begins(served: Served, call: Call) -> None:
    finish_commit = asyncio.Event()
    entries: list[str] = []

    async def commits_slowly(pipe: Pipe) -> None:
        entries.append("began")
        await pipe.receive()
        await finish_commit.wait()
        entries.append("ended")

    link = served("tcp-listen://127.0.0.1:0", commits_slowly)
    port = await link.port()
    await call(port)
    await link.reaches(LinkState.CONNECTED)
    middle = await call(port)
    newest = await call(port)
    # Of two that wait for the slow commit only the newest is kept.
    assert await middle.reader.read() == b""
    assert entries == ["began"]
    finish_commit.set()
    name = await link.reaches(LinkState.CONNECTED)

    assert entries[:2] == ["began", "ended"]
    assert name.endswith(f":{newest.writer.get_extra_info('sockname')[1]}")


async def test_a_handler_that_does_not_come_to_an_end_is_cancelled(
    served: Served, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lis.transport.visit.HANDLER_END_TIMEOUT_S", 0.01)
    never = asyncio.Event()

    async def hangs(pipe: Pipe) -> None:
        await never.wait()

    link = served("tcp-listen://127.0.0.1:0", hangs)
    port = await link.port()
    await call(port)
    await link.reaches(LinkState.CONNECTED)
    await call(port)

    await link.reaches(LinkState.CONNECTED)
    await link.end()


async def test_an_emr_link_serves_several_peers_at_once(served: Served, call: Call) -> None:
    diary = Diary()
    link = served("tcp-listen://127.0.0.1:0", diary, single_peer=False, peers_max=3)
    port = await link.port()
    peers = [await call(port) for _ in range(3)]
    for number, peer in enumerate(peers):
        await link.reaches(LinkState.CONNECTED)
        peer.writer.write(bytes([number]))
        assert await peer.reader.readexactly(1) == bytes([number])

    one_too_many = await call(port)
    assert await one_too_many.reader.read() == b""
    assert diary.live == 3

    await peers.pop().close()
    await peers.pop().close()
    peers[0].writer.write(b"still here")
    assert await peers[0].reader.readexactly(10) == b"still here"
    await peers[0].close()
    await link.reaches(LinkState.LISTENING)
    assert diary.live == 0


@pytest.mark.parametrize("single_peer", [True, False])
async def test_a_crash_of_the_handler_reaches_the_supervisor(
    served: Served, call: Call, single_peer: bool
) -> None:
    async def crashes(pipe: Pipe) -> None:
        await pipe.receive()
        raise ZeroDivisionError("a defect")

    link = served("tcp-listen://127.0.0.1:0", crashes, single_peer=single_peer)
    analyzer = await call(await link.port())
    analyzer.writer.write(b"x")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        await link.task
    assert await analyzer.reader.read() == b""


@pytest.mark.parametrize("how", ["stopped", "replaced"])
async def test_a_crash_while_being_dismissed_is_not_hidden(
    served: Served, call: Call, how: str
) -> None:
    async def crashes_at_the_end(pipe: Pipe) -> None:
        await pipe.receive()
        raise ZeroDivisionError("a defect")

    link = served("tcp-listen://127.0.0.1:0", crashes_at_the_end)
    port = await link.port()
    await call(port)
    await link.reaches(LinkState.CONNECTED)
    if how == "stopped":
        link.stop.set()
    else:
        await call(port)

    with pytest.raises(ZeroDivisionError):
        await link.task


async def test_a_lost_peer_is_no_crash(served: Served, call: Call) -> None:
    async def sends_to_the_departed(pipe: Pipe) -> None:
        raise LinkLost(f"{pipe.peer}: gone")

    link = served("tcp-listen://127.0.0.1:0", sends_to_the_departed)
    port = await link.port()
    await call(port)
    await link.reaches(LinkState.CONNECTED)
    await link.reaches(LinkState.LISTENING)
    await call(port)

    await link.reaches(LinkState.CONNECTED)


async def test_a_listener_can_be_restarted_on_its_port(served: Served, call: Call) -> None:
    first = served("tcp-listen://127.0.0.1:0", echo)
    port = await first.port()
    await call(port)
    await first.reaches(LinkState.CONNECTED)
    await first.end()

    second = served(f"tcp-listen://127.0.0.1:{port}", echo)
    assert await second.port() == port
    again = await call(port)
    again.writer.write(b"back")
    assert await again.reader.readexactly(4) == b"back"


async def test_a_taken_port_is_tried_again_until_it_is_free(served: Served) -> None:
    sleep = ManualSleep()
    first = served("tcp-listen://127.0.0.1:0", echo)
    port = await first.port()
    second = served(f"tcp-listen://127.0.0.1:{port}", echo, sleep=sleep, chance=lambda: 1.0)

    assert "cannot listen" in await second.reaches(LinkState.LOST)
    wait_s, over = await sleep.begun()
    await first.end()
    over.set()

    assert await second.port() == port
    assert wait_s == 1.0


async def test_stop_closes_the_pipe_under_the_handler_and_waits_for_it(
    served: Served, call: Call
) -> None:
    diary = Diary()
    link = served("tcp-listen://127.0.0.1:0", diary)
    analyzer = await call(await link.port())
    await link.reaches(LinkState.CONNECTED)

    await link.end()

    assert [entry.split()[0] for entry in diary.entries] == ["came", "went"]
    assert await analyzer.reader.read() == b""


async def test_a_cancelled_link_leaves_nothing_behind(call: Call) -> None:
    states: asyncio.Queue[tuple[LinkState, str]] = asyncio.Queue()
    diary = Diary()
    descriptors = open_descriptors()
    link = asyncio.create_task(
        serve_link(
            LinkAddress.parse("tcp-listen://127.0.0.1:0"),
            diary,
            on_state=lambda state, detail: states.put_nowait((state, detail)),
            stop=asyncio.Event(),
        )
    )
    _, address = await states.get()
    analyzer = await call(int(address.rpartition(":")[2]))
    await states.get()

    link.cancel()
    with pytest.raises(asyncio.CancelledError):
        await link
    await analyzer.close()

    assert diary.live == 0
    assert open_descriptors() == descriptors


# ---- we call


async def test_a_calling_link_comes_back_after_growing_waits(served: Served, call: Call) -> None:
    sleep = ManualSleep()
    server = served("tcp-listen://127.0.0.1:0", echo)
    port = await server.port()
    diary = Diary()
    link = served(f"tcp-connect://127.0.0.1:{port}", diary, sleep=sleep, chance=lambda: 1.0)
    assert await link.reaches(LinkState.CONNECTED) == f"127.0.0.1:{port}"

    await server.end()
    await link.reaches(LinkState.LOST)
    waits = [await sleep.next_wait() for _ in range(4)]
    last_wait, over = await sleep.begun()
    back = served(f"tcp-listen://127.0.0.1:{port}", echo)
    await back.port()
    over.set()

    await link.reaches(LinkState.CONNECTED)
    assert [*waits, last_wait] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert link.history == [LinkState.CONNECTED, LinkState.LOST, LinkState.CONNECTED]


@pytest.mark.parametrize(("lived_s", "waits"), [(4.9, [1.0, 2.0, 4.0]), (5.0, [1.0, 1.0, 1.0])])
async def test_only_a_connection_that_worked_resets_the_waits(
    served: Served, lived_s: float, waits: list[float]
) -> None:
    sleep = ManualSleep()
    now = [0.0]

    async def hangs_up(pipe: Pipe) -> None:
        now[0] += lived_s

    server = served("tcp-listen://127.0.0.1:0", echo)
    link = served(
        f"tcp-connect://127.0.0.1:{await server.port()}",
        hangs_up,
        sleep=sleep,
        chance=lambda: 1.0,
        monotonic_s=lambda: now[0],
    )

    assert [await sleep.next_wait() for _ in range(3)] == waits
    await link.reaches(LinkState.CONNECTED)
    await link.reaches(LinkState.LOST)


async def test_a_link_logs_once_when_lost_and_once_when_back(served: Served) -> None:
    sleep = ManualSleep()
    network = MemoryNetwork()
    server = served("tcp-listen://127.0.0.1:0", echo, memory=network)
    port = await server.port()

    with capture_logs() as logs:
        link = served(f"tcp-connect://127.0.0.1:{port}", echo, sleep=sleep, name="c111-1")
        await link.reaches(LinkState.CONNECTED)
        await server.end()
        for _ in range(5):
            await sleep.next_wait()
        _, over = await sleep.begun()
        back = served(f"tcp-listen://127.0.0.1:{port}", echo)
        await back.port()
        over.set()
        await link.reaches(LinkState.LOST)
        await link.reaches(LinkState.CONNECTED)

    ours = [entry["event"] for entry in logs if entry.get("link") == "c111-1"]
    assert ours == ["link_lost", "link_back"]


@pytest.mark.parametrize("moment", ["waiting", "served"])
async def test_a_calling_link_stops_at_once(served: Served, moment: str) -> None:
    sleep = ManualSleep()
    server = served("tcp-listen://127.0.0.1:0", echo)
    port = await server.port()
    link = served(f"tcp-connect://127.0.0.1:{port}", echo, sleep=sleep)
    await link.reaches(LinkState.CONNECTED)
    if moment == "waiting":
        await server.end()
        await link.reaches(LinkState.LOST)

    await link.end()

    await link.reaches(LinkState.STOPPED)


async def test_a_crash_on_a_calling_link_reaches_the_supervisor(served: Served) -> None:
    async def crashes(pipe: Pipe) -> None:
        raise ZeroDivisionError

    server = served("tcp-listen://127.0.0.1:0", echo)
    link = served(f"tcp-connect://127.0.0.1:{await server.port()}", crashes)

    with pytest.raises(ZeroDivisionError):
        await link.task


async def test_an_unplugged_serial_port_is_opened_again_when_it_is_back(
    served: Served, new_pty: NewPty, tmp_path: Path
) -> None:
    sleep = ManualSleep()
    device = tmp_path / "ttyUSB0"
    first, second = new_pty(), new_pty()
    device.symlink_to(first.path)
    link = served(f"serial://{device}?baudrate=9600", echo, sleep=sleep)
    await link.reaches(LinkState.CONNECTED)
    await first.write(b"one")
    assert await first.read(3) == b"one"

    device.unlink()
    first.unplug()
    assert str(device) in await link.reaches(LinkState.LOST)
    await sleep.next_wait()
    _, over = await sleep.begun()  # the first attempt found no device
    device.symlink_to(second.path)
    over.set()

    assert await link.reaches(LinkState.CONNECTED) == str(device)
    await second.write(b"two")
    assert await second.read(3) == b"two"


async def test_however_long_a_serial_port_was_away_it_is_looked_for_every_four_seconds(
    served: Served, tmp_path: Path
) -> None:
    sleep = ManualSleep()
    link = served(f"serial://{tmp_path / 'ttyUSB0'}", echo, sleep=sleep, chance=lambda: 1.0)
    await link.reaches(LinkState.LOST)

    waits = [await sleep.next_wait() for _ in range(12)]

    assert waits == [1.0, 2.0] + [4.0] * 10


async def test_a_served_serial_port_leaves_no_thread_and_no_descriptor(
    served: Served, new_pty: NewPty
) -> None:
    pty = new_pty()
    threads, descriptors = threading.active_count(), open_descriptors()

    for _ in range(3):
        link = served(f"serial://{pty.path}", echo)
        await link.reaches(LinkState.CONNECTED)
        await link.end()

    assert threading.active_count() == threads
    assert open_descriptors() == descriptors


# ---- memory and folder


async def test_a_memory_link_is_a_link_like_any_other(served: Served) -> None:
    network = MemoryNetwork()
    link = served("memory://xn-1", echo, memory=network)
    assert await link.reaches(LinkState.LISTENING) == "memory://xn-1"

    first = network.connect("xn-1")
    await link.reaches(LinkState.CONNECTED)
    second = await open_pipe(LinkAddress.parse("memory://xn-1"), LinkSettings(memory=network))
    await link.reaches(LinkState.CONNECTED)
    data = random.Random(4).randbytes(1_000_000)
    sending = asyncio.create_task(second.send(data))

    assert await receive_exactly(second, len(data)) == data
    await sending
    assert await first.receive() == b""
    await link.end()
    with pytest.raises(LinkLost):
        network.connect("xn-1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("folder:///srv/in", "expected a byte link, got a folder"),
        ("memory://xn-1", "expected a memory network"),
    ],
)
async def test_what_cannot_be_served_says_so(url: str, message: str) -> None:
    address = LinkAddress.parse(url)

    with pytest.raises(AddressError, match=message):
        await serve_link(address, echo, on_state=lambda *_: None, stop=asyncio.Event())
    with pytest.raises(AddressError, match=message):
        await open_pipe(address)


async def test_a_listener_cannot_be_called_by_its_own_url() -> None:
    with pytest.raises(AddressError, match="got a listener"):
        await open_pipe(LinkAddress.parse("tcp-listen://127.0.0.1:15001"))


def test_only_one_module_imports_pyserial() -> None:
    floor = Path(__file__).parents[2] / "lis"
    importing = [
        path.name
        for path in floor.rglob("*.py")
        if re.search(r"^(import|from) serial\b", path.read_text(), re.MULTILINE)
    ]

    assert importing == ["serial_port.py"]
