"""One peer on an ASTM line: nothing is acknowledged before it is kept, every query is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction, KeepFailed, Receipt
from lis.drivers import registry
from lis.drivers.session import run_session
from lis.drivers.session_events import (
    Answered,
    AnswerFailed,
    InputRejected,
    LibertyTaken,
    SessionClosed,
    StoreUnavailable,
    UnitKept,
)
from lis.transport import LinkLost, MemoryPipe, memory_pair
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK, blocks_of
from lis.wire.astm_link import LinkSettings, decode_raw
from tests.drivers.wires import CUTTINGS, Host, Instrument, cut

HEAD = rb"H|\^&|||lab^Roche^c111^4.2^1^13999|||||host|RSUPL^REAL|P|1|20261122080000"
RESULT = [
    HEAD,
    b"P|1",
    b"O|1||10000017^^2||S||||||N|||||||||||20261122080000|||F",
    b"R|1|^^^413|40.1|g/L||N||F||op||20261122075900",
    b"L|1|N",
]
QUERY = [HEAD, b"Q|1|^10000017||||||||||O", b"L|1|N"]
ANSWER = (HEAD, b"P|1", b"O|1|10000017||^^^413|R", b"L|1|F")


@asynccontextmanager
async def serving(
    host: Host, key: str | None = "roche-cobas-c111", settings: LinkSettings | None = None
) -> AsyncIterator[MemoryPipe]:
    """A session at one end of a pipe; its other end is given."""
    ours, theirs = memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=registry.get(key) if key else None,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            astm_settings=settings,
        )
    )
    try:
        yield theirs
    finally:
        await theirs.close()
        with suppress(LinkLost):
            await session


async def reply(pipe: MemoryPipe, data: bytes) -> bytes:
    await pipe.send(data)
    return await pipe.receive()


async def test_a_message_is_kept_whole_and_its_session_closes() -> None:
    host = Host()
    async with serving(host) as pipe:
        await Instrument(pipe).send(RESULT)

    [unit] = host.shelf.units
    assert decode_raw(unit.raw) == tuple(RESULT)
    assert (unit.protocol, unit.lane, unit.is_complete) == (Protocol.ASTM, Lane.RESULT, True)
    assert host.of(SessionClosed) == [SessionClosed(inbox_ids=(1,), is_clean=True)]
    assert host.of(UnitKept) == [UnitKept(inbox_id=1, lane=Lane.RESULT)]


@pytest.mark.parametrize("how", CUTTINGS)
async def test_any_cutting_of_the_stream_gives_the_same_unit(how: str) -> None:
    host = Host()
    async with serving(host) as pipe:
        for block in [ENQ, *blocks_of(RESULT)]:
            for piece in cut(block, how):
                await pipe.send(piece)
            assert await pipe.receive() == ACK
        await pipe.send(EOT)

    assert [decode_raw(unit.raw) for unit in host.shelf.units] == [tuple(RESULT)]


async def test_nothing_is_acknowledged_before_it_is_kept() -> None:
    host = Host()
    host.shelf.gate = asyncio.Event()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        await pipe.send(blocks_of(RESULT)[0])
        await host.shelf.started.wait()
        answer = asyncio.create_task(pipe.receive())
        await asyncio.sleep(0)
        assert not answer.done()

        host.shelf.gate.set()

        assert await answer == ACK


async def test_a_store_that_refuses_gives_nak_and_the_frame_comes_again() -> None:
    host = Host()
    host.shelf.refusals = 2
    async with serving(host) as pipe:
        await Instrument(pipe).send(RESULT)

    assert len(host.shelf.units) == 1
    assert host.of(StoreUnavailable) == [StoreUnavailable(reason="disk full")] * 2


async def test_a_store_that_is_too_slow_gives_nak_in_time() -> None:
    host = Host()
    host.shelf.gate = asyncio.Event()
    settings = LinkSettings(answer_timeout_s=0.01)
    async with serving(host, settings=settings) as pipe:
        assert await reply(pipe, ENQ) == ACK
        assert await reply(pipe, blocks_of(RESULT)[0]) == NAK
        host.shelf.gate.set()
        host.shelf.gate = None
        for block in blocks_of(RESULT):
            assert await reply(pipe, block) == ACK
        await pipe.send(EOT)

    assert [decode_raw(unit.raw) for unit in host.shelf.units] == [tuple(RESULT)]
    assert InputRejected(reason="the store did not answer in time") in host.events


async def test_a_damaged_frame_is_refused_and_leaves_its_bytes_in_the_journal() -> None:
    host = Host()
    first, *rest = blocks_of(RESULT)
    damaged = first.replace(b"Roche", b"Rosche")
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        assert await reply(pipe, damaged) == NAK
        for block in (first, first, *rest):  # the second copy: its ACK was lost
            assert await reply(pipe, block) == ACK
        await pipe.send(EOT)

    assert len(host.shelf.units) == 1
    notes = {line.note.split(":")[0]: line.data for line in host.shelf.lines if line.note}
    assert notes["refused"] == damaged
    assert notes["repeated"] == first
    assert len(host.of(InputRejected)) == 1


async def test_a_cut_message_is_kept_as_evidence_and_never_as_a_message() -> None:
    host = Host()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(RESULT)[:3]:
            assert await reply(pipe, block) == ACK
        await pipe.send(EOT)

    [unit] = host.shelf.units
    assert not unit.is_complete
    assert decode_raw(unit.raw) == tuple(RESULT[:3])
    assert host.of(SessionClosed) == [SessionClosed(inbox_ids=(1,), is_clean=False)]


async def test_a_lost_line_leaves_evidence_too() -> None:
    host = Host()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(QUERY)[:2]:
            assert await reply(pipe, block) == ACK
        pipe.lose()

    assert [unit.is_complete for unit in host.shelf.units] == [False]


async def test_a_keep_alive_leaves_no_unit() -> None:
    host = Host()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        await pipe.send(EOT)

    assert host.shelf.units == []
    assert host.events == [LibertyTaken(name="keep_alive")]


async def test_the_journal_holds_both_directions_and_no_byte_twice() -> None:
    host = Host()
    async with serving(host) as pipe:
        await Instrument(pipe).send(RESULT)

    sent = b"".join(line.data for line in host.shelf.lines if line.direction is Direction.OUT)
    came = [line.data for line in host.shelf.lines if line.direction is Direction.IN]
    assert sent == ACK * 6
    frames = blocks_of(RESULT)[:-1]  # the last one lies in the inbox
    assert came == [ENQ, *frames, b"", EOT]


async def test_waiting_lines_are_written_by_themselves() -> None:
    host = Host()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        await asyncio.wait_for(host.shelf.started.wait(), 5)

    assert [line.data for line in host.shelf.lines] == [ENQ, ACK]


# ------------------------------------------------------------------ queries


async def test_a_query_is_answered_after_its_session() -> None:
    host = Host(answers={1: ANSWER})
    async with serving(host) as pipe:
        instrument = Instrument(pipe)
        await instrument.send(QUERY)
        assert await asyncio.wait_for(instrument.receive(), 5) == ANSWER
        await instrument.send(RESULT)

    assert host.asked == [1]
    assert [unit.lane for unit in host.shelf.units] == [Lane.REQUEST, Lane.RESULT]
    assert host.of(Answered) == [Answered(inbox_id=1, attempts=1)]


async def test_silence_is_an_answer() -> None:
    host = Host()
    async with serving(host) as pipe:
        await Instrument(pipe).send(QUERY)
        await Instrument(pipe).send(RESULT)

    assert host.asked == [1]
    assert host.of(Answered) == []


async def test_contention_ends_with_both_messages_delivered() -> None:
    host = Host(answers={1: ANSWER})
    settings = LinkSettings(contention_host_s=0.05)
    async with serving(host, settings=settings) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(QUERY):
            assert await reply(pipe, block) == ACK
        assert await reply(pipe, EOT) == ENQ
        await pipe.send(ENQ)  # both want the line: the host yields
        instrument = Instrument(pipe)
        instrument.link.settings = LinkSettings(contention_instrument_s=0.01)
        await instrument.send(RESULT)
        assert await asyncio.wait_for(instrument.receive(), 5) == ANSWER

    assert [unit.lane for unit in host.shelf.units] == [Lane.REQUEST, Lane.RESULT]


async def test_an_answer_that_nobody_takes_is_given_up_and_said() -> None:
    host = Host(answers={1: ANSWER})
    settings = LinkSettings(
        reply_timeout_s=0.01, enq_retry_s=0.001, enquiries_max=1, contention_host_s=0.01
    )
    async with serving(host, settings=settings) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(QUERY):
            assert await reply(pipe, block) == ACK
        await pipe.send(EOT)
        while not host.of(AnswerFailed):
            await pipe.receive()

    [failure] = host.of(AnswerFailed)
    assert (failure.inbox_id, failure.attempts, failure.reason) == (1, 3, "unanswered")


async def test_an_answer_whose_line_is_lost_is_said() -> None:
    host = Host(answers={1: ANSWER})
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(QUERY):
            assert await reply(pipe, block) == ACK
        assert await reply(pipe, EOT) == ENQ

    assert host.of(AnswerFailed) == [AnswerFailed(inbox_id=1, attempts=1, reason="link_lost")]


async def test_a_query_whose_line_is_lost_before_its_end_is_said() -> None:
    host = Host(answers={1: ANSWER})
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for block in blocks_of(QUERY):
            assert await reply(pipe, block) == ACK

    assert host.asked == []
    assert host.of(AnswerFailed) == [AnswerFailed(inbox_id=1, attempts=0, reason="link_lost")]


async def test_an_answer_that_cannot_be_computed_is_said() -> None:
    class Broken(Host):
        async def answer(self, receipt: Receipt) -> tuple[bytes, ...]:
            raise KeepFailed("disk full")

    host = Broken()
    async with serving(host) as pipe:
        await Instrument(pipe).send(QUERY)
        await Instrument(pipe).send(RESULT)

    assert host.of(AnswerFailed) == [AnswerFailed(inbox_id=1, attempts=0, reason="disk full")]


# ------------------------------------------------------------------ first bytes


@pytest.mark.parametrize("noise", [b"", b"\x00\xff\xff", b"\r\n\x04", b"\x02\x02", b"hello "])
async def test_the_first_bytes_tell_the_protocol(noise: bytes) -> None:
    host = Host()
    async with serving(host, key=None) as pipe:
        for piece in cut(noise, "byte by byte"):
            await pipe.send(piece)
        await Instrument(pipe).send(RESULT)

    assert len(host.shelf.units) == 1


async def test_records_without_frames_are_a_message_too() -> None:
    host = Host()
    async with serving(host, key=None) as pipe:
        await pipe.send(b"".join(record + b"\r" for record in RESULT))
        await asyncio.wait_for(host.shelf.started.wait(), 5)

    assert [decode_raw(unit.raw) for unit in host.shelf.units] == [tuple(RESULT)]


async def test_a_peer_that_says_nothing_known_is_heard_to_its_end() -> None:
    host = Host()
    async with serving(host, key=None) as pipe:
        await pipe.send(b"GET / HTTP/1.1\r\n\r\n" * 1000)

    assert host.shelf.units == []
