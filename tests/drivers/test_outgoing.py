"""Messages of our own on an analyzer's link: in turn, answered by their id, late answers dropped; and what needs no order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from lis.drivers import registry, translate
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.session import run_session
from lis.transport import LinkLost, memory_pair
from lis.wire.hl7 import Message
from lis.wire.mllp import frame
from tests.drivers.test_mllp_session import Peer
from tests.drivers.wires import Host

ORDER = (
    rb"MSH|^~\&|LIS||cobas pro||20261122080000+0000||OML^O33^OML_O33|B1|P|2.5.1|||NE|AL||UNICODE UTF-8"
    b'\rSPM|1|""||""|||||||U^^HL70369\rSAC|||2611000017\rORC|DC||||||||20261122080000\r'
)


def message(kind: str, control_id: str, *lines: str, asks: str = "NE|AL") -> bytes:
    head = rf"MSH|^~\&|cobas pro||host||20261122080000||{kind}|{control_id}|P|2.5.1|||{asks}||UNICODE UTF-8"
    return "\r".join([head, *lines]).encode() + b"\r"


def reply(to: str) -> bytes:
    return message("ORL^O34^ORL_O42", f"r{to}", f"MSA|AA|{to}", asks="|")


QUERY = message("QBP^Q11^QBP_Q11", "q1", "QPD|WOS^Work Order Step^IHELAW|t|2611000017", "RCP|I||R")


@asynccontextmanager
async def serving(host: Host, port: OutgoingPort, *, carries: bool = True) -> AsyncIterator[Peer]:
    ours, theirs = memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=registry.get("roche-cobas-pro"),
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            port=port,
            carries_orders=carries,
        )
    )
    try:
        yield Peer(theirs)
    finally:
        await theirs.close()
        with suppress(LinkLost):
            await session


async def test_a_message_of_ours_waits_for_the_answer_with_its_id() -> None:
    port = OutgoingPort()
    async with serving(Host(), port) as peer:
        await port.until_open()
        asking = asyncio.create_task(port.exchange(ORDER, control_id="B1", wait_s=5.0))
        [order] = await peer.answers(1)
        await peer.pipe.send(frame(reply("B0")))  # late: it answers something else
        await peer.pipe.send(frame(reply("B1")))
        answer = await asking

    assert order.raw == ORDER
    assert answer == reply("B1")


async def test_a_late_answer_is_dropped_and_journalled() -> None:
    port, host = OutgoingPort(), Host()
    async with serving(host, port) as peer:
        await port.until_open()
        assert await port.exchange(ORDER, control_id="B1", wait_s=0.0) is None
        await peer.answers(1)
        await peer.pipe.send(frame(reply("B1")))
        await peer.pipe.send(frame(message("NMD^N02^NMD_N02", "n1", "NST|N")))
        [ack] = await peer.answers(1)

    assert ack.code == "ACK"
    assert [line.note for line in host.shelf.lines if b"ORL^O34" in line.data] == [
        "acknowledgement"
    ]
    assert port.offer("B1", b"") is False


async def test_LAB27_003_the_reply_to_a_question_leaves_before_anything_of_ours() -> None:
    port, host = OutgoingPort(), Host()
    host.shelf.gate = asyncio.Event()
    host.answers[1] = (message("RSP^K11^RSP_K11", "s1", "MSA|AA|q1", asks="|"),)
    async with serving(host, port) as peer:
        await peer.pipe.send(frame(QUERY))
        await host.shelf.started.wait()  # the question is being kept
        asking = asyncio.create_task(port.exchange(ORDER, control_id="B1", wait_s=5.0))
        await asyncio.sleep(0)
        host.shelf.gate.set()
        came = await peer.answers(2)
        await peer.pipe.send(frame(reply("B1")))
        await asking

    assert [one.structure for one in came] == ["RSP_K11", "OML_O33"]


async def test_a_connection_that_carries_no_orders_opens_no_port() -> None:
    port = OutgoingPort()
    async with serving(Host(), port, carries=False) as peer:
        await peer.pipe.send(frame(message("NMD^N02^NMD_N02", "n1", "NST|N")))
        await peer.answers(1)
        assert not port.is_open
        with pytest.raises(LinkLost):
            await port.exchange(ORDER, control_id="B1", wait_s=1.0)


async def test_a_lost_connection_ends_the_waiting() -> None:
    port = OutgoingPort()
    async with serving(Host(), port) as peer:
        await port.until_open()
        asking = asyncio.create_task(port.exchange(ORDER, control_id="B1", wait_s=30.0))
        await peer.answers(1)
    with pytest.raises(LinkLost):
        await asking
    assert not port.is_open


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("NMD^N02^NMD_N02", ("NST|N",)),
        ("TCU^U10^TCU_U10", ("EQU|1|20261122", "TCC|20490^^99ROC")),
        ("INU^U05^INU_U05", ("EQU|1|20261122", "INV|2049001|OK^^HL70383")),
        ("ESU^U01^ESU_U01", ("EQU|1|20261122",)),
        ("EAC^U07^EAC_U07", ("EQU|1|20261122",)),
        ("OUL^R23^OUL_R23", ("OBX|1|NM|cal||1.2",)),
    ],
)
async def test_what_an_analyzer_says_of_itself_is_acknowledged_by_its_event(
    kind: str, lines: tuple[str, ...]
) -> None:
    async with serving(Host(), OutgoingPort()) as peer:
        await peer.pipe.send(frame(message(kind, "x1", *lines)))
        [ack] = await peer.answers(1)

    msa = ack.first("MSA")
    event = kind.split("^")[1]
    assert msa is not None
    assert ack.header.raw_field(9) == f"ACK^{event}^ACK"
    assert (msa.component(1), msa.component(2)) == ("AA", "x1")


async def test_a_message_that_no_analyzer_sends_is_rejected_with_200() -> None:
    async with serving(Host(), OutgoingPort()) as peer:
        await peer.pipe.send(frame(message("ADT^A08^ADT_A01", "x1", "PID|1")))
        [ack] = await peer.answers(1)

    msa, err = ack.first("MSA"), ack.first("ERR")
    assert msa is not None
    assert err is not None
    assert (msa.component(1), err.component(3)) == ("AR", "200")


def test_a_calibration_is_no_result() -> None:
    raw = message("OUL^R23^OUL_R23", "x1", "SPM|1|1", 'OBR|1|""||2|', "OBX|1|NM|cal||1.2|||||F")
    profile = registry.get("roche-cobas-pro")
    assert Message.parse(raw).event == "R23"
    read = translate(profile, raw, zone=UTC, received_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert read.observations == ()
