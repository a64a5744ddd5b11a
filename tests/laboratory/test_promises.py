"""The promises of DESIGN section 2, each against a running house: sockets, store, pages and EMR as they are.

The pure halves stand beside the decisions (`tests/results`, `tests/qc`); power cuts in `tests/durability`.
Promise 6: what exists for people is choosing another run, and the analyzer's edit; both are new versions.
"""

import asyncio
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from sqlalchemy import func, make_url, select, update

from lis.access.users import create_user
from lis.domain.errors import Refused, StaleVersion
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.emr.delivery import EmrSender
from lis.results import validation
from lis.results.desk import Shown
from lis.results.reads import row as worklist_row
from lis.store.definitions import catalog_in_force
from lis.store.inbox import inbox_counts
from lis.store.observation_rows import DiagnosticReport, Observation
from lis.store.people_rows import Patient
from lis.store.rows import Inbox, InboxState, Outbox
from lis.transport import LinkAddress
from tests.foreign.frames import ACK, ENQ, EOT, build_frame, session_frames
from tests.hostile.peers import CR, FS, VT, Peer, astm_report, order, oru, says, stamp
from tests.laboratory.conftest import wait_for
from tests.serving import NAMES, PASSWORD, Browser, served

SECRET = "77.7"  # a value that stands nowhere else
NOT_YET_S = 1.0  # an ACK comes within some milliseconds where it may come


@pytest.fixture
def opened(laboratory):
    return laboratory(("bc-1", "mindray-bc", "tcp"), ("xp-1", "sysmex-xp-100", "tcp"), emr=True)


# --- 1. an ACK is a promise -------------------------------------------------------------------------


@contextmanager
def store_that_cannot_commit(store):
    """Somebody else holds what the inbox writer needs; everything goes on afterwards."""
    url = make_url(store.url)
    if store.is_sqlite:
        other = sqlite3.connect(url.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        other = psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
        other.execute("LOCK TABLE inbox, journal IN EXCLUSIVE MODE")
    try:
        yield
    finally:
        other.rollback() if not store.is_sqlite else other.execute("ROLLBACK")
        other.close()


def test_promise_1_no_block_is_acknowledged_while_the_store_cannot_commit(opened):
    with Peer(opened.address("bc-1")) as peer:
        with store_that_cannot_commit(opened.store):
            peer.send(VT + oru("1900000014") + FS + CR)
            with pytest.raises(TimeoutError):
                peer.read(NOT_YET_S)
        assert says(peer.read_block(15.0)) == "AA"
    assert len(opened.inbox()) == 1


def test_promise_1_no_frame_is_acknowledged_while_the_store_cannot_commit(opened):
    frames = [build_frame(frame) for frame in session_frames(iter(astm_report("1900000014")))]
    with Peer(opened.address("xp-1")) as peer:
        peer.send(ENQ)
        assert peer.read() == ACK
        with store_that_cannot_commit(opened.store):
            peer.send(frames[0])
            with pytest.raises(TimeoutError):
                peer.read(NOT_YET_S)
        assert peer.read(15.0) == ACK
        for frame in frames[1:]:
            peer.send(frame)
            assert peer.read() == ACK
        assert len(opened.inbox()) == 1  # before the session has ended
        peer.send(EOT)


def test_promise_1_what_was_acknowledged_is_in_the_store_at_that_moment(opened):
    with Peer(opened.address("bc-1")) as peer:
        for number in range(20):
            message = oru("1900000014", control=str(number))
            assert says(peer.ask(message)) == "AA"
            assert opened.inbox()[-1].raw == message


# --- 2. nothing is lost, nothing is doubled ------------------------------------------------------------


def counts(opened):
    with opened.store.read() as session:
        return inbox_counts(session)


def is_settled(opened):
    return counts(opened).new == 0


def runs(opened):
    return sorted((row.specimen_text.strip(), row.reported) for row in opened.observations())


@pytest.mark.parametrize("seed", [1, 2])
def test_promise_2_what_came_in_is_processed_held_incomplete_or_new_whatever_is_resent(
    opened, seed
):
    dice = random.Random(seed)
    tubes = [opened.order("CBC")["WB"] for _ in range(4)]
    messages = [
        oru(tube, f"{number}.5", control=f"{tube}{number}", at=stamp(minutes_ago=9 - number))
        for tube in tubes
        for number in (4, 5)
    ]
    sent = messages * 3
    dice.shuffle(sent)
    for message in sent:
        with Peer(opened.address("bc-1")) as peer:
            if dice.random() < 0.3:  # the cable is cut, and the message comes again
                peer.try_send((VT + message)[: dice.randrange(1, len(message))])
            else:
                says(peer.ask(message))
    with Peer(opened.address("bc-1")) as peer:
        for message in messages:
            assert says(peer.ask(message)) == "AA"
    wait_for(lambda: is_settled(opened))
    now = counts(opened)
    assert now.received == now.processed + now.held + now.incomplete + now.new
    assert runs(opened) == sorted((tube, f"{number}.5") for tube in tubes for number in (4, 5))


def test_promise_2_replaying_everything_changes_nothing(opened):
    tube = opened.order("CBC")["WB"]
    with Peer(opened.address("bc-1")) as peer:
        for number in (4, 5):
            message = oru(tube, f"{number}.5", control=str(number), at=stamp(minutes_ago=number))
            assert says(peer.ask(message)) == "AA"
    opened.settled(2)
    before = [(row.id, row.bench_state, row.row_version) for row in opened.observations()]
    with opened.store.unit("replay") as unit:
        unit.session.execute(
            update(Inbox).where(Inbox.state != InboxState.INCOMPLETE).values(state=InboxState.NEW)
        )
    opened.settled(2)
    after = [(row.id, row.bench_state, row.row_version) for row in opened.observations()]
    assert after == before


# --- 3. nothing is guessed ---------------------------------------------------------------------------


UNKNOWN = {
    "specimen": {"tube": "1900000014"},
    "specimen with one digit wrong": {"tube": "neighbour"},
    "test": {"test": "99999-9^XYZ^LN"},
    "unit": {"unit": "furlong"},
    "time": {"at": "yesterday"},
    "value": {"value": "about five"},
}


UNMATCHED = {"specimen", "specimen with one digit wrong", "time"}


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_promise_3_what_is_unknown_is_held_with_a_reason_and_never_matched_by_luck(opened, unknown):
    tube = opened.order("CBC")["WB"]
    fields = {"tube": tube, **UNKNOWN[unknown]}
    if fields["tube"] == "neighbour":
        fields["tube"] = tube[:-1] + str((int(tube[-1]) + 1) % 10)
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(fields.pop("tube"), **fields))) == "AA"
    opened.settled(1)
    (row,) = opened.observations()
    assert row.bench_state is BenchState.HELD
    assert row.holds
    assert (row.specimen_id is None) == (unknown in UNMATCHED)


