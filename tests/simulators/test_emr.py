"""The simulated EMR orders until it is answered, files each result once, and fails when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from lis.domain.clock import ManualClock
from lis.transport import (
    LinkAddress,
    LinkLost,
    LinkSettings,
    MemoryNetwork,
    Pipe,
    memory_pair,
    open_pipe,
    serve_link,
)
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode
from simulators.emr import Emr, EmrSettings, Misbehaviour, OrderDesk
from simulators.emr_messages import OrderLine, Referral, order_message
from simulators.people import person
from tests.simulators.laboratory import AT, Laboratory, deliver, report

LAB = LinkAddress.parse("memory://lab")


def referral(*codes: str, number: int = 1) -> Referral:
    return Referral(
        group=f"G{number}",
        person=person(number, seed=1, today=AT.date()),
        orders=tuple(OrderLine(placer_number=f"P{n}", code=c) for n, c in enumerate(codes, 1)),
        collected_at=AT,
    )


async def soon(_seconds: float) -> None:
    await asyncio.sleep(0)


def emr_on(network: MemoryNetwork | None = None, **changes: float) -> Emr:
    transport = LinkSettings(memory=network, single_peer=False)
    settings = EmrSettings(reply_wait_s=0.2, sends_max=3, sleep=soon, transport=transport)
    return Emr(name="his", clock=ManualClock(), settings=replace(settings, **changes))


@asynccontextmanager
async def desk_at(laboratory: Laboratory) -> AsyncIterator[tuple[Emr, OrderDesk]]:
    network, stop = MemoryNetwork(), asyncio.Event()
    emr, listens = emr_on(network), asyncio.Event()
    serving = asyncio.create_task(
        serve_link(
            LAB,
            laboratory.take_orders,
            on_state=lambda _state, _detail: listens.set(),
            stop=stop,
            settings=LinkSettings(memory=network),
        )
    )
    await listens.wait()
    try:
        async with emr.calling(LAB) as desk:
            yield emr, desk
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def filing(emr: Emr) -> AsyncIterator[Pipe]:
    ours, theirs = memory_pair()
    serving = asyncio.create_task(emr.attend(theirs))
    try:
        yield ours
    finally:
        await ours.close()
        await asyncio.wait({serving})
        if serving.exception() is not None:
            assert isinstance(serving.exception(), LinkLost)


# ---- orders


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("control", ["NW", "CA"])
def test_hl7apy_finds_no_fault_with_an_order(number: int, control: str):
    # One order a message: hl7apy files the ORC of a second one under prior results (hl7.md, 1).
    written = order_message(
        referral("CBC", number=number), emr="his", control_id="1", at=AT, control=control
    )
    judged = parse_message(written.decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert judged.validate() is True


async def test_every_order_of_a_referral_travels_in_one_message():
    laboratory = Laboratory()
    async with desk_at(laboratory) as (emr, desk):
        reply = await desk.place(referral("CBC", "GLU"))
    (payload,) = laboratory.received
    request = Message.parse(payload)
    assert [obr.component(4) for obr in request.all("OBR")] == ["CBC", "GLU"]
    assert request.first("PID").component(5) == referral().person.family  # type: ignore[union-attr]
    assert reply.is_accepted
    assert emr.fillers == {"P1": "FP1", "P2": "FP2"}
    assert (emr.counts.orders_sent, emr.counts.orders_accepted) == (2, 2)


async def test_held_refused_and_cancelled_orders_are_counted_apart():
    laboratory = Laboratory(said={"P1": ("OK", "HD"), "P2": ("UA", "")})
    async with desk_at(laboratory) as (emr, desk):
        await desk.place(referral("CBC", "GLU", "NA"))
        laboratory.said.clear()
        await desk.cancel(referral("CBC", "GLU", "NA"), "P3")
    counts = emr.counts
    assert (counts.orders_accepted, counts.orders_held) == (2, 1)
    assert (counts.orders_refused, counts.orders_cancelled) == (1, 1)
    cancel = Message.parse(laboratory.received[-1])
    assert [(o.component(1), o.component(2)) for o in cancel.all("ORC")] == [("CA", "P3")]


async def test_an_unanswered_order_is_sent_again_byte_for_byte():
    laboratory = Laboratory(script=["close", "silence"])
    async with desk_at(laboratory) as (emr, desk):
        reply = await desk.place(referral("CBC"))
    assert reply.is_accepted
    assert len(set(laboratory.received)) == 1
    assert len(laboratory.received) == 3
    assert (emr.counts.orders_resent, emr.counts.order_messages) == (2, 1)


async def test_an_answer_to_another_order_is_passed_over():
    laboratory = Laboratory(script=["stale"])
    async with desk_at(laboratory) as (_, desk):
        reply = await desk.place(referral("CBC"))
    assert reply.ack.control_id == "his-O1"


async def test_an_order_that_is_refused_as_a_whole_is_counted():
    async with desk_at(Laboratory(script=["error"])) as (emr, desk):
        reply = await desk.place(referral("CBC", "GLU"))
    assert reply.ack.code is AckCode.AE
    assert emr.counts.orders_refused == 2


async def test_a_laboratory_that_never_answers_is_an_error():
    async with desk_at(Laboratory(script=["close"] * 5)) as (_, desk):
        with pytest.raises(LinkLost, match="never answered"):
            await desk.place(referral("CBC"))


# ---- results


async def test_a_result_is_filed_once_however_often_it_comes():
    emr = emr_on()
    async with filing(emr) as pipe:
        first = await deliver(pipe, report("M1", ("HGB", "140", "F"), ("WBC", "6.1", "F")))
        again = await deliver(pipe, report("M1", ("HGB", "140", "F"), ("WBC", "6.1", "F")))
    assert first is not None
    assert again is not None
    assert (first.code, first.control_id) == (again.code, again.control_id) == (AckCode.AA, "M1")
    assert (emr.counts.acked, emr.counts.duplicates, emr.counts.conflicts) == (2, 1, 0)
    assert emr.results["F1", "HGB", ""].value == "140"
    await emr.until_acked(2)


async def test_a_correction_replaces_the_value_and_is_no_new_result():
    emr = emr_on()
    async with filing(emr) as pipe:
        await deliver(pipe, report("M1", ("HGB", "140", "F")))
        await deliver(pipe, report("M2", ("HGB", "104", "C")))
    result = emr.results["F1", "HGB", ""]
    assert (result.value, result.status, result.versions) == ("104", "C", 2)
    assert (emr.counts.acked, emr.counts.corrected, emr.counts.reports) == (1, 1, 2)


async def test_other_bytes_under_a_known_number_are_noticed():
    emr = emr_on()
    async with filing(emr) as pipe:
        await deliver(pipe, report("M1", ("HGB", "140", "F")))
        await deliver(pipe, report("M1", ("HGB", "104", "F")))
    assert emr.counts.conflicts == 1


@pytest.mark.parametrize("how", list(Misbehaviour))
async def test_a_failure_files_nothing_and_the_next_try_does(how: Misbehaviour):
    emr = emr_on()
    emr.misbehave(how)
    payload = report("M1", ("HGB", "140", "F"))
    async with filing(emr) as pipe:
        ack = await deliver(pipe, payload, wait_s=0.05)
    said = None if ack is None else (ack.code, ack.control_id == "M1")
    assert said == {
        Misbehaviour.ERROR: (AckCode.AE, True),
        Misbehaviour.REJECT: (AckCode.AR, True),
        Misbehaviour.WRONG_ID: (AckCode.AA, False),
        Misbehaviour.LATE: (AckCode.AA, True),
    }.get(how)
    assert (emr.counts.acked, emr.counts.failed) == (0, 1)
    async with filing(emr) as pipe:
        await deliver(pipe, payload)
    assert emr.counts.acked == 1


async def test_what_is_no_hl7_is_answered_as_an_error():
    emr = emr_on()
    async with filing(emr) as pipe:
        ack = await deliver(pipe, b"MSG|nothing")
    assert ack is not None
    assert ack.code is AckCode.AE


async def test_it_says_where_it_listens_and_several_may_call():
    emr, stop = emr_on(), asyncio.Event()
    listening = asyncio.create_task(emr.listen(LinkAddress.parse("tcp-listen://127.0.0.1:0"), stop))
    address = await emr.address()
    pipes = [await open_pipe(address) for _ in range(2)]
    for number, pipe in enumerate(pipes):
        ack = await deliver(pipe, report(f"M{number}", ("HGB", "140", "F"), filler=f"F{number}"))
        assert ack is not None
    assert emr.counts.acked == 2
    for pipe in pipes:
        await pipe.close()
    stop.set()
    await listening
