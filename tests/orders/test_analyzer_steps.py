"""What becomes of a message to a LAW analyzer: every answer, none, and the ones that came too late."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from lis.domain.awos import AwosState
from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent, WorkOrderState
from lis.domain.messages import HostQuery, OrderProgress, ProgressKind
from lis.drivers import registry, translate
from lis.orders.analyzer_steps import (
    ERROR_RETRY,
    hand_over,
    settle,
    withdraw_not_needed,
)
from lis.orders.hostquery import orders_unasked
from lis.store.outbox import claim_due
from lis.store.rows import Alarm, AnalyzerStep, Outbox, OutboxState, Specimen, WorkOrder
from lis.store.step_queries import note_progress
from lis.store.traffic_rows import Device
from lis.wire.hl7 import Message
from lis.wire.law_replies import steps_of
from tests.orders.test_hostquery import place

DRIVER = "roche-cobas-pro"
CODES = {"GLU": "20411", "CREA": "20470"}
ERR = "ERR||OBR^1^4|103^Table value not found^HL70357|E"


@pytest.fixture
def pro(store):
    with store.unit("author") as unit:
        device = Device(public_id=unit.ids.new(), site_id=1, name="pro", driver=DRIVER)
        unit.session.add(device)
        unit.session.flush()
        return device


class Desk:
    """One analyzer, its work and its messages."""

    def __init__(self, store, catalog, device, profile=None):
        self.store, self.catalog, self.device = store, catalog, device
        self.profile = profile or registry.get(DRIVER)

    def order(self, *codes):
        place(self.store, self.catalog, *codes)
        with self.store.unit("orders:pro") as unit:
            rows = list(unit.session.scalars(select(WorkOrder).order_by(WorkOrder.id)))
            orders = orders_unasked(unit, self.device, CODES, rows)
            hand_over(unit, self.profile, self.device, orders, control_id="T1")
        return self.claim()

    def claim(self):
        """The message that is due, leased."""
        with self.store.unit("orders:pro") as unit:
            [row] = claim_due(unit.session, "orders:pro", unit.now, 5)
            return row.id, row.body

    def settle(self, outbox_id, reply, error=""):
        with self.store.unit("orders:pro") as unit:
            settle(unit, self.profile, self.device, outbox_id, reply, random=0.0, error=error)

    def withdraw(self):
        with self.store.unit("orders:pro") as unit:
            return withdraw_not_needed(unit, self.catalog, self.profile, self.device)

    def tell(self, step_id, kind):
        with self.store.unit("intake") as unit:
            news = (OrderProgress(step_id=step_id, kind=kind),)
            note_progress(unit.session, self.device.id, news, unit.now)

    def rows(self, row):
        with self.store.read() as session:
            return list(session.scalars(select(row).order_by(row.id)))

    def states(self):
        return [row.state for row in self.rows(WorkOrder)], [
            row.state for row in self.rows(AnalyzerStep)
        ]


@pytest.fixture
def desk(store, catalog, pro):
    return Desk(store, catalog, pro)


def ids(body):
    return [step_id for step_id, _ in steps_of(Message.parse(body))]


def reply(body, code, *lines):
    to = Message.parse(body).control_id
    head = r"MSH|^~\&|cobas pro||LIS||20261122080000||ORL^O34^ORL_O42|r1|P|2.5.1||||||UNICODE UTF-8"
    return "\r".join([head, f"MSA|{code}|{to}", *lines]).encode() + b"\r"


def answers(body, *controls):
    return [f"ORC|{control}|{one}" for control, one in zip(controls, ids(body), strict=True)]


W, S = WorkOrderState, AwosState


def test_an_accepted_step_is_an_acknowledged_work_order(desk):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "OK")))
    assert desk.states() == ([W.ACKNOWLEDGED], [S.ACCEPTED])
    assert desk.rows(Outbox)[0].state is OutboxState.ACKNOWLEDGED
    assert desk.rows(WorkOrder)[0].acknowledged_at is not None


def test_no_answer_means_the_same_bytes_again_with_the_same_id(desk, manual_clock):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, None, "no answer within 30 s")
    manual_clock.advance(seconds=10)
    again_id, again = desk.claim()
    assert (again_id, again) == (outbox_id, body)
    assert desk.states() == ([W.SENT], [S.SENT])
    assert desk.rows(Outbox)[0].attempts == 2


def test_an_answer_that_cannot_be_read_is_no_answer(desk):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "??"))
    assert desk.states() == ([W.SENT], [S.SENT])
    assert desk.rows(Outbox)[0].state is OutboxState.NEW


def test_trouble_of_the_analyzer_is_tried_once_more_and_then_a_person_looks(desk, manual_clock):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AE", ERR))
    assert desk.rows(Outbox)[0].state is OutboxState.NEW
    manual_clock.advance(seconds=ERROR_RETRY.total_seconds() + 1)
    again_id, again = desk.claim()
    desk.settle(again_id, reply(again, "AE", ERR))
    assert again == body
    assert desk.rows(Outbox)[0].state is OutboxState.DEAD
    assert [alarm.kind for alarm in desk.rows(Alarm)] == ["dead_letter"]


def test_a_rejected_order_fails_and_a_person_looks(desk):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AR", ERR))
    assert desk.states() == ([W.FAILED], [S.REFUSED])
    [row] = desk.rows(Outbox)
    assert (row.state, row.last_error) == (OutboxState.DEAD, "AR: 103")


def test_LAW_R04_a_rejected_nothing_to_do_is_settled_without_an_alarm(desk):
    with desk.store.unit("orders:pro") as unit:
        raw = (
            rb"MSH|^~\&|cobas pro||host||20261122080000||QBP^Q11^QBP_Q11|q1|P|2.5.1|||NE|AL||UNICODE UTF-8"
            b"\rQPD|WOS^Work Order Step^IHELAW|t|1900000014\rRCP|I||R\r"
        )
        [query] = translate(desk.profile, raw, zone=unit.now.tzinfo, received_at=unit.now).queries
        hand_over(unit, desk.profile, desk.device, (), control_id="T1", query=query)
    outbox_id, body = desk.claim()
    desk.settle(outbox_id, reply(body, "AR", ERR))
    assert isinstance(query, HostQuery)
    assert desk.rows(Outbox)[0].state is OutboxState.ACKNOWLEDGED
    assert desk.rows(Alarm) == []


def test_a_bare_reply_concludes_nothing_unless_the_profile_says_so(store, catalog, pro):
    desk = Desk(store, catalog, pro)
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AA"))
    assert desk.states() == ([W.SENT], [S.SENT])


def test_a_bare_reply_takes_all_where_the_profile_says_so(store, catalog, pro):
    base = registry.get(DRIVER)
    assert base.law is not None
    profile = replace(base, law=replace(base.law, bare_reply_takes=True))
    desk = Desk(store, catalog, pro, profile)
    outbox_id, body = desk.order("GLU", "CREA")
    desk.settle(outbox_id, reply(body, "AA"))
    assert desk.states() == ([W.ACKNOWLEDGED] * 2, [S.ACCEPTED] * 2)


def test_LAW_R06_a_step_the_analyzer_has_already_is_not_refused_by_ua(desk):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "OK")))
    with desk.store.unit("orders:pro") as unit:
        unit.session.get_one(Outbox, outbox_id).state = OutboxState.SENT
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "UA")))
    assert desk.states() == ([W.ACKNOWLEDGED], [S.ACCEPTED])


def cancel_all(desk):
    with desk.store.unit("anna") as unit:
        for row in unit.session.scalars(select(WorkOrder)):
            row.state = WORK_ORDER.apply(row.state, WorkOrderEvent.CANCEL)


def taken(desk):
    outbox_id, body = desk.order("GLU")
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "OK")))
    return ids(body)


def test_a_cancelled_order_is_taken_back_under_its_own_id(desk):
    steps = taken(desk)
    cancel_all(desk)
    assert desk.withdraw() == 1
    assert desk.withdraw() == 0  # once
    outbox_id, body = desk.claim()
    assert steps_of(Message.parse(body)) == ((steps[0], "CA"),)
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "CR")))
    assert desk.states() == ([W.CANCELLED], [S.CANCELLED])


def test_what_runs_already_cannot_be_taken_back_and_may_still_give_results(desk):
    taken(desk)
    cancel_all(desk)
    desk.withdraw()
    outbox_id, body = desk.claim()
    desk.settle(outbox_id, reply(body, "AA", "SPM|1", *answers(body, "UC")))
    assert desk.states() == ([W.CANCELLED], [S.RUNNING])
    assert desk.withdraw() == 0  # asking again would change nothing


def test_what_the_analyzer_reports_of_a_step_moves_its_work_order(desk):
    [step] = taken(desk)
    desk.tell(step, ProgressKind.STARTED)
    assert desk.states() == ([W.IN_PROCESS], [S.IN_PROGRESS])
    desk.tell(step, ProgressKind.STOPPED)
    assert desk.states() == ([W.FAILED], [S.CANCELLED])
    desk.tell("0190-nobody-knows-this", ProgressKind.STARTED)
    assert desk.states() == ([W.FAILED], [S.CANCELLED])


def test_a_step_of_another_analyzer_is_not_moved(desk, store):
    [step] = taken(desk)
    with store.unit("author") as unit:
        other = Device(public_id=unit.ids.new(), site_id=1, name="other", driver=DRIVER)
        unit.session.add(other)
        unit.session.flush()
        news = (OrderProgress(step_id=step, kind=ProgressKind.STOPPED),)
        note_progress(unit.session, other.id, news, unit.now)
    assert desk.states() == ([W.ACKNOWLEDGED], [S.ACCEPTED])


def test_one_message_is_on_its_way_at_a_time(desk, manual_clock):
    desk.order("GLU")
    with desk.store.unit("orders:pro") as unit:
        rows = list(unit.session.scalars(select(WorkOrder)))
        orders = orders_unasked(unit, desk.device, CODES, rows)
        hand_over(unit, desk.profile, desk.device, orders, control_id="T2")
    with desk.store.unit("orders:pro") as unit:
        assert claim_due(unit.session, "orders:pro", unit.now, 5) == []
    manual_clock.advance(seconds=timedelta(minutes=2).total_seconds())
    _, body = desk.claim()
    assert Message.parse(body).control_id == "T1.1"


def test_the_tube_on_the_message_is_that_of_the_work_order(desk):
    _, body = desk.order("GLU")
    [specimen] = desk.rows(Specimen)
    spm = Message.parse(body).first("SPM")
    assert spm is not None
    assert spm.component(2, 1, sub=1) == specimen.accession
