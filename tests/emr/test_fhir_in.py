"""Referrals by FHIR: what is meant is placed, twice is once, an unknown code is held, from any JSON only our error."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from itertools import permutations

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.servicerequest import ServiceRequest as R4Order
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.domain.lifecycle import RequestState
from lis.emr.fhir_answers import capability_statement, outcome, response_bundle
from lis.emr.fhir_in import Wish, take_bundle, take_one
from lis.emr.fhir_node import Issue, Node, UnusableFhir, resource_of
from lis.emr.fhir_reading import read_patient, read_request
from lis.emr.referrals_in import Caller
from lis.store.order_rows import Requisition, ServiceRequest, Specimen
from lis.store.people_rows import Patient, PatientIdentifier
from tests.emr.fhir_documents import LOINC, MRN, PLACER, bundle, entry, order, patient, specimen

AT = datetime(2026, 11, 2, 4, 30, tzinfo=UTC)
EMPTY = Catalog(version_id=0, version="0", tests={}, panels={}, instrument_tests=())
CALLER = Caller(source="clinic", site_id=1)


@pytest.fixture
def send(store, catalog):
    def send(document, caller=CALLER):
        with store.unit(caller.source) as unit:
            return take_bundle(unit, catalog, document, caller)

    return send


@pytest.fixture
def send_one(store, catalog):
    def send_one(resource, caller=CALLER, **how):
        with store.unit(caller.source) as unit:
            wish = Wish(node=resource_of(resource, "body"), **how)
            return take_one(unit, catalog, wish, caller)

    return send_one


def rows(store, kind):
    with store.read() as session:
        return list(session.query(kind).order_by(kind.id))


def statuses(answers):
    return [one.status for one in answers]


# --- a referral ---------------------------------------------------------------------------------


def test_a_transaction_places_a_referral(store, send):
    answers = send(bundle())
    assert statuses(answers) == [200, 200, 200, 201, 201]
    (requisition,) = rows(store, Requisition)
    assert (requisition.source, requisition.placer_group) == ("clinic", "REF-1")
    assert (requisition.requester, requisition.requester_code) == ("Орлов Пётр", "42")
    assert requisition.priority == "S"
    placed = rows(store, ServiceRequest)
    assert [(one.code, one.placer_number, one.placer_authority) for one in placed] == [
        ("GLU", "A-1", PLACER),
        ("CBC", "A-2", PLACER),
    ]
    tubes = rows(store, Specimen)
    assert {(one.collected_from, one.collected_certainty) for one in tubes} == {(AT, "exact")}
    assert {one.collector for one in tubes} == {"Сестра О."}
    (person,) = rows(store, Patient)
    assert (person.family_name, person.given_name, person.middle_name) == (
        "Образцова",
        "Проба",
        "Тестовна",
    )
    (identifier,) = rows(store, PatientIdentifier)
    assert (identifier.system, identifier.value) == (MRN, "777")


def test_the_same_transaction_again_makes_nothing_new(store, send):
    first = send(bundle())
    again = send(bundle())
    assert statuses(again) == [200] * 5
    assert [one.location for one in again] == [one.location for one in first]
    assert [len(rows(store, kind)) for kind in (Requisition, ServiceRequest, Patient)] == [1, 2, 1]


def test_an_unknown_code_is_held_and_not_refused(store, send):
    answers = send(bundle(order(code="XYZ")))
    assert answers[-1].status == 201
    assert "unknown_orderable" in answers[-1].warnings[0].text
    (placed,) = rows(store, ServiceRequest)
    assert (placed.state, placed.hold_reason) == (RequestState.ON_HOLD, "unknown_orderable")
    assert placed.placer_code == "XYZ^^http://hospital.example/tests"


def test_a_code_is_found_by_loinc(store, send, catalog):
    test = next(
        one for one in catalog.tests.values() if any(c.system == "LOINC" for c in one.codes)
    )
    loinc = next(code.value for code in test.codes if code.system == "LOINC")
    coded = {"coding": [{"system": LOINC, "code": loinc, "display": "any"}]}
    send(bundle(order(code="") | {"code": coded}))
    assert [one.code for one in rows(store, ServiceRequest)] == [test.code]


@pytest.mark.parametrize("status", ["revoked", "entered-in-error"])
def test_revoking_cancels_what_has_not_begun(store, send, manual_clock, status):
    send(bundle(order()))
    manual_clock.advance(minutes=1)
    answers = send(bundle(order(status=status)))
    assert (answers[-1].status, answers[-1].warnings) == (200, ())
    assert answers[-1].resource["status"] == "revoked"
    manual_clock.advance(minutes=1)
    assert send(bundle(order(status=status)))[-1].status == 200
    (placed,) = rows(store, ServiceRequest)
    assert placed.state is RequestState.REVOKED


def test_a_cancel_that_comes_first_leaves_a_tombstone(store, send):
    late = order(meta={"lastUpdated": "2026-11-02T08:00:00Z"})
    cancel = order(status="revoked", meta={"lastUpdated": "2026-11-02T09:00:00Z"})
    answers = send(bundle(cancel))
    assert (answers[-1].status, len(answers[-1].warnings)) == (202, 1)
    send(bundle(late))
    (placed,) = rows(store, ServiceRequest)
    assert placed.state is RequestState.REVOKED


def test_on_hold_waits_and_active_releases_it_only_when_the_sender_is_newer(store, send):
    send(bundle(order(status="on-hold")))
    (placed,) = rows(store, ServiceRequest)
    assert (placed.state, placed.hold_reason) == (RequestState.ON_HOLD, "held_by_sender")


def test_what_is_too_late_is_noted_and_said(store, send, manual_clock):
    send(bundle(order()))
    with store.unit("bench") as unit:
        unit.session.get_one(ServiceRequest, 1).state = RequestState.COMPLETED
    manual_clock.advance(minutes=1)
    answer = send(bundle(order(status="revoked")))[-1]
    assert answer.status == 202
    assert "already_started" in answer.warnings[0].text


@pytest.mark.parametrize(
    ("collected", "at", "certainty"),
    [
        ("2026-11-02T07:30:00+03:00", AT, "exact"),
        ("2026-11-02T04:30:00.250Z", AT.replace(microsecond=250_000), "exact"),
        ("2026-11-02", AT.replace(hour=12, minute=0), "estimated"),
        ("2026-11", None, "unknown"),
    ],
)
def test_S26_collection_carries_its_certainty(catalog, collected, at, certainty):
    near = {
        "urn:uuid:patient": Node(patient(), "P"),
        "urn:uuid:tube": Node(specimen(collected), "S"),
    }
    read = read_request(Node(order(), "O"), near, catalog, source="clinic")
    assert (read.collected.at, read.collected.certainty) == (at, certainty)


def test_a_specimen_may_point_to_its_order(catalog):
    sent = order()
    del sent["specimen"]
    near = {
        "urn:uuid:patient": Node(patient(), "P"),
        "urn:uuid:order": Node(sent, "O"),
        "urn:uuid:tube": Node(specimen() | {"request": [{"reference": "urn:uuid:order"}]}, "S"),
    }
    assert read_request(near["urn:uuid:order"], near, catalog, source="x").collected.at == AT


def test_two_draws_are_two_referrals_of_one_person(store, send):
    second = order("A-2", "CBC", specimen=[{"reference": "urn:uuid:later"}])
    document = bundle(order(), second)
    document["entry"].append(entry(specimen("2026-11-02T09:00:00+03:00"), "urn:uuid:later"))
    send(document)
    assert len(rows(store, Requisition)) == 2
    assert len(rows(store, Patient)) == 1


def test_a_person_without_identifier_is_made_once_for_two_draws(store, send):
    second = order("A-2", "CBC", specimen=[])
    document = bundle(order(), second)
    del document["entry"][0]["resource"]["identifier"]
    del document["entry"][0]["request"]["ifNoneExist"]
    send(document)
    send(document)
    assert (len(rows(store, Requisition)), len(rows(store, Patient))) == (2, 1)


def test_a_conflicting_person_holds_the_orders(store, send):
    send(bundle(order()))
    document = bundle(order("A-9"))
    document["entry"][0]["resource"]["birthDate"] = "1990-01-01"
    answers = send(document)
    assert "patient_conflict" in answers[-1].warnings[0].text
    assert rows(store, ServiceRequest)[-1].state is RequestState.ON_HOLD


@pytest.mark.parametrize("status", ["active", "revoked"])
def test_a_sender_never_touches_the_order_of_another(store, send, status):
    send(bundle(order()))
    with pytest.raises(Refused, match="number_taken"):
        send(bundle(order(status=status)), Caller(source="other", site_id=1))
    (placed,) = rows(store, ServiceRequest)
    assert placed.state is RequestState.ACTIVE


def test_news_in_any_order_leaves_the_same_order(store, send):
    news = (
        {"meta": {"lastUpdated": "2026-11-02T08:00:00Z"}},
        {"meta": {"lastUpdated": "2026-11-02T09:00:00Z"}, "priority": "routine"},
        {"meta": {"lastUpdated": "2026-11-02T10:00:00Z"}, "status": "revoked"},
    )
    for index, sequence in enumerate(permutations(news)):
        for change in (*sequence, sequence[0]):
            send(bundle(order(f"P-{index}", **change)))
    left = {(one.state, one.code, one.priority) for one in rows(store, ServiceRequest)}
    assert left == {(RequestState.REVOKED, "GLU", "R")}


# --- single resources ---------------------------------------------------------------------------


def test_a_person_then_an_order_that_points_to_it(store, send_one):
    person = send_one(patient())
    assert person.status == 201
    alone = order(subject={"reference": person.location}, specimen=[], requester={})
    made = send_one(alone)
    assert made.status == 201
    assert made.resource["subject"] == {"reference": person.location}
    assert send_one(patient()).status == 200
    assert len(rows(store, Patient)) == 1


def test_put_creates_under_the_senders_id_and_changes_it(store, send_one, manual_clock):
    subject = {"identifier": {"system": MRN, "value": "777"}, "display": "Образцова"}
    sent = order(id="o-1", subject=subject, specimen=[], requester={})
    del sent["identifier"]
    assert send_one(sent, method="PUT", target_id="o-1").status == 201
    manual_clock.advance(minutes=1)
    changed = send_one(sent | {"priority": "routine"}, method="PUT", target_id="o-1")
    assert (changed.status, changed.resource["priority"]) == (200, "routine")
    manual_clock.advance(minutes=1)
    ours = changed.resource["id"]
    revoked = send_one(sent | {"id": ours, "status": "revoked"}, method="PUT", target_id=ours)
    assert (revoked.status, revoked.resource["status"]) == (200, "revoked")
    assert len(rows(store, ServiceRequest)) == 1


def test_if_none_exist_leaves_what_is_there(store, send_one):
    sent = order(subject={"identifier": {"system": MRN, "value": "777"}}, specimen=[])
    assert send_one(sent, if_none_exist=f"identifier={PLACER}|A-1").status == 201
    again = send_one(sent | {"status": "revoked"}, if_none_exist=f"identifier={PLACER}|A-1")
    assert (again.status, again.resource["status"]) == (200, "active")


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where", "text"),
    [
        ({"status": "draft"}, "status", "active or on-hold"),
        ({"intent": "plan"}, "intent", "order or"),
        ({"priority": "now"}, "priority", "routine, urgent"),
        ({"identifier": []}, "identifier", "repeated order"),
        ({"doNotPerform": True}, "doNotPerform", "revoked"),
        ({"modifierExtension": [{"url": "x"}]}, "modifierExtension", "meaning"),
        ({"subject": {"reference": "urn:uuid:nobody"}}, "subject", "Patient of this bundle"),
        ({"code": {}}, "code", "coding"),
        ({"code": "GLU"}, "code", "an object"),
        ({"identifier": {"value": "x"}}, "identifier", "an array"),
        ({"note": [{"text": "a\x00b"}]}, "note[0].text", "NUL"),
    ],
)
def test_a_fault_says_what_was_expected_and_where_and_nothing_is_kept(
    store, send, change, where, text
):
    with pytest.raises(UnusableFhir, match=text.replace("[", r"\[")) as error:
        send(bundle(order(), order("A-2") | change))
    assert error.value.issue.where.startswith("Bundle.entry[4].resource")
    assert where in error.value.issue.where
    assert rows(store, ServiceRequest) == []


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (specimen(), "one transaction"),
        ({"resourceType": "Observation"}, "ServiceRequest or Patient"),
        ({"resourceType": "Patient", "name": [{"family": "X"}]}, "identifier"),
    ],
)
def test_what_cannot_be_taken_alone_says_so(send_one, resource, told):
    with pytest.raises(UnusableFhir, match=told):
        send_one(resource)


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def paths(node, path=()):
    yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from paths(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from paths(value, (*path, index))


PATHS = [
    path for path in paths(order() | {"contained": [patient()], "note": [{"text": "a"}]}) if path
]


@given(path=st.sampled_from(PATHS), value=junk)
def test_from_any_json_only_our_error(path, value):
    sent = deepcopy(order() | {"contained": [patient()], "note": [{"text": "a"}]})
    node = sent
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    near = {"urn:uuid:patient": Node(patient(), "P"), "urn:uuid:tube": Node(specimen(), "S")}
    try:
        read = read_request(Node(sent, "O"), near, EMPTY, source="x")
    except UnusableFhir:
        return
    assert read.entry.placer_number


@given(value=junk, name=st.sampled_from(sorted(patient())))
def test_from_any_person_only_our_error(value, name):
    try:
        read = read_patient(Node(patient() | {name: value}, "P"))
    except UnusableFhir:
        return
    assert read.identifiers or read.family_name


# --- what we say, judged by others --------------------------------------------------------------


def test_our_answers_are_fhir(send):
    answers = send(bundle(order(), order("A-2", "XYZ")))
    said = json.dumps(response_bundle(answers, at=AT))
    shown = Bundle.model_validate_json(said)
    assert [one.response.status[:3] for one in shown.entry] == ["200", "200", "200", "201", "201"]
    for answer in answers[3:]:
        R4Order.model_validate_json(json.dumps(answer.resource))
    OperationOutcome.model_validate(outcome((Issue(code="invalid", text="x", where="y"),)))
    CapabilityStatement.model_validate_json(
        json.dumps(capability_statement(at=AT, name="Lab", version="1"))
    )


def test_our_documents_are_fhir():
    Bundle.model_validate_json(json.dumps(bundle()))