def test_promise_3_an_order_for_something_unknown_is_held_and_not_dropped(opened):
    with Peer(opened.address("his")) as peer:
        answer = peer.ask(order(code="NO-SUCH-TEST"))
    assert says(answer) == "AA"
    assert b"ORC|OK|P1^HIS" in answer
    assert b"|HD|" in answer


# --- 4. nothing unsafe leaves ----------------------------------------------------------------------------


@pytest.fixture
def one_result(opened):
    """A result of a known patient with an open report, as the ports would send it."""
    with opened.store.unit("test") as unit:
        for role, name in NAMES.items():
            create_user(
                unit, login=role.value, name=name, password=PASSWORD, roles=frozenset({role})
            )
    tube = opened.order("CBC", source="his")["WB"]
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube, SECRET))) == "AA"
    opened.settled(1)
    return opened


def put(opened, state, status):
    """Force the state, past every table, and hand the report to the EMR's outbox: a defect or an intruder."""
    with opened.store.unit("intruder") as unit:
        row = unit.session.scalars(select(Observation)).one()
        row.bench_state, row.status = state, status
        row.released_at = row.visible_from = unit.now
        report = DiagnosticReport(
            public_id=unit.ids.new(),
            service_request_id=row.service_request_id,
            created_at=unit.now,
            status="final",
            version=1,
        )
        unit.session.add(report)
        unit.session.flush()
        unit.send(
            destination="emr:his",
            key=f"{report.public_id}:1:emr:his",
            order_key="1",
            payload={"report": report.id, "version": 1, "observations": [row.id]},
            not_before=unit.now,
        )


def to_the_emr(opened):
    """Everything that a listening EMR receives."""

    async def deliver():
        came = bytearray()

        async def listen(reader, writer):
            came.extend(await reader.read(2**20))
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with ThreadPoolExecutor(1) as executor:
            sender = EmrSender(
                store=opened.store,
                destination="emr:his",
                address=LinkAddress.parse(f"tcp-connect://127.0.0.1:{port}"),
                facility="test",
                executor=executor,
                answer_wait_s=0.5,
            )
            await sender.run_once()
            await sender._hang_up()
        server.close()
        await server.wait_closed()
        return came.decode()

    return asyncio.run(deliver())


