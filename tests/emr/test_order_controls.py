"""Every order control an EMR may send: what becomes of the order, and what is answered."""

from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message, parse_segment

from lis.domain.lifecycle import RequestState, WorkOrderState
from lis.emr.receiving import receive_message
from lis.store.order_queries import work_orders_of_requests
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.referral_queries import open_changes
from lis.store.traffic_rows import Inbox
from lis.wire.hl7 import Message
from tests.emr.hospital import Said, order, pid


@pytest.fixture
def tell(store, catalog):
    def tell(*said):
        reply = None
        for one in said:
            raw = one.raw()
            with store.unit("his") as unit:
                kept = Inbox(
                    link_id=1,
                    received_at=unit.now,
                    protocol="hl7",
                    lane="request",
                    raw=raw,
                    sha256=b"",
                )
                unit.session.add(kept)
                unit.session.flush()
                reply = receive_message(
                    unit,
                    catalog,
                    raw,
                    emr="his",
                    site_id=1,
                    inbox_id=kept.id,
                    zone=ZoneInfo("UTC"),
                )
        return reply

    return tell


def said_back(reply):
    return [(orc.component(1), orc.component(5)) for orc in Message.parse(reply.payload).all("ORC")]


def request_of(store, number="O1"):
    with store.read() as session:
        return session.query(ServiceRequest).filter_by(placer_number=number).one()


def open_tests(store, number="O1"):
    with store.read() as session:
        orders = work_orders_of_requests(session, [request_of(store, number).id])
        return sorted(one.test_code for one in orders if one.state is not WorkOrderState.CANCELLED)


def begin(store, number="O1", state=WorkOrderState.IN_PROCESS):
    """The analyzer has begun."""
    with store.unit("bench") as unit:
        for one in work_orders_of_requests(unit.session, [request_of(store, number).id]):
            unit.session.get_one(WorkOrder, one.id).state = state


NEW = order("NW", "O1", "P1", "GLU", minute=1)


@pytest.mark.parametrize(
    ("later", "answer", "state", "tests"),
    [
        (order("NW", "O1", "P1", "GLU", minute=2), ("OK", "SC"), "active", ["GLU"]),
        (order("XO", "O1", "P1", "ALT", minute=2), ("XR", "SC"), "active", ["ALT"]),
        (order("XO", "O1", "P1", "NOPE", minute=2), ("XR", "HD"), "on_hold", []),
        (order("RP", "O1", "P1", "ALT", minute=2), ("RQ", "SC"), "active", ["ALT"]),
        (order("CA", "O1", "P1", minute=2), ("CR", "CA"), "revoked", []),
        (order("DC", "O1", "P1", "GLU", minute=2), ("DR", "CA"), "revoked", []),
        (order("HD", "O1", "P1", minute=2), ("HR", "HD"), "on_hold", []),
        (order("RL", "O1", "P1", minute=2), ("OR", "SC"), "active", ["GLU"]),
        (order("SC", "O1", "P1", minute=2), ("OK", "SC"), "active", ["GLU"]),
    ],
)
def test_O1_each_control_does_what_it_says_before_work_began(
    tell, store, later, answer, state, tests
):
    reply = tell(NEW, later)
    assert said_back(reply) == [answer]
    assert (request_of(store).state.value, open_tests(store)) == (state, tests)


@pytest.mark.parametrize(
    ("later", "answer", "noted"),
    [
        (order("CA", "O1", "P1", minute=2), ("UC", "IP"), {"cancelled": ("", "")}),
        (order("DC", "O1", "P1", minute=2), ("UD", "IP"), {"cancelled": ("", "")}),
        (order("HD", "O1", "P1", minute=2), ("UH", "IP"), {"held": ("", "")}),
        (order("XO", "O1", "P1", "ALT", minute=2), ("UX", "IP"), {"code": ("GLU", "ALT")}),
        (
            order("XO", "O1", "P1", "GLU", minute=2, notes="ask the ward"),
            ("XR", "SC"),
            {"notes": ("", "ask the ward")},
        ),
        (order("NW", "O1", "P1", "GLU", minute=2), ("OK", "SC"), {}),
    ],
)
def test_O1_what_the_sender_changes_after_work_began_is_noted_once_and_measured_as_ordered(
    tell, store, later, answer, noted
):
    tell(NEW)
    begin(store)
    assert said_back(tell(later)) == [answer]
    assert said_back(tell(later))[0][0] in {answer[0], "XR"}
    assert (request_of(store).state, open_tests(store)) == (RequestState.ACTIVE, ["GLU"])
    with store.read() as session:
        assert {one.field: (one.had, one.said) for one in open_changes(session)} == noted


def test_O1_a_cancel_that_came_before_its_order_cancels_it(tell, store):
    assert said_back(tell(order("CA", "O1", "P1", minute=2))) == [("UC", "")]
    assert said_back(tell(NEW)) == [("UA", "CA")]
    assert (request_of(store).state, open_tests(store)) == (RequestState.REVOKED, [])


def test_O1_an_order_that_is_placed_again_after_its_cancel_waits_for_a_person(tell, store):
    reply = tell(NEW, order("CA", "O1", "P1", minute=2), order("NW", "O1", "P1", "GLU", minute=3))
    assert said_back(reply) == [("OK", "HD")]
    assert request_of(store).hold_reason == "ordered_after_cancel"


def test_O1_a_change_before_its_order_waits_and_the_order_frees_it(tell, store):
    assert said_back(tell(order("XO", "O1", "P1", "ALT", minute=2))) == [("XR", "HD")]
    assert said_back(tell(NEW)) == [("OK", "SC")]
    assert open_tests(store) == ["ALT"]


