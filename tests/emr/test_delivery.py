"""Delivery to an EMR on a real socket: at least once, in order, the same bytes, nothing unsafe."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from hl7apy.parser import parse_message
from hl7apy.validation import VALIDATION_LEVEL
from sqlalchemy import select

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.emr.delivery import EmrSender
from lis.emr.results_out import control_id
from lis.store.observation_rows import Observation, ReportDelivery
from lis.store.rows import Alarm, Outbox, OutboxState
from lis.transport import LinkAddress
from lis.wire.hl7 import Message


class Emr:
    """A scripted EMR: a plain socket server that answers each message as told."""

    def __init__(self):
        self.received = []
        self.script = []
        self.server = None

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        self.address = LinkAddress.parse(f"tcp-connect://{host}:{port}")
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            while True:
                block = await reader.readuntil(b"\x1c\r")
                payload = block[1:-2]
                self.received.append(payload)
                said = self.script.pop(0) if self.script else "AA"
                if said == "close":
                    break
                asked = payload.split(b"\r")[0].split(b"|")[9].decode()
                for code, number in (
                    [(said, asked)] if said != "late" else [("AA", "OTHER"), ("AA", asked)]
                ):
                    answer = (
                        f"MSH|^~\\&|HIS||LIS||20261102||ACK|X|P|2.5.1\rMSA|{code}|{number}|words\r"
                    )
                    writer.write(b"\x0b" + answer.encode() + b"\x1c\r")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def emr():
    async with Emr() as emr:
        yield emr


@pytest.fixture
async def sender(store, emr):
    executor = ThreadPoolExecutor(1)
    sender = EmrSender(
        store=store,
        destination="emr:his",
        address=emr.address,
        facility="LAB",
        executor=executor,
        answer_wait_s=2.0,
    )
    yield sender
    await sender._hang_up()
    executor.shutdown()


def outbox(store):
    with store.read() as session:
        return list(session.scalars(select(Outbox).order_by(Outbox.id)))


async def test_O3_a_released_result_arrives_whole_and_is_acknowledged_once(
    store, place, report, emr, sender
):
    key = report(place("GLU"))
    await sender.run_once()
    assert not await sender.run_once()
    (payload,) = emr.received
    message = Message.parse(payload)
    assert message.control_id == control_id(key)
    assert message.first("PID").component(5, 1) == "Примерова|^~\\&"
    obx = message.first("OBX")
    assert (obx.component(2), obx.component(3), obx.component(5)) == ("NM", "14749-6", "5.2")
    assert (obx.component(6), obx.component(7), obx.component(11)) == ("mmol/L", "3.9–6.1", "F")
    assert message.first("OBR").component(2) == "ORD1"
    (row,) = outbox(store)
    assert row.state is OutboxState.ACKNOWLEDGED
    with store.read() as session:
        delivered = session.scalars(select(ReportDelivery)).one()
    assert (delivered.version, delivered.destination) == (1, "emr:his")


async def test_an_independent_parser_finds_the_report_valid(store, place, report, emr, sender):
    report(place("GLU"), comment="haemolysed")
    await sender.run_once()
    parsed = parse_message(emr.received[0].decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert parsed.validate()


@pytest.mark.parametrize(
    ("text", "comparator", "kind", "shown"),
    [("<0.1", "<", "SN", "0.1"), (">500", ">", "SN", "500")],
)
async def test_O4_a_comparator_leaves_as_structured_number(
    store, place, report, emr, sender, text, comparator, kind, shown
):
    report(place("GLU"), text=text, comparator=comparator, value=Decimal(shown))
    await sender.run_once()
    obx = Message.parse(emr.received[0]).first("OBX")
    assert (obx.component(2), obx.component(5, 1), obx.component(5, 2)) == (kind, comparator, shown)


@pytest.mark.parametrize(
    "state", [state for state in BenchState if state is not BenchState.RELEASED]
)
async def test_S03_nothing_but_released_leaves_to_the_emr(store, place, report, emr, sender, state):
    report(place("GLU"), bench_state=state)
    await sender.run_once()
    assert emr.received == []
    assert outbox(store)[0].state is OutboxState.DEAD


async def test_S03_a_registered_status_does_not_leave(store, place, report, emr, sender):
    report(place("GLU"), status=ResultStatus.REGISTERED)
    await sender.run_once()
    assert emr.received == []


async def test_S08_nothing_leaves_before_its_time(store, place, report, emr, sender, manual_clock):
    report(place("GLU"), not_before=manual_clock.now() + timedelta(seconds=5))
    assert not await sender.run_once()
    manual_clock.advance(seconds=5)
    assert await sender.run_once()
    assert len(emr.received) == 1


async def test_M10_a_lost_answer_is_followed_by_the_same_bytes(
    store, place, report, emr, sender, manual_clock
):
    report(place("GLU"))
    emr.script = ["close"]
    assert not await sender.run_once()
    manual_clock.advance(minutes=6)
    assert await sender.run_once()
    assert len(emr.received) == 2
    assert emr.received[0] == emr.received[1]
    assert outbox(store)[0].state is OutboxState.ACKNOWLEDGED


async def test_M9_an_answer_to_another_message_is_not_taken_for_ours(
    store, place, report, emr, sender
):
    report(place("GLU"))
    emr.script = ["late"]
    assert await sender.run_once()
    assert outbox(store)[0].state is OutboxState.ACKNOWLEDGED
    assert len(emr.received) == 1


async def test_M10_a_rejection_is_never_sent_again_but_a_dead_letter_with_an_alarm(
    store, place, report, emr, sender
):
    report(place("GLU"))
    emr.script = ["AR"]
    await sender.run_once()
    (row,) = outbox(store)
    assert (row.state, row.last_error) == (OutboxState.DEAD, "AR: words")
    with store.read() as session:
        assert session.scalars(select(Alarm)).one().closed_at is None


async def test_M10_an_error_is_tried_once_more_and_then_dead(
    store, place, report, emr, sender, manual_clock
):
    report(place("GLU"))
    emr.script = ["AE", "AE"]
    await sender.run_once()
    assert outbox(store)[0].state is OutboxState.NEW
    assert not await sender.run_once()
    manual_clock.advance(seconds=61)
    await sender.run_once()
    assert outbox(store)[0].state is OutboxState.DEAD


async def test_a_refused_report_does_not_hold_up_other_orders(store, place, report, emr, sender):
    placed = place("GLU", "ALT")
    report(placed)
    report(placed, index=1, test="ALT")
    emr.script = ["AR"]
    await sender.run_once()
    assert [row.state for row in outbox(store)] == [OutboxState.DEAD, OutboxState.ACKNOWLEDGED]


async def test_an_emr_that_is_away_is_tried_for_ever(
    store, place, report, sender, emr, manual_clock
):
    report(place("GLU"))
    sender.address = LinkAddress.parse("tcp-connect://127.0.0.1:9")
    for _ in range(4):
        assert not await sender.run_once()
        manual_clock.advance(minutes=6)
    assert outbox(store)[0].state is OutboxState.NEW
    sender.address = emr.address
    assert await sender.run_once()
    assert len(emr.received) == 1


async def test_a_withdrawn_result_says_so_without_its_value(store, place, report, emr, sender):
    report(place("GLU"), status=ResultStatus.ENTERED_IN_ERROR)
    await sender.run_once()
    obx = Message.parse(emr.received[0]).first("OBX")
    assert obx.component(11) == "W"
    assert "5.2" not in emr.received[0].decode()
    with store.read() as session:
        assert session.scalars(select(Observation)).one().reported == "5.2"
