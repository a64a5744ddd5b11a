"""The instrument board, raw traffic, held messages and deliveries, as clients meet them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from lis.app.board import read_board
from lis.app.board_models import Board
from lis.app.laboratory import Laboratory
from lis.app.link_page import readable
from lis.domain.clock import ManualClock
from lis.store.outbox import claim_due, mark_acknowledged, mark_dead
from lis.store.rows import (
    Alarm,
    Audit,
    Device,
    Inbox,
    InboxState,
    Journal,
    Link,
    Outbox,
    OutboxState,
    Site,
)
from lis.store.traffic_queries import (
    message_counts_since,
    messages_page,
    note_link_state,
    open_alarm,
    set_quarantine,
)
from lis.store.unit import Unit
from lis.words import LANGUAGES, Words
from tests.api.conftest import OpenBrowser

ASTM = b"H|\\^&|||XP-100^00-13^^^^A7869^BS649542||||||||E1394-97\rP|1\rL|1|N\r"
DESTINATION = "emr:his"


def add_message(unit: Unit, link_id: int, **values: Any) -> int:
    facts = {"received_at": unit.now, "state": InboxState.PROCESSED, "raw": ASTM} | values
    row = Inbox(
        link_id=link_id,
        protocol="astm",
        lane=facts.pop("lane", "result"),
        sha256=b"0" * 32,
        device_id=1,
        driver="sysmex-xp-100",
        **facts,
    )
    unit.session.add(row)
    unit.session.flush()
    return row.id


def add_line(unit: Unit, link_id: int, direction: str, data: bytes | None, **values: Any) -> None:
    unit.session.add(
        Journal(link_id=link_id, at=unit.now, direction=direction, data=data, **values)
    )


@pytest.fixture
def held(laboratory: Laboratory) -> int:
    """One analyzer that said something that is held, and an EMR; the id of the held message."""
    with laboratory.store.unit("test") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        unit.session.flush()
        device = Device(public_id=unit.ids.new(), site_id=1, name="xp-1", driver="sysmex-xp-100")
        unit.session.add(device)
        unit.session.flush()
        link = Link(
            name="xp-1",
            address="tcp-listen://127.0.0.1:7001",
            purpose="instrument",
            device_id=device.id,
            state="connected",
            peer="127.0.0.1:40001",
        )
        emr = Link(name="his:send", address="tcp-connect://127.0.0.1:7002", purpose="emr_send")
        unit.session.add_all((link, emr))
        unit.session.flush()
        add_message(unit, link.id)
        held = add_message(unit, link.id, state=InboxState.HELD, hold_reason="processing_failed")
        add_line(unit, link.id, "in", b"\x05")
        add_line(unit, link.id, "out", b"\x06")
        add_line(unit, link.id, "in", None, inbox_id=held)
        return held


def add_dead_letter(laboratory: Laboratory, clock: ManualClock, key: str = "R1:1:emr:his") -> int:
    with laboratory.store.unit("test") as unit:
        unit.send(
            destination=DESTINATION,
            key=key,
            order_key="L0000000001",
            payload={"report": 1, "version": 1, "observations": []},
            not_before=unit.now,
        )
    with laboratory.store.unit("sender") as unit:
        row = claim_due(unit.session, DESTINATION, unit.now, 1)[0]
        mark_dead(unit, row.id, "AE: patient unknown")
        clock.advance(seconds=1)
        return row.id


def board_of(laboratory: Laboratory) -> Board:
    at = laboratory.clock.now()
    assert at.tzinfo is not None
    with laboratory.store.read() as session:
        return read_board(session, at=at, zone=at.tzinfo, language="en")


# --- the board ----------------------------------------------------------------------------------


def test_board_counts_today_and_what_waits(
    laboratory: Laboratory, held: int, manual_clock: ManualClock
):
    manual_clock.advance(seconds=42)
    tile = board_of(laboratory).tiles[0]
    assert (tile.name, tile.state, tile.messages, tile.processed) == ("xp-1", "connected", 2, 1)
    assert (tile.held, tile.age_s, tile.driver_name) == (1, 42, "Sysmex XP-100")


def test_yesterdays_messages_are_not_todays_but_what_is_held_still_waits(
    laboratory: Laboratory, held: int, manual_clock: ManualClock
):
    manual_clock.advance(hours=48)
    tile = board_of(laboratory).tiles[0]
    assert (tile.messages, tile.processed, tile.held) == (0, 0, 1)


def test_a_day_is_found_by_bisection_where_it_begins(laboratory: Laboratory, held: int):
    now = laboratory.clock.now()
    with laboratory.store.unit("test") as unit:
        for hours in (50, 40, 30, 20, 10):
            add_message(unit, 1, received_at=now + timedelta(hours=60 - hours))
        for hours in range(52):
            since = now + timedelta(hours=hours, minutes=30)
            expected = sum(60 - one > hours for one in (50, 40, 30, 20, 10))
            assert sum(message_counts_since(unit.session, since).values()) == expected


def test_state_says_idle_silent_faulted_and_quarantined(
    laboratory: Laboratory, held: int, manual_clock: ManualClock
):
    manual_clock.advance(hours=1)
    assert board_of(laboratory).tiles[0].state == "idle"
    with laboratory.store.unit("test") as unit:
        open_alarm(unit, kind="silence", subject="xp-1", parameters={"minutes": 60})
    tile = board_of(laboratory).tiles[0]
    assert (tile.state, tile.link_state) == ("silent", "connected")
    with laboratory.store.unit("test") as unit:
        unit.session.get_one(Link, 1).state = "lost"
    assert board_of(laboratory).tiles[0].state == "faulted"
    with laboratory.store.unit("test") as unit:
        set_quarantine(unit, 1, "serial X9")
    assert board_of(laboratory).tiles[0].state == "quarantined"


def test_a_message_ends_the_silence_on_the_board_at_once(
    laboratory: Laboratory, held: int, manual_clock: ManualClock
):
    manual_clock.advance(hours=1)
    with laboratory.store.unit("test") as unit:
        open_alarm(unit, kind="silence", subject="xp-1", parameters={"minutes": 60})
    manual_clock.advance(seconds=1)
    with laboratory.store.unit("test") as unit:
        add_line(unit, 1, "in", b"\x05")
    assert board_of(laboratory).tiles[0].state == "connected"


def test_a_crash_is_a_fault_until_the_link_moves_again(
    laboratory: Laboratory, held: int, manual_clock: ManualClock
):
    with laboratory.store.unit("test") as unit:
        open_alarm(unit, kind="task_crashed", subject="link:xp-1", parameters={"reason": "no"})
    assert board_of(laboratory).tiles[0].state == "faulted"
    manual_clock.advance(seconds=1)
    with laboratory.store.unit("links") as unit:
        note_link_state(unit, 1, "connected")
    assert board_of(laboratory).tiles[0].state == "connected"


def test_what_waits_for_us_is_counted_beside_what_waits_for_a_person(
    laboratory: Laboratory, held: int
):
    with laboratory.store.unit("test") as unit:
        add_message(unit, 1, state=InboxState.NEW)
    tile = board_of(laboratory).tiles[0]
    assert (tile.queue, tile.held) == (1, 1)


def test_board_works_before_there_is_a_catalog(laboratory: Laboratory, held: int):
    assert board_of(laboratory).tiles[0].qc == ""


def test_quarantine_and_its_alarm_stand_on_the_tile(laboratory: Laboratory, held: int):
    with laboratory.store.unit("test") as unit:
        set_quarantine(unit, 1, "serial X9")
        open_alarm(unit, kind="device_mismatch", subject="xp-1", parameters={"got": "X9"})
        open_alarm(unit, kind="task_crashed", subject="link:xp-1", parameters={"reason": "no"})
        open_alarm(unit, kind="task_crashed", subject="sealer", parameters={"reason": "no"})
    board = board_of(laboratory)
    assert board.tiles[0].quarantine_reason == "serial X9"
    assert board.tiles[0].alarms == 2
    assert [alarm.link for alarm in board.alarms] == ["xp-1", "xp-1", ""]


def test_board_asks_as_many_questions_for_one_link_as_for_many(laboratory: Laboratory, held: int):
    before = count_queries(laboratory)
    with laboratory.store.unit("test") as unit:
        for number in range(20):
            unit.session.add(
                Link(name=f"more-{number}", address="tcp-listen://x:1", purpose="emr_receive")
            )
    assert count_queries(laboratory) <= before + 5  # a bisection grows with the logarithm


def count_queries(laboratory: Laboratory) -> int:

    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        board_of(laboratory)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(asked)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_alarm_says_what_happened_and_what_to_do(language: str):
    words = Words(language)
    for kind in (
        "task_crashed",
        "dead_letter",
        "device_clock",
        "device_zone",
        "number_seen_twice",
        "device_mismatch",
        "unit_changed",
        "processing_failed",
        "restored",
        "silence",
        "unknown",
    ):
        assert words.has(f"instruments.alarm.{kind}")
        assert words.has(f"instruments.alarm_todo.{kind}")


def test_an_alarm_of_an_unknown_kind_shows_its_facts(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int
):
    with laboratory.store.unit("test") as unit:
        open_alarm(unit, kind="moon_phase", subject="xp-1", parameters={"phase": "full"})
    page = open_browser("technician").get("/instruments").text
    assert "moon_phase" in page
    assert "phase: full" in page


def test_closing_an_alarm_is_audited(laboratory: Laboratory, open_browser: OpenBrowser, held: int):
    with laboratory.store.unit("test") as unit:
        alarm = open_alarm(unit, kind="device_clock", subject="xp-1").id
    browser = open_browser("administrator")
    assert browser.post(f"/api/v1/instruments/alarms/{alarm}/close").status_code == 204
    assert browser.get("/api/v1/instruments").json()["alarms"] == []
    with laboratory.store.read() as session:
        events = session.query(Audit).filter_by(action="alarm_closed").all()
        assert [event.actor for event in events] == ["administrator"]


def test_a_dead_letters_alarm_is_closed_by_sending_it_again_only(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    add_dead_letter(laboratory, manual_clock)
    with laboratory.store.read() as session:
        alarm = session.query(Alarm).one().id
    answer = open_browser("administrator").post(f"/api/v1/instruments/alarms/{alarm}/close")
    assert answer.status_code == 422
    assert answer.json()["detail"] == Words("en")("instruments.alarm_needs_replay")


# --- one link -----------------------------------------------------------------------------------


def test_raw_traffic_names_control_characters():
    assert readable(b"\x05\x02H|\\\r\x03A4\x17\x1c\x7f") == "␅␂H|\\␍␃A4␗␜␡"


def test_traffic_is_paged_by_key(laboratory: Laboratory, open_browser: OpenBrowser, held: int):
    with laboratory.store.unit("test") as unit:
        for number in range(250):
            add_line(unit, 1, "in", b"%d" % number)
    browser = open_browser("technician")
    seen: list[int] = []
    before = ""
    while True:
        page = browser.get(f"/api/v1/instruments/xp-1/traffic{before}").json()
        seen += [line["id"] for line in page["lines"]]
        if page["older"] is None:
            break
        before = f"?before={page['older']}"
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 253


def test_messages_of_a_quiet_link_are_found_behind_those_of_a_busy_one(
    laboratory: Laboratory, held: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lis.store.traffic_queries.MESSAGES_WINDOW", 10)
    with laboratory.store.unit("test") as unit:
        for _ in range(35):
            add_message(unit, 2)
        found, older = messages_page(unit.session, 1, limit=5)
        while older is not None:
            more, older = messages_page(unit.session, 1, before_id=older, limit=5)
            found += more
    assert [line.id for line in found] == [held, held - 1]


def test_an_administrator_sees_the_link_but_no_raw_traffic(open_browser: OpenBrowser, held: int):
    browser = open_browser("administrator")
    page = browser.get("/instruments/xp-1")
    assert page.status_code == 200
    assert "␅" not in page.text
    assert browser.get("/api/v1/instruments/xp-1/traffic").status_code == 403
    assert browser.get(f"/instruments/messages/{held}").status_code == 403


def test_a_message_is_decoded_line_by_line(open_browser: OpenBrowser, held: int):
    body = open_browser("qc_officer").get(f"/api/v1/instruments/messages/{held}").json()
    assert [line[0] for line in body["lines"]] == ["H", "P", "L"]
    assert (body["link"], body["can_be_reopened"]) == ("xp-1", True)


def test_a_held_message_is_reopened_once_and_audited(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int
):
    browser = open_browser("technician")
    assert browser.post(f"/api/v1/instruments/messages/{held}/reopen").status_code == 204
    assert browser.post(f"/api/v1/instruments/messages/{held}/reopen").status_code == 422
    with laboratory.store.read() as session:
        assert session.get_one(Inbox, held).state is InboxState.NEW
        assert session.query(Audit).filter_by(action="reopened").count() == 1


def test_S13_an_old_message_stays_held(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    manual_clock.advance(hours=73)
    answer = open_browser("technician").post(f"/api/v1/instruments/messages/{held}/reopen")
    assert answer.status_code == 422
    assert "3 days" in answer.json()["detail"]


def test_reopening_is_for_people_who_verify(open_browser: OpenBrowser, held: int):
    for role in ("qc_officer", "administrator", "doctor"):
        answer = open_browser(role).post(f"/instruments/messages/{held}/reopen")
        assert answer.status_code == 403, role


def test_unknown_link_and_message_are_not_found(open_browser: OpenBrowser, held: int):
    browser = open_browser("technician")
    for path in ("/instruments/nobody", "/instruments/messages/99999"):
        assert browser.get(path).status_code == 404
        assert browser.get(f"/api/v1{path}").status_code == 404


# --- deliveries ---------------------------------------------------------------------------------


def test_a_dead_letter_is_listed_with_its_reason(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    add_dead_letter(laboratory, manual_clock)
    body = open_browser("technician").get("/api/v1/delivery").json()
    assert [row["error"] for row in body["dead"]] == ["AE: patient unknown"]
    assert [(one["destination"], one["dead"]) for one in body["destinations"]] == [(DESTINATION, 1)]


def test_replay_needs_a_reason_and_closes_the_alarm(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    row = add_dead_letter(laboratory, manual_clock)
    browser = open_browser("administrator")
    path = f"/api/v1/delivery/{row}/replay"
    assert browser.post(path, json={"reason": " "}).status_code == 422
    assert browser.post(path, json={"reason": "registered there"}).status_code == 204
    body = browser.get("/api/v1/delivery").json()
    assert (body["dead"], len(body["waiting"])) == ([], 1)
    again = browser.post(path, json={"reason": "once more"})
    assert again.status_code == 422
    assert "R1:1:emr:his" in again.json()["detail"]


def test_replay_never_puts_an_old_version_over_a_newer_one(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    row = add_dead_letter(laboratory, manual_clock)
    with laboratory.store.unit("test") as unit:
        unit.send(
            destination=DESTINATION,
            key="R1:2:emr:his",
            order_key="L0000000001",
            payload={"report": 1, "version": 2, "observations": []},
            not_before=unit.now,
        )
    with laboratory.store.unit("sender") as unit:
        mark_acknowledged(unit, claim_due(unit.session, DESTINATION, unit.now, 1)[0].id)
    answer = open_browser("administrator").post(f"/delivery/{row}/replay", data={"reason": "try"})
    assert answer.status_code == 422
    assert "R1:2:emr:his" in answer.text
    with laboratory.store.read() as session:
        assert session.get_one(Outbox, row).state is OutboxState.DEAD


def test_only_an_administrator_sends_again(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    row = add_dead_letter(laboratory, manual_clock)
    browser = open_browser("technician")
    assert "/replay" not in browser.get("/delivery").text
    assert browser.post(f"/delivery/{row}/replay", data={"reason": "x"}).status_code == 403


def test_a_foreign_form_does_nothing(
    laboratory: Laboratory, open_browser: OpenBrowser, held: int, manual_clock: ManualClock
):
    row = add_dead_letter(laboratory, manual_clock)
    browser = open_browser("administrator")
    browser.headers["X-CSRF-Token"] = "made up"
    answer = browser.post(f"/delivery/{row}/replay", data={"reason": "x", "csrf": "made up"})
    assert answer.status_code == 403
