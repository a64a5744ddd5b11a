"""S03 and S08 at the two doors people read results through: the doctor's pages and the patient's page, over HTTP."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    Placed,
    RequisitionEntry,
    place_requisition,
)
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition
from lis.store.people_rows import Patient, Site
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.api.conftest import OpenBrowser

BORN = {"day": "20", "month": "3", "year": "1985"}
SECRET = "7.77"  # a value that stands nowhere else on a page
PAGE_BYTES_MAX = 40_000

Observe = Callable[..., None]


@pytest.fixture
def placed(laboratory: Laboratory) -> Placed:
    with laboratory.store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
    entry = RequisitionEntry(
        patient=PatientEntry(
            family_name="Примерова",
            given_name="Анна",
            birth_date="1985-03-20",
            sex="F",
            identifiers=(IdentifierEntry(system="MR", value="777"),),
        ),
        source="form",
        orders=(OrderEntry(code="GLU"),),
    )
    with laboratory.store.unit("his") as unit:
        return place_requisition(unit, laboratory.catalog(), entry, site_id=1)


@pytest.fixture
def public_id(laboratory: Laboratory, placed: Placed) -> str:
    with laboratory.store.read() as session:
        requisition = session.get_one(Requisition, placed.requisition_id)
        return session.get_one(Patient, requisition.patient_id).public_id


@pytest.fixture
def observe(laboratory: Laboratory, placed: Placed) -> Observe:
    def observe(text: str = SECRET, **more: Any) -> None:
        with laboratory.store.unit("intake") as unit:
            requisition = unit.session.get_one(Requisition, placed.requisition_id)
            fields = {
                "test_code": "GLU",
                "bench_state": BenchState.RELEASED,
                "status": ResultStatus.FINAL,
                "released_at": unit.now,
                "visible_from": unit.now,
                "unit": "mmol/L",
                "value": None,
                "interval_text": "3.9–6.1",
                "flag": "H",
                **more,
            }
            unit.session.add(
                Observation(
                    public_id=unit.ids.new(),
                    site_id=1,
                    created_at=unit.now,
                    run_key="k",
                    instrument_code="GLU",
                    reported=text,
                    analysed_at=unit.now,
                    specimen_id=placed.specimens[0].specimen_id,
                    patient_id=requisition.patient_id,
                    service_request_id=placed.orders[0].service_request_id,
                    **fields,
                )
            )

    return observe


@pytest.fixture
def seen(open_browser: OpenBrowser, placed: Placed, public_id: str) -> Callable[[], dict[str, str]]:
    """What each door lets out at this moment."""

    def seen() -> dict[str, str]:
        doctor, patient = open_browser("doctor"), open_browser()
        answers = {
            "page": doctor.get(f"/patients/{public_id}"),
            "api": doctor.get(f"/api/v1/patients/{public_id}/results"),
            "receipt": patient.post("/r", data={"code": placed.receipt_code, **BORN}),
            "receipt api": patient.post(
                "/api/v1/receipts",
                json={"code": placed.receipt_code, "birth_date": "1985-03-20"},
            ),
        }
        assert {answer.status_code for answer in answers.values()} == {200}
        return {door: answer.text for door, answer in answers.items()}

    return seen


HIDDEN = {
    "held": {"bench_state": BenchState.HELD},
    "technically verified": {"bench_state": BenchState.TECHNICALLY_VERIFIED},
    "rejected": {"bench_state": BenchState.REJECTED},
    "preliminary": {"status": ResultStatus.PRELIMINARY},
}


@pytest.mark.parametrize("fields", HIDDEN.values(), ids=HIDDEN)
def test_S03_no_page_shows_what_is_not_released(
    observe: Observe, seen: Callable[[], dict[str, str]], fields: dict[str, Any]
):
    observe(**fields)
    shown = seen()
    assert not [door for door, text in shown.items() if SECRET in text]
    assert "1 more result is not released" in shown["page"]
    assert "1 more result is not ready" in shown["receipt"]


def test_S08_no_page_shows_a_result_that_can_still_be_taken_back(
    observe: Observe, seen: Callable[[], dict[str, str]], manual_clock: ManualClock
):
    observe(visible_from=manual_clock.now() + timedelta(seconds=5))
    assert not [door for door, text in seen().items() if SECRET in text]
    manual_clock.advance(seconds=5)
    assert all(SECRET in text for text in seen().values())


def test_S03_a_correction_shows_both_values_and_says_so(
    observe: Observe, seen: Callable[[], dict[str, str]], manual_clock: ManualClock
):
    observe("9.99", bench_state=BenchState.SUPERSEDED, is_chosen=False)
    manual_clock.advance(seconds=60)
    observe(status=ResultStatus.CORRECTED)
    shown = seen()
    assert all(SECRET in text and "9.99" in text for text in shown.values())
    assert re.search(r"corrected</mark>.*<s>9\.99</s>", shown["page"])
    assert re.search(r"Corrected by the laboratory.*<s>9\.99 mmol/L</s>", shown["receipt"])


def test_a_withdrawn_result_says_so_without_its_value(
    observe: Observe, seen: Callable[[], dict[str, str]]
):
    observe(status=ResultStatus.ENTERED_IN_ERROR)
    shown = seen()
    assert not [door for door, text in shown.items() if SECRET in text]
    assert "withdrawn by the laboratory" in shown["page"]
    assert "has withdrawn this result" in shown["receipt"]


def test_the_state_stands_in_words(observe: Observe, seen: Callable[[], dict[str, str]]):
    observe(value=Decimal(SECRET))
    assert "Above the reference interval" in seen()["receipt"]


def test_a_sensitive_result_is_told_by_a_doctor(
    observe: Observe, seen: Callable[[], dict[str, str]]
):
    observe(test_code="MTB")
    shown = seen()
    assert SECRET in shown["page"]
    assert SECRET not in shown["receipt"] + shown["receipt api"]
    assert "your doctor will explain it" in shown["receipt"]


# --- the doors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["777", "Прим", "примерова анна"])
def test_a_doctor_finds_a_patient(open_browser: OpenBrowser, placed: Placed, wanted: str):
    doctor = open_browser("doctor")
    assert "Примерова Анна" in doctor.get("/patients", params={"find": wanted}).text
    (found,) = doctor.get("/api/v1/patients", params={"text": wanted}).json()
    assert found["identifiers"] == ["777"]


def test_search_and_view_have_an_empty_state(
    open_browser: OpenBrowser, placed: Placed, public_id: str
):
    doctor = open_browser("doctor")
    assert "Find a patient" in doctor.get("/patients").text
    assert "Nobody matches" in doctor.get("/patients?find=Nemo").text
    assert "No released results yet" in doctor.get(f"/patients/{public_id}").text


def test_an_unknown_patient_is_404(open_browser: OpenBrowser):
    doctor = open_browser("doctor")
    assert doctor.get("/patients/nobody").status_code == 404
    assert doctor.get("/api/v1/patients/nobody/results").json()["code"] == "not_found"


@pytest.mark.parametrize("role", ["administrator", "qc_officer"])
def test_who_sees_no_patients_sees_none(open_browser: OpenBrowser, role: str):
    browser = open_browser(role)
    assert browser.get("/patients").status_code == 403
    assert browser.get("/api/v1/patients").status_code == 403


def test_the_receipt_page_needs_and_leaves_nothing(
    open_browser: OpenBrowser, observe: Observe, placed: Placed
):
    observe()
    patient = open_browser()
    answer = patient.post("/r", data={"code": placed.receipt_code.lower(), **BORN})
    assert SECRET in answer.text
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert "Примерова" not in answer.text


def test_the_receipt_page_is_small(open_browser: OpenBrowser, observe: Observe, placed: Placed):
    observe()
    patient = open_browser()
    page = patient.post("/r", data={"code": placed.receipt_code, **BORN})
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(files) == 4
    total = len(page.content) + sum(len(patient.get(path).content) for path in files)
    assert total < PAGE_BYTES_MAX


def test_every_wrong_pair_gets_the_same_page(open_browser: OpenBrowser, placed: Placed):
    patient = open_browser()
    wrong_date = patient.post("/r", data={"code": placed.receipt_code, **BORN, "day": "21"})
    wrong_code = patient.post("/r", data={"code": "AAAAA-BBBBB", **BORN})
    assert (wrong_date.status_code, wrong_code.status_code) == (422, 422)
    alerts = [
        re.findall(r'role="alert"[^>]*>([^<]+)', one.text) for one in (wrong_date, wrong_code)
    ]
    assert alerts[0] == alerts[1]
    assert len(alerts[0]) == 1


def test_many_wrong_dates_say_how_long_to_wait(open_browser: OpenBrowser, placed: Placed):
    patient = open_browser()
    for _ in range(5):
        patient.post("/r", data={"code": placed.receipt_code, **BORN, "year": "1999"})
    locked = patient.post("/r", data={"code": placed.receipt_code, **BORN})
    assert locked.status_code == 429
    assert "15 minutes" in locked.text


@pytest.mark.parametrize(
    "typed",
    [{}, {"day": "31", "month": "2", "year": "1985"}, {"day": "1", "month": "2", "year": "85"}],
)
def test_a_date_that_is_none_is_asked_again_and_counts_as_no_attempt(
    open_browser: OpenBrowser, observe: Observe, placed: Placed, typed: dict[str, str]
):
    observe()
    patient = open_browser()
    for _ in range(6):
        answer = patient.post("/r", data={"code": placed.receipt_code, **typed})
        assert answer.status_code == 422
    assert SECRET in patient.post("/r", data={"code": placed.receipt_code, **BORN}).text


def test_a_foreign_site_cannot_send_the_form(open_browser: OpenBrowser, placed: Placed):
    patient = open_browser()
    answer = patient.post(
        "/r", data={"code": placed.receipt_code, **BORN}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(("language", "title"), [("ru", "Ваши результаты"), ("en", "Your results")])
def test_the_language_travels_with_the_form(
    open_browser: OpenBrowser, observe: Observe, placed: Placed, language: str, title: str
):
    observe()
    patient = open_browser()
    assert f'<html lang="{language}">' in patient.get(f"/r?language={language}").text
    data = {"code": placed.receipt_code, **BORN, "language": language}
    assert title in patient.post("/r", data=data).text
