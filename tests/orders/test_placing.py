"""Placing and cancelling referrals on a real store."""

from dataclasses import replace

import pytest

from lis.domain.errors import Malformed, NotFound, Refused, StaleVersion
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import RequestState, SpecimenState, WorkOrderState
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    Outcome,
    PatientEntry,
    RequisitionEntry,
    cancel_order,
    place_requisition,
    receive_specimen,
    reject_specimen,
)
from lis.store.order_queries import service_requests_by_placer, work_orders_of_specimens
from lis.store.order_rows import Requisition
from lis.store.people_rows import Patient

PERSON = PatientEntry(
    family_name="Образцова",
    given_name="Проба",
    birth_date="1980-02-03",
    sex="F",
    identifiers=(IdentifierEntry(system="MR", issuer="HOSP", value="P-1"),),
)


def referral(*codes, placer="E1", patient=PERSON, **more):
    orders = tuple(
        OrderEntry(code=code, placer_number=f"{placer}-{number}", placer_authority="HIS")
        for number, code in enumerate(codes)
    )
    return RequisitionEntry(patient=patient, orders=orders, source="his", **more)


def place(store, catalog, entry):
    with store.unit("his") as unit:
        return place_requisition(unit, catalog, entry, site_id=1)


def test_a_panel_makes_one_tube_per_specimen_type_and_one_work_order_per_test(store, catalog):
    placed = place(store, catalog, referral("CBC", "GLU", "ALT"))
    types = {tube.specimen_type for tube in placed.specimens}
    assert types == {"WB", "SER"}
    with store.read() as session:
        rows = work_orders_of_specimens(session, [tube.specimen_id for tube in placed.specimens])
    assert len(rows) == len(catalog.tests_of("CBC")) + 2
    assert {row.state for row in rows} == {WorkOrderState.PENDING}


def test_accession_numbers_have_a_check_digit_and_never_repeat(store, catalog):
    numbers = [
        tube.accession
        for index in range(20)
        for tube in place(store, catalog, referral("GLU", placer=f"N{index}")).specimens
    ]
    assert len(set(numbers)) == 20
    assert all(AccessionNumber.parse(number) for number in numbers)


def test_an_unknown_code_is_held_not_dropped(store, catalog):
    placed = place(store, catalog, referral("GLU", "NO-SUCH-TEST"))
    assert [order.outcome for order in placed.orders] == [Outcome.ACCEPTED, Outcome.HELD]
    assert placed.orders[1].reason == "unknown_orderable"
    with store.read() as session:
        row = service_requests_by_placer(session, "E1-1", "HIS")[0]
    assert row.state is RequestState.ON_HOLD
    assert row.code == "NO-SUCH-TEST"


def test_the_same_referral_again_makes_nothing_new(store, catalog):
    first = place(store, catalog, referral("GLU", "ALT"))
    again = place(store, catalog, referral("GLU", "ALT"))
    assert [order.outcome for order in again.orders] == [Outcome.REPEATED, Outcome.REPEATED]
    assert [o.filler_number for o in again.orders] == [o.filler_number for o in first.orders]
    assert again.specimens == first.specimens


def test_a_referral_that_adds_one_order_places_only_that_one(store, catalog):
    place(store, catalog, referral("GLU"))
    wider = place(store, catalog, referral("GLU", "ALT"))
    assert [order.outcome for order in wider.orders] == [Outcome.REPEATED, Outcome.ACCEPTED]


def test_a_patient_is_found_by_identifier_never_by_name(store, catalog):
    first = place(store, catalog, referral("GLU", placer="A"))
    namesake = replace(
        PERSON, identifiers=(IdentifierEntry(system="MR", issuer="HOSP", value="P-2"),)
    )
    other = place(store, catalog, referral("GLU", placer="B", patient=namesake))
    same = place(store, catalog, referral("GLU", placer="C"))
    assert _patient_of(store, first) == _patient_of(store, same) != _patient_of(store, other)


def test_a_contradicting_birth_date_holds_the_orders(store, catalog):
    place(store, catalog, referral("GLU", placer="A"))
    impostor = replace(PERSON, birth_date="1999-09-09")
    placed = place(store, catalog, referral("GLU", placer="B", patient=impostor))
    assert placed.orders[0].outcome is Outcome.HELD
    assert placed.orders[0].reason == "patient_conflict"