def to_a_doctor(opened, path):
    with opened.store.read() as session:
        patient = session.scalars(select(Patient)).one().public_id
    with served(opened.house.laboratory) as address:
        browser = Browser.at(address)
        browser.sign_in("doctor")
        answer = browser.http.get(path.format(patient=patient))
        browser.http.close()
    assert answer.status_code == 200
    return answer.text


def to_an_outsider(opened, path):
    with served(opened.house.laboratory) as address, httpx.Client(base_url=address) as http:
        return http.get(path).text


PORTS = {
    "ORU": to_the_emr,
    "the doctor's page": lambda opened: to_a_doctor(opened, "/patients/{patient}"),
    "the doctor's API": lambda opened: to_a_doctor(opened, "/api/v1/patients/{patient}/results"),
    "the metrics": lambda opened: to_an_outsider(opened, "/metrics"),
    "the API without a session": lambda opened: to_an_outsider(opened, "/api/v1/worklist"),
}
UNSAFE = {
    **{
        state.value: (state, ResultStatus.FINAL)
        for state in BenchState
        if state is not BenchState.RELEASED
    },
    "registered": (BenchState.RELEASED, ResultStatus.REGISTERED),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("unsafe", UNSAFE)
def test_promise_4_no_port_lets_out_anything_but_released(one_result, port, unsafe):
    put(one_result, *UNSAFE[unsafe])
    assert SECRET not in PORTS[port](one_result)


@pytest.mark.parametrize("port", ["ORU", "the doctor's page", "the doctor's API"])
def test_promise_4_the_same_ports_let_out_what_is_released(one_result, port):
    put(one_result, BenchState.RELEASED, ResultStatus.FINAL)
    assert SECRET in PORTS[port](one_result)


def test_promise_4_nothing_is_released_without_a_gate_that_is_open(one_result):
    (row,) = one_result.observations()
    assert row.bench_state is BenchState.HELD
    with one_result.store.read() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == 0


# --- 5. every verdict explains itself ------------------------------------------------------------------------


def test_promise_5_every_verdict_is_kept_with_its_version_and_the_raw_bytes_are_one_click_away(
    one_result,
):
    (row,) = one_result.observations()
    sent = next(kept for kept in one_result.inbox() if kept.id == row.inbox_id)
    with served(one_result.house.laboratory) as address:
        browser = Browser.at(address)
        browser.sign_in("technician")
        detail = browser.http.get(f"/api/v1/observations/{row.id}").json()
        raw = browser.http.get(f"/api/v1/observations/{row.id}/raw").json()
        browser.http.close()
    assert row.verdicts
    assert set(row.holds) <= {one["reason"] for one in row.verdicts}
    assert all(one["version"] for one in row.verdicts if one["outcome"] == "pass")
    assert all(one["parameters"] for one in row.verdicts if one["rule"] == "critical")
    assert row.catalog_version_id
    assert len(detail["verdicts"]) == len(row.verdicts)
    assert SECRET in "\n".join(raw["lines"])
    assert SECRET.encode() in sent.raw


# --- 6. nothing clinical is overwritten ------------------------------------------------------------------------


def test_promise_6_an_edit_on_the_analyzer_is_a_new_version_beside_the_old(opened):
    tube, at = opened.order("CBC")["WB"], stamp(minutes_ago=2)
    with Peer(opened.address("bc-1")) as peer:
        peer.ask(oru(tube, "5.5", control="1", at=at))
        peer.ask(oru(tube, "6.6", control="2", at=at))
    opened.settled(2)
    first, second = opened.observations()
    assert (first.reported, second.reported) == ("5.5", "6.6")
    assert (second.previous_id, second.version) == (first.id, 2)
    assert second.bench_state is BenchState.HELD


def test_promise_6_nobody_verifies_a_row_that_changed_meanwhile(opened):
    tube, at = opened.order("CBC")["WB"], stamp(minutes_ago=2)
    with Peer(opened.address("bc-1")) as peer:
        peer.ask(oru(tube, "5.5", control="1", at=at))
        opened.settled(1)
        with opened.store.read() as session:
            catalog = catalog_in_force(session, opened.house.laboratory.clock.now())
            seen = worklist_row(session, catalog, 1)
        peer.ask(oru(tube, "6.6", control="2", at=at))
    opened.settled(2)
    shown = Shown(observation_id=1, version=seen["row_version"], hash=seen["shown_hash"])
    with opened.store.unit("anna") as unit, pytest.raises((StaleVersion, Refused)):
        validation.verify(unit, catalog_in_force(unit.session, unit.now), shown, user="anna")
