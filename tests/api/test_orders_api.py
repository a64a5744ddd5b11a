"""Orders over HTTP: entry, the receipt's code told once, reception, rejection, and who may do it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.api.conftest import OpenBrowser
from tests.serving import open_laboratory

ENTERED = {
    "key": "sheet-0001",
    "codes": "cbc glu",
    "family_name": "Образцова",
    "given_name": "Проба",
    "birth_date": "1980-02-03",
    "sex": "F",
    "identifier": "P-77",
}


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
def technician(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("technician")


def place(browser: httpx.Client, **changed: Any) -> httpx.Response:
    return browser.post("/api/v1/orders", json=ENTERED | changed)


def placed(browser: httpx.Client, **changed: Any) -> dict[str, Any]:
    answer = place(browser, **changed)
    assert answer.status_code == 201, answer.text
    return answer.json()


def count(browser: httpx.Client) -> int:
    return len(browser.get("/api/v1/orders").json()["rows"])


# --- entry --------------------------------------------------------------------------------------


def test_short_codes_make_tubes_and_a_receipt(technician: httpx.Client):
    answer = placed(technician)
    assert {tube["specimen_type"] for tube in answer["specimens"]} == {"WB", "SER"}
    assert len(answer["receipt_code"].replace("-", "")) == 26
    order = technician.get(f"/api/v1/orders/{answer['public_id']}").json()
    assert [one["code"] for one in order["orders"]] == ["CBC", "GLU"]
    assert answer["receipt_code"] not in str(order)


def test_an_unknown_code_is_named_and_nothing_is_saved(technician: httpx.Client):
    answer = place(technician, codes="cbc xyz")
    assert (answer.status_code, answer.json()["code"]) == (422, "orders.unknown_codes")
    assert "xyz" in answer.json()["detail"]
    assert count(technician) == 0


def test_the_same_sheet_sent_twice_is_placed_once(technician: httpx.Client):
    first, second = placed(technician), placed(technician)
    assert second["public_id"] == first["public_id"]
    assert second["receipt_code"] == ""
    assert count(technician) == 1


def test_a_sheet_changed_and_sent_again_is_another_order(technician: httpx.Client):
    first = placed(technician)
    known = technician.get("/api/v1/patients", params={"text": "P-77"}).json()[0]
    second = placed(technician, patient=known["public_id"], codes="glu")
    assert second["public_id"] != first["public_id"]
    assert second["receipt_code"]


def test_a_chosen_patient_is_used_also_without_any_identifier(technician: httpx.Client):
    placed(technician, identifier="")
    known = technician.get("/api/v1/patients", params={"text": "образцова"}).json()
    placed(technician, key="sheet-0002", patient=known[0]["public_id"], family_name="")
    again = technician.get("/api/v1/patients", params={"text": "образцова"}).json()
    assert again == known
    rows = technician.get("/api/v1/orders").json()["rows"]
    assert {row["patient"]["public_id"] for row in rows} == {known[0]["public_id"]}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"family_name": " "}, "orders.no_patient"),
        ({"codes": " "}, "orders.no_orders"),
        ({"birth_date": "03.02.1980"}, "orders.birth_date_unreadable"),
        ({"birth_date": "1980-02-30"}, "orders.birth_date_unreadable"),
        ({"collection": "exact"}, "orders.collected_unreadable"),
        (
            {"collection": "exact", "collected_at": "2099-01-01T10:00"},
            "orders.collected_in_future",
        ),
    ],
)
def test_what_is_wrong_with_a_sheet_is_said(
    technician: httpx.Client, changed: dict[str, Any], code: str
):
    answer = place(technician, **changed)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"] not in {"", code}
    assert count(technician) == 0


def test_an_unknown_patient_is_not_found(technician: httpx.Client):
    assert place(technician, patient="no-such-patient").status_code == 404


def test_a_stored_person_is_not_entered_twice_by_accident(technician: httpx.Client):
    placed(technician)
    same_number = place(technician, key="sheet-0002", family_name="Другая")
    assert same_number.json()["code"] == "orders.identifier_in_use"
    same_person = place(technician, key="sheet-0003", identifier="")
    assert same_person.json()["code"] == "orders.same_person"
    placed(technician, key="sheet-0003", identifier="", is_another_person=True)


def test_collection_time_is_the_sites_and_keeps_its_certainty(technician: httpx.Client):
    answer = placed(technician, collection="estimated", collected_at="2026-11-02T09:30")
    order = technician.get(f"/api/v1/orders/{answer['public_id']}").json()
    assert order["specimens"][0]["collected_at"].startswith("2026-11-02T06:30")
    assert order["specimens"][0]["state"] == "collected"


# --- reception ----------------------------------------------------------------------------------


def scan(browser: httpx.Client, accession: str) -> httpx.Response:
    return browser.post("/api/v1/specimens/receive", json={"accession": accession})


def test_a_scanned_tube_is_received_and_a_second_scan_says_so(technician: httpx.Client):
    tube = placed(technician)["specimens"][0]
    first, second = scan(technician, tube["accession"]), scan(technician, tube["accession"])
    assert (first.json()["was_here"], second.json()["was_here"]) == (False, True)
    assert first.json()["patient"]["name"] == "Образцова Проба"
    assert first.json()["received_at"] == second.json()["received_at"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("12345", "orders.not_a_tube_number"), ("2699999998", "orders.unknown_specimen")],
)
def test_a_wrong_scan_is_said_in_words(technician: httpx.Client, text: str, code: str):
    answer = scan(technician, text)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"] not in {"", code}


def refuse(browser: httpx.Client, tube: dict[str, Any], **body: Any) -> httpx.Response:
    return browser.post(f"/api/v1/specimens/{tube['specimen_id']}/refuse", json=body)


def test_rejecting_needs_a_reason_and_the_version_that_was_shown(technician: httpx.Client):
    tube = placed(technician)["specimens"][0]
    assert refuse(technician, tube, version=1, reason=" ").status_code == 422
    assert refuse(technician, tube, version=7, reason="clotted").status_code == 409
    done = refuse(technician, tube, version=1, reason="clotted")
    assert (done.status_code, done.json()["state"]) == (200, "rejected")
    assert scan(technician, tube["accession"]).json()["code"] == "orders.specimen_not_live"


# --- the list -----------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_finds_by_name_and_tube(technician: httpx.Client):
    first = placed(technician)
    other = placed(technician, key="sheet-0002", family_name="Примеров", identifier="P-2")
    rows = technician.get("/api/v1/orders").json()["rows"]
    assert [row["public_id"] for row in rows] == [other["public_id"], first["public_id"]]
    assert rows[0]["state"] == "expected"
    for text in ("обр", first["specimens"][1]["accession"]):
        found = technician.get("/api/v1/orders", params={"text": text}).json()["rows"]
        assert [row["public_id"] for row in found] == [first["public_id"]]


def test_older_orders_follow_by_key(technician: httpx.Client):
    for number in range(52):
        placed(technician, key=f"sheet-{number:04}", family_name=f"Ч{number}", identifier="")
    page = technician.get("/api/v1/orders").json()
    rest = technician.get("/api/v1/orders", params={"before": page["next"]}).json()
    assert (len(page["rows"]), len(rest["rows"]), rest["next"]) == (50, 2, None)
    assert len({row["key"] for row in page["rows"] + rest["rows"]}) == 52
    assert f"before={page['next']}" in technician.get("/orders").text


# --- who, and the pages -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["qc_officer", "administrator"])
def test_orders_are_closed_to_other_roles(open_browser: OpenBrowser, role: str):
    browser = open_browser(role)
    for path in ("/orders", "/orders/new", "/api/v1/orders", "/api/v1/orderables"):
        assert browser.get(path).status_code == 403


def test_a_foreign_form_places_nothing(technician: httpx.Client):
    token = technician.headers.pop("X-CSRF-Token")
    assert technician.post("/orders/new", data=ENTERED).status_code == 403
    technician.headers["X-CSRF-Token"] = token
    assert count(technician) == 0


def test_the_plain_form_shows_the_receipt_once(technician: httpx.Client):
    shown = technician.post("/orders/new", data=ENTERED)
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    code = re.search(r'receipt-code mono">([0-9A-Z-]+)<', shown.text)
    assert code
    assert "<svg" in shown.text
    again = technician.post("/orders/new", data=ENTERED)
    assert again.status_code == 303
    order = technician.get(again.headers["location"])
    assert code[1] not in order.text
    assert "receipt-code" not in order.text


def test_the_plain_form_searches_and_keeps_what_was_typed(technician: httpx.Client):
    placed(technician)
    typed = {"key": "sheet-0002", "codes": "glu xyz", "search": "обр", "action": "search"}
    page = technician.post("/orders/new", data=typed)
    assert "P-77" in page.text
    assert 'value="glu xyz"' in page.text
    refused = technician.post(
        "/orders/new", data=typed | {"action": "save", "family_name": "Новый"}
    )
    assert refused.status_code == 422
    assert 'value="glu xyz"' in refused.text


def test_the_plain_form_receives_a_tube(technician: httpx.Client):
    tube = placed(technician)["specimens"][0]
    page = technician.post("/orders", data={"accession": tube["accession"]})
    assert "note done" in page.text
    assert "note problem" in technician.post("/orders", data={"accession": "123"}).text


def test_rejecting_on_the_page_is_version_checked(technician: httpx.Client):
    answer = placed(technician)
    tube = answer["specimens"][0]
    path = f"/orders/{answer['public_id']}/tubes/{tube['specimen_id']}/reject"
    assert technician.post(path, data={"version": 9, "reason": "clotted"}).status_code == 409
    assert technician.post(path, data={"version": 1, "reason": "clotted"}).status_code == 303
    assert "clotted" in technician.get(f"/orders/{answer['public_id']}").text
