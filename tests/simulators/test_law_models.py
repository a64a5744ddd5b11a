"""The simulated LAW analyzers: the driver reads what they write, the table finds nothing, and they take their orders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from lis.domain.clock import ManualClock
from lis.domain.messages import OrderedTest, ProgressKind, SpecimenOrders, SubjectKind
from lis.drivers import identify, order_records, registry, translate
from lis.drivers.law_orders import split_answer, take_back
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.session import run_session
from lis.transport import LinkLost, memory_pair
from lis.wire.hl7 import Message
from lis.wire.law_check import errors
from lis.wire.law_replies import read_order_reply
from simulators.analyzer import Analyzer, AnalyzerSettings
from simulators.law_orders import StepBook
from simulators.measuring import Measured
from simulators.models_law import MODELS
from simulators.tubes import Tube
from simulators.writing import ControlIdentity, Instrument, Run, query_message, report_message
from tests.drivers.wires import Host

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
TUBE = "2611000017"
WAIT_S = 10.0
keys = pytest.mark.parametrize("key", MODELS)
ALLOWED = {  # what these makers do otherwise, as their sources show
    "biosystems-ba400": {"ORC|1-1", "ORC|2-1"},
    "siemens-atellica-solution": {"ORC|1-1", "ORC|2-1"},
}


def instrument(key: str) -> Instrument:
    return Instrument.of(registry.get(key))


def written(
    key: str, control: ControlIdentity | None = None, steps: dict[str, str] | None = None
) -> tuple[Run, bytes]:
    own = instrument(key)
    rows = tuple(
        Measured(code=plan.code, text=(plan.answers or ("5.1",))[0], unit=plan.unit, flags=("N",))
        for plan in own.model.plans
    )
    run = Run(specimen=TUBE, rows=rows, at=AT, number=7, control=control, steps=steps or {})
    return run, report_message(own, run, sent_at=AT).payload


def given(key: str, control: str = "NW") -> bytes:
    """An order of the house for the first test of that instrument."""
    code = instrument(key).model.plans[0].code
    entry = SpecimenOrders(specimen=TUBE, tests=(OrderedTest(work_order="step-1", test=code),))
    if control == "CA":
        return take_back(registry.get(key), entry, at=AT, control_id="C1")
    [order] = order_records(registry.get(key), [entry], at=AT, control_id="B1")
    return order


@keys
def test_a_driver_reads_what_its_simulator_writes(key: str) -> None:
    run, payload = written(key)
    read = translate(registry.get(key), payload, zone=UTC, received_at=AT)

    if key != "abbott-alinity-ci" or instrument(key).identity.name:
        assert identify(payload) == key
    assert [(row.specimen, row.test, row.value.text, row.unit) for row in read.observations] == [
        (TUBE, row.code, row.text, row.unit) for row in run.rows
    ]
    assert {row.kind for row in read.observations} == {SubjectKind.PATIENT}
    assert {row.holds for row in read.observations} == {()}
    assert read.progress == ()


@keys
def test_the_table_finds_in_a_simulated_message_only_what_its_maker_does(key: str) -> None:
    _, payload = written(key)
    found = {finding.place for finding in errors(Message.parse(payload))}

    assert found <= ALLOWED.get(key, set())


@keys
def test_Q1_a_simulated_control_is_read_as_a_control(key: str) -> None:
    _, payload = written(key, ControlIdentity(material="CTRL", level="M"))
    read = translate(registry.get(key), payload, zone=UTC, received_at=AT)

    assert {row.kind for row in read.observations} == {SubjectKind.CONTROL}


@keys
def test_a_simulated_question_is_understood(key: str) -> None:
    query = query_message(instrument(key), [TUBE], number=9, sent_at=AT)
    [asked] = translate(registry.get(key), query.payload, zone=UTC, received_at=AT).queries

    assert (asked.specimens, asked.wants_all) == ((TUBE,), False)
    assert errors(Message.parse(query.payload)) == ()


def test_a_result_names_the_step_that_ordered_it() -> None:
    _, payload = written("roche-cobas-pro", steps={"20411": "step-1"})
    read = translate(registry.get("roche-cobas-pro"), payload, zone=UTC, received_at=AT)

    assert [(one.step_id, one.kind) for one in read.progress] == [
        ("step-1", ProgressKind.COMPLETED)
    ]


# ------------------------------------------------------------------ LAB-28, the analyzer's side


def answered(book: StepBook, order: bytes, asked: str = "") -> tuple[str, list[str]]:
    """MSA-1 and what was said of each step."""
    taken = book.take(order, asked=asked)
    assert taken is not None
    reply = Message.parse(taken.reply)
    assert errors(reply) == ()
    read = read_order_reply(Message.parse(order), reply)
    return read.ack.code.value, [step.answer for step in read.steps]


@keys
def test_LAB28_004_a_simulated_analyzer_takes_a_new_step(key: str) -> None:
    book = StepBook(instrument=instrument(key))

    assert answered(book, given(key)) == ("AA", ["OK"])


@keys
def test_LAB28_005_it_gives_back_what_it_has_not_measured(key: str) -> None:
    book = StepBook(instrument=instrument(key))
    answered(book, given(key))

    assert answered(book, given(key, "CA")) == ("AA", ["CR"])
    assert answered(book, given(key, "CA")) == ("AA", ["UC"])


def test_LAB28_006_it_refuses_a_step_that_it_has_measured() -> None:
    book = StepBook(instrument=instrument("roche-cobas-pro"))
    order = given("roche-cobas-pro")
    answered(book, order)
    book.report(TUBE)

    assert answered(book, order) == ("AA", ["UA"])


def test_LAB28_008_it_refuses_nothing_to_do_that_it_did_not_ask_for() -> None:
    profile = registry.get("roche-cobas-pro")
    book = StepBook(instrument=instrument("roche-cobas-pro"))
    query = query_message(book.instrument, [TUBE], number=9, sent_at=AT)
    [asked] = translate(profile, query.payload, zone=UTC, received_at=AT).queries
    empty = [SpecimenOrders(specimen=TUBE, tests=())]
    _, [order] = split_answer(order_records(profile, empty, at=AT, control_id="B1", query=asked))

    assert answered(book, order, asked="another")[0] == "AR"
    assert answered(book, order, asked=TUBE)[0] == "AA"


# ------------------------------------------------------------------ at work, on one connection


@asynccontextmanager
async def working(key: str, ordered: tuple[str, ...]) -> AsyncIterator[tuple[Analyzer, Host]]:
    """An analyzer that asks, and a session that answers as the house would."""
    profile, host, port = registry.get(key), Host(), OutgoingPort()
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(receipt: object) -> tuple[bytes, ...]:
        raw = host.shelf.units[-1].raw
        [query] = translate(profile, raw, zone=UTC, received_at=AT).queries
        tests = tuple(
            OrderedTest(work_order=f"step-{number}", test=code)
            for number, code in enumerate(ordered, 1)
        )
        entry = SpecimenOrders(specimen=query.specimens[0], tests=tests)
        payloads = order_records(profile, [entry], at=AT, control_id="Q1", query=query)
        replies, orders = split_answer(payloads)
        waiting.put_nowait(orders[0])
        return replies

    async def send_orders() -> None:
        reply = await port.exchange(await waiting.get(), control_id="Q1.1", wait_s=WAIT_S)
        assert reply is not None
        host.answers[99] = (reply,)

    ours, theirs = memory_pair()
    analyzer = Analyzer(
        Instrument.of(profile),
        clock=ManualClock(),
        seed=1,
        settings=AnalyzerSettings(asks=True),
    )
    analyzer.load([Tube(accession=TUBE)])
    session = asyncio.create_task(
        run_session(
            ours,
            profile=profile,
            keep=host.shelf.keep,
            answer=answer,
            clock=host.clock,
            on_event=host.events.append,
            port=port,
        )
    )
    attending = asyncio.create_task(analyzer.attend(theirs))
    sending = asyncio.create_task(send_orders())
    try:
        yield analyzer, host
        await sending
    finally:
        await theirs.close()
        for task in (attending, session):
            with suppress(LinkLost):
                await task


@pytest.mark.parametrize(
    "key", ["roche-cobas-pro", "biosystems-ba400", "siemens-atellica-solution"]
)
async def test_an_analyzer_that_asks_measures_what_it_hears(key: str) -> None:
    code = instrument(key).model.plans[1].code
    async with working(key, (code,)) as (analyzer, host), asyncio.timeout(WAIT_S):
        await analyzer.until_done()

    results = host.shelf.units[-1].raw
    read = translate(registry.get(key), results, zone=UTC, received_at=AT)
    assert [row.test for row in read.observations] == [code]
    assert [one.step_id for one in read.progress] == ["step-1"]
    assert (analyzer.counts.orders, analyzer.counts.acknowledged) == (1, 1)


async def test_an_analyzer_with_nothing_to_do_measures_nothing() -> None:
    async with working("roche-cobas-pro", ()) as (analyzer, host), asyncio.timeout(WAIT_S):
        await analyzer.until_done()

    assert analyzer.counts.nothing_to_do == 1
    assert len(host.shelf.units) == 1
