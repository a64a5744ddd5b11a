"""News of people from an EMR: kept field by field, merged, and what no rule may decide waits with its reason."""

from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from lis.domain.lifecycle import RequestState
from lis.emr.receiving import receive_message
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_rows import Patient
from lis.store.referral_queries import identity_holders, open_issues
from lis.store.traffic_rows import Inbox
from lis.wire.hl7 import Message
from tests.emr.hospital import Said, adt, merge, order, pid


@pytest.fixture
def tell(store, catalog):
    def tell(*said):
        replies = []
        for number, one in enumerate(said, 1):
            raw = one if isinstance(one, bytes) else one.raw()
            with store.unit("his") as unit:
                kept = Inbox(
                    link_id=1,
                    received_at=unit.now,
                    protocol="hl7",
                    lane="request",
                    raw=raw,
                    sha256=bytes([number]),
                )
                unit.session.add(kept)
                unit.session.flush()
                replies.append(
                    receive_message(
                        unit,
                        catalog,
                        raw,
                        emr="his",
                        site_id=1,
                        inbox_id=kept.id,
                        zone=ZoneInfo("UTC"),
                    )
                )
        return replies[-1]

    return tell


@pytest.fixture
def known(store):
    def known(number):
        with store.read() as session:
            found = identity_holders(session, [("MR", "HOSP", number)])
            return found[0] if found else None

    return known


def issues(store):
    with store.read() as session:
        return [one.kind for one in open_issues(session)]


def all_rows(store, kind):
    with store.read() as session:
        return session.query(kind).order_by(kind.id).all()


EVENTS = ("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A28", "A31")


@pytest.mark.parametrize("event", EVENTS)
def test_O2_every_event_tells_who_a_person_is(tell, known, event):
    reply = tell(adt(event, "P1", "Иванова^Анна^Петровна", "19850320", "F"))
    assert Message.parse(reply.payload).first("MSA").component(1) == "AA"
    person = known("P1")
    assert (person.family_name, person.given_name, person.middle_name) == (
        "Иванова",
        "Анна",
        "Петровна",
    )
    assert (person.birth_date, person.sex) == ("1985-03-20", "F")


def test_E4_two_quotation_marks_delete_and_an_empty_field_keeps(tell, known):
    tell(adt("A01", "P1", "Иванова^Анна", "19850320", "F"))
    tell(adt("A08", "P1", '^""', '""', "", minute=1))
    person = known("P1")
    assert (person.family_name, person.given_name) == ("Иванова", "")
    assert (person.birth_date, person.sex) == ("", "F")


def test_O2_late_news_does_not_undo_newer_news(tell, known):
    tell(adt("A08", "P1", "Петрова", minute=5))
    tell(adt("A01", "P1", "Иванова^Анна", minute=1))
    assert (known("P1").family_name, known("P1").given_name) == ("Петрова", "Анна")


def test_several_identifiers_with_their_issuers_name_one_person(tell, known, store):
    both = pid("P1", "Иванова").replace("^MR|", "^MR~123-456^^^PFR^SNILS|")
    tell(Said("ADT^A28^ADT_A05", 0, 1, ("EVN|A28", both)))
    only = pid("P1", "").replace("P1@^^^HOSP^MR", "123-456^^^PFR^SNILS")
    tell(Said("ADT^A31^ADT_A05", 1, 2, ("EVN|A31", only + "F")))
    assert known("P1").sex == "F"
    assert len(all_rows(store, Patient)) == 1


def test_two_patients_with_one_identifier_are_held_and_nothing_is_changed(tell, known, store):
    tell(adt("A28", "P1", "Иванова"), adt("A28", "P2", "Сидорова", serial=2))
    both = pid("P1", "Чужая").replace("^MR|", "^MR~P2^^^HOSP^MR|")
    reply = tell(Said("ADT^A08^ADT_A01", 3, 3, ("EVN|A08", both)))
    assert (reply.is_accepted, reply.reason) == (True, "several_patients")
    assert issues(store) == ["several_patients"]
    assert [known(one).family_name for one in ("P1", "P2")] == ["Иванова", "Сидорова"]


def test_a_wrong_check_digit_is_held_in_news_and_in_orders(tell, store):
    wrong = pid("7992739871", "Иванова").replace("@^^^", "^4^M10^")
    tell(Said("ADT^A04^ADT_A01", 0, 1, ("EVN|A04", wrong)))
    assert issues(store) == ["wrong_check_digit"]
    assert all_rows(store, Patient) == []
    body = (wrong, "ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^name^L")
    reply = tell(Said("OML^O21^OML_O21", 1, 2, body))
    assert Message.parse(reply.payload).first("ORC").component(5) == "HD"
    (request,) = all_rows(store, ServiceRequest)
    assert (request.state, request.hold_reason) == (RequestState.ON_HOLD, "wrong_check_digit")