def replaced(patient="P1"):
    body = [pid(patient), "ORC|RP|O1^HIS", "OBR|1|O1^HIS||GLU^name^L"]
    body += ["ORC|RO|O2^HIS", "OBR|2|O2^HIS||ALT^name^L"]
    return Said("OML^O21^OML_O21", 3, 9, tuple(body))


def test_O1_a_replacement_takes_the_place_of_the_old_order(tell, store):
    assert said_back(tell(NEW, replaced())) == [("RQ", "CA"), ("OK", "SC")]
    assert (open_tests(store), open_tests(store, "O2")) == ([], ["ALT"])


def test_O1_a_replacement_of_begun_work_waits_so_that_nothing_is_measured_twice(tell, store):
    tell(NEW)
    begin(store)
    assert said_back(tell(replaced())) == [("UM", "IP"), ("OK", "HD")]
    assert request_of(store, "O2").hold_reason == "replaces_started_work"
    assert open_tests(store) == ["GLU"]


def test_O1_the_same_number_for_another_patient_is_held(tell, store):
    tell(order("NW", "O9", "P2", "ALT"), NEW)
    assert said_back(tell(order("XO", "O1", "P2", "GLU", minute=4))) == [("XR", "HD")]
    assert request_of(store).hold_reason == "patient_differs"


def test_O1_two_hospitals_may_use_one_number(tell, store, catalog):
    tell(NEW)
    raw = NEW.raw().replace(b"^HIS", b"^OTHER")
    with store.unit("other") as unit:
        receive_message(
            unit, catalog, raw, emr="other", site_id=1, inbox_id=None, zone=ZoneInfo("UTC")
        )
    with store.read() as session:
        assert session.query(ServiceRequest).count() == 2


def test_S21_an_order_cancelled_before_its_result_leaves_no_open_work_order(tell, store):
    tell(NEW, order("CA", "O1", "P1", minute=2))
    with store.read() as session:
        (work,) = session.query(WorkOrder).all()
    assert work.state is WorkOrderState.CANCELLED


def specimens(*groups):
    body = [pid("P1")]
    for number, (at, orders) in enumerate(groups, 1):
        body.append(f"SPM|{number}|S{number}^HIS||SER^Serum^HL70487|||||||||||||{at}")
        for placer, code in orders:
            body += [f"ORC|NW|{placer}^HIS", f"OBR|1|{placer}^HIS||{code}^name^L"]
    return Said("OML^O33^OML_O33", 1, 1, tuple(body))


def test_O1_orders_by_specimen_have_the_collection_time_of_their_own_specimen(tell, store):
    said = specimens(
        ("20261102080000+0300", [("O1", "GLU"), ("O2", "ALT")]),
        ("20261102093000+0300", [("O3", "GLU")]),
    )
    reply = tell(said)
    answer = Message.parse(reply.payload)
    assert (answer.code, answer.event) == ("ORL", "O34")
    names = [one.name for one in answer.segments]
    assert names == ["MSH", "MSA", "PID", "SPM", "ORC", "ORC", "SPM", "ORC"]
    assert said_back(reply) == [("OK", "SC")] * 3
    with store.read() as session:
        hours = {tube.collected_from.strftime("%H%M") for tube in session.query(Specimen)}
        assert session.query(Requisition).count() == 2
    assert hours == {"0500", "0630"}


@pytest.mark.parametrize(
    "said",
    [
        NEW,
        order("NW", "O1", "P1", "NOPE"),
        order("CA", "O1", "P1"),
        replaced(),
        specimens(("20261102080000+0300", [("O1", "GLU"), ("O2", "NOPE")])),
    ],
)
def test_every_answer_is_valid_for_an_independent_reader(tell, said):
    """At 2.5.1 hl7apy knows ORL^O22 and ORL^O34 whole; its ORR^O02 asks for OBR, RQD and RXO at once (a choice in the
    standard), so of that one each segment is judged."""
    payload = tell(said).payload.decode()
    strict = VALIDATION_LEVEL.STRICT
    assert parse_message(payload, validation_level=strict).validate()
    old = Said("ORM^O01^ORM_O01", said.minute, said.number, said.body)
    if said.kind.startswith("OML^O21"):
        for line in tell(old).payload.decode().rstrip("\r").split("\r"):
            assert parse_segment(line, version="2.5.1", validation_level=strict).validate()


def test_a_number_twice_in_one_message_is_refused(tell):
    body = (*NEW.body, "ORC|NW|O1^HIS", "OBR|2|O1^HIS||ALT^name^L")
    reply = tell(Said("OML^O21^OML_O21", 1, 1, body))
    assert Message.parse(reply.payload).first("ERR").component(3) == "205"


def test_previous_results_that_come_with_an_order_are_no_orders(tell, store):
    body = (*NEW.body, pid("P1"), "ORC|PR|OLD^HIS", "OBR|1|OLD^HIS||ALT^name^L")
    assert said_back(tell(Said("OML^O21^OML_O21", 1, 1, body))) == [("OK", "SC")]
    with store.read() as session:
        assert session.query(ServiceRequest).count() == 1


@pytest.mark.parametrize(
    ("orc", "obr", "priority"),
    [
        ("ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L\rTQ1|1||||||||S", "S"),
        ("ORC|NW|O1^HIS|||||^^^^^A", "OBR|1|O1^HIS||GLU^n^L", "A"),
        ("ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L|S", "S"),
        ("ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L|||||||||||||||||||||||^^^^^S", "S"),
        ("ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L", "R"),
        ("ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L|?", "R"),
    ],
)
def test_the_priority_is_read_from_where_each_version_writes_it(tell, store, orc, obr, priority):
    tell(Said("ORM^O01^ORM_O01", 1, 1, (pid("P1"), orc, *obr.split("\r"))))
    assert request_of(store).priority == priority
