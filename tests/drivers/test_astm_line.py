"""The whole line, as a technician meets it: both roles on TCP, a slow cable, an adapter that is pulled out.

The probe of tests/wire is played over these wires too.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.drivers.session import run_session
from lis.drivers.session_events import Answered
from lis.transport import (
    LinkAddress,
    LinkLost,
    LinkSettings,
    LinkState,
    Pipe,
    open_pipe,
    serve_link,
)
from lis.wire import astm_settings
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_frame import ACK, ENQ, blocks_of
from lis.wire.capture import Direction
from tests.drivers.paced_line import BYTES_PER_S_9600_8N1, PacedLine, device
from tests.drivers.test_astm_session import ANSWER, QUERY, RESULT
from tests.drivers.test_captures import CASES, check_units, load, replay
from tests.drivers.wires import Host, Instrument
from tests.wire.astm_harness import Bench
from tests.wire.test_astm_probe import SCENARIOS, Scenario, pieces_of

WAIT_S = 20.0
QUICK = astm_settings.LinkSettings(quiet_end_s=0.05)
FAST_BYTES_PER_S = 92_160.0  # the 64 kB frame of the probe, which a slow line carries for a minute
SLOW_MAX_BYTES = 2_000

# Captures up to this size go over the slow cable; all of them with LIS_SERIAL_BYTES=1000000.
CAPTURE_BYTES_MAX = int(os.environ.get("LIS_SERIAL_BYTES", "500"))


@asynccontextmanager
async def house(
    url: str, host: Host, serve: Callable[[Pipe], Any] | None = None, **settings: Any
) -> AsyncIterator[asyncio.Queue[tuple[LinkState, str]]]:
    """A link of ours (or `serve` at its place) and what it says of itself."""
    stop, states = asyncio.Event(), asyncio.Queue[tuple[LinkState, str]]()

    async def session(pipe: Pipe) -> None:
        await run_session(
            pipe,
            protocol=Protocol.ASTM,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            astm_settings=QUICK,
        )

    link = asyncio.create_task(
        serve_link(
            LinkAddress.parse(url),
            serve or session,
            on_state=lambda state, detail: states.put_nowait((state, detail)),
            stop=stop,
            settings=LinkSettings(**settings),
        )
    )
    try:
        yield states
    finally:
        stop.set()
        await link


async def reaches(states: asyncio.Queue[tuple[LinkState, str]], wanted: LinkState) -> str:
    async with asyncio.timeout(WAIT_S):
        while True:
            state, detail = await states.get()
            if state is wanted:
                return detail


def kept(host: Host, *, whole: bool = True) -> list[tuple[bytes, ...]]:
    return [decode_raw(unit.raw) for unit in host.shelf.units if unit.is_complete == whole]


# ------------------------------------------------------------------------------- both roles


async def test_L1_02_the_instrument_calls_us() -> None:
    host = Host()
    async with house("tcp-listen://127.0.0.1:0", host) as states:
        where = await reaches(states, LinkState.LISTENING)
        pipe = await open_pipe(LinkAddress.parse(f"tcp-connect://{where}"))
        await Instrument(pipe).send(RESULT)
        await pipe.close()
    assert kept(host) == [tuple(RESULT)]


async def test_L1_02_we_call_the_instrument() -> None:
    host, sent = Host(), asyncio.Event()

    async def instrument(pipe: Pipe) -> None:
        if not sent.is_set():
            await Instrument(pipe).send(RESULT)
            sent.set()
        while await pipe.receive():
            pass

    async with house("tcp-listen://127.0.0.1:0", host, instrument) as states:
        where = await reaches(states, LinkState.LISTENING)
        async with house(f"tcp-connect://{where}", host):
            await asyncio.wait_for(sent.wait(), WAIT_S)
    assert kept(host) == [tuple(RESULT)]


# -------------------------------------------------------------------------------- the probe


async def played(pipe: Pipe, scenario: Scenario) -> bytes:
    """What the far end hears: as many answers as there should be."""
    asked = Bench()
    first = len(asked.feed(scenario.first) + asked.wait(0.5))
    heard = b""
    if scenario.first:
        await pipe.send(scenario.first)
        heard = await hear(pipe, first)
    sending = asyncio.create_task(send_all(pipe, pieces_of(scenario)))
    heard += await hear(pipe, len(scenario.answers) - len(heard))
    await sending
    return heard


async def send_all(pipe: Pipe, pieces: list[bytes]) -> None:
    for piece in pieces:
        await pipe.send(piece)


async def hear(pipe: Pipe, count: int) -> bytes:
    heard = b""
    async with asyncio.timeout(WAIT_S):
        while len(heard) < count:
            heard += await pipe.receive()
    return heard


probe = pytest.mark.parametrize("scenario", SCENARIOS, ids=[item.name for item in SCENARIOS])


@probe
async def test_the_receiver_passes_the_probe_over_tcp(scenario: Scenario) -> None:
    host = Host()
    async with house("tcp-listen://127.0.0.1:0", host) as states:
        where = await reaches(states, LinkState.LISTENING)
        pipe = await open_pipe(LinkAddress.parse(f"tcp-connect://{where}"))
        heard = await played(pipe, scenario)
        await pipe.close()
        await reaches(states, LinkState.LISTENING)
    assert heard == scenario.answers
    assert kept(host) == list(scenario.messages)


@probe
async def test_the_receiver_passes_the_probe_over_a_serial_line(scenario: Scenario) -> None:
    host = Host()
    rate = BYTES_PER_S_9600_8N1 if len(scenario.bytes) < SLOW_MAX_BYTES else FAST_BYTES_PER_S
    async with PacedLine(rate) as line, house(f"serial://{line.a}?baudrate=9600", host) as states:
        await reaches(states, LinkState.CONNECTED)
        pipe = await open_pipe(LinkAddress.parse(f"serial://{line.b}"))
        heard = await played(pipe, scenario)
        await until_kept(host, len(scenario.messages))
        await pipe.close()
    assert heard == scenario.answers
    assert kept(host) == list(scenario.messages)
    size_bytes = len(scenario.first) + len(scenario.bytes) + len(scenario.answers)
    assert line.carried_bytes <= size_bytes


async def until_kept(host: Host, count: int) -> None:
    """The last unit may have no answer that could be waited for."""
    async with asyncio.timeout(WAIT_S):
        while sum(unit.is_complete for unit in host.shelf.units) < count:
            host.shelf.started.clear()
            await host.shelf.started.wait()
            await asyncio.sleep(0)


# ------------------------------------------------------------------------------ a slow cable


async def test_results_a_query_and_its_answer_at_9600_baud() -> None:
    host = Host(answers={1: ANSWER})
    async with PacedLine() as line, house(f"serial://{line.a}?baudrate=9600", host) as states:
        await reaches(states, LinkState.CONNECTED)
        pipe = await open_pipe(LinkAddress.parse(f"serial://{line.b}?baudrate=9600"))
        instrument = Instrument(pipe)
        await instrument.send(QUERY)
        assert await asyncio.wait_for(instrument.receive(), WAIT_S) == ANSWER
        await instrument.send(RESULT)
        await pipe.close()
    assert kept(host) == [tuple(QUERY), tuple(RESULT)]
    assert host.of(Answered) == [Answered(inbox_id=1, attempts=1)]


def size_of(path: Path) -> int:
    _, chunks, _ = load(path)
    return sum(len(chunk.data) for chunk in chunks if chunk.direction is Direction.IN)


SMALL = [path for path in CASES if size_of(path) <= CAPTURE_BYTES_MAX]


@pytest.mark.parametrize("path", SMALL, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_capture_means_the_same_at_9600_baud(path: Path) -> None:
    profile, chunks, expected = load(path)
    host = Host()

    async def serve(pipe: Pipe) -> None:
        await run_session(
            pipe,
            profile=registry.get(profile.key),
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )

    async with PacedLine() as line, house(f"serial://{line.a}", host, serve) as states:
        await reaches(states, LinkState.CONNECTED)
        pipe = await open_pipe(LinkAddress.parse(f"serial://{line.b}"))
        await replay(pipe, chunks, "whole")
        await until_kept(host, len(expected))
        await pipe.close()
    check_units(profile, [unit.raw for unit in host.shelf.units], expected)


# ------------------------------------------------------------- an adapter that is pulled out


async def test_an_adapter_pulled_out_in_mid_message_is_back_by_itself(tmp_path: Path) -> None:
    host, path, waits = Host(), tmp_path / "ttyUSB0", asyncio.Queue[float]()
    is_back = asyncio.Event()

    async def wait(seconds: float) -> None:
        waits.put_nowait(seconds)
        await is_back.wait()

    async with PacedLine(FAST_BYTES_PER_S) as first, PacedLine(FAST_BYTES_PER_S) as second:
        with device(path, first.a):
            link = house(f"serial://{path}?baudrate=9600", host, sleep=wait, chance=lambda: 1.0)
            states = await link.__aenter__()
            await reaches(states, LinkState.CONNECTED)
            pipe = await open_pipe(LinkAddress.parse(f"serial://{first.b}"))
            for made in [ENQ, *blocks_of(RESULT)[:3]]:
                await pipe.send(made)
                assert await hear(pipe, 1) == ACK
        await first.pull_out()
        await pipe.close()
        assert str(path) in await reaches(states, LinkState.LOST)
        assert await waits.get() <= 1.0  # the first look; later ones at most four seconds apart

        with device(path, second.a):
            is_back.set()
            assert await reaches(states, LinkState.CONNECTED) == str(path)
            pipe = await open_pipe(LinkAddress.parse(f"serial://{second.b}"))
            await Instrument(pipe).send(RESULT)
            await pipe.close()
            await link.__aexit__(None, None, None)
    assert kept(host) == [tuple(RESULT)]
    assert kept(host, whole=False) == [tuple(RESULT[:3])]


async def test_a_cable_that_is_pulled_leaves_the_far_end_a_lost_link() -> None:
    async with PacedLine(FAST_BYTES_PER_S) as line:
        pipe = await open_pipe(LinkAddress.parse(f"serial://{line.b}"))
        await line.pull_out()
        with suppress(LinkLost):
            while await pipe.receive():
                pass
        await pipe.close()
