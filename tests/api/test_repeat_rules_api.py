"""Repeat rules over HTTP and on their page: propose, count, a second person, stop."""

from datetime import timedelta

import pytest

from lis.access.users import create_user
from lis.domain.roles import Role
from lis.store.definitions import DefinitionKind, put_definition
from tests.serving import Browser

DOCUMENT = {"version": "w1", "rules": [], "choices": []}
RULE = {
    "id": "first",
    "when": {"kind": "above", "high": "100"},
    "then": {"action": "rerun"},
    "cases": [{"value": "120", "fires": True}, {"value": "80", "fires": False}],
}


@pytest.fixture
def second_person(laboratory):
    with laboratory.store.unit("admin") as unit:
        create_user(
            unit,
            login="boris",
            name="Boris",
            password="correct horse battery",
            roles=frozenset({Role.TECHNICIAN}),
        )
    return "boris"


@pytest.fixture
def catalog_test(laboratory):
    """The laboratory has a catalog with one test; returns its code."""
    body = {
        "version": "c1",
        "tests": [
            {
                "code": "CREA",
                "names": {"ru": "Креатинин", "en": "Creatinine"},
                "unit": "umol/L",
                "specimen_type": "SER",
                "section": "chemistry",
            }
        ],
    }
    with laboratory.store.unit("author") as unit:
        since = unit.now - timedelta(days=1)
        put_definition(unit, DefinitionKind.CATALOG, "c1", body, since, "approver")
    return "CREA"


def signed_in(address, login):
    browser = Browser.at(address)
    browser.sign_in(login, "correct horse battery")
    return browser.http


def test_two_persons_put_a_version_in_force_and_one_stops_it(
    address, open_browser, second_person, catalog_test
):
    anna = open_browser("technician")
    document = DOCUMENT | {"rules": [RULE | {"test": catalog_test}]}
    made = anna.post("/api/v1/repeat-rules/proposals", json={"document": document})
    assert made.status_code == 201
    place = f"/api/v1/repeat-rules/proposals/{made.json()['id']}"
    counted = anna.post(f"{place}/dry-run", json={"days": 7}).json()
    assert (counted["dry_run"]["days"], counted["dry_run"]["rules"][0]["rule"]) == (7, "first")
    own = anna.post(f"{place}/approve", json={"row_version": counted["row_version"]})
    assert (own.status_code, own.json()["code"]) == (422, "repeatpage.second_person")
    boris = signed_in(address, second_person)
    stale = boris.post(f"{place}/approve", json={"row_version": 1})
    assert stale.status_code == 409
    approved = boris.post(f"{place}/approve", json={"row_version": counted["row_version"]})
    assert approved.json()["state"] == "active"
    assert anna.get("/api/v1/repeat-rules").json()["version"] == "w1"
    page = anna.get("/repeat-rules")
    assert (page.status_code, "CREA above 100" in page.text) == (200, True)
    stop = anna.post("/api/v1/repeat-rules/stop", json={"rule": "first", "reason": "no reagent"})
    assert stop.status_code == 204
    assert [one["rule"] for one in anna.get("/api/v1/repeat-rules").json()["stopped"]] == ["first"]
    boris.close()


def test_a_wrong_document_says_where(open_browser, catalog_test):
    anna = open_browser("technician")
    wrong = DOCUMENT | {"rules": [RULE | {"test": catalog_test, "when": {"kind": "above"}}]}
    answer = anna.post("/api/v1/repeat-rules/dry-run", json={"document": wrong})
    assert answer.status_code == 400
    assert "repeat.rules[0].when" in answer.json()["detail"]


def test_the_page_keeps_what_was_typed(open_browser, catalog_test):
    anna = open_browser("technician")
    answer = anna.post("/repeat-rules", data={"document": "{not json"})
    assert answer.status_code == 422
    assert "{not json" in answer.text


@pytest.mark.parametrize("role", ["doctor", "administrator", "qc_officer"])
def test_others_do_not_change_rules(open_browser, role):
    other = open_browser(role)
    answer = other.post("/api/v1/repeat-rules/stop", json={"rule": "", "reason": "r"})
    assert answer.status_code == 403
