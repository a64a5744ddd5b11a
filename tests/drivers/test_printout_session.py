"""One instrument that prints: nothing is read on before the slip is on disk, and nothing it cut is a result."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction
from lis.drivers import registry
from lis.drivers.printout_session import PrintoutSession
from lis.drivers.session import run_session, sniff
from lis.drivers.session_events import InputRejected, StoreUnavailable
from lis.transport import MemoryPipe, memory_pair
from lis.wire import printout
from tests.drivers.wires import CUTTINGS, Host, cut

SLIP = b"\x0226/11/02 08:40 ID# 20000081   [B. Plasma] Na       141  mmol/L   \x03"
PROFILE = registry.get("arkray-spotchem-el")


@asynccontextmanager
async def printing(host: Host, answer: bytes = b"", **more: float) -> AsyncIterator[MemoryPipe]:
    ours, theirs = memory_pair()
    session = PrintoutSession(
        ours,
        keep=host.shelf.keep,
        clock=host.clock,
        on_event=host.events.append,
        now_s=asyncio.get_running_loop().time,
        answer=answer,
        keep_again_s=0.0,
        **more,
    )
    task = asyncio.create_task(session.run())
    try:
        yield theirs
    finally:
        await theirs.close()
        await task


@pytest.mark.parametrize("how", CUTTINGS)
async def test_a_slip_is_kept_whole_however_it_is_cut(how: str) -> None:
    host = Host()
    async with printing(host) as pipe:
        for piece in cut(SLIP + b"\r\n" + SLIP, how):
            await pipe.send(piece)

    assert [(unit.raw, unit.is_complete) for unit in host.shelf.units] == [(SLIP, True)] * 2
    assert {(unit.protocol, unit.lane) for unit in host.shelf.units} == {
        (Protocol.PRINTOUT, Lane.RESULT)
    }
    assert not host.of(InputRejected)


async def test_a_store_that_refuses_is_asked_until_it_keeps() -> None:
    host = Host()
    host.shelf.refusals = 3
    async with printing(host) as pipe:
        await pipe.send(SLIP)

    assert [unit.raw for unit in host.shelf.units] == [SLIP]
    assert len(host.of(StoreUnavailable)) == 3


async def test_nothing_is_answered_before_the_slip_is_kept() -> None:
    host = Host()
    host.shelf.gate = asyncio.Event()
    async with printing(host, answer=b"\x06") as pipe:
        await pipe.send(SLIP)
        await host.shelf.started.wait()
        answer = asyncio.create_task(pipe.receive())
        await asyncio.wait({answer}, timeout=0)
        assert not answer.done()
        host.shelf.gate.set()
        assert await answer == b"\x06"

    assert [unit.raw for unit in host.shelf.units] == [SLIP]


async def test_by_itself_nothing_is_answered() -> None:
    host = Host()
    async with printing(host) as pipe:
        await pipe.send(SLIP)

    assert [line.direction for line in host.shelf.lines] == [Direction.IN]


async def test_half_a_slip_is_evidence_and_no_result() -> None:
    host = Host()
    async with printing(host) as pipe:
        await pipe.send(SLIP[:40] + SLIP + SLIP[:20])

    assert [(unit.raw, unit.is_complete) for unit in host.shelf.units] == [
        (SLIP[:40], False),
        (SLIP, True),
        (SLIP[:20], False),
    ]
    assert [event.reason for event in host.of(InputRejected)] == [
        "a new block began",
        "the connection was lost in a block",
    ]


async def test_noise_between_slips_is_noted() -> None:
    host = Host()
    async with printing(host) as pipe:
        await pipe.send(b"\x00\x00noise" + SLIP)

    assert [unit.raw for unit in host.shelf.units] == [SLIP]
    assert [event.size_bytes for event in host.of(InputRejected)] == [7]


async def test_half_a_slip_and_then_silence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printout, "HALF_BLOCK_TIMEOUT_S", 0.01)
    host = Host()
    async with printing(host) as pipe:
        await pipe.send(SLIP[:30])
        async with asyncio.timeout(5):
            await host.shelf.started.wait()

    assert [(unit.raw, unit.is_complete) for unit in host.shelf.units] == [(SLIP[:30], False)]


@pytest.mark.parametrize("how", CUTTINGS)
async def test_a_date_behind_stx_tells_a_slip(how: str) -> None:
    ours, theirs = memory_pair()
    sending = asyncio.create_task(send_all(theirs, cut(b"\x00\xff" + SLIP, how)))
    first, protocol = await sniff(ours)
    await sending

    assert protocol is Protocol.PRINTOUT
    assert SLIP.startswith(first) or first == SLIP


@pytest.mark.parametrize("head", [b"\x021H|\\^&", b"\x022P|1", b"\x05", b"H|\\^&"])
async def test_frames_and_records_are_still_told_apart(head: bytes) -> None:
    ours, theirs = memory_pair()
    sending = asyncio.create_task(send_all(theirs, cut(head, "byte by byte")))
    _, protocol = await sniff(ours)
    await sending

    assert protocol is Protocol.ASTM


async def test_the_loop_of_all_links_takes_the_answer_from_the_profile() -> None:
    host, (ours, theirs) = Host(), memory_pair()
    profile = replace(PROFILE, quirks=replace(PROFILE.quirks, printout_answer=b"\x06"))
    session = asyncio.create_task(
        run_session(
            ours,
            profile=profile,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )
    )
    await theirs.send(SLIP)
    assert await theirs.receive() == b"\x06"
    await theirs.close()
    await session


async def send_all(pipe: MemoryPipe, pieces: "object") -> None:
    for piece in pieces:  # type: ignore[attr-defined]
        await pipe.send(piece)
    pipe.finish_sending()
