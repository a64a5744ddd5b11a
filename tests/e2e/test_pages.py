"""What no page can promise alone: one result on its way through all of them, and every page of the header.

The journey is the main job as people see it: a tube ordered at the desk without a mouse, measured, decided at the
bench, read by the doctor and by the patient. Until the moment of undo has passed nobody outside the laboratory
sees the value, by any page (S03, S08). The walk takes the header's own table, so that a new page joins it by
being there.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import lis.words
from lis.domain.clock import ManualClock
from lis.domain.roles import PERMISSIONS, Role
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, log_in
from ui.pages.navigation import NAVIGATION, Entry

pytestmark = pytest.mark.e2e

FAMILY = "Путешественникова"
BORN = "1985-03-20"
VALUE = "77"  # creatinine inside every adult interval: held only because its release is by hand
UNDO = timedelta(seconds=5)  # S08
# A burst as fast as a scanner's: one round trip per key would be slower than that on a busy machine.
SCAN = """number => { for (const key of [...number, "Enter"]) {
    document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })); } }"""
MEASURING = timedelta(minutes=15)  # less than an idle session lasts
AREAS = "|".join(
    sorted(path.stem for path in (Path(lis.words.__file__).parent / "en").glob("*.toml"))
)
RAW_KEY = re.compile(rf"\b(?:{AREAS})\.[a-z_]+(?:\.\w+)*\b")


# --- one result through all pages ------------------------------------------------------------------


def order_by_keyboard(page: Page, address: str) -> tuple[str, str]:
    """Enter a new patient and one test without a mouse; the tube's number and the receipt's code."""
    page.goto(f"{address}/orders/new")
    expect(page.locator("main[data-ready=true]")).to_be_visible()
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type(FAMILY)
    page.keyboard.press("Enter")  # nobody of that name: on to the new patient
    expect(page.locator("[name=family_name]")).to_be_focused()
    page.keyboard.type(FAMILY)
    page.keyboard.press("Enter")
    page.keyboard.type("Анна")
    tab_to(page, "birth_date")
    page.keyboard.type(BORN)
    page.locator("[name=sex][value=F]").focus()
    page.keyboard.press("Space")
    page.locator("#codes").focus()
    page.keyboard.type("crea")
    page.keyboard.press("Enter")
    expect(page.locator("#chips li")).to_have_count(1)
    for field in ("collection][value=now", "is_received"):
        page.locator(f"[name={field}]").focus()
        page.keyboard.press("Space")
    page.keyboard.press("F9")
    code = page.locator(".receipt-code").inner_text().strip()
    return page.locator(".accession").inner_text().strip(), code


def tab_to(page: Page, name: str) -> None:
    """Tab until a field has the focus; a form of this size has fewer than thirty stops."""
    for _ in range(30):
        if page.evaluate("document.activeElement.getAttribute('name')") == name:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {name}")


def measure(running: Running, accession: str, at: ManualClock) -> None:
    """The analyzer sends the value a moment ago."""
    bench = running.bench
    found = bench.value("c111-1", accession, "CREA", VALUE)
    bench.message("c111-1", [replace(found, observed_at=at.now() - timedelta(minutes=1))])
    bench.process()


def verify_by_scan(page: Page, address: str, accession: str) -> None:
    """Scan the tube on the worklist and verify its row."""
    page.goto(f"{address}/worklist")
    expect(page.locator("main[data-ready=true]")).to_be_visible()
    page.evaluate(SCAN, accession)
    expect(page.locator("#panel")).to_contain_text(FAMILY)
    page.keyboard.press("v")
    expect(page.locator(".toast button")).to_be_visible()


def open_receipt(phone: Page, address: str, code: str) -> None:
    """From the receipt's link to the results, as a patient with a phone."""
    phone.goto("about:blank")
    phone.goto(f"{address}/r#{code}")
    expect(phone.locator("[name=code]")).to_have_value(code)
    assert "#" not in phone.url, "the code stays in the address bar"
    for field, text in zip(("day", "month", "year"), reversed(BORN.split("-")), strict=True):
        phone.locator(f"[name={field}]").fill(text)
    phone.keyboard.press("Enter")
    expect(phone.locator(".whose").first).to_be_visible()
    assert code not in phone.url