def test_what_a_referral_leaves_empty_changes_nothing(store, catalog):
    place(store, catalog, referral("GLU", placer="A"))
    vague = replace(PERSON, birth_date="", sex="U", given_name="")
    placed = place(store, catalog, referral("GLU", placer="B", patient=vague))
    assert placed.orders[0].outcome is Outcome.ACCEPTED
    with store.read() as session:
        patient = session.get(type(_patient(session, placed)), _patient(session, placed).id)
        assert (patient.birth_date, patient.sex, patient.given_name) == ("1980-02-03", "F", "Проба")


def test_cancelling_before_the_work_revokes(store, catalog):
    placed = place(store, catalog, referral("GLU"))
    with store.unit("his") as unit:
        outcome = cancel_order(unit, placer_number="E1-0", placer_authority="HIS")
        again = cancel_order(unit, placer_number="E1-0", placer_authority="HIS")
    assert outcome.outcome is again.outcome is Outcome.CANCELLED
    with store.read() as session:
        rows = work_orders_of_specimens(session, [placed.specimens[0].specimen_id])
    assert {row.state for row in rows} == {WorkOrderState.CANCELLED}


def test_cancelling_started_work_is_answered_unable(store, catalog):
    placed = place(store, catalog, referral("GLU"))
    with store.unit("system") as unit:
        for row in work_orders_of_specimens(unit.session, [placed.specimens[0].specimen_id]):
            row.state = WorkOrderState.IN_PROCESS
    with store.unit("his") as unit:
        outcome = cancel_order(unit, placer_number="E1-0", placer_authority="HIS")
    assert outcome.outcome is Outcome.UNABLE


def test_cancelling_what_nobody_ordered_is_said(store):
    with store.unit("his") as unit:
        outcome = cancel_order(unit, placer_number="X", placer_authority="HIS")
    assert outcome.outcome is Outcome.UNKNOWN


def test_reception_knows_a_tube_only_by_its_exact_number(store, catalog):
    placed = place(store, catalog, referral("GLU"))
    number = placed.specimens[0].accession
    with store.unit("anna") as unit:
        assert receive_specimen(unit, f" {number} ").state is SpecimenState.RECEIVED
        assert receive_specimen(unit, number).received_by == "anna"
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    with pytest.raises(Malformed), store.unit("anna") as unit:
        receive_specimen(unit, wrong)
    with pytest.raises(NotFound), store.unit("anna") as unit:
        receive_specimen(unit, AccessionNumber.from_serial(prefix="25", serial=9).text)


def test_a_chosen_patient_is_taken_as_stored_and_an_unknown_one_refused(store, catalog):
    first = place(store, catalog, referral("GLU"))
    with store.read() as session:
        stored = _patient(session, first)
    chosen = PatientEntry(family_name="", patient_public_id=stored.public_id)
    again = place(store, catalog, referral("CRP", placer="E2", patient=chosen))
    assert _patient_of(store, again) == stored.id
    unknown = PatientEntry(family_name="", patient_public_id="nobody")
    with pytest.raises(NotFound):
        place(store, catalog, referral("CRP", placer="E3", patient=unknown))


def test_rejecting_asks_a_reason_and_the_version_that_was_seen(store, catalog):
    placed = place(store, catalog, referral("GLU"))
    tube = placed.specimens[0]
    with pytest.raises(Refused), store.unit("anna") as unit:
        reject_specimen(unit, tube.specimen_id, version=1, reason=" ")
    with pytest.raises(StaleVersion), store.unit("anna") as unit:
        reject_specimen(unit, tube.specimen_id, version=7, reason="clotted")
    with store.unit("anna") as unit:
        assert (
            reject_specimen(unit, tube.specimen_id, version=1, reason="clotted").state
            is SpecimenState.REJECTED
        )
    with store.read() as session:
        rows = work_orders_of_specimens(session, [tube.specimen_id])
    assert {row.state for row in rows} == {WorkOrderState.CANCELLED}


def _patient(session, placed):
    return session.get_one(Patient, session.get_one(Requisition, placed.requisition_id).patient_id)


def _patient_of(store, placed):
    with store.read() as session:
        return _patient(session, placed).id


def test_S16_a_number_that_comes_to_reception_again_is_marked_and_a_double_scan_is_not(
    store, catalog, manual_clock
):
    placed = place(store, catalog, referral("GLU"))
    number = placed.specimens[0].accession
    for minutes, is_marked in ((0, False), (5, False), (6, True)):
        manual_clock.advance(minutes=minutes)
        with store.unit("anna") as unit:
            assert (receive_specimen(unit, number).received_again_at is not None) is is_marked
