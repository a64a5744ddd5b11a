"""Bad input of referrals: held with a reason, a person resolves it, and the replay finishes the work."""

from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.lifecycle import RequestState, WorkOrderState
from lis.emr.receiving import receive_message
from lis.orders.held import accept, acknowledge_change, choose_patient, map_code, refuse
from lis.store.order_queries import work_orders_of_requests
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient
from lis.store.referral_queries import open_changes
from lis.store.rows import Outbox, OutboxState
from lis.wire.hl7 import Message
from tests.emr.hospital import Said, adt, order, pid
from tests.emr.test_delivery import emr, sender

__all__ = ["emr", "sender"]


@pytest.fixture
def tell(store, catalog):
    def tell(*said):
        with store.unit("his") as unit:
            for one in said:
                reply = receive_message(
                    unit,
                    catalog,
                    one.raw(),
                    emr="his",
                    site_id=1,
                    inbox_id=None,
                    zone=ZoneInfo("UTC"),
                )
                unit.session.flush()
        return reply

    return tell


@pytest.fixture
def anna(store, catalog):
    """Technician Anna does something about a held order as she sees it."""

    def anna(act, number="O1", **words):
        with store.unit("anna") as unit:
            request = unit.session.query(ServiceRequest).filter_by(placer_number=number).one()
            words.setdefault("version", request.version)
            return act(unit, catalog, request.id, **words)

    return anna


def see(store, number="O1"):
    """State, hold reason and open tests of an order."""
    with store.read() as session:
        one = session.query(ServiceRequest).filter_by(placer_number=number).one()
        tests = sorted(
            work.test_code
            for work in work_orders_of_requests(session, [one.id])
            if work.state is not WorkOrderState.CANCELLED
        )
        return one.state.value, one.hold_reason, tests


def public_id(store, family):
    with store.read() as session:
        return session.query(Patient).filter_by(family_name=family).one().public_id


def test_an_unknown_test_code_is_mapped_once_and_every_order_with_it_goes_on(tell, anna, store):
    tell(order("NW", "O1", "P1", "SUGAR"), order("NW", "O2", "P2", "SUGAR", serial=2))
    assert see(store) == ("on_hold", "unknown_orderable", [])
    assert len(anna(map_code, code="GLU")) == 2
    assert see(store) == see(store, "O2") == ("active", "", ["GLU"])
    with store.read() as session:
        kinds = {one.specimen_type for one in session.query(Specimen)}
    assert len(kinds) == 1
    tell(order("NW", "O3", "P3", "SUGAR", serial=3))
    assert see(store, "O3") == ("active", "", ["GLU"])


def test_a_code_is_mapped_to_what_the_catalog_has_only(tell, anna, store):
    tell(order("NW", "O1", "P1", "SUGAR"))
    with pytest.raises(Refused, match="no_such_test"):
        anna(map_code, code="SWEETNESS")
    assert see(store) == ("on_hold", "unknown_orderable", [])


def contradicting(number="O1", code="GLU"):
    """An order for P1 that calls her a man."""
    body = (pid("P1", "Иванов", "", "M"), f"ORC|NW|{number}^HIS", f"OBR|1|{number}^HIS||{code}^n^L")
    return Said("OML^O21^OML_O21", 2, 7, body)


def test_a_known_identifier_with_another_sex_waits_until_a_person_says_who_it_is(tell, anna, store):
    tell(adt("A28", "P1", "Иванова", "19850320", "F"), contradicting())
    assert see(store) == ("on_hold", "patient_conflict", [])
    with pytest.raises(Refused, match="second_identifier_differs"):
        anna(choose_patient, patient=public_id(store, "Иванова"), second_identifier="1999-01-01")
    anna(choose_patient, patient=public_id(store, "Иванова"), second_identifier="20.03.1985")
    assert see(store) == ("active", "", ["GLU"])


def test_two_patients_with_one_identifier_the_order_goes_to_whom_a_person_names(tell, anna, store):
    tell(adt("A28", "P1", "Иванова", "19850320"), adt("A28", "P2", "Сидорова", serial=2))
    both = pid("P1", "Иванова").replace("^MR|", "^MR~P2^^^HOSP^MR|")
    body = (both, "ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L")
    tell(Said("OML^O21^OML_O21", 3, 3, body))
    assert see(store) == ("on_hold", "several_patients", [])
    anna(choose_patient, patient=public_id(store, "Сидорова"), second_identifier="P2")
    assert see(store) == ("active", "", ["GLU"])
    with store.read() as session:
        owner = session.get_one(Patient, session.query(Requisition).one().patient_id)
        assert owner.family_name == "Сидорова"
        assert {one.patient_id for one in session.query(Specimen)} == {owner.id}


