"""Raw traffic as people search it, take it out of the house and read it again."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lis.app.laboratory import Laboratory
from lis.app.traffic_export import chunks_of
from lis.domain.clock import ManualClock
from lis.store.journal_queries import JournalLine
from lis.store.rows import Audit, Device, Inbox, InboxState, Journal, Link, Site
from lis.store.traffic_queries import log_host_query
from lis.store.traffic_rows import QueryKind
from lis.wire.astm_frame import Frame
from lis.wire.capture import read_capture
from lis.words import LANGUAGES, Words
from tests.api.conftest import OpenBrowser

FRAMES = [
    Frame(number=number % 8, text=text + b"\r").to_bytes()
    for number, text in enumerate(
        (
            b"H|\\^&|||XP-100^00-13^^^^A7869^BS649542||||||||E1394-97",
            b"P|1||||Probeva^Anna||19500102|F",
            b"O|1||^^2600001^M|^^^^WBC|||||||N||||||||||||||F",
            b"R|1|^^^^WBC^26|7.2|10*3/uL||N||||||20261102093000",
            b"L|1|N",
        ),
        1,
    )
]
AT = timedelta(seconds=1)


@pytest.fixture
def link(laboratory: Laboratory, manual_clock: ManualClock) -> int:
    """A session of one message with five frames, one of them sent twice and once damaged."""
    with laboratory.store.unit("test") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        unit.session.flush()
        device = Device(public_id=unit.ids.new(), site_id=1, name="xp-1", driver="sysmex-xp-100")
        unit.session.add(device)
        unit.session.flush()
        link = Link(
            name="xp-1", address="tcp-listen://127.0.0.1:7001", purpose="instrument", device_id=1
        )
        unit.session.add(link)
        unit.session.flush()
        row = Inbox(
            link_id=link.id,
            received_at=unit.now,
            protocol="astm",
            lane="result",
            raw=b"".join(FRAMES),
            sha256=b"",
            device_id=device.id,
            driver="sysmex-xp-100",
            driver_version="0",
            state=InboxState.HELD,
            hold_reason="processing_failed",
        )
        unit.session.add(row)
        unit.session.flush()
        damaged = FRAMES[1][:-4] + b"00\r\n"
        lines: list[tuple[str, bytes | None, str, int | None]] = [
            ("in", b"\x05", "", None),
            ("out", b"\x06", "", None),
            ("in", FRAMES[0], "", None),
            ("in", damaged, "refused: checksum b'00', computed b'9A'", None),
            ("in", FRAMES[1], "", None),
            ("in", FRAMES[1], "repeated", None),
            ("in", FRAMES[2], "", None),
            ("in", FRAMES[3], "", None),
            ("in", None, "", row.id),
            ("in", b"\x04", "", None),
        ]
        for number, (direction, data, note, inbox_id) in enumerate(lines):
            at = unit.now + number * AT
            unit.session.add(
                Journal(
                    link_id=link.id,
                    at=at,
                    direction=direction,
                    data=data,
                    note=note,
                    inbox_id=inbox_id,
                )
            )
            unit.session.flush()
        return row.id


def lines_of(browser: Any, **asked: object) -> list[dict[str, Any]]:
    found = browser.get("/api/v1/instruments/xp-1/traffic", params=asked)
    assert found.status_code == 200, found.text
    return list(found.json()["lines"])


def test_each_line_says_its_verdict_and_its_checksum(open_browser: OpenBrowser, link: int):
    lines = lines_of(open_browser("technician"))
    told = [(line["verdict"], line["checksum"]) for line in reversed(lines)]
    assert told[:6] == [
        ("control", "none"),
        ("sent", ""),
        ("accepted", "good"),
        ("refused", "bad"),
        ("accepted", "good"),
        ("duplicate", "good"),
    ]
    assert (told[8], lines[1]["text"][:3]) == (("accepted", "good"), "␂5L")  # kept whole
    refused = next(line for line in lines if line["verdict"] == "refused")
    assert refused["reason"] == "checksum b'00', computed b'9A'"


def test_traffic_is_searched_by_text_hex_direction_time_and_verdict(
    open_browser: OpenBrowser, link: int, manual_clock: ManualClock
):
    browser = open_browser("technician")
    assert len(lines_of(browser, text="Probeva")) == 4  # three frames and the message kept whole
    assert [line["text"] for line in lines_of(browser, text="02 31 48", as_hex=True)][-1][:3] == (
        "␂1H"
    )
    assert [line["text"] for line in lines_of(browser, direction="out")] == ["␆"]
    assert len(lines_of(browser, verdict="refused")) == 1
    begin = manual_clock.now()
    part = {"since": begin.isoformat(), "until": (begin + 2 * AT).isoformat()}
    assert len(lines_of(browser, **part)) == 2


def test_a_time_without_an_offset_is_the_laboratorys(
    laboratory: Laboratory, open_browser: OpenBrowser, link: int, manual_clock: ManualClock
):
    zone = ZoneInfo(laboratory.settings.site[0].timezone)
    local = (manual_clock.now() + 2 * AT).astimezone(zone).replace(tzinfo=None)
    assert len(lines_of(open_browser("technician"), since=local.isoformat())) == 8


@pytest.mark.parametrize("asked", [{"text": "0", "as_hex": True}, {"since": "yesterday"}])
def test_a_search_that_cannot_be_read_is_refused_in_words(
    open_browser: OpenBrowser, link: int, asked: dict[str, Any]
):
    browser = open_browser("technician")
    assert browser.get("/api/v1/instruments/xp-1/traffic", params=asked).status_code == 422
    page = browser.get("/instruments/xp-1/journal", params=asked)
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_the_page_of_the_journal_shows_what_was_found(open_browser: OpenBrowser, link: int):
    page = open_browser("technician").get("/instruments/xp-1/journal", params={"text": "WBC"}).text
    assert "WBC" in page
    assert Words("en")("traffic.checksum_good") in page
    assert Words("en")("traffic.export_raw") not in page


# --- taking traffic out -------------------------------------------------------------------------


def received(data: bytes) -> bytes:
    return b"".join(chunk.data for chunk in read_capture(data) if chunk.direction == "in")


def test_a_capture_holds_every_byte_that_passed_once_and_in_order(
    laboratory: Laboratory, open_browser: OpenBrowser, link: int
):
    browser = open_browser("qc_officer")
    answer = browser.post("/api/v1/instruments/xp-1/capture", json={"reason": "for the maker"})
    assert answer.status_code == 200
    damaged = FRAMES[1][:-4] + b"00\r\n"
    sent = [FRAMES[0], damaged, FRAMES[1], FRAMES[1], *FRAMES[2:]]
    assert received(answer.content) == b"\x05" + b"".join(sent) + b"\x04"
    with laboratory.store.read() as session:
        (entry,) = session.query(Audit).filter_by(action="raw_exported").all()
    assert entry.actor == "qc_officer"
    assert "for the maker" in entry.text


def test_a_capture_without_personal_data_names_nobody(open_browser: OpenBrowser, link: int):
    answer = open_browser("technician").get("/api/v1/instruments/xp-1/capture")
    assert answer.headers["content-disposition"].endswith('"xp-1.redacted.cap"')
    clean = received(answer.content)
    assert b"Probeva" not in clean
    assert b"XP-100" in clean
    assert b"7.2|10*3/uL" in clean
    assert b"# redacted" in answer.content


def test_the_audit_says_which_stretch_was_taken(
    laboratory: Laboratory, open_browser: OpenBrowser, link: int, manual_clock: ManualClock
):
    since = (manual_clock.now() + AT).isoformat()
    form = {"reason": "for the maker", "since": since}
    answer = open_browser("qc_officer").post("/instruments/xp-1/capture", data=form)
    assert len(read_capture(answer.content)) == 9
    with laboratory.store.read() as session:
        (entry,) = session.query(Audit).filter_by(action="raw_exported").all()
    assert since[:19] in entry.text


def test_personal_data_leaves_only_with_a_reason_and_by_who_may(
    laboratory: Laboratory, open_browser: OpenBrowser, link: int
):
    path = "/api/v1/instruments/xp-1/capture"
    assert open_browser("qc_officer").post(path, json={"reason": " "}).status_code == 422
    for role in ("technician", "administrator", "doctor"):
        assert open_browser(role).post(path, json={"reason": "x"}).status_code == 403, role
    with laboratory.store.read() as session:
        assert session.query(Audit).filter_by(action="raw_exported").count() == 0


def test_a_stretch_without_a_message_is_not_given_out_as_redacted(
    open_browser: OpenBrowser, link: int, manual_clock: ManualClock
):
    until = (manual_clock.now() + 2 * AT).isoformat()
    answer = open_browser("technician").get(
        "/api/v1/instruments/xp-1/capture", params={"until": until}
    )
    assert answer.status_code == 422


def test_a_long_stretch_is_cut_and_says_where(
    open_browser: OpenBrowser, link: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lis.app.traffic_export.LINES_MAX", 4)
    browser = open_browser("qc_officer")
    answer = browser.post("/instruments/xp-1/capture", data={"reason": "look"})
    assert len(read_capture(answer.content)) == 4
    assert b"# cut here: there is more from " in answer.content


def line(number: int, **values: Any) -> JournalLine:
    at = ManualClock().now() + number * AT
    facts = {"direction": "in", "data": b"", "note": "", "inbox_id": None} | values
    return JournalLine(id=number, at=at, **facts)


def test_an_hl7_message_gets_its_block_characters_back():
    whole = line(1, raw=b"MSH|^~\\&\r", protocol="hl7", inbox_id=1, state=InboxState.PROCESSED)
    cut = line(2, raw=b"MSH|^", protocol="hl7", inbox_id=2, state=InboxState.INCOMPLETE)
    assert [chunk.data for chunk in chunks_of([whole, cut])] == [
        b"\x0bMSH|^~\\&\r\x1c\r",
        b"\x0bMSH|^",
    ]


def test_a_frame_that_ended_two_messages_passes_once():
    joined = Frame(number=1, text=b"L|1|N\rH|\\^&\rL|1|N\r").to_bytes()
    lines = [
        line(1, data=joined),
        line(2, raw=joined, protocol="astm", inbox_id=1, state=InboxState.PROCESSED),
        line(3, raw=joined, protocol="astm", inbox_id=2, state=InboxState.PROCESSED),
    ]
    assert b"".join(chunk.data for chunk in chunks_of(lines)) == joined


def test_frames_of_a_cut_message_are_not_told_twice():
    lines = [
        line(1, data=FRAMES[0]),
        line(2, data=FRAMES[1]),
        line(3, data=b"\x04"),
        line(
            4,
            raw=FRAMES[0] + FRAMES[1],
            protocol="astm",
            inbox_id=1,
            state=InboxState.INCOMPLETE,
        ),
    ]
    assert b"".join(chunk.data for chunk in chunks_of(lines)) == FRAMES[0] + FRAMES[1] + b"\x04"


# --- reading again ------------------------------------------------------------------------------


def test_S13_a_message_read_again_gives_candidates_and_changes_nothing(
    laboratory: Laboratory, open_browser: OpenBrowser, link: int
):
    browser = open_browser("technician")
    report = browser.get(f"/api/v1/instruments/messages/{link}/replay").json()["replayed"]
    (candidate,) = [one for one in report["candidates"] if one["kind"] == "result"]
    assert candidate["values"]["value"] == "7.2"
    assert "unknown_test" in candidate["holds"]  # there is no catalog
    assert [one["change"] for one in report["differences"]] == ["added"]
    page = browser.get(f"/instruments/messages/{link}/replay").text
    assert "7.2" in page
    with laboratory.store.read() as session:
        row = session.get_one(Inbox, link)
        assert (row.state, row.verdict) == (InboxState.HELD, {})


def test_the_frames_of_a_message_stand_on_its_page(open_browser: OpenBrowser, link: int):
    browser = open_browser("technician")
    body = browser.get(f"/api/v1/instruments/messages/{link}").json()
    assert [frame["checksum"] for frame in body["frames"]] == ["good"] * 5
    assert Words("en")("traffic.frames") in browser.get(f"/instruments/messages/{link}").text


# --- host queries -------------------------------------------------------------------------------


@pytest.fixture
def queries(laboratory: Laboratory, link: int) -> None:
    with laboratory.store.unit("test") as unit:
        log_host_query(
            unit,
            device_id=1,
            asked=["2600000014", "7"],
            answered=[
                {"specimen": "2600000014", "tests": ["WBC"], "reason": ""},
                {"specimen": "7", "tests": [], "reason": "not_our_number"},
            ],
        )
        log_host_query(
            unit,
            device_id=1,
            kind=QueryKind.RANGE,
            asked=["2600000014", "2600000099"],
            answered=[],
            empty_reason="nothing_in_range",
            is_cut=True,
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/instruments/xp-1", "/instruments/xp-1/queries"])
def test_pages_say_what_was_asked_told_and_why_nothing(
    open_browser: OpenBrowser, queries: None, language: str, path: str
):
    browser = open_browser("technician")
    browser.cookies.set("lis_language", language)
    page, words = browser.get(path).text, Words(language)
    assert words("orders.nothing_in_range") in page
    assert words("orders.not_our_number") in page
    assert words("traffic.query_cut") in page
    assert "WBC" in page


def test_queries_that_got_nothing_are_listed_alone(open_browser: OpenBrowser, queries: None):
    browser = open_browser("administrator")
    every = browser.get("/api/v1/instruments/xp-1/queries").json()
    empty = browser.get("/api/v1/instruments/xp-1/queries", params={"empty_only": True}).json()
    assert [one["kind"] for one in every] == ["range", "list"]
    assert [one["empty_reason"] for one in empty] == ["nothing_in_range"]
    assert browser.get("/instruments/xp-1/queries?empty_only=true").status_code == 200
