"""The instrument board, one link and the delivery screen in a real browser."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from lis.store.outbox import claim_due, mark_dead
from lis.store.rows import Inbox, InboxState, Journal, Link, Outbox, OutboxState
from lis.store.traffic_queries import log_host_query, note_link_state, open_alarm
from lis.store.unit import Store
from tests.e2e.seeding import Running, log_in

pytestmark = pytest.mark.e2e

DESTINATION = "emr:his"


@pytest.fixture
def wired(running: Running) -> Running:
    """The bench with its links, some traffic, a held message, a host query, alarms and a dead letter."""
    store = running.laboratory.store
    with store.unit("test") as unit:
        for address, device in enumerate(("c111-1", "xp-1"), 1):
            link = unit.session.get(Link, address)
            if link is None:
                unit.session.add(_link(device, running.bench.devices[device]))
        unit.session.add(Link(name="his:send", address="tcp-connect://a:1", purpose="emr_send"))
        unit.session.flush()
    _talk(store)
    _refuse(store)
    return running


def _link(name: str, device_id: int) -> Link:
    return Link(
        name=name,
        address="tcp-listen://127.0.0.1:7001",
        purpose="instrument",
        device_id=device_id,
        state="connected",
        peer="127.0.0.1:40001",
    )


def _talk(store: Store) -> None:
    with store.unit("test") as unit:
        held = Inbox(
            link_id=1,
            received_at=unit.now,
            protocol="astm",
            lane="result",
            raw=b"H|\\^&|||c111\rP|1\rL|1|N\r",
            sha256=b"1" * 32,
            device_id=1,
            driver="roche-cobas-c111",
            state=InboxState.HELD,
            hold_reason="processing_failed",
            verdict={"error": "KeyError"},
        )
        unit.session.add(held)
        unit.session.flush()
        for direction, data in (("in", b"\x05"), ("out", b"\x06"), ("in", b"\x021H|\\^&\r\x03E5")):
            unit.session.add(Journal(link_id=1, at=unit.now, direction=direction, data=data))
        unit.session.add(Journal(link_id=1, at=unit.now, direction="in", inbox_id=held.id))
        log_host_query(
            unit, device_id=1, asked=["99000017"], answered=[], empty_reason="unknown_specimen"
        )
        open_alarm(
            unit,
            kind="processing_failed",
            subject=f"inbox:{held.id}",
            parameters={"error": "KeyError"},
        )
        open_alarm(unit, kind="device_clock", subject="xp-1", parameters={"offset_s": 640})


def _refuse(store: Store) -> None:
    with store.unit("test") as unit:
        unit.send(
            destination=DESTINATION,
            key="R1:1:emr:his",
            order_key="L0000000001",
            payload={"report": 1, "version": 1, "observations": []},
            not_before=unit.now,
        )
    with store.unit("sender") as unit:
        mark_dead(
            unit, claim_due(unit.session, DESTINATION, unit.now, 1)[0].id, "AE: patient unknown"
        )


def open_page(page: Page, running: Running, path: str, who: str, language: str = "ru") -> None:
    with running.laboratory.store.read() as session:
        held = session.query(Inbox.id).filter_by(hold_reason="processing_failed").scalar()
    log_in(page, running.address, who, path=quote(path.format(held=held)), language=language)
    if path in LIVE:
        expect(page.locator("main[data-ready=true]")).to_be_visible()
        expect(page.locator("#live.up")).to_be_visible()
    else:
        expect(page.locator("main h1")).to_be_visible()


PATHS = (
    "/instruments",
    "/instruments/c111-1",
    "/instruments/c111-1/journal?text=1H&direction=in",
    "/instruments/c111-1/queries",
    "/instruments/messages/{held}",
    "/instruments/messages/{held}/replay",
    "/delivery",
)
LIVE = ("/instruments", "/instruments/c111-1", "/delivery")


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", PATHS)
def test_pages_have_no_accessibility_violation(
    wired: Running,
    page: Page,
    assert_accessible: Callable[[Page], None],
    path: str,
    language: str,
):
    open_page(page, wired, path, "technician", language)
    assert_accessible(page)


@pytest.mark.parametrize("path", PATHS)
def test_pages_fit_a_phone(
    wired: Running, phone: Page, assert_fits_phone: Callable[[Page], None], path: str
):
    open_page(phone, wired, path, "technician")
    assert_fits_phone(phone)


def test_replay_form_fits_a_phone_and_is_accessible(
    wired: Running,
    phone: Page,
    assert_fits_phone: Callable[[Page], None],
    assert_accessible: Callable[[Page], None],
):
    open_page(phone, wired, "/delivery", "administrator")
    expect(phone.locator("input[name=reason]")).to_be_visible()
    assert_fits_phone(phone)
    assert_accessible(phone)


def test_news_of_a_link_changes_the_board_by_itself(wired: Running, page: Page):
    open_page(page, wired, "/instruments", "technician")
    tile = page.locator(".tile", has_text="c111-1")
    with wired.laboratory.store.unit("link") as unit:
        note_link_state(unit, 1, "lost", "cable")
    expect(tile).to_contain_text("Связь потеряна")


def test_seconds_since_the_last_message_run(wired: Running, page: Page):
    open_page(page, wired, "/instruments", "technician")
    age = page.locator(".tile", has_text="c111-1").locator("[data-age]")
    before = age.inner_text()
    expect(age).not_to_have_text(before)


def test_from_the_board_to_a_held_message_and_back_into_the_queue_by_keyboard(
    wired: Running, page: Page
):
    open_page(page, wired, "/worklist", "technician")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page).to_have_url(wired.address + "/instruments")
    page.locator(".tile a[data-link='c111-1']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#held-title")).to_be_visible()
    expect(page.locator(".traffic tbody tr").nth(1)).to_contain_text("STX1H|\\^&CRETXE5")
    expect(page.locator("section", has_text="99000017").last).to_contain_text(
        "Пробирки с таким номером нет."
    )
    page.locator("section[aria-labelledby=held-title] a").focus()
    page.keyboard.press("Enter")
    page.locator("form[action$='/reopen'] button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".head .chip")).to_have_text("ждёт")


def test_traffic_is_searched_and_taken_out_by_keyboard(wired: Running, page: Page):
    open_page(page, wired, "/instruments/c111-1", "technician", "en")
    page.get_by_role("link", name="Search and export").focus()
    page.keyboard.press("Enter")
    page.locator("input[name=text]").focus()
    page.keyboard.type("1H|")
    page.keyboard.press("Enter")
    rows = page.locator("table.traffic tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("checksum right")
    page.get_by_role("button", name="Download without personal data").focus()
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "c111-1.redacted.cap"


def test_a_message_is_read_again_and_nothing_changes(wired: Running, page: Page):
    open_page(page, wired, "/instruments/messages/{held}", "technician", "en")
    page.get_by_role("link", name="Read again with today’s driver").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Nothing is stored, released or changed.")
    with wired.laboratory.store.read() as session:
        row = session.query(Inbox).filter_by(hold_reason="processing_failed").one()
        assert row.state is InboxState.HELD


def test_a_dead_letter_is_sent_again_by_keyboard(wired: Running, page: Page):
    open_page(page, wired, "/delivery", "administrator")
    page.locator("input[name=reason]").focus()
    page.keyboard.type("patient registered in the EMR")
    page.keyboard.press("Enter")
    expect(page.locator("input[name=reason]")).to_have_count(0)
    with wired.laboratory.store.read() as session:
        assert session.query(Outbox).one().state is OutboxState.NEW


def test_news_does_not_take_away_what_is_being_typed(wired: Running, page: Page):
    open_page(page, wired, "/delivery", "administrator")
    reason = page.locator("input[name=reason]")
    reason.focus()
    page.keyboard.type("half a rea")
    with wired.laboratory.store.unit("test") as unit:
        unit.publish("outbox", DESTINATION)
    with page.expect_response("**/delivery", timeout=5_000):
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        page.locator("h1").click()
    expect(reason).to_have_value("")


def test_an_alarm_says_what_to_do_and_is_closed(wired: Running, page: Page):
    open_page(page, wired, "/instruments", "technician", "en")
    alarm = page.locator(".alarms li", has_text="The clock of xp-1 is off by 640 s.")
    expect(alarm).to_contain_text("Set the clock")
    alarm.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(alarm).to_have_count(0)
