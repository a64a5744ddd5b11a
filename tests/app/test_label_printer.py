"""Labels reach a real socket, once, also when the printer was off; a second label says why."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import zxingcpp

from lis.app.label_printer import LabelPrinter
from lis.app.settings import PrinterSettings, parse_settings
from lis.domain.catalog import Container
from lis.domain.errors import Malformed, NotFound, Refused
from lis.orders.labelling import print_label, show_label
from lis.printing.zpl import dots_of
from lis.store.label_rows import LabelPrint
from lis.store.order_rows import ServiceRequest, Specimen
from lis.store.rows import Outbox, OutboxState
from tests.seeded_store import catalog, place, store

__all__ = ["catalog", "place", "store"]


class SocketPrinter:
    """Port 9100: takes bytes until the caller closes, answers nothing."""

    def __init__(self):
        self.jobs = []

    async def open(self, port=0):
        self.server = await asyncio.start_server(self._take, "127.0.0.1", port)
        return self.server.sockets[0].getsockname()[1]

    async def _take(self, reader, writer):
        self.jobs.append(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def close(self):
        self.server.close()
        await self.server.wait_closed()

    def numbers(self):
        return [
            zxingcpp.read_barcode((~dots_of(job) * 255).astype("uint8")).text for job in self.jobs
        ]


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def make_printer(store, executor):
    def make(port, *, on_order=False):
        settings = PrinterSettings(
            name="desk", link=f"tcp-connect://127.0.0.1:{port}", on_order=on_order
        )
        return LabelPrinter(
            store=store, executor=executor, printer=settings, site="main", language="ru"
        )

    return make


def print_one(store, accession, **more):
    with store.unit("anna") as unit:
        return print_label(unit, accession, printer="desk", **more)


def outbox(store):
    with store.read() as session:
        return [(row.state, row.last_error != "") for row in session.query(Outbox)]


async def until_taken(printer, jobs):
    async with asyncio.timeout(5):
        while len(printer.jobs) < jobs:
            await asyncio.sleep(0)


async def test_a_label_is_printed_once(store, place, make_printer):
    device = SocketPrinter()
    sender = make_printer(await device.open())
    accession = place("GLU").specimens[0].accession
    print_one(store, accession, copies=2)
    assert await sender.run_once()
    assert not await sender.run_once()
    await until_taken(device, 1)
    assert device.numbers() == [accession]
    assert b"^PQ2^XZ" in device.jobs[0]
    assert outbox(store) == [(OutboxState.ACKNOWLEDGED, False)]
    await device.close()


async def test_a_printer_that_was_off_gets_its_labels_when_it_is_back(
    store, place, make_printer, manual_clock
):
    device = SocketPrinter()
    port = await device.open()
    await device.close()
    sender = make_printer(port)
    accessions = [tube.accession for tube in place("GLU", "CBC").specimens]
    for accession in accessions:
        print_one(store, accession)
    assert not await sender.run_once()
    assert all(state is OutboxState.NEW for state, _ in outbox(store))
    await device.open(port)
    manual_clock.advance(seconds=400)
    assert await sender.run_once()
    await until_taken(device, 2)
    assert device.numbers() == accessions
    await device.close()


async def test_new_tubes_get_their_first_label_and_only_one(store, place, make_printer):
    old = place("GLU", birth_date="1985-03-20")
    device = SocketPrinter()
    sender = make_printer(await device.open(), on_order=True)
    sender.begin()
    with store.unit("his") as unit:  # the same person's next referral, under other numbers
        tube = unit.session.get(Specimen, old.specimens[0].specimen_id)
        fresh = copy_of(unit, tube)
    assert sender.label_new_tubes() == 1
    assert sender.label_new_tubes() == 0
    await sender.run_once()
    await until_taken(device, 1)
    assert device.numbers() == [fresh]
    again = make_printer(1, on_order=True)  # a restart goes on where the printer was
    again.begin()
    assert again.label_new_tubes() == 0
    await device.close()


def copy_of(unit, tube):
    kind = type(tube)
    row = kind(
        public_id=unit.ids.new(),
        site_id=tube.site_id,
        requisition_id=tube.requisition_id,
        patient_id=tube.patient_id,
        accession="2600000994",
        specimen_type=tube.specimen_type,
        created_at=unit.now,
    )
    unit.session.add(row)
    unit.session.flush()
    return row.accession


async def test_a_label_that_cannot_be_drawn_is_a_dead_letter_and_holds_nobody_up(
    store, place, make_printer
):
    device = SocketPrinter()
    sender = make_printer(await device.open())
    first, second = (tube.accession for tube in place("GLU", "CBC").specimens)
    print_one(store, first)
    print_one(store, second)
    with store.unit("desk") as unit:  # the roll is narrower than such a number
        unit.session.get_one(Specimen, 1).accession = "1" * 40
    assert await sender.run_once()
    await until_taken(device, 1)
    assert device.numbers() == [second]
    assert [state for state, _ in outbox(store)] == [OutboxState.DEAD, OutboxState.ACKNOWLEDGED]
    await device.close()


def test_S16_a_second_label_needs_a_reason_and_is_audited(store, place, catalog):
    accession = place("GLU").specimens[0].accession
    print_one(store, accession)
    with pytest.raises(Refused) as refusal:
        print_one(store, accession)
    assert refusal.value.code == "labels.reason_needed"
    print_one(store, accession, reason="порвана")
    with store.read() as session:
        shown = show_label(session, catalog, accession, language="ru")
        assert session.query(LabelPrint).count() == 2
    assert [(one.number, one.actor, one.reason) for one in shown.prints] == [
        (1, "anna", ""),
        (2, "anna", "порвана"),
    ]


@pytest.mark.parametrize("copies", [0, 21, -1])
def test_copies_are_bounded(store, place, copies):
    accession = place("GLU").specimens[0].accession
    with pytest.raises(Refused, match="copies"):
        print_one(store, accession, copies=copies)


def test_an_unknown_tube_is_said_so(store, catalog):
    with store.read() as session, pytest.raises(NotFound):
        show_label(session, catalog, "2600000017", language="ru")


@pytest.mark.parametrize(
    ("language", "born", "mark"),
    [("ru", "р. 20.03.1985", "CITO"), ("en", "born 1985-03-20", "STAT")],
)
def test_a_label_speaks_the_laboratorys_language(store, place, catalog, language, born, mark):
    placed = place("GLU")
    with store.unit("his") as unit:
        unit.session.get_one(ServiceRequest, placed.orders[0].service_request_id).priority = "S"
    with store.read() as session:
        facts = show_label(session, catalog, placed.specimens[0].accession, language=language).facts
    assert (facts.born, facts.mark, facts.tests) == (born, mark, ("GLU",))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"link": "tcp-listen://127.0.0.1:9100"}, "tcp-connect"),
        ({"link": "tcp-connect://10.0.0.5:9100", "size": "1x1"}, "50x25"),
        ({"link": "tcp-connect://10.0.0.5:9100", "site": "moon"}, "moon"),
    ],
)
def test_a_misspelt_printer_is_told_at_start(wrong, told):
    with pytest.raises(Malformed, match=told):
        parse_settings({"printer": [{"name": "desk", **wrong}]}, where="lis.toml")


def test_a_label_names_the_container_and_its_cap(store, place, catalog):
    accession = place("GLU").specimens[0].accession
    with store.unit("desk") as unit:
        unit.session.get_one(Specimen, 1).container = "SST"
    tube = Container(code="SST", names={"ru": "Сыворотка с гелем", "en": "Gel"}, cap="yellow")
    known = replace(catalog, containers={"SST": tube})
    with store.read() as session:
        russian = show_label(session, known, accession, language="ru").facts.container
        english = show_label(session, known, accession, language="en").facts.container
        unknown = show_label(session, catalog, accession, language="en").facts.container
    assert (russian, english) == ("Сыворотка с гелем, жёлтая крышка", "Gel, yellow cap")
    assert unknown == "SST"
