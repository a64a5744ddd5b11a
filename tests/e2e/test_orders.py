"""Orders with a real browser and no mouse: entry, reception, rejection, the receipt that is shown once."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from lis.app.settings import PrinterSettings
from lis.domain.lifecycle import SpecimenState
from lis.store.label_rows import LabelPrint
from lis.store.order_rows import Requisition, Specimen
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, log_in

pytestmark = pytest.mark.e2e

READY = "main[data-ready=true]"


def open_page(page: Page, running: Running, path: str, *, language: str = "ru") -> None:
    log_in(page, running.address, "technician", path=path, language=language)
    expect(page.locator(READY)).to_be_visible()


def type_newcomer(page: Page) -> None:
    """From the patient search on, with Enter from field to field."""
    page.keyboard.type("Новичкова")
    page.keyboard.press("Enter")
    expect(page.locator("input[name=family_name]")).to_be_focused()
    for text in ("Новичкова", "Проба", "", "1991-05", None, "N-1"):
        if text is None:  # the choice of sex
            page.keyboard.press("ArrowRight")
        else:
            page.keyboard.type(text)
        page.keyboard.press("Enter")


def newest(running: Running) -> tuple[Requisition, list[Specimen]]:
    with running.laboratory.store.read() as session:
        requisition = session.query(Requisition).order_by(Requisition.id.desc()).first()
        assert requisition is not None
        tubes = session.query(Specimen).filter_by(requisition_id=requisition.id).all()
        session.expunge_all()
    return requisition, tubes


def count(running: Running) -> int:
    with running.laboratory.store.read() as session:
        return session.query(Requisition).count()


def place_known(page: Page) -> None:
    """Choose the first patient found, order CBC and GLU, save."""
    page.keyboard.type("Иван")
    expect(page.locator("#found li").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#codes")).to_be_focused()
    page.keyboard.type("cbc glu")
    page.keyboard.press("Enter")
    expect(page.locator("#chips li")).to_have_count(2)
    page.keyboard.press("F9")
    expect(page.locator(".receipt-code")).to_be_visible()


# --- entry --------------------------------------------------------------------------------------


def test_a_known_patient_is_chosen_with_arrows_and_the_order_saved_with_F9(
    running: Running, page: Page
):
    before = count(running)
    open_page(page, running, "/orders/new")
    place_known(page)
    requisition, tubes = newest(running)
    assert count(running) == before + 1
    assert {tube.specimen_type for tube in tubes} == {"WB", "SER"}
    for tube in tubes:
        expect(page.locator(".accession", has_text=tube.accession)).to_be_visible()
    expect(page).to_have_url(f"{running.address}/orders/{requisition.public_id}")


def test_a_new_patient_is_entered_by_keyboard_alone(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    type_newcomer(page)
    expect(page.locator("#codes")).to_be_focused()
    page.keyboard.type("glu")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("h1")).to_contain_text("Новичкова Проба")
    expect(page.locator(".facts")).to_contain_text("1991-05")


def test_an_unknown_code_stays_and_is_told_at_once(running: Running, page: Page):
    before = count(running)
    open_page(page, running, "/orders/new")
    page.locator("#codes").focus()
    page.keyboard.type("cbc glu xyz")
    page.keyboard.press("Enter")
    expect(page.locator("#unknown")).to_contain_text("xyz")
    expect(page.locator("#codes")).to_have_value("xyz")
    expect(page.locator("#tubes")).to_contain_text("2 пробирки")
    expect(page.locator("#tubes")).to_contain_text("сыворотка")
    page.locator("input[name=family_name]").fill("Новичков")
    page.keyboard.press("F9")
    expect(page.locator("#codes")).to_be_focused()
    assert count(running) == before


def test_a_test_is_found_by_its_name_and_taken_back(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    page.locator("#codes").focus()
    page.keyboard.type("глюк")
    expect(page.locator("#suggested li")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#chips")).to_contain_text("GLU")
    page.keyboard.press("Backspace")
    expect(page.locator("#chips li")).to_have_count(0)


def test_the_receipt_is_shown_once_and_its_code_is_in_no_address(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    place_known(page)
    code = page.locator(".receipt-code").inner_text()
    assert re.fullmatch(r"([0-9A-Z]{5}-){5}[0-9A-Z]", code)
    expect(page.locator(".receipt svg")).to_be_visible()
    before = count(running)
    page.reload()
    expect(page.locator(".tube")).to_have_count(2)
    expect(page.locator(".receipt")).to_have_count(0)
    assert not [address for address in addresses if code in address]
    assert count(running) == before


def test_the_receipt_prints_on_one_small_sheet(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    place_known(page)
    page.emulate_media(media="print")
    expect(page.locator(".receipt-code")).to_be_visible()
    expect(page.locator(".tube").first).to_be_hidden()
    paper = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert len(boxes) == 1, "the receipt takes one sheet"
    assert (round(float(boxes[0][0])), round(float(boxes[0][1]))) == (298, 420)  # A6 in points


def test_a_double_press_saves_once(running: Running, page: Page):
    before = count(running)
    open_page(page, running, "/orders/new")
    page.locator("input[name=family_name]").fill("Новичков")
    page.locator("#codes").fill("glu")
    page.keyboard.press("F9")
    page.keyboard.press("F9")
    expect(page.locator(".receipt-code")).to_be_visible()
    assert count(running) == before + 1


# --- without scripts ----------------------------------------------------------------------------


@pytest.fixture
def plain_page(browser: Browser, running: Running) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_entry_and_reception_work_without_scripts(running: Running, plain_page: Page):
    log_in(plain_page, running.address, "technician", path="/orders/new")
    plain_page.locator("input[name=search]").fill("Иван")
    plain_page.locator("button[value=search]").click()
    plain_page.locator("input[type=radio][name=patient]").first.check()
    plain_page.locator("input[name=codes]").fill("cbc glu")
    plain_page.locator("#save").click()
    expect(plain_page.locator(".receipt-code")).to_be_visible()
    number = plain_page.locator(".accession").first.inner_text()
    plain_page.goto(running.address + "/orders")
    plain_page.locator("input[name=accession]").fill(number)
    plain_page.locator("#scan button").click()
    expect(plain_page.locator("#scanned .done")).to_contain_text(number)


# --- reception and rejection --------------------------------------------------------------------


def test_a_scan_is_answered_in_words(running: Running, page: Page, tolerated: list[str]):
    tolerated.append("422")
    open_page(page, running, "/orders/new")
    place_known(page)
    _, tubes = newest(running)
    page.goto(running.address + "/orders")
    expect(page.locator(READY)).to_be_visible()
    page.keyboard.type(tubes[0].accession)
    page.keyboard.press("Enter")
    page.locator("#scanned .done").wait_for()
    expect(page.locator("#scanned li").first).to_contain_text(tubes[0].accession)
    page.keyboard.type(tubes[0].accession)
    page.keyboard.press("Enter")
    expect(page.locator("#scanned li").first).to_have_class("note warning")
    page.keyboard.type("12345")
    page.keyboard.press("Enter")
    expect(page.locator("#scanned li").first).to_have_class("note problem")
    assert newest(running)[1][0].state is SpecimenState.RECEIVED


def test_a_tube_is_rejected_with_a_reason(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    place_known(page)
    tube = page.locator(".tube").first
    tube.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("сгусток")
    page.keyboard.press("Enter")
    expect(page.locator(".tube.rejected")).to_contain_text("сгусток")
    assert SpecimenState.REJECTED in {one.state for one in newest(running)[1]}


# --- the list -----------------------------------------------------------------------------------


def test_the_list_is_searched_and_opened_by_keys(running: Running, page: Page):
    open_page(page, running, "/orders")
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("Иванова")
    page.keyboard.press("Enter")
    expect(page.locator("table.orders tbody tr").first).to_contain_text("Иванова")
    page.goto(running.address + "/orders?text=nobody")
    expect(page.locator(".empty")).to_be_visible()
    page.locator("h1").click()
    page.keyboard.press("n")
    expect(page).to_have_url(running.address + "/orders/new")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_order_pages_are_accessible(
    running: Running, page: Page, assert_accessible: Callable[[Page], None], language: str
):
    open_page(page, running, "/orders", language=language)
    assert_accessible(page)
    page.goto(running.address + "/orders/new")
    expect(page.locator(READY)).to_be_visible()
    page.keyboard.type("Иван")
    expect(page.locator("#found li").first).to_be_visible()
    assert_accessible(page)
    page.locator("#search").fill("")
    place_known(page)
    assert_accessible(page)


def test_order_pages_fit_a_phone(
    running: Running, new_page: NewPage, assert_fits_phone: Callable[[Page], None]
):
    phone = new_page(phone=True)
    open_page(phone, running, "/orders")
    assert_fits_phone(phone)
    phone.goto(running.address + "/orders/new")
    expect(phone.locator(READY)).to_be_visible()
    assert_fits_phone(phone)
    place_known(phone)
    assert_fits_phone(phone)


# --- the whole way of the desk ------------------------------------------------------------------


def test_typed_saved_labelled_received_and_on_the_work_plan(running: Running, page: Page):
    printer = PrinterSettings(name="desk", link="tcp-connect://127.0.0.1:9")
    running.laboratory.settings = running.laboratory.settings.model_copy(
        update={"printer": (printer,)}
    )
    open_page(page, running, "/orders/new")
    place_known(page)
    _, tubes = newest(running)
    with running.laboratory.store.read() as session:
        wanted = session.query(LabelPrint).filter_by(printer="desk").all()
    assert {one.specimen_id for one in wanted} == {tube.id for tube in tubes}
    page.goto(running.address + "/orders")
    expect(page.locator(READY)).to_be_visible()
    for tube in tubes:
        page.keyboard.type(tube.accession)
        page.keyboard.press("Enter")
        expect(page.locator("#scanned li").first).to_contain_text(tube.accession)
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.locator("h1")).to_be_visible()
    for tube in tubes:
        expect(page.locator("#part")).to_contain_text(tube.accession)


def test_warnings_stand_beside_the_tests_while_one_types(running: Running, page: Page):
    open_page(page, running, "/orders/new")
    place_known(page)
    page.goto(running.address + "/orders/new")
    expect(page.locator(READY)).to_be_visible()
    page.keyboard.type("Иван")
    expect(page.locator("#found li").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("glu")
    page.keyboard.press("Enter")
    expect(page.locator("#warnings")).to_contain_text("GLU")
    expect(page.locator("#warnings")).to_contain_text("Уже назначено")


def test_a_closed_browser_loses_nothing_that_was_typed(running: Running, new_page: NewPage):
    first = new_page()
    open_page(first, running, "/orders/new")
    first.locator("input[name=family_name]").fill("Черновикова")
    first.locator("#codes").fill("glu")
    first.locator("#codes").press("Enter")
    expect(first.locator("#saved")).not_to_be_empty()
    second = new_page()
    open_page(second, running, "/orders/new")
    expect(second.locator("#draft")).to_contain_text("Черновикова")
    second.locator("#draft-take").click()
    expect(second.locator("input[name=family_name]")).to_have_value("Черновикова")
    expect(second.locator("#chips li")).to_have_count(1)
    second.keyboard.press("F9")
    expect(second.locator(".receipt-code")).to_be_visible()
    second.goto(running.address + "/orders/new")
    expect(second.locator(READY)).to_be_visible()
    expect(second.locator("#draft")).to_have_count(0)
