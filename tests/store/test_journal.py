"""Searching raw traffic: what fits is found, page by page, on both stores."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.clock import ManualClock
from lis.domain.traffic_verdict import LineVerdict, all_notes, reason_of, verdict_of
from lis.store import Store
from lis.store.journal_queries import TAIL_BYTES, JournalSearch, search_journal, stretch_of
from lis.store.rows import Inbox, InboxState, Journal

AddLink = Callable[[str], int]
RAW = b"\x021H|\\^&|||c111\r\x03AA\r\n\x022L|1|N\r\x03BB\r\n"


def add(store: Store, link_id: int, direction: str, data: bytes | None, note: str = "") -> int:
    with store.unit("test") as unit:
        line = Journal(link_id=link_id, at=unit.now, direction=direction, data=data, note=note)
        unit.session.add(line)
        unit.session.flush()
        return line.id


def add_message(store: Store, link_id: int, raw: bytes = RAW) -> int:
    with store.unit("test") as unit:
        row = Inbox(
            link_id=link_id,
            received_at=unit.now,
            protocol="astm",
            lane="result",
            raw=raw,
            sha256=b"",
            state=InboxState.PROCESSED,
        )
        unit.session.add(row)
        unit.session.flush()
        unit.session.add(Journal(link_id=link_id, at=unit.now, direction="in", inbox_id=row.id))
        return row.id


def found(store: Store, link_id: int, **wanted: object) -> list[tuple[str, bytes]]:
    with store.read() as session:
        lines, _ = search_journal(session, JournalSearch(link_id=link_id, **wanted), limit=100)
    return [(line.direction, line.data) for line in lines]


@pytest.fixture
def link(store: Store, add_link: AddLink, manual_clock: ManualClock) -> int:
    """A minute of traffic: a session with a refused and a repeated frame, one second a line."""
    link_id = add_link("xp-1")
    other = add_link("xp-2")
    for direction, data, note in (
        ("in", b"\x05", ""),
        ("out", b"\x06", ""),
        ("in", b"\x021P|1\r\x0300\r\n", "refused: checksum b'00', computed b'3F'"),
        ("out", b"\x15", ""),
        ("in", b"\x021P|1\r\x033F\r\n", ""),
        ("in", b"\x021P|1\r\x033F\r\n", "repeated"),
        ("in", b"zzz", "noise: outside a frame"),
        ("out", None, "tolerated: no CR"),
        ("in", "Проверкин".encode("cp1251"), ""),
    ):
        add(store, link_id, direction, data, note)
        add(store, other, "in", b"P|1", "")
        manual_clock.advance(seconds=1)
    return link_id


def test_lines_are_found_by_direction(store: Store, link: int):
    assert {direction for direction, _ in found(store, link, direction="out")} == {"out"}
    assert len(found(store, link)) == 9


def test_lines_are_found_by_what_they_hold(store: Store, link: int):
    assert len(found(store, link, needles=(b"P|1",))) == 3
    assert found(store, link, needles=(b"\x06",)) == [("out", b"\x06")]
    needles = tuple("Пров".encode(charset) for charset in ("utf-8", "cp1251"))
    assert len(found(store, link, needles=needles)) == 1


def test_a_message_kept_whole_is_found_by_its_bytes(store: Store, link: int):
    inbox_id = add_message(store, link)
    with store.read() as session:
        search = JournalSearch(link_id=link, needles=(b"c111",))
        ((line,), older) = search_journal(session, search, limit=10)
        (whole,) = stretch_of(session, search, limit=10)
    assert (line.inbox_id, line.data, older) == (inbox_id, b"", None)
    assert (line.state, line.raw, whole.raw) == (InboxState.PROCESSED, b"", RAW)
    assert line.tail == RAW


def test_of_a_long_message_a_page_reads_the_end_only(store: Store, link: int):
    add_message(store, link, b"x" * 5_000 + RAW)
    with store.read() as session:
        search = JournalSearch(link_id=link, needles=(b"c111",))
        ((line,), _) = search_journal(session, search, limit=10)
    assert len(line.tail) == TAIL_BYTES
    assert line.tail.endswith(RAW)


@pytest.mark.parametrize(
    ("verdict", "count"),
    [
        (LineVerdict.ACCEPTED, 2),
        (LineVerdict.REFUSED, 1),
        (LineVerdict.DUPLICATE, 1),
        (LineVerdict.NOISE, 1),
        (LineVerdict.CONTROL, 1),
        (LineVerdict.SENT, 2),
        (LineVerdict.REMARK, 1),
        (LineVerdict.CUT, 0),
    ],
)
def test_lines_are_found_by_verdict(store: Store, link: int, verdict: LineVerdict, count: int):
    assert len(found(store, link, verdict=verdict)) == count


def test_lines_are_found_by_time(store: Store, link: int, manual_clock: ManualClock):
    begin = manual_clock.now() - timedelta(seconds=9)
    part = {"since": begin + timedelta(seconds=2), "until": begin + timedelta(seconds=4)}
    assert found(store, link, **part) == [("out", b"\x15"), ("in", b"\x021P|1\r\x0300\r\n")]


def test_a_search_goes_on_where_its_page_ended(
    store: Store, link: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lis.store.journal_queries.SEARCH_WINDOW", 4)
    search = JournalSearch(link_id=link, needles=(b"\x05", b"\x06", b"\x15"))
    seen, before = [], None
    with store.read() as session:
        while True:
            lines, before = search_journal(session, search, before_id=before, limit=2)
            seen += [line.data for line in lines]
            if before is None:
                break
    assert seen == [b"\x15", b"\x06", b"\x05"]


def test_a_stretch_is_read_oldest_first(store: Store, link: int):
    with store.read() as session:
        first = stretch_of(session, JournalSearch(link_id=link), limit=2)
        rest = stretch_of(session, JournalSearch(link_id=link), after_id=first[-1].id, limit=100)
    assert [line.data for line in first] == [b"\x05", b"\x06"]
    assert len(rest) == 7


# --- verdicts -----------------------------------------------------------------------------------


def test_an_unknown_note_is_a_remark_on_a_line_that_was_taken():
    assert verdict_of("in", b"\x021P|1", "something new") is LineVerdict.ACCEPTED


def test_a_reason_is_what_follows_the_first_words():
    assert reason_of("refused: checksum b'00'") == "checksum b'00'"
    assert reason_of("repeated") == "repeated"


@given(st.sampled_from(["in", "out"]), st.binary(max_size=20), st.text(max_size=20))
def test_every_line_has_a_verdict(direction: str, data: bytes, note: str):
    verdict = verdict_of(direction, data, note)
    assert (verdict in {LineVerdict.SENT, LineVerdict.REMARK}) is (direction == "out")
    if direction == "in" and note.startswith(tuple(all_notes())):
        assert verdict is not LineVerdict.ACCEPTED
