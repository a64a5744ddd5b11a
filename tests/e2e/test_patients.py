"""A doctor reads a patient by keyboard; a patient opens the receipt's link on a phone."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from lis.domain.clock import ManualClock
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.orders import OrderEntry, PatientEntry, RequisitionEntry, place_requisition
from lis.store.observation_rows import Observation
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, log_in

pytestmark = pytest.mark.e2e


@pytest.fixture
def receipt(running: Running, manual_clock: ManualClock) -> str:
    """The receipt's code of one patient with a plain, a high, a corrected and a waiting result."""
    laboratory = running.laboratory
    entry = RequisitionEntry(
        patient=PatientEntry(
            family_name="Примерова", given_name="Анна", birth_date="1985-03-20", sex="F"
        ),
        source="form",
        orders=tuple(OrderEntry(code=code) for code in ("GLU", "K", "CREA", "UREA")),
        collected_at=manual_clock.now() - timedelta(minutes=30),
        collected_certainty="exact",
        is_received=True,
    )
    with laboratory.store.unit("form") as unit:
        placed = place_requisition(unit, laboratory.catalog(), entry, site_id=1)
    with laboratory.store.read() as session:
        like = session.scalars(
            select(Observation).where(
                Observation.test_code == "GLU", Observation.bench_state == BenchState.RELEASED
            )
        ).first()
    assert like is not None
    values = (
        ("GLU", "5.2", "", BenchState.RELEASED, ResultStatus.FINAL),
        ("K", "6.1", "H", BenchState.RELEASED, ResultStatus.FINAL),
        ("CREA", "140", "H", BenchState.SUPERSEDED, ResultStatus.FINAL),
        ("CREA", "70", "", BenchState.RELEASED, ResultStatus.CORRECTED),
        ("UREA", "31.4", "HH", BenchState.HELD, ResultStatus.REGISTERED),
    )
    orders = {"GLU": 0, "K": 1, "CREA": 2, "UREA": 3}
    with laboratory.store.unit("intake") as unit:
        for number, (test, text, flag, state, status) in enumerate(values):
            unit.session.add(
                Observation(
                    public_id=unit.ids.new(),
                    site_id=1,
                    created_at=unit.now,
                    run_key=f"receipt-{number}",
                    test_code=test,
                    instrument_code=test,
                    reported=text,
                    unit="mmol/L",
                    flag=flag,
                    interval_text="3.9–6.1" if test == "GLU" else "",
                    bench_state=state,
                    status=status,
                    is_chosen=state is not BenchState.SUPERSEDED,
                    released_at=unit.now,
                    visible_from=unit.now,
                    analysed_at=unit.now,
                    specimen_id=placed.specimens[0].specimen_id,
                    service_request_id=placed.orders[orders[test]].service_request_id,
                    patient_id=like.patient_id,
                )
            )
    return placed.receipt_code


def fill_birth_date(page: Page) -> None:
    page.keyboard.type("20")
    page.keyboard.press("Tab")
    page.keyboard.type("03")
    page.keyboard.press("Tab")
    page.keyboard.type("1985")
    page.keyboard.press("Enter")


def test_a_patient_opens_the_link_on_a_phone(running: Running, phone: Page, receipt: str):
    phone.goto(f"{running.address}/r#{receipt}")
    expect(phone.locator("#code")).to_have_value(receipt)
    expect(phone.locator("#day")).to_be_focused()
    assert phone.url == f"{running.address}/r"
    fill_birth_date(phone)
    expect(phone.get_by_role("heading", name="Ваши результаты")).to_be_visible()
    expect(phone.locator("article")).to_have_count(3)
    expect(phone.get_by_text("Выше референсного интервала")).to_be_visible()
    expect(phone.locator(".corrected s")).to_contain_text("140")
    expect(phone.get_by_text("Ещё 1 результат не готов")).to_be_visible()
    expect(phone.get_by_text("31.4")).to_have_count(0)
    phone.get_by_role("button", name="English").click()
    expect(phone.get_by_role("heading", name="Your results")).to_be_visible()


def test_a_patient_without_scripts_types_the_code(
    running: Running, new_page: NewPage, receipt: str
):
    phone = new_page(phone=True, java_script_enabled=False)
    phone.goto(f"{running.address}/r")
    phone.locator("#code").fill(receipt.lower().replace("-", " "))
    phone.locator("#day").focus()
    fill_birth_date(phone)
    expect(phone.get_by_role("heading", name="Ваши результаты")).to_be_visible()


def test_a_wrong_pair_is_said_once_and_gets_the_focus(
    running: Running, phone: Page, receipt: str, tolerated: list[str]
):
    tolerated.append("422")
    phone.goto(f"{running.address}/r#{receipt[:-1]}")
    expect(phone.locator("#day")).to_be_focused()
    fill_birth_date(phone)
    expect(phone.get_by_role("alert")).to_be_focused()
    expect(phone.get_by_role("alert")).to_contain_text("не подходят")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_receipt_page_is_accessible_and_fits_a_phone(
    running: Running,
    phone: Page,
    receipt: str,
    language: str,
    assert_accessible: Callable[[Page], None],
    assert_fits_phone: Callable[[Page], None],
):
    phone.goto(f"{running.address}/r?language={language}#{receipt}")
    expect(phone.locator("#day")).to_be_focused()
    assert_accessible(phone)
    assert_fits_phone(phone)
    fill_birth_date(phone)
    expect(phone.locator("article").first).to_be_visible()
    assert_accessible(phone)
    assert_fits_phone(phone)


def test_a_doctor_finds_a_patient_by_keyboard(running: Running, page: Page):
    log_in(page, running.address, "doctor", path="/account")
    expect(page.locator("html[data-shell=ready]")).to_be_attached()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.locator("input[name=find]")).to_be_focused()
    page.keyboard.type("Ива")
    page.keyboard.press("Enter")
    first = page.locator(".people tbody a").first
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("^Иванова"))).to_be_visible()
    expect(page.locator(".grid tbody .cell b").first).to_be_visible()
    expect(page.locator(".trend").first).to_be_visible()
    lines = page.locator(".grid tbody tr:not(.section)").count()
    page.get_by_role("link", name="Только отклонения").press("Enter")
    expect(page.locator("a.pick[aria-current]")).to_have_text("Только отклонения")
    assert page.locator(".grid tbody tr:not(.section)").count() < lines


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_doctors_pages_are_accessible_and_fit_a_phone(
    running: Running,
    new_page: NewPage,
    language: str,
    assert_accessible: Callable[[Page], None],
    assert_fits_phone: Callable[[Page], None],
):
    for is_phone in (False, True):
        page = new_page(phone=is_phone)
        log_in(page, running.address, "doctor", path="/patients", language=language)
        page.goto(f"{running.address}/patients?find=Ива")
        expect(page.locator(".people")).to_be_visible()
        assert_accessible(page)
        page.locator(".people tbody a").first.click()
        expect(page.locator(".grid")).to_be_visible()
        assert_accessible(page)
        if is_phone:
            assert_fits_phone(page)
