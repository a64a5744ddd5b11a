"""Getting in and out with a real browser: each role, both languages, the first start, an expired session."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lis.access.users import offer_first_token
from lis.app.bus import Bus
from lis.app.laboratory import Laboratory
from lis.app.settings import parse_settings
from lis.domain.clock import ManualClock
from lis.store.unit import Store
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, log_in, open_worklist
from tests.serving import PASSWORD, document, served

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("role", ["technician", "doctor", "qc_officer", "administrator"])
def test_each_role_gets_in_and_sees_only_its_own_pages(running: Running, page: Page, role: str):
    log_in(page, running.address, role)
    entries = page.locator(".nav a")
    worklist, users = page.locator("a[href='/worklist']"), page.locator("a[href='/users']")
    expect(worklist).to_have_count(1 if role == "technician" else 0)
    expect(users).to_have_count(1 if role == "administrator" else 0)
    for index in range(entries.count()):
        answer = page.request.get(running.address + str(entries.nth(index).get_attribute("href")))
        assert answer.status == 200


def test_a_wrong_password_is_said_in_words(running: Running, page: Page, tolerated: list[str]):
    tolerated.append("422")
    page.goto(running.address)
    page.locator("input[name=login]").fill("technician")
    page.locator("input[name=password]").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(visible=True)).to_be_visible()
    expect(page.locator("input[name=login]")).to_have_value("technician")


def test_the_language_can_be_chosen_before_the_login(running: Running, page: Page):
    page.goto(running.address)
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("language", ["ru", "en"])
def test_login_is_accessible_and_fits_a_phone(
    running: Running,
    new_page: NewPage,
    assert_accessible: Callable[[Page], None],
    assert_fits_phone: Callable[[Page], None],
    language: str,
):
    phone = new_page(phone=True)
    cookie = {"name": "lis_language", "value": language, "url": running.address}
    phone.context.add_cookies([cookie])
    phone.goto(running.address)
    assert_accessible(phone)
    assert_fits_phone(phone)


def test_a_page_asked_for_before_the_login_comes_after_it(running: Running, page: Page):
    page.goto(running.address + "/account?done=true")
    expect(page).to_have_url(running.address + "/login?next=/account%3Fdone%3Dtrue")
    page.locator("input[name=login]").fill("doctor")
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(running.address + "/account?done=true")


def test_users_page_adds_a_person_who_can_get_in(
    running: Running, new_page: NewPage, assert_accessible: Callable[[Page], None]
):
    page = new_page()
    log_in(page, running.address, "administrator", path="/users")
    form = page.locator(".new-user form")
    form.locator("input[name=login]").fill("novak")
    form.locator("input[name=name]").fill("Новак Ж.")
    form.locator("input[name=password]").fill(PASSWORD)
    form.locator("input[value=doctor]").check()
    form.get_by_role("button").click()
    expect(page.get_by_role("rowheader", name="novak")).to_be_visible()
    assert_accessible(page)
    log_in(new_page(), running.address, "novak")


def test_an_expired_session_keeps_the_page_and_offers_the_login(
    running: Running, page: Page, manual_clock: ManualClock, tolerated: list[str]
):
    tolerated.append("401")
    open_worklist(page, running.address)
    page.keyboard.press("c")
    page.locator(".ask textarea").fill("typed already")
    manual_clock.advance(hours=13)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#session-ended")).to_be_visible()
    expect(page.locator("#rows tbody tr.cursor")).to_be_visible()
    expect(page.locator(".ask textarea")).to_have_value("typed already")


def test_signing_in_again_in_another_tab_goes_on_where_one_was(
    running: Running, page: Page, manual_clock: ManualClock, tolerated: list[str]
):
    tolerated.append("401")
    open_worklist(page, running.address)
    page.keyboard.press("c")
    page.locator(".ask textarea").fill("typed already")
    manual_clock.advance(hours=13)
    page.keyboard.press("Control+Enter")
    with page.context.expect_page() as opened:
        page.locator("#session-ended a").click()
    other = opened.value
    other.locator("input[name=login]").fill("technician")
    other.locator("input[name=password]").fill(PASSWORD)
    other.keyboard.press("Enter")
    expect(other.locator("#rows")).to_be_visible()
    other.close()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(page.locator("#session-ended")).to_be_hidden()
    page.locator(".ask textarea").press("Control+Enter")
    expect(page.locator("#panel section p", has_text="typed already")).to_be_visible()


# --- first start --------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path, manual_clock: ManualClock) -> Iterator[tuple[str, str]]:
    """A laboratory without any user; its address and its one-time token."""
    store = Store.open(f"sqlite:///{tmp_path / 'empty.db'}", clock=manual_clock)
    store.create_all()
    with store.unit("start") as unit:
        token = offer_first_token(unit)
    laboratory = Laboratory(
        settings=parse_settings(document("en"), where="test"),
        store=store,
        bus=Bus(),
        clock=manual_clock,
        installation="test",
    )
    assert token is not None
    with served(laboratory) as address:
        yield address, token
    store.close()


def test_first_start_makes_the_administrator_by_the_token(empty: tuple[str, str], page: Page):
    address, token = empty
    page.goto(address)
    expect(page).to_have_url(address + "/start")
    page.locator("input[name=token]").fill(token)
    page.locator("input[name=login]").fill("boss")
    page.locator("input[name=name]").fill("The Boss")
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Create the administrator").click()
    expect(page).to_have_url(address + "/users")
    expect(page.get_by_role("rowheader", name="boss")).to_be_visible()