@pytest.mark.parametrize("event", ["A40", "A34", "A18"])
def test_O2_a_merge_makes_two_identities_one_whichever_came_first(tell, known, store, event):
    tell(order("NW", "O1", "P2", "GLU"), merge("P2", "P1", minute=1, serial=2, event=event))
    tell(order("NW", "O2", "P2", "ALT", minute=2, serial=3))
    assert known("P2").merged_into_id == known("P1").id
    assert {one.patient_id for one in all_rows(store, Requisition)} == {known("P1").id}


def test_O2_a_link_says_the_second_is_the_first(tell, known):
    body = ("EVN|A24", pid("P1"), pid("P2"))
    tell(Said("ADT^A24^ADT_A24", 0, 1, body))
    assert known("P2").merged_into_id == known("P1").id


def test_S28_a_merge_of_two_sexes_waits_and_goes_when_a_message_removes_the_conflict(
    tell, known, store
):
    tell(adt("A28", "P1", sex="F"), adt("A28", "P2", sex="M", serial=2))
    reply = tell(merge("P2", "P1", minute=1, serial=3))
    assert (reply.is_accepted, reply.reason) == (True, "merge_conflict")
    assert known("P2").merged_into_id is None
    tell(merge("P2", "P1", minute=1, serial=3))  # sent again: one issue
    assert issues(store) == ["merge_conflict"]
    tell(adt("A08", "P2", sex="F", minute=2, serial=4))
    assert known("P2").merged_into_id == known("P1").id
    assert issues(store) == []


def test_a_merge_into_somebody_else_waits_for_a_person(tell, known, store):
    tell(merge("P2", "P1"), merge("P2", "P3", minute=1, serial=2))
    assert known("P2").merged_into_id == known("P1").id
    assert issues(store) == ["merged_elsewhere"]


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        (Said("ADT^A99", 0, 1, (pid("P1"),)), "AR", "201"),
        (Said("ADT^A01", 0, 1, ("EVN|A01",)), "AE", "100"),
        (Said("ADT^A01", 0, 1, ("PID|1||||Иванова",)), "AE", "101"),
        (Said("ADT^A40", 0, 1, (pid("P1"),)), "AE", "100"),
        (Said("ADT^A40", 0, 1, (pid("P1"), "MRG|")), "AE", "101"),
        (Said("ADT^A24", 0, 1, (pid("P1"),)), "AE", "100"),
        (Said("ADT^A01", 0, 1, (pid("P1", "a\\X00\\b"),)), "AE", "102"),
        (Said("ADT^A01", 0, 1, (pid("P\\X00\\1"),)), "AE", "102"),
    ],
)
def test_what_tells_nothing_of_anybody_is_refused_by_name(tell, store, said, code, error):
    answer = Message.parse(tell(said).payload)
    assert answer.first("MSA").component(1) == code
    assert answer.first("ERR").component(3) == error
    assert all_rows(store, Patient) == []


def test_S14_test_traffic_makes_nobody(tell, store):
    reply = tell(adt("A01", "P1").raw().replace(b"|P|2.5.1", b"|T|2.5.1"))
    assert not reply.is_accepted
    assert all_rows(store, Patient) == []


def test_every_answer_is_valid_for_an_independent_reader(tell):
    for said in (adt("A01", "P1"), merge("P2", "P1", serial=2), Said("ADT^A99", 0, 3, ())):
        payload = tell(said).payload.decode()
        assert parse_message(payload, validation_level=VALIDATION_LEVEL.STRICT).validate()


ACKS = {  # (MSH-15, MSH-16): codes of the answers to a message that is taken, and to one that is refused
    ("", ""): (["AA"], ["AR"]),
    ("AL", ""): (["CA"], ["CR"]),
    ("AL", "AL"): (["CA", "AA"], ["CR"]),
    ("AL", "NE"): (["CA"], ["CR"]),
    ("NE", "AL"): (["AA"], ["AR"]),
    ("NE", "NE"): ([], []),
    ("ER", "ER"): ([], ["CR"]),
    ("SU", "SU"): (["CA", "AA"], []),
    ("ER", "AL"): (["AA"], ["CR"]),
    ("SU", "ER"): (["CA"], ["AR"]),
    ("", "ER"): ([], ["AR"]),
}


@pytest.mark.parametrize("asked", ACKS)
def test_A2_each_sender_gets_the_answers_it_asked_for(tell, asked):
    body = ("EVN|A01", pid("P1"))
    taken = tell(Said("ADT^A01^ADT_A01", 0, 1, body, acks="|".join(asked)))
    refused = tell(Said("ADT^A99^ADT_A01", 0, 2, body, acks="|".join(asked)))
    codes = [
        [Message.parse(one).first("MSA").component(1) for one in reply.payloads]
        for reply in (taken, refused)
    ]
    assert tuple(codes) == ACKS[asked]
