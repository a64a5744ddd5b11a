"""A whole laboratory and a LAW analyzer that shares no line of code with it: questions, orders, answers, results."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import select

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import build_house
from lis.cli.serving import HouseThread
from lis.domain.awos import AwosState
from lis.domain.lifecycle import WorkOrderState
from lis.store.definitions import put_definition
from lis.store.rows import Alarm, AnalyzerStep, Outbox, OutboxState, WorkOrder
from lis.store.seed.demo_catalog import demo_documents
from lis.store.traffic_queries import all_devices
from tests.foreign.blocks import field as at
from tests.foreign.blocks import header_field, named, read_block, write_block
from tests.foreign.hl7_analyzers import WAIT_S, LawAnalyzer
from tests.foreign.line import Line
from tests.laboratory.conftest import OpenLaboratory, wait_for

DRIVER = "roche-cobas-pro"
CODES = {"GLU": ("20411", "mmol/L"), "CREA": ("20470", "umol/L")}


def now():
    return f"{SystemClock().now():%Y%m%d%H%M%S}"


def put_catalog(unit):
    """The demo catalog, and what the LAW analyzer calls two of its tests."""
    documents = demo_documents()
    catalog = dict(documents.catalog)
    catalog["instrument_tests"] = [
        *catalog["instrument_tests"],
        *(
            {"driver": DRIVER, "code": code, "test": test, "unit": unit_text}
            for test, (code, unit_text) in CODES.items()
        ),
    ]
    since = unit.now - timedelta(days=1)
    for kind, body in (
        ("catalog", catalog),
        ("interval", documents.interval),
        ("rule", documents.rule),
    ):
        put_definition(unit, kind, body["version"], body, since, "approver")


@pytest.fixture
def law_laboratory(store_url):
    """Open a laboratory with LAW analyzers given as {name: further settings}."""
    with ExitStack() as stack:

        def open_laboratory(**instruments):
            settings = parse_settings(
                {
                    "store": {"url": store_url},
                    "instrument": [
                        {
                            "name": name,
                            "driver": DRIVER,
                            "link": "tcp-listen://127.0.0.1:0",
                            "timezone": "UTC",
                            **more,
                        }
                        for name, more in instruments.items()
                    ],
                },
                where="test",
            )
            house = build_house(settings, clock=SystemClock())
            with house.store.unit("author") as unit:
                put_catalog(unit)
                for device in all_devices(unit.session):
                    device.has_reliable_barcode = True
            thread = HouseThread(house)
            thread.start()
            stack.callback(thread.stop)
            return Bench(OpenLaboratory(house=house, cables={}))

        open_laboratory.stack = stack
        yield open_laboratory


class Bench:
    """The laboratory, and what the tests look at in its store."""

    def __init__(self, opened):
        self.opened = opened

    def analyzer(self, name, server=None):
        line = Line.call(*self.opened.address(name))
        if server is None:
            return LawAnalyzer(line)
        return LawAnalyzer.with_own_port(line, server)

    def tube(self, *codes):
        return self.opened.order(*codes)["SER"]

    def rows(self, row):
        with self.opened.store.read() as session:
            return list(session.scalars(select(row).order_by(row.id)))

    def orders(self):
        return {row.test_code: row.state for row in self.rows(WorkOrder)}

    def until_orders(self, **states):
        wanted = {code: WorkOrderState(state) for code, state in states.items()}
        wait_for(lambda: self.orders() == wanted)

    def until_steps(self, *states):
        wait_for(lambda: [step.state for step in self.rows(AnalyzerStep)] == list(states))

    def until_sent(self, count=1):
        wait_for(
            lambda: (
                [row.state for row in self.rows(Outbox)].count(OutboxState.ACKNOWLEDGED) == count
            )
        )


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as opened:
        opened.settimeout(WAIT_S)
        yield opened


def at_server(server):
    return f"tcp-connect://127.0.0.1:{server.getsockname()[1]}"


# ------------------------------------------------------------------ questions and orders


def test_LAW_R01_the_reply_comes_first_and_the_order_follows_on_the_same_connection(
    law_laboratory,
):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU", "CREA")
    analyzer = bench.analyzer("pro")
    broadcast = analyzer.query(tube, now())  # a strict peer: RSP, then OML
    bench.until_orders(GLU="acknowledged", CREA="acknowledged")
    analyzer.close()
    assert broadcast.specimen == tube
    assert {(step.test, step.control) for step in broadcast.steps} == {
        ("20411", "NW"),
        ("20470", "NW"),
    }
    assert {step.number for step in broadcast.steps} == {
        row.public_id for row in bench.rows(WorkOrder)
    }
    bench.until_steps(AwosState.ACCEPTED, AwosState.ACCEPTED)


def test_LAW_R01_the_order_follows_on_a_connection_that_we_open(law_laboratory, server):
    bench = law_laboratory(pro={"orders_link": at_server(server)})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro", server)
    broadcast = analyzer.query(tube, now())
    bench.until_orders(GLU="acknowledged")
    analyzer.close()
    assert [step.test for step in broadcast.steps] == ["20411"]


def test_LAW_R02_an_unknown_tube_is_answered_with_nothing_to_do(law_laboratory):
    bench = law_laboratory(pro={})
    analyzer = bench.analyzer("pro")
    broadcast = analyzer.query("1900000014", now())
    bench.until_sent()
    analyzer.close()
    assert [(step.control, step.number) for step in broadcast.steps] == [("DC", "")]
    assert broadcast.specimen == "1900000014"
    assert bench.rows(AnalyzerStep) == []


def test_LAW_R04_and_LAB28_008_a_refused_nothing_to_do_is_no_failure(law_laboratory):
    bench = law_laboratory(pro={})
    line = Line.call(*bench.opened.address("pro"))
    ask(line, "1900000014")
    order = read_block(line, WAIT_S)
    reply(line, order, "AR", ["ERR", "", "", "204^Unknown key identifier^HL70357", "E"])
    bench.until_sent()
    line.close()
    assert at(named(order, "ORC")[0], 1) == "DC"
    assert [alarm.kind for alarm in bench.rows(Alarm)] == []


def test_LAW_R05_each_step_is_taken_or_refused_by_itself(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU", "CREA")
    line = Line.call(*bench.opened.address("pro"))
    ask(line, tube)
    order = read_block(line, WAIT_S)
    first, second = (at(obr, 2) for obr in named(order, "OBR"))
    spm = named(order, "SPM")[0]
    reply(
        *(line, order, "AA", spm),
        *(["ORC", "OK", first, "", "", "SC"], ["ORC", "UA", second, "", "", "CA"]),
    )
    wait_for(lambda: sorted(bench.orders().values()) == ["acknowledged", "failed"])
    line.close()


def test_LAW_R06_a_tube_that_is_asked_for_again_gets_the_same_steps(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro")
    first = analyzer.query(tube, now())
    bench.until_orders(GLU="acknowledged")
    again = analyzer.query(tube, now())
    bench.until_sent(2)
    analyzer.close()
    assert [step.number for step in first.steps] == [step.number for step in again.steps]
    assert first.control_id != again.control_id
    assert len(bench.rows(AnalyzerStep)) == 1


def test_LAW_R06_a_step_that_ended_is_given_again_under_a_new_id(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro")
    refused = ask_and_refuse(analyzer, tube)
    bench.until_orders(GLU="failed")
    with bench.opened.store.unit("anna") as unit:
        order = unit.session.scalars(select(WorkOrder)).one()
        order.state = WorkOrderState.PENDING
    again = analyzer.query(tube, now())
    bench.until_orders(GLU="acknowledged")
    analyzer.close()
    assert again.steps[0].number != refused
    assert again.steps[0].number.startswith(refused)


def test_LAW_R03_only_the_tube_that_was_asked_for_is_told(law_laboratory):
    bench = law_laboratory(pro={})
    tubes = [bench.tube("GLU") for _ in range(3)]
    analyzer = bench.analyzer("pro")
    broadcast = analyzer.query(tubes[1], now())
    analyzer.close()
    assert broadcast.specimen == tubes[1]


# ------------------------------------------------------------------ work that nobody asked for


def test_LAW_R11_released_work_goes_out_without_a_question(law_laboratory, server):
    bench = law_laboratory(pro={"orders_link": at_server(server), "orders_broadcast": True})
    analyzer = bench.analyzer("pro", server)
    tube = bench.tube("GLU")
    broadcast = analyzer.take_orders(now())
    bench.until_orders(GLU="acknowledged")
    analyzer.close()
    assert broadcast.specimen == tube
    assert [step.control for step in broadcast.steps] == ["NW"]


def test_LAW_R07_and_LAW_001_what_one_analyzer_has_measured_is_taken_back_from_the_other(
    law_laboratory,
):
    bench = law_laboratory(one={"orders_broadcast": True}, two={"orders_broadcast": True})
    one, two = bench.analyzer("one"), bench.analyzer("two")
    tube = bench.tube("GLU")
    first, second = one.take_orders(now()), two.take_orders(now())
    bench.until_steps(AwosState.ACCEPTED, AwosState.ACCEPTED)
    one.send_result(tube, first.steps[0].number, "20411", "5.1", "mmol/L", now())
    taken_back = two.take_orders(now())
    wait_for(
        lambda: (
            {step.state for step in bench.rows(AnalyzerStep)}
            == {AwosState.COMPLETED, AwosState.CANCELLED}
        )
    )
    one.close()
    two.close()
    assert [(step.number, step.control) for step in taken_back.steps] == [
        (second.steps[0].number, "CA")
    ]
    assert bench.orders() == {"GLU": WorkOrderState.RESULTED}


# ------------------------------------------------------------------ results


def test_LAW_R08_a_result_that_nobody_ordered_is_kept_and_waits(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro")
    analyzer.send_result(tube, "", "20470", "82", "umol/L", now())
    bench.opened.settled(1)
    analyzer.close()
    [found] = bench.opened.observations()
    assert (found.test_code, found.reported) == ("CREA", "82")
    assert "not_ordered" in found.holds


def test_LAW_R09_results_of_one_step_come_over_time(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro")
    step = analyzer.query(tube, now()).steps[0].number
    bench.until_orders(GLU="acknowledged")
    for run in ("1", "2"):
        write_block(analyzer.line, result(tube, step, run=run, control_id=f"m{run}"))
        read_block(analyzer.line, WAIT_S)
    bench.opened.settled(3)
    analyzer.close()
    assert [row.run for row in bench.opened.observations()] == ["1", "2"]
    bench.until_orders(GLU="resulted")


def test_LAW_R10_and_LAW_008_a_retransmitted_result_is_acknowledged_and_stored_once(
    law_laboratory,
):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    line = Line.call(*bench.opened.address("pro"))
    message = result(tube)
    for _ in range(3):
        write_block(line, message)
        answer = read_block(line, WAIT_S)
        assert at(named(answer, "MSA")[0], 1) == "AA"
        assert header_field(answer, 21) == "LAB-29^IHE"
    bench.opened.settled(1)
    line.close()
    assert len(bench.opened.observations()) == 1


def test_the_progress_of_a_step_reaches_its_work_order(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU")
    analyzer = bench.analyzer("pro")
    step = analyzer.query(tube, now()).steps[0].number
    bench.until_orders(GLU="acknowledged")
    write_block(analyzer.line, result(tube, step, state="IP", rows=0, control_id="ip1"))
    read_block(analyzer.line, WAIT_S)
    bench.until_orders(GLU="in_process")
    write_block(analyzer.line, result(tube, step, state="CA", rows=0, control_id="ca1"))
    read_block(analyzer.line, WAIT_S)
    bench.until_orders(GLU="failed")
    analyzer.close()
    bench.until_steps(AwosState.CANCELLED)


def test_a_question_that_nobody_knows_is_refused_in_its_own_words(law_laboratory):
    bench = law_laboratory(pro={})
    line = Line.call(*bench.opened.address("pro"))
    answer = ask(line, "17", name="NEWQUERY^^99ROC")
    line.close()
    assert header_field(answer, 9) == "RSP^K11^RSP_K11"
    assert at(named(answer, "MSA")[0], 1) == "AR"
    assert at(named(answer, "ERR")[0], 3).startswith("103")


def test_lis_simulate_asks_takes_its_orders_and_reports_them(law_laboratory):
    bench = law_laboratory(pro={})
    tube = bench.tube("GLU", "CREA")
    host, port = bench.opened.address("pro")
    link = f"tcp-connect://{host}:{port}"
    command = ["simulate", DRIVER, link, "--ask", "--specimen", tube, "--timeout", "20", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "lis.cli.main", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    bench.until_orders(GLU="resulted", CREA="resulted")
    assert json.loads(done.stdout)["orders"] == 2
    assert len(bench.opened.observations()) == 2


# ------------------------------------------------------------------ messages by hand


def head(kind, control_id, profile, asks=("NE", "AL")):
    return [
        *("MSH", "^~\\&", "cobas pro", "", "host", "", f"{now()}+0000", "", kind, control_id),
        *("P", "2.5.1", "", "", *asks, "", "UNICODE UTF-8", "", "", profile),
    ]


def ask(line, tube, name="WOS^Work Order Step^IHELAW"):
    query = [head("QBP^Q11^QBP_Q11", f"q{tube}", "LAB-27^IHE"), ["QPD", name, "t1", tube]]
    write_block(line, [*query, ["RCP", "I", "", "R^^HL70394"]])
    return read_block(line, WAIT_S)


def reply(line, order, code, *rest):
    answer = head("ORL^O34^ORL_O42", "r1", "LAB-28^IHE", asks=("", ""))
    write_block(line, [answer, ["MSA", code, header_field(order, 10)], *rest])


def ask_and_refuse(analyzer, tube):
    """One question whose step is refused; the id of the step."""
    ask(analyzer.line, tube)
    return analyzer.take_orders(now(), accept=False).steps[0].number


def result(tube, step='""', state="CM", rows=1, control_id="m1", run="1"):
    obx = [
        *("OBX", "1", "NM", "20411^^99ROC", run, "5.1", "mmol/L^^99ROC", "", "N^^HL70078", "", ""),
        *("F", "", "", "", "", "op", "", "c503^ROCHE", now()),
        *([""] * 9),
        "RSLT",
    ]
    return [
        head("OUL^R22^OUL_R22", control_id, "LAB-29^IHE"),
        ["SPM", "1", f"{tube}&BARCODE", "", "SERPLAS^^99ROC", *[""] * 6, "P^^HL70369"],
        ["SAC", "", "", f"{tube}^BARCODE"],
        ["OBR", "1", step, "", "20411^^99ROC"],
        ["ORC", "SC", "", "", "", state],
        *[obx] * rows,
    ]