def test_an_unknown_patient_is_made_as_the_referral_states_and_the_order_goes(tell, store):
    tell(order("NW", "O1", "NEW-1", "GLU"))
    assert see(store) == ("active", "", ["GLU"])
    with store.read() as session:
        assert session.query(Patient).one().family_name == "Примерова"


def test_a_wrong_check_digit_waits_and_the_chosen_patient_gets_the_order(tell, anna, store):
    wrong = pid("7992739871", "Иванова").replace("@^^^", "^4^M10^")
    tell(adt("A28", "P1", "Петрова", "19850320", "F"))
    tell(Said("OML^O21^OML_O21", 1, 2, (wrong, "ORC|NW|O1^HIS", "OBR|1|O1^HIS||GLU^n^L")))
    assert see(store) == ("on_hold", "wrong_check_digit", [])
    anna(choose_patient, patient=public_id(store, "Петрова"), second_identifier="P1")
    assert see(store) == ("active", "", ["GLU"])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            (
                order("NW", "O1", "P1", "GLU", minute=1),
                order("CA", "O1", "P1", minute=2, serial=2),
                order("NW", "O1", "P1", "GLU", minute=3, serial=3),
            ),
            "ordered_after_cancel",
        ),
        ((order("XO", "O1", "P1", "GLU"),), "changed_before_ordered"),
    ],
)
def test_what_nobody_can_know_waits_until_a_person_accepts_it(tell, anna, store, said, reason):
    tell(*said)
    assert see(store) == ("on_hold", reason, [])
    anna(accept)
    assert see(store) == ("active", "", ["GLU"])
    tell(*said)
    assert see(store) == ("active", "", ["GLU"])


async def test_a_refused_order_stays_refused_and_its_sender_is_told_why(
    tell, anna, store, emr, sender
):
    said = order("NW", "O1", "P1", "SUGAR^Sugar")
    tell(said)
    anna(refuse, reason="нет такого исследования")
    assert see(store)[0] == "revoked"
    again = Message.parse(tell(said).payload).first("ORC")
    assert (again.component(1), again.component(5)) == ("UA", "CA")
    assert await sender.run_once()
    (payload,) = emr.received
    told = Message.parse(payload)
    orc = told.first("ORC")
    assert (orc.component(1), orc.component(2), orc.component(5)) == ("OC", "O1", "CA")
    assert told.first("NTE").component(3) == "нет такого исследования"
    strict = VALIDATION_LEVEL.STRICT
    assert parse_message(payload.decode(), validation_level=strict).validate()
    with store.read() as session:
        assert session.query(Outbox).one().state is OutboxState.ACKNOWLEDGED


def test_a_refusal_asks_for_a_reason(tell, anna, store):
    tell(order("NW", "O1", "P1", "SUGAR"))
    with pytest.raises(Refused, match="reason_needed"):
        anna(refuse, reason="  ")
    with pytest.raises(Refused, match="reason_too_long"):
        anna(refuse, reason="x" * 501)


def test_two_people_at_one_order_the_second_sees_what_the_first_did(tell, anna, store):
    tell(order("NW", "O1", "P1", "SUGAR"))
    anna(map_code, code="GLU", version=1)
    with pytest.raises(StaleVersion):
        anna(refuse, reason="late", version=1)
    with pytest.raises(Refused, match="not_held"):
        anna(refuse, reason="late")


def test_each_hold_ends_its_own_way(tell, anna, store, catalog):
    tell(order("NW", "O1", "P1", "SUGAR"))
    with pytest.raises(Refused, match="other_way"):
        anna(accept)
    with pytest.raises(Refused, match="other_way"):
        anna(choose_patient, patient="x", second_identifier="y")
    with store.unit("anna") as unit, pytest.raises(NotFound):
        accept(unit, catalog, 999_999, version=1)


def test_what_changed_after_work_began_is_acknowledged_by_name(tell, store):
    tell(order("NW", "O1", "P1", "GLU", minute=1))
    with store.unit("bench") as unit:
        unit.session.query(WorkOrder).one().state = WorkOrderState.IN_PROCESS
    tell(order("XO", "O1", "P1", "ALT", minute=2, serial=2))
    for _ in range(2):
        with store.unit("anna") as unit:
            change_id = 1 if not open_changes(unit.session) else open_changes(unit.session)[0].id
            change = acknowledge_change(unit, change_id)
    assert (change.acknowledged_by, change.had, change.said) == ("anna", "GLU", "ALT")
    with store.read() as session:
        assert open_changes(session) == []
        assert session.query(ServiceRequest).one().state is RequestState.ACTIVE
    with store.unit("anna") as unit, pytest.raises(NotFound):
        acknowledge_change(unit, 999_999)
