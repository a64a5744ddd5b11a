"""The quality control pages with a real browser: reading a chart by keys, acting by keyboard."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.store.unit import Store
from tests.control_story import Story
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import log_in
from tests.serving import make_template, open_laboratory, served

pytestmark = pytest.mark.e2e

GLUCOSE = "/qc/1/GLU"


@pytest.fixture(scope="module")
def story_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("story") / "lis.db"
    make_template(path)
    clock = ManualClock()
    store = Store.open(f"sqlite:///{path}", clock=clock)
    story = Story(store, clock)
    story.furnish()
    story.tell()
    store.close()
    return path


@pytest.fixture
def laboratory(
    story_database: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    path = tmp_path / "lis.db"
    with open_laboratory(story_database, path, manual_clock, "ru") as laboratory:
        yield laboratory


@pytest.fixture
def address(laboratory: Laboratory) -> Iterator[str]:
    with served(laboratory) as address:
        yield address


def open_qc(page: Page, address: str, path: str = "/qc", *, language: str = "ru") -> None:
    log_in(page, address, "qc_officer", path=path, language=language)
    expect(page.locator("main[data-ready=true]")).to_have_count(1)


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", ["/qc", GLUCOSE, "/qc/1/K", "/qc/1/AST"])
def test_pages_are_accessible_in_both_themes(
    address: str,
    page: Page,
    assert_accessible: Callable[[Page], None],
    path: str,
    language: str,
):
    open_qc(page, address, path, language=language)
    for details in page.locator("details").all()[:3]:
        details.locator("summary").click()
    assert_accessible(page)


@pytest.mark.parametrize("path", ["/qc", GLUCOSE, "/qc/1/AST"])
def test_pages_fit_a_phone(
    address: str, phone: Page, assert_fits_phone: Callable[[Page], None], path: str
):
    open_qc(phone, address, path)
    assert_fits_phone(phone)


def test_the_board_is_reached_by_keys_and_opens_a_chart(address: str, page: Page):
    log_in(page, address, "technician")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page).to_have_url(address + "/qc")
    first = page.locator(".tile a").first
    expect(first).to_contain_text("Калий")
    first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(address + "/qc/1/K")
    expect(page.locator("details")).to_have_count(0)  # a technician looks and does not act


def test_arrow_keys_read_points_aloud(address: str, page: Page):
    open_qc(page, address, GLUCOSE, language="en")
    readout = page.locator("#readout")
    page.locator("svg.lj").focus()
    page.keyboard.press("End")
    expect(readout).to_contain_text("L3: ")
    page.keyboard.press("ArrowUp")
    expect(readout).to_contain_text("L2: 5.908 mmol/L, z +2.20, 02.11.2026 10:02. Warning.")
    expect(readout).to_contain_text("1_2s: One level is beyond 2 SD")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("L2: 5.334")
    expect(page.locator(".tip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("tr.read")).to_be_focused()


def test_brackets_walk_over_violations_only(address: str, page: Page):
    open_qc(page, address, GLUCOSE, language="en")
    readout = page.locator("#readout")
    page.keyboard.press("BracketLeft")
    expect(readout).to_contain_text("02.11.2026")
    page.keyboard.press("BracketLeft")
    expect(readout).to_contain_text("Rejected.")
    for _ in range(9):
        page.keyboard.press("BracketLeft")
    expect(readout).to_contain_text("19.10.2026")
    page.keyboard.press("BracketRight")
    expect(readout).to_contain_text("1_3s: One level is beyond 3 SD")


def test_digits_show_and_hide_levels_but_never_all(address: str, page: Page):
    open_qc(page, address, GLUCOSE)
    for key in ("1", "3", "2"):
        page.keyboard.press(key)
    expect(page.locator("g.lj-level.off")).to_have_count(2)
    expect(page.locator(".toggle[aria-pressed=true]")).to_have_text("2 L2")
    visible = page.locator("text.lj-rule:not(.off)")
    expect(visible).to_have_text(["1_2s 2_2s"])
    page.keyboard.press("1")
    expect(page.locator("g.lj-level.off")).to_have_count(1)


def test_the_pointer_reads_the_nearest_point(address: str, page: Page):
    open_qc(page, address, GLUCOSE)
    page.locator("path.lj-ring-rejected").first.scroll_into_view_if_needed()
    page.locator("g.lj-3 path.lj-ring-rejected").first.hover(force=True, position={"x": 8, "y": 8})
    expect(page.locator(".tip")).to_contain_text("16.390 mmol/L")
    expect(page.locator("tr.read")).to_contain_text("16.390")


def test_a_corrective_action_is_recorded_by_keyboard(
    address: str, page: Page, laboratory: Laboratory
):
    open_qc(page, address, "/qc/1/K")
    page.locator("details.action summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Промыт электрод, новая калибровка")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("details.action")).to_have_count(0)
    expect(page.locator(".act")).to_contain_text("qc_officer")
    expect(page.locator(".act")).to_contain_text("Промыт электрод")


def test_a_run_that_changed_meanwhile_keeps_what_was_typed(
    address: str, new_page: NewPage, tolerated: list[str]
):
    tolerated.append("409")
    mine, other = new_page(), new_page()
    for page in (mine, other):
        open_qc(page, address, "/qc/1/K")
        page.locator("details.action summary").click()
        page.locator("details.action textarea").fill("моё описание")
    other.locator("details.action button").click()
    expect(other.locator("details.action")).to_have_count(0)
    mine.locator("details.action button").click()
    expect(mine.get_by_role("alert").filter(visible=True)).to_contain_text("моё описание")


def test_an_exception_is_granted_and_ended(address: str, page: Page):
    open_qc(page, address, "/qc/1/AST")
    page.locator("input[name=reason]").fill("Контроль в пути")
    page.locator("input[name=reason]").press("Enter")
    expect(page.locator(".chip.big")).to_contain_text("По исключению")
    page.locator(".excuses input[name=reason]").fill("Контроль привезли")
    page.keyboard.press("Enter")
    expect(page).to_have_url(address + "/qc")
    expect(page.locator(".excuses")).to_have_count(0)


def test_a_new_control_renews_the_board_by_itself(
    address: str, page: Page, laboratory: Laboratory, manual_clock: ManualClock
):
    open_qc(page, address)
    expect(page.locator(".tile.high")).to_have_count(2)
    story = Story(laboratory.store, manual_clock, device=1)
    manual_clock.advance(minutes=-5)  # a run lies in the past when it is told
    story.run("UREA", {"L1": "0.2", "L2": "0.1"})
    manual_clock.advance(minutes=5)
    expect(page.locator(".tile.high")).to_have_count(1)


def test_the_board_works_without_a_script(address: str, new_page: NewPage):
    page = new_page(java_script_enabled=False)
    log_in(page, address, "qc_officer", path="/qc", language="en")
    page.locator("input[name=q]").fill("gluc")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    page.locator(".tile a").click()
    expect(page.locator("svg.lj")).to_be_visible()
    expect(page.locator("#toggles button")).to_have_count(0)
