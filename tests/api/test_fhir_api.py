"""`/fhir/R4` and `/api/v1/referrals` over HTTP: tokens, media types, every error an OperationOutcome, one meaning for both."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lis.access.tokens import Scope, issue_token, list_tokens, revoke_token
from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.domain.errors import NotFound, Refused
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_rows import Site
from lis.store.rows import Inbox, InboxState, MachineToken
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.api.conftest import OpenBrowser
from tests.emr.fhir_documents import MRN, PLACER, bundle, order, patient
from tests.serving import open_laboratory

FHIR = "/fhir/R4"
JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def laboratory(
    template_database: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    with open_laboratory(template_database, tmp_path / "lis.db", manual_clock) as laboratory:
        with laboratory.store.unit("author") as unit:
            unit.session.add(Site(name="main", timezone="Europe/Moscow"))
            put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        yield laboratory


@pytest.fixture
def issue(laboratory: Laboratory):
    def issue(name: str = "clinic", **how: Any) -> str:
        with laboratory.store.unit("shell") as unit:
            return issue_token(unit, name=name, scope=Scope.REFERRALS, site="main", **how)

    return issue


@pytest.fixture
def clinic(address: str, issue) -> Iterator[httpx.Client]:
    headers = JSON | {"Authorization": f"Bearer {issue()}"}
    with httpx.Client(base_url=address, headers=headers) as client:
        yield client


def orders(laboratory: Laboratory) -> list[ServiceRequest]:
    with laboratory.store.read() as session:
        return list(session.query(ServiceRequest).order_by(ServiceRequest.id))


def is_outcome(answer: httpx.Response) -> bool:
    body = answer.json()
    is_media = answer.headers["content-type"].startswith("application/fhir+json")
    return is_media and body["resourceType"] == "OperationOutcome" and bool(body["issue"])


# --- who may ------------------------------------------------------------------------------------


def test_only_a_living_token_of_the_sender_opens_it(address, issue, laboratory, manual_clock):
    token, short = issue(), issue("brief", life=timedelta(hours=1))

    def status(authorization: str) -> int:
        headers = JSON | {"Authorization": authorization}
        answer = httpx.post(f"{address}{FHIR}", json=bundle(), headers=headers)
        assert answer.status_code == 200 or is_outcome(answer)
        return answer.status_code

    assert status(f"Bearer {token}") == 200
    assert [status(wrong) for wrong in ("", "Bearer", "Bearer x", f"Basic {token}")] == [401] * 4
    manual_clock.advance(hours=2)
    assert status(f"Bearer {short}") == 401
    with laboratory.store.unit("shell") as unit:
        revoke_token(unit, 1)
        revoke_token(unit, 1)
        (first, _) = list_tokens(unit)
    assert (first.name, first.revoked_at is not None) == ("clinic", True)
    assert first.last_used_at is not None
    assert status(f"Bearer {token}") == 401


def test_a_session_of_a_person_opens_nothing_for_machines(open_browser: OpenBrowser):
    browser = open_browser("technician")
    assert browser.post(FHIR, json=bundle(), headers=JSON).status_code == 401
    assert browser.post("/api/v1/referrals", json={}).status_code == 401


def test_a_token_opens_nothing_of_people(clinic: httpx.Client):
    assert clinic.get("/api/v1/orders").status_code == 401


def test_only_the_hash_is_stored_and_guessing_is_counted(address, issue, laboratory):
    token = issue()
    with laboratory.store.read() as session:
        assert token not in str(session.query(MachineToken).one().token_hash)
    for _ in range(30):
        httpx.post(f"{address}{FHIR}", headers={"Authorization": "Bearer wrong"})
    answer = httpx.post(f"{address}{FHIR}", headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, is_outcome(answer)) == (429, True)


@pytest.mark.parametrize("name", ["", " ", "x" * 65])
def test_a_token_needs_a_name(issue, name):
    with pytest.raises(Refused, match="token_name_needed"):
        issue(name)


def test_a_token_of_no_site_cannot_be_made(laboratory):
    with laboratory.store.unit("shell") as unit, pytest.raises(NotFound):
        issue_token(unit, name="x", scope=Scope.REFERRALS, site="moon")


# --- FHIR ---------------------------------------------------------------------------------------


def test_a_transaction_is_answered_entry_by_entry(clinic, laboratory):
    answer = clinic.post(FHIR, json=bundle(order(), order("A-2", "XYZ")))
    assert answer.status_code == 200
    said = [entry["response"] for entry in answer.json()["entry"]]
    assert [one["status"] for one in said] == ["200 OK"] * 3 + ["201 Created"] * 2
    assert "outcome" not in said[3]
    assert said[4]["outcome"]["issue"][0]["severity"] == "warning"
    with laboratory.store.read() as session:
        kept = session.get_one(Inbox, session.query(Requisition).one().source_inbox_id)
    assert (kept.raw, kept.state) == (answer.request.content, InboxState.PROCESSED)
    place = said[3]["location"].partition("/_history")[0]
    shown = clinic.get(f"{FHIR}/{place}").json()
    assert (shown["status"], shown["identifier"][0]["value"]) == ("active", "A-1")
    assert clinic.post(f"{FHIR}/", json=bundle(order(), order("A-2", "XYZ"))).status_code == 200
    assert len(orders(laboratory)) == 2


def test_a_bad_entry_refuses_all_of_it(clinic, laboratory):
    answer = clinic.post(FHIR, json=bundle(order(), order("A-2", status="draft")))
    assert (answer.status_code, is_outcome(answer)) == (422, True)
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[4].resource.status"]
    assert orders(laboratory) == []


def test_single_resources_have_a_location_and_an_etag(clinic):
    person = clinic.post(f"{FHIR}/Patient", json=patient())
    assert person.status_code == 201
    where = person.headers["location"].removeprefix(f"{FHIR}/").partition("/_history")[0]
    sent = order(id="o-1", subject={"reference": where}, specimen=[])
    made = clinic.put(f"{FHIR}/ServiceRequest/o-1", json=sent)
    assert (made.status_code, made.headers["etag"]) == (201, 'W/"1"')
    header = {"If-None-Exist": f"identifier={PLACER}|A-1"}
    again = clinic.post(f"{FHIR}/ServiceRequest", json=sent, headers=header)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "", b"{", JSON, 400),
        ("POST", "", b"[]", JSON, 400),
        ("POST", "", b'{"resourceType":"Bundle","type":"batch"}', JSON, 400),
        ("POST", "", b"<Bundle/>", {"Content-Type": "application/fhir+xml"}, 415),
        ("POST", "/Patient", b'{"resourceType":"ServiceRequest"}', JSON, 400),
        ("POST", "/Observation", b'{"resourceType":"Observation"}', JSON, 422),
        ("PUT", "/Patient/1", b'{"resourceType":"Patient","id":"1"}', JSON, 422),
        ("GET", "/ServiceRequest/none", b"", JSON, 404),
        ("GET", "/nothing/at/all", b"", JSON, 404),
        ("DELETE", "/ServiceRequest/1", b"", JSON, 405),
    ],
)
def test_every_error_is_an_operation_outcome(clinic, method, path, content, headers, status):
    answer = clinic.request(method, f"{FHIR}{path}", content=content, headers=headers)
    assert (answer.status_code, is_outcome(answer)) == (status, True), answer.text


def test_another_sender_sees_nothing_of_an_order(address, clinic, issue):
    entry = clinic.post(FHIR, json=bundle(order())).json()["entry"][3]["response"]
    place = entry["location"].partition("/_history")[0]
    other = {"Authorization": f"Bearer {issue('other')}"} | JSON
    assert httpx.get(f"{address}{FHIR}/{place}", headers=other).status_code == 404
    answer = httpx.post(f"{address}{FHIR}", json=bundle(order(status="revoked")), headers=other)
    assert (answer.status_code, is_outcome(answer)) == (422, True)


def test_the_capability_statement_tells_the_truth(clinic):
    clinic.headers.pop("Authorization")
    said = clinic.get(f"{FHIR}/metadata").json()
    assert said["fhirVersion"] == "4.0.1"
    (rest,) = said["rest"]
    can = {one["type"]: {act["code"] for act in one["interaction"]} for one in rest["resource"]}
    routes = {"create": "POST", "update": "PUT", "read": "GET"}
    for kind in ("ServiceRequest", "Patient"):
        for act, method in routes.items():
            path = f"{FHIR}/{kind}" + ("" if act == "create" else "/x")
            answer = clinic.request(method, path, json={"resourceType": kind, "id": "x"})
            is_open = answer.status_code == 401
            if not (kind == "Patient" and act == "update"):  # told by its own words, see above
                assert is_open == (act in can[kind]), (kind, act, answer.status_code)


# --- REST ---------------------------------------------------------------------------------------

REFERRAL = {
    "patient": {
        "identifiers": [{"system": MRN, "value": "777"}],
        "family_name": "Образцова",
        "birth_date": "1985-03-20",
        "sex": "F",
    },
    "orders": [
        {"number": "A-1", "authority": PLACER, "code": "GLU", "priority": "S"},
        {"number": "A-2", "authority": PLACER, "code": "XYZ"},
    ],
    "collected_at": "2026-11-02T07:30:00+03:00",
}


def test_rest_means_the_same(clinic, laboratory):
    clinic.headers["Content-Type"] = "application/json"
    taken = clinic.post("/api/v1/referrals", json=REFERRAL)
    assert taken.status_code == 200, taken.text
    assert [(one["outcome"], one["reason"]) for one in taken.json()["orders"]] == [
        ("accepted", ""),
        ("held", "unknown_orderable"),
    ]
    again = clinic.post("/api/v1/referrals", json=REFERRAL).json()["orders"]
    assert [one["outcome"] for one in again] == ["repeated", "held"]
    by_fhir = clinic.post(FHIR, json=bundle(order()), headers=JSON)
    assert by_fhir.json()["entry"][3]["response"]["status"] == "200 OK"
    assert len(orders(laboratory)) == 2
    cancel = REFERRAL | {"orders": [REFERRAL["orders"][0] | {"action": "cancel"}]}
    assert clinic.post("/api/v1/referrals", json=cancel).json()["orders"][0]["outcome"] == (
        "cancelled"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"orders": []},
        {"patient": {"identifiers": []}},
        {"collected_at": "2026-11-02T07:30:00"},
        {"orders": [{"number": "", "code": "GLU"}]},
        {"reason": "a\x00b"},
    ],
)
def test_rest_refuses_what_it_cannot_mean(clinic, laboratory, change):
    clinic.headers["Content-Type"] = "application/json"
    answer = clinic.post("/api/v1/referrals", json=REFERRAL | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert orders(laboratory) == []
