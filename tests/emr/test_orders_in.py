"""Orders from an EMR: what becomes of each, in the words of its protocol."""

from zoneinfo import ZoneInfo

import pytest
from hl7apy.parser import parse_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lis.domain.lifecycle import RequestState
from lis.emr.orders_in import receive_order
from lis.store.order_queries import service_requests_by_placer, specimens_of_requisition
from lis.store.order_rows import Requisition
from lis.store.people_rows import Patient
from lis.store.traffic_rows import Inbox
from lis.wire.hl7 import Message

ZONE = ZoneInfo("Europe/Moscow")


def oml(*orders, control="NW", kind="OML^O21^OML_O21", processing="P", pid=None):
    pid = pid or "PID|1||777^^^HOSP^MR||Примерова^Анна^^||19850320|F"
    lines = [
        f"MSH|^~\\&|HIS|HOSP|LIS|LAB|20261102101500||{kind}|MSG1|{processing}|2.5.1|||||||UNICODE UTF-8",
        pid,
    ]
    for number, code in enumerate(orders, 1):
        lines.append(f"ORC|{control}|ORD{number}^HIS||||||||||42^Doctor^House")
        lines.append(f"OBR|{number}|ORD{number}^HIS||{code}^name^L|||20261102094500+0300")
    return ("\r".join(lines) + "\r").encode()


@pytest.fixture
def send(store, catalog):
    def send(raw, **more):
        with store.unit("his") as unit:
            kept = Inbox(
                link_id=1, received_at=unit.now, protocol="hl7", lane="request", raw=raw, sha256=b""
            )
            unit.session.add(kept)
            unit.session.flush()
            return receive_order(
                unit, catalog, raw, emr="his", site_id=1, inbox_id=kept.id, zone=ZONE, **more
            )

    return send


def controls(reply):
    return [(orc.component(1), orc.component(5)) for orc in Message.parse(reply.payload).all("ORC")]


def test_O1_an_order_is_placed_and_answered_with_our_number(send, store):
    reply = send(oml("CBC", "GLU"))
    answer = Message.parse(reply.payload)
    assert (answer.code, answer.event) == ("ORL", "O22")
    assert answer.first("MSA").component(1) == "AA"
    assert answer.first("MSA").component(2) == "MSG1"
    assert controls(reply) == [("OK", "SC"), ("OK", "SC")]
    with store.read() as session:
        row = service_requests_by_placer(session, "ORD1", "HIS")[0]
        requisition = session.get_one(Requisition, row.requisition_id)
        patient = session.get_one(Patient, requisition.patient_id)
        tubes = specimens_of_requisition(session, requisition.id)
    assert answer.all("ORC")[0].component(3) == row.filler_number
    assert (patient.family_name, patient.birth_date, patient.sex) == (
        "Примерова",
        "1985-03-20",
        "F",
    )
    assert requisition.requester == "Doctor House"
    assert {tube.collected_certainty for tube in tubes} == {"exact"}


def test_an_unknown_test_is_accepted_and_held_for_a_person(send, store):
    reply = send(oml("CBC", "MYSTERY"))
    assert controls(reply) == [("OK", "SC"), ("OK", "HD")]
    with store.read() as session:
        assert service_requests_by_placer(session, "ORD2", "HIS")[0].state is RequestState.ON_HOLD


def test_a_loinc_code_finds_the_test(send, store):
    raw = oml("GLU").replace(b"GLU^name^L", b"14749-6^Glucose^LN")
    assert controls(send(raw)) == [("OK", "SC")]
    with store.read() as session:
        assert service_requests_by_placer(session, "ORD1", "HIS")[0].code == "GLU"


def test_O1_cancelling_answers_cr_then_uc_for_what_nobody_ordered(send):
    send(oml("GLU"))
    assert controls(send(oml("GLU", control="CA"))) == [("CR", "CA")]
    unknown = oml("GLU", control="CA").replace(b"ORD1", b"ORD77")
    assert controls(send(unknown)) == [("UC", "")]


def test_the_same_order_again_makes_nothing_new(send, store):
    first, again = send(oml("GLU")), send(oml("GLU"))
    numbers = [Message.parse(reply.payload).first("ORC").component(3) for reply in (first, again)]
    assert numbers[0] == numbers[1]
    with store.read() as session:
        assert len(service_requests_by_placer(session, "ORD1", "HIS")) == 1


@pytest.mark.parametrize(
    ("raw", "code", "error"),
    [
        (oml("GLU", processing="T"), "AR", "202"),
        (oml("GLU", kind="ADT^A01"), "AR", "200"),
        (oml("GLU", kind="OML^O33"), "AE", "100"),
        (oml("GLU", kind="OML^O35"), "AR", "201"),
        (oml(), "AE", "100"),
        (oml("GLU", pid="NTE|1||no patient"), "AE", "100"),
        (oml("GLU", pid="PID|1"), "AE", "101"),
        (oml("GLU", control="ZZ"), "AE", "103"),
        (
            oml("GLU").replace(b"^name^", b"^na\\X00\\me^").replace(b"GLU^", b"GL\\X00\\U^"),
            "AE",
            "102",
        ),
        (oml("GLU").replace(b"ORD1^HIS", b""), "AE", "101"),
    ],
)
def test_S14_what_cannot_be_an_order_is_refused_by_name_and_makes_no_rows(
    send, store, raw, code, error
):
    reply = send(raw)
    answer = Message.parse(reply.payload)
    assert not reply.is_accepted
    assert answer.first("MSA").component(1) == code
    assert answer.first("ERR").component(3) == error
    with store.read() as session:
        assert session.query(Requisition).count() == 0


@pytest.mark.parametrize("raw", [b"", b"garbage", b"MSH|^~\\&|", b"\x00" * 100])
def test_A4_garbage_is_answered_never_acknowledged(send, raw):
    answer = Message.parse(send(raw).payload)
    assert answer.first("MSA").component(1) in {"AE", "AR"}


def test_every_kind_of_reply_is_valid_for_an_independent_parser(send):
    for raw in (
        oml("GLU", "NOPE"),
        oml("GLU", control="CA"),
        oml("GLU", kind="ORM^O01^ORM_O01"),
        oml("GLU", kind="ADT^A01"),
    ):
        payload = send(raw).payload.decode()
        assert parse_message(payload, find_groups=True).msa.value.startswith("MSA|A")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.binary(max_size=300), st.integers(0, 250))
def test_no_bytes_raise_and_an_answer_always_exists(send, noise, position):
    raw = oml("GLU")
    mutated = raw[: position % len(raw)] + noise + raw[position % len(raw) :]
    assert Message.parse(send(mutated).payload).first("MSA") is not None
