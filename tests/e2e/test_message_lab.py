"""The message lab in a real browser: read a message field by field, and teach an instrument."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lis.drivers import registry
from lis.drivers.driver_folder import load_profiles
from lis.drivers.learned_files import faults_of
from lis.store.rows import Audit
from tests.e2e.seeding import Running, log_in

pytestmark = pytest.mark.e2e

PATH = "/instruments/lab"
RECORDS = (
    b"H|\\^&|||Analyte 9^02-11^^^^Q4711|||||||P|1|20261102080000\r"
    b"P|1||4711||Doe^Jane||19800102|F\r"
    b"O|1|20000021||^^^GLU|R\r"
    b"R|1|^^^GLU|5.5|mmol/L||X7||F||Smith||20261102075900\r"
    b"Z|1|odd\rL|1|N\r"
)
XP_100 = (
    "H|\\^&|||XP-100^00-13^^^^A1||||||||E1394-97\nP|1\n"
    "O|1||^^            113^B|^^^^WBC|||||||N||||||||||||||F\n"
    "R|1|^^^^WBC^1|  5.5|10*3/uL||N||||||20261102075900\nL|1|N\n"
)


@pytest.fixture
def taught(running: Running, tmp_path: Path) -> Iterator[Path]:
    """A laboratory that may learn drivers; its folder."""
    folder = tmp_path / "drivers"
    settings = running.laboratory.settings
    drivers = settings.drivers.model_copy(update={"folder": str(folder)})
    running.laboratory.settings = settings.model_copy(update={"drivers": drivers})
    yield folder
    registry.use_folder(None)


def open_lab(page: Page, running: Running, language: str = "ru") -> None:
    log_in(page, running.address, "technician", path=PATH, language=language)
    expect(page.locator("main[data-ready=true]")).to_be_visible()


def drop(page: Page, data: bytes = RECORDS) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": "case.cap", "mimeType": "application/octet-stream", "buffer": data}
    )
    page.locator("form[data-drop] button.main").click()
    expect(page.locator("section.message")).to_be_visible()


def ask_for_driver(page: Page) -> None:
    page.locator("form.teach button").click()
    expect(page.locator("table.asked")).to_be_visible()


def confirm_all(page: Page) -> None:
    for box in page.locator("table.asked input[type=checkbox]").all():
        box.check()


def name_it(page: Page, key: str = "lab-analyte-9") -> None:
    page.locator("input[name=key]").fill(key)
    page.locator("input[name=name]").fill("Analyte 9")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_state_of_the_page_is_accessible(
    running: Running,
    taught: Path,
    page: Page,
    assert_accessible: Callable[[Page], None],
    language: str,
) -> None:
    open_lab(page, running, language)
    assert_accessible(page)
    drop(page)
    page.locator("details.fields summary").click()
    assert_accessible(page)
    ask_for_driver(page)
    assert_accessible(page)


def test_every_state_fits_a_phone(
    running: Running, taught: Path, phone: Page, assert_fits_phone: Callable[[Page], None]
) -> None:
    open_lab(phone, running)
    assert_fits_phone(phone)
    drop(phone)
    phone.locator("details.fields summary").click()
    assert_fits_phone(phone)
    ask_for_driver(phone)
    assert_fits_phone(phone)


def test_the_board_leads_to_the_lab(running: Running, page: Page) -> None:
    log_in(page, running.address, "technician", path="/instruments")
    page.get_by_role("link", name="Лаборатория сообщений").click()

    expect(page.locator("h1")).to_have_text("Лаборатория сообщений")
    expect(page.locator(".empty")).to_contain_text("Пока нечего читать")


def test_pasted_text_is_read_by_the_driver_of_its_header(running: Running, page: Page) -> None:
    open_lab(page, running, "en")
    page.locator("textarea").fill(XP_100)
    page.keyboard.press("Control+Enter")

    row = page.locator("table.read tbody tr")
    expect(row).to_have_count(1)
    expect(page.locator("section.message h2")).to_contain_text("Sysmex XP-100")
    expect(row).to_contain_text("113")
    expect(row).to_contain_text("WBC")
    page.locator("details.fields summary").click()
    value = page.locator("table.record tr", has_text="R.4")
    expect(value).to_contain_text("Value")
    expect(value.locator(".chip.ok")).to_have_text("Value")
    expect(page.locator("table.record tr", has_text="R.2").first).to_contain_text("not read")


def test_what_nobody_knows_is_read_by_the_standard_and_says_what_is_wrong(
    running: Running, page: Page
) -> None:
    open_lab(page, running, "en")
    drop(page)

    expect(page.locator("section.message h2")).to_contain_text("no driver knows it")
    expect(page.locator("table.read")).to_contain_text("unknown flag")
    expect(page.locator("table.read")).to_contain_text("not mapped")
    expect(page.locator("ul.unreadable")).to_contain_text("Z|1|odd")


def test_a_driver_can_be_chosen(running: Running, page: Page) -> None:
    open_lab(page, running, "en")
    page.locator("select[name=driver]").select_option("roche-cobas-c111")
    drop(page)

    expect(page.locator("section.message h2")).to_contain_text("Roche cobas c111")
    expect(page.locator("select[name=driver]")).to_have_value("roche-cobas-c111")


def test_nothing_and_what_is_no_message_are_told_in_words(
    running: Running, page: Page, tolerated: list[str]
) -> None:
    tolerated.append("422")
    open_lab(page, running, "en")
    page.locator("form[data-drop] button.main").click()
    expect(page.get_by_role("alert")).to_have_text("There was no text and no file.")

    page.locator("textarea").fill("good morning")
    page.locator("form[data-drop] button.main").click()
    expect(page.locator("section.message h2")).to_contain_text("neither ASTM nor HL7")
    page.locator("form.teach button").click()
    expect(page.get_by_role("alert")).to_contain_text("expected ASTM or HL7 messages")


def test_a_driver_is_saved_when_every_line_is_confirmed(
    running: Running, taught: Path, page: Page, tolerated: list[str]
) -> None:
    tolerated.append("422")
    open_lab(page, running, "en")
    drop(page)
    ask_for_driver(page)
    name_it(page)
    page.locator("button[value=save]").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"\d+ lines are not confirmed yet"))
    assert not taught.exists()

    page.get_by_label("answer: Flag X7").select_option("look")
    confirm_all(page)
    page.locator("input[name=is_from_instrument]").check()
    page.locator("input[name=source]").fill("bench, 2 November")
    page.locator("button[value=save]").click()
    expect(page.get_by_role("status")).to_contain_text("Driver lab-analyte-9 is saved.")

    [(profile, _)] = load_profiles(taught)
    assert (profile.name, profile.flags["X7"].value) == ("Analyte 9", "look")
    assert (profile.grade.name, profile.evidence[0].source) == ("CAPTURE", "bench, 2 November")
    assert faults_of(taught) == ()
    assert b"Doe" not in (taught / "lab-analyte-9" / "1.cap").read_bytes()
    with running.laboratory.store.read() as session:
        rows = session.query(Audit).filter(Audit.action == "driver_learned").all()
    assert [row.actor for row in rows] == ["technician"]


def test_a_changed_place_shows_what_it_reads_and_must_be_confirmed_again(
    running: Running, taught: Path, page: Page
) -> None:
    open_lab(page, running, "en")
    drop(page)
    ask_for_driver(page)
    confirm_all(page)
    page.get_by_label("answer: Unit").fill("R.3.4")
    page.get_by_label("answer: Unit").press("Tab")
    expect(page.get_by_label("confirm: Unit")).not_to_be_checked()
    page.locator("button[value=show]").click()

    expect(page.locator("table.read tbody tr").first).to_contain_text("GLU")
    expect(page.get_by_label("answer: Unit")).to_have_value("R.3.4")
    expect(page.get_by_label("confirm: Value")).to_be_checked()


def test_an_answer_that_is_no_place_is_told_and_the_others_are_kept(
    running: Running, taught: Path, page: Page, tolerated: list[str]
) -> None:
    tolerated.append("422")
    open_lab(page, running, "en")
    drop(page)
    ask_for_driver(page)
    page.get_by_label("answer: Operator").fill("R.14")
    page.get_by_label("answer: Unit").fill("somewhere")
    page.locator("button[value=show]").click()

    expect(page.get_by_role("alert")).to_contain_text("answer unit: expected a place")
    expect(page.get_by_label("answer: Operator")).to_have_value("R.14")


def test_who_may_not_see_raw_traffic_may_not_open_it(
    running: Running, page: Page, tolerated: list[str]
) -> None:
    tolerated.append("403")
    log_in(page, running.address, "administrator", path="/instruments")
    expect(page.get_by_role("link", name="Лаборатория сообщений")).to_have_count(0)
    answer = page.goto(running.address + PATH)

    assert answer is not None
    assert answer.status == 403
