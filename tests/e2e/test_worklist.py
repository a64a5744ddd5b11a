"""The validation worklist with a real browser and no mouse (DESIGN 5.4, S07, S08)."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lis.domain.clock import ManualClock
from lis.domain.lifecycle import BenchState
from lis.results import reads
from lis.results.desk import Shown
from lis.results.validation import comment
from lis.store.observation_rows import Observation
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, open_worklist

pytestmark = pytest.mark.e2e

CURSOR = "#rows tbody tr.cursor"


def cursor_id(page: Page) -> int:
    row = page.locator(CURSOR)
    expect(row).to_have_count(1)
    return int(str(row.get_attribute("id")).removeprefix("row-"))


def state_of(running: Running, observation_id: int) -> BenchState:
    with running.laboratory.store.read() as session:
        return session.get_one(Observation, observation_id).bench_state


def released(running: Running) -> int:
    with running.laboratory.store.read() as session:
        rows = session.query(Observation.id).filter_by(validator="technician")
        return rows.count()


def show_lane(page: Page, lane: str) -> None:
    page.locator(f".lane.{lane}").click()
    expect(page.locator(f".lane.{lane}")).to_have_attribute("aria-pressed", "true")


# --- deciding -----------------------------------------------------------------------------------


def test_verify_by_keyboard_only_moves_to_the_next_row(running: Running, page: Page):
    open_worklist(page, running.address)
    first = cursor_id(page)
    page.keyboard.press("v")
    expect(page.locator(f"#row-{first}")).to_have_class("first done")
    expect(page.locator(".toast button")).to_be_visible()
    assert state_of(running, first) is BenchState.RELEASED
    assert cursor_id(page) != first


def test_undo_within_five_seconds_takes_it_back(running: Running, page: Page):
    open_worklist(page, running.address)
    first = cursor_id(page)
    page.keyboard.press("v")
    expect(page.locator(".toast button")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator(f"#row-{first}.done")).to_have_count(0)
    expect(page.locator(f"#row-{first}.cursor")).to_have_count(1)
    assert state_of(running, first) is BenchState.HELD


def test_S07_a_held_key_verifies_one_row(running: Running, page: Page):
    open_worklist(page, running.address)
    page.keyboard.down("v")
    for _ in range(20):
        page.keyboard.down("v")  # the browser repeats while the key is held
    page.keyboard.up("v")
    expect(page.locator(".toast button")).to_be_visible()
    assert released(running) == 1


def test_S07_a_row_that_changed_is_refused_and_shown(
    running: Running, page: Page, tolerated: list[str]
):
    tolerated.append("409")
    open_worklist(page, running.address)
    shown = cursor_id(page)
    # the news of the change is held back: the person still sees the old row
    page.route("**/api/v1/observations/*/verify", lambda route: change_and_go_on(running, route))
    page.keyboard.press("v")
    alert = page.locator(".toast.problem")
    expect(alert).to_be_visible()
    assert state_of(running, shown) is BenchState.HELD
    expect(page.locator(f"#row-{shown}.done")).to_have_count(0)
    expect(page.locator(f"#row-{shown}")).to_have_class("first changed")
    alert.get_by_role("button").click()
    expect(page.locator(f"#row-{shown}.cursor")).to_have_count(1)
    expect(page.locator("#panel")).to_contain_text("looked at by another person")


def change_and_go_on(running: Running, route) -> None:
    """Another person comments the row just before our request arrives."""
    observation_id = int(route.request.url.rsplit("/", 2)[1])
    laboratory = running.laboratory
    with laboratory.store.unit("other") as unit:
        row = reads.row(unit.session, laboratory.catalog(), observation_id)
        seen = Shown(observation_id=row["id"], version=row["row_version"], hash=row["shown_hash"])
        comment(unit, laboratory.catalog(), seen, text="looked at by another person", user="other")
    route.continue_()


def test_specimen_verifies_only_rows_without_objections(running: Running, page: Page):
    open_worklist(page, running.address)
    critical = cursor_id(page)
    page.keyboard.press("Shift+V")
    expect(page.locator(".toast button")).to_be_visible()
    assert state_of(running, critical) is BenchState.HELD
    assert released(running) > 1


def test_clear_lane_lists_and_counts_before_it_verifies(running: Running, page: Page):
    open_worklist(page, running.address)
    show_lane(page, "clear")
    waiting = int(page.locator(".lane.clear b").inner_text())
    page.keyboard.press("Control+Enter")
    expect(page.locator(".ask tr")).to_have_count(waiting)
    assert released(running) == 0
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lane.clear b")).to_have_text("0")
    assert released(running) == waiting


def test_an_obstacle_is_named_and_nothing_is_released(
    running: Running, page: Page, tolerated: list[str]
):
    tolerated.append("422")
    open_worklist(page, running.address)
    page.locator(".reason", has_text="единиц").click()
    page.keyboard.press("v")
    expect(page.locator(".toast.problem")).to_be_visible()
    assert released(running) == 0


def test_rejecting_asks_for_a_reason(running: Running, page: Page):
    open_worklist(page, running.address)
    shown = cursor_id(page)
    page.keyboard.press("Shift+Delete")
    reason = page.locator(".ask textarea")
    expect(reason).to_be_focused()
    page.keyboard.press("Control+Enter")
    assert state_of(running, shown) is BenchState.HELD
    page.keyboard.type("haemolysis")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_be_visible()
    assert state_of(running, shown) is BenchState.REJECTED


def test_a_comment_goes_with_the_value(running: Running, page: Page):
    open_worklist(page, running.address)
    page.keyboard.press("c")
    page.keyboard.type("checked on a second tube")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#panel section p", has_text="checked on a second tube")).to_be_visible()


def test_a_record_nobody_could_read_waits_for_a_person(running: Running, page: Page):
    open_worklist(page, running.address)
    chip = page.locator(".lane", has_text="НЕ ПРОЧИТАНО")
    chip.click()
    expect(page.locator(".ask .raw")).to_contain_text("R|9|")
    page.locator(".ask .raw + button").click()
    page.keyboard.type("sent again")
    page.keyboard.press("Control+Enter")
    expect(chip).to_have_count(0)


# --- looking ------------------------------------------------------------------------------------


def test_a_live_row_waits_behind_a_button_and_moves_nothing(running: Running, page: Page):
    open_worklist(page, running.address)
    before = cursor_id(page)
    accession = running.bench.arrive()
    pill = page.locator("#new")
    expect(pill).to_be_visible()
    assert cursor_id(page) == before
    expect(page.locator("#rows", has_text=accession)).to_have_count(0)
    pill.click()
    assert cursor_id(page) == before
    show_lane(page, "critical")
    expect(page.locator("#rows td", has_text=accession).first).to_be_visible()


def test_another_persons_decision_turns_the_row_grey_in_place(running: Running, new_page: NewPage):
    mine, other = new_page(), new_page()
    open_worklist(mine, running.address)
    open_worklist(other, running.address)
    first = cursor_id(mine)
    other.keyboard.press("v")
    expect(mine.locator(f"#row-{first}.done")).to_have_count(1)
    assert cursor_id(mine) == first


def test_a_scanned_tube_is_jumped_to(running: Running, page: Page):
    open_worklist(page, running.address)
    show_lane(page, "critical")
    with running.laboratory.store.read() as session:
        page_of = reads.worklist(session, running.laboratory.catalog(), lane="hold")
    accession = page_of["rows"][-1]["specimen"]["accession"]
    page.keyboard.type(accession)  # without delay: as fast as a scanner
    page.keyboard.press("Enter")
    expect(page.locator(CURSOR)).to_contain_text(accession)


def test_keys_work_on_a_russian_layout(running: Running, page: Page):
    open_worklist(page, running.address)
    first = cursor_id(page)
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'о', code: 'KeyJ', bubbles: true}))"
    )
    assert cursor_id(page) != first


def test_the_raw_message_is_one_click_from_the_value(running: Running, page: Page):
    open_worklist(page, running.address)
    button = page.locator("#panel .raw ~ button")
    button.click()
    expect(page.locator("#panel .raw mark")).to_have_count(1)
    expect(page.locator("#panel .raw").nth(1)).to_contain_text("H|")


def test_the_filter_finds_a_patient_and_gives_the_keys_back(running: Running, page: Page):
    open_worklist(page, running.address)
    page.keyboard.press("/")
    page.keyboard.type("Морозова")
    page.keyboard.press("Enter")
    expect(page.locator(CURSOR)).to_contain_text("Морозова")
    page.keyboard.press("/")
    page.keyboard.type("nobody has this name")
    expect(page.locator("#state")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(CURSOR)).to_have_count(1)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_worklist_has_no_accessibility_violation(
    running: Running, page: Page, assert_accessible: Callable[[Page], None], language: str
):
    open_worklist(page, running.address, language=language)
    expect(page.locator("#panel .rules")).to_be_visible()
    assert_accessible(page)


def test_worklist_fits_a_phone(
    running: Running, phone: Page, assert_fits_phone: Callable[[Page], None]
):
    open_worklist(phone, running.address)
    assert_fits_phone(phone)


def test_idle_worklist_ends_with_its_session(
    running: Running, page: Page, manual_clock: ManualClock, tolerated: list[str]
):
    tolerated.append("401")
    open_worklist(page, running.address)
    manual_clock.advance(hours=13)
    page.keyboard.press("j")
    expect(page.locator("#session-ended")).to_be_visible()