def find_patient(page: Page, address: str) -> None:
    """Search the patient and open the cumulative view, by keyboard."""
    page.goto(f"{address}/patients")
    page.locator("[name=find]").fill(FAMILY)
    page.keyboard.press("Enter")
    page.locator("main a", has_text=FAMILY).press("Enter")
    expect(page.locator("h1")).to_contain_text(FAMILY)


def test_S03_S08_a_result_is_seen_outside_only_after_release_and_the_time_of_undo(
    running: Running, new_page: NewPage, manual_clock: ManualClock
):
    bench, doctor, phone = new_page(), new_page(), new_page(phone=True)
    address = running.address
    log_in(bench, address, "technician")
    log_in(doctor, address, "doctor")
    accession, code = order_by_keyboard(bench, address)

    def shows_outside() -> tuple[bool, bool]:
        open_receipt(phone, address, code)
        find_patient(doctor, address)
        patient_sees, doctor_sees = (
            VALUE in page.locator("main").inner_text() for page in (phone, doctor)
        )
        return patient_sees, doctor_sees

    assert shows_outside() == (False, False)  # ordered
    manual_clock.advance(seconds=MEASURING.total_seconds())
    measure(running, accession, manual_clock)
    assert shows_outside() == (False, False)  # measured and held
    expect(phone.locator(".waiting")).to_be_visible()
    verify_by_scan(bench, address, accession)
    assert shows_outside() == (False, False)  # verified, and it can still be undone
    manual_clock.advance(seconds=UNDO.total_seconds() + 1)
    assert shows_outside() == (True, True)
    expect(phone.locator(".waiting")).to_have_count(0)


def test_an_undone_result_never_was_outside(
    running: Running, new_page: NewPage, manual_clock: ManualClock
):
    bench, phone = new_page(), new_page(phone=True)
    log_in(bench, running.address, "technician")
    accession, code = order_by_keyboard(bench, running.address)
    manual_clock.advance(seconds=MEASURING.total_seconds())
    measure(running, accession, manual_clock)
    verify_by_scan(bench, running.address, accession)
    with bench.expect_response(re.compile(r"/undo$")) as undone:  # the toast is gone before it
        bench.keyboard.press("u")
    assert undone.value.ok
    manual_clock.advance(seconds=UNDO.total_seconds() + 1)
    open_receipt(phone, running.address, code)
    assert VALUE not in phone.locator("main").inner_text()


# --- every page of the header ----------------------------------------------------------------------


def wait_for_script(page: Page) -> None:
    """A page with a module of its own says when its first content stands."""
    if page.locator("script[type=module]").count() > 1:
        expect(page.locator("main[data-ready=true]")).to_be_visible()


def reader_of(entry: Entry) -> str:
    """A role that may open a page."""
    return next(role.value for role in Role if entry.permission in PERMISSIONS[role])


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("entry", NAVIGATION, ids=lambda entry: entry.path.strip("/"))
def test_every_page_of_the_header_is_whole(
    running: Running,
    page: Page,
    entry: Entry,
    language: str,
    assert_accessible: Callable[[Page], None],
    assert_fits_phone: Callable[[Page], None],
):
    log_in(page, running.address, reader_of(entry), path=entry.path, language=language)
    wait_for_script(page)
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator(".nav [aria-current=page]")).to_have_attribute("href", entry.path)
    assert page.locator("html").get_attribute("lang") == language
    assert not RAW_KEY.findall(page.locator("body").inner_text()), "words without a translation"
    assert_accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert_fits_phone(page)


@pytest.mark.parametrize(
    "entry", [one for one in NAVIGATION if one.key], ids=lambda entry: entry.path.strip("/")
)
def test_G_and_a_letter_go_to_a_page(running: Running, page: Page, entry: Entry):
    log_in(page, running.address, reader_of(entry), path="/account")
    page.locator("main").focus()
    page.keyboard.press("g")
    page.keyboard.press(entry.key.removeprefix("Key").lower())
    page.wait_for_url(f"**{entry.path}")
