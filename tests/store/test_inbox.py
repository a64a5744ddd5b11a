"""Keeping what arrived: nothing is answered before it is on disk, nothing is stored twice."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import inspect, select, text

from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction, KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.store import Hint, Store
from lis.store import inbox as inbox_module
from lis.store.inbox import (
    InboxCounts,
    InboxWriter,
    claim_new,
    inbox_counts,
    mark_held,
    mark_processed,
    store_reply,
    stored_reply,
)
from lis.store.inbox_batch import HASH_STEP_BYTES, INBOX_COLUMNS, INBOX_CONSTANTS, JOURNAL_COLUMNS
from lis.store.inbox_batch import digest as digest_of
from lis.store.inbox_recovery import RECOVERED_NOTE, recover_open_sessions
from lis.store.inbox_tables import PART_SIZES
from lis.store.rows import Inbox, InboxState, Journal

AT = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)
ASTM_UNIT = ReceivedUnit(
    protocol=Protocol.ASTM, lane=Lane.RESULT, raw=b"\x021H|\\^&\r\x03E5\r\n", received_at=AT
)
HL7_UNIT = ReceivedUnit(
    protocol=Protocol.HL7,
    lane=Lane.REQUEST,
    raw=b"MSH|^~\\&|HIS\r",
    received_at=AT,
    control_id="M1",
)
CUT_UNIT = replace(ASTM_UNIT, is_complete=False)

HINT_WAIT_S = 5.0


@pytest.fixture
def writer(store: Store) -> Iterator[InboxWriter]:
    writer = InboxWriter(store)
    writer.start()
    yield writer
    writer.stop()


def keep(
    writer: InboxWriter,
    *units: ReceivedUnit,
    lines: tuple[TrafficLine, ...] = (),
    link_id: int = 1,
) -> Awaitable[tuple[Receipt, ...]]:
    return writer.keep(
        link_id=link_id,
        device_id=4,
        driver="sysmex-xp-100",
        driver_version="1",
        lines=lines,
        units=units,
    )


def rows(store: Store, row: type) -> list:
    with store.read() as session:
        return list(session.scalars(select(row).order_by(row.id)))


async def test_a_receipt_means_that_the_unit_is_stored(store: Store, writer: InboxWriter):
    (receipt,) = await keep(writer, ASTM_UNIT)
    (stored,) = rows(store, Inbox)
    assert receipt == Receipt(inbox_id=stored.id)
    assert stored.raw == ASTM_UNIT.raw
    assert stored.state is InboxState.NEW


async def test_every_column_survives_the_way_past_the_orm(store: Store, writer: InboxWriter):
    await keep(writer, HL7_UNIT)
    (stored,) = rows(store, Inbox)
    got = {column.key: getattr(stored, column.key) for column in inspect(Inbox).column_attrs}
    assert got == {
        "id": stored.id,
        "link_id": 1,
        "received_at": AT,
        "protocol": "hl7",
        "lane": "request",
        "raw": HL7_UNIT.raw,
        "sha256": hashlib.sha256(HL7_UNIT.raw).digest(),
        "control_id": "M1",
        "state": InboxState.NEW,
        "device_id": 4,
        "driver": "sysmex-xp-100",
        "driver_version": "1",
        "hold_reason": "",
        "reply": None,
        "processed_at": None,
        "is_session_closed": None,
        "verdict": {},
    }


def test_the_raw_statements_name_every_column_that_needs_a_value():
    for row, named in (
        (Inbox, {*INBOX_COLUMNS, *INBOX_CONSTANTS}),
        (Journal, {*JOURNAL_COLUMNS, "id"}),
    ):
        columns = row.__table__.columns
        needed = {column.name for column in columns if not column.nullable}
        assert needed <= named <= {column.name for column in columns}


async def test_units_of_one_call_get_receipts_in_order(store: Store, writer: InboxWriter):
    units = [replace(ASTM_UNIT, raw=b"%d" % number) for number in range(3)]
    receipts = await keep(writer, *units)
    assert [row.raw for row in rows(store, Inbox)] == [b"0", b"1", b"2"]
    assert [receipt.inbox_id for receipt in receipts] == [row.id for row in rows(store, Inbox)]


async def test_many_links_at_once_lose_and_double_nothing(store: Store, writer: InboxWriter):
    async def link(link_id: int) -> list[int]:
        kept = []
        for number in range(10):
            unit = replace(HL7_UNIT, raw=b"%d.%d" % (link_id, number), control_id=str(number))
            (receipt,) = await keep(writer, unit, link_id=link_id)
            kept.append(receipt.inbox_id)
        return kept

    kept = await asyncio.gather(*(link(number) for number in range(20)))
    stored = rows(store, Inbox)
    assert len(stored) == 200
    assert sorted(inbox_id for ids in kept for inbox_id in ids) == [row.id for row in stored]
    for link_id, ids in enumerate(kept):
        mine = [row.raw for row in stored if row.link_id == link_id]
        assert mine == [b"%d.%d" % (link_id, number) for number in range(10)]
        assert ids == sorted(ids)


async def test_a_batch_larger_than_one_statement_is_stored_whole(store: Store, writer: InboxWriter):
    units = [replace(ASTM_UNIT, raw=b"%d" % number) for number in range(2 * PART_SIZES[0] + 37)]
    receipts = await keep(writer, *units)
    assert [row.raw for row in rows(store, Inbox)] == [unit.raw for unit in units]
    assert len({receipt.inbox_id for receipt in receipts}) == len(units)


# --- resends ------------------------------------------------------------------------------------


async def test_A6_a_resend_is_stored_once_and_answered_with_the_stored_reply(
    store: Store, writer: InboxWriter
):
    (first,) = await keep(writer, HL7_UNIT)
    with store.unit("request lane") as unit:
        store_reply(unit, first.inbox_id, b"MSA|AA")
    (second,) = await keep(writer, HL7_UNIT)
    assert second == Receipt(inbox_id=first.inbox_id, is_duplicate=True, reply=b"MSA|AA")
    assert len(rows(store, Inbox)) == 1
    with store.read() as session:
        assert stored_reply(session, first.inbox_id) == b"MSA|AA"


async def test_a_resend_inside_one_batch_is_recognised(store: Store, writer: InboxWriter):
    first, second = await keep(writer, HL7_UNIT, HL7_UNIT)
    assert (first.is_duplicate, second.is_duplicate) == (False, True)
    assert first.inbox_id == second.inbox_id
    assert len(rows(store, Inbox)) == 1


@pytest.mark.parametrize(
    ("other", "link_id"),
    [
        (replace(HL7_UNIT, raw=b"MSH|other\r"), 1),
        (replace(HL7_UNIT, control_id="M2"), 1),
        (HL7_UNIT, 2),
    ],
    ids=["same id, other bytes", "other id, same bytes", "other link"],
)
async def test_A6_what_differs_is_no_resend(store: Store, writer: InboxWriter, other, link_id):
    await keep(writer, HL7_UNIT)
    (receipt,) = await keep(writer, other, link_id=link_id)
    assert not receipt.is_duplicate
    assert len(rows(store, Inbox)) == 2


async def test_equal_astm_messages_are_both_stored(store: Store, writer: InboxWriter):
    await keep(writer, ASTM_UNIT)
    (receipt,) = await keep(writer, ASTM_UNIT)
    assert not receipt.is_duplicate
    assert len(rows(store, Inbox)) == 2


async def test_a_cut_message_never_stands_for_a_whole_one(store: Store, writer: InboxWriter):
    await keep(writer, replace(HL7_UNIT, is_complete=False))
    (receipt,) = await keep(writer, HL7_UNIT)
    assert not receipt.is_duplicate
    assert [row.state for row in rows(store, Inbox)] == [InboxState.INCOMPLETE, InboxState.NEW]


# --- the journal --------------------------------------------------------------------------------


async def test_the_journal_line_of_a_whole_unit_points_and_does_not_repeat(
    store: Store, writer: InboxWriter
):
    lines = (
        TrafficLine(at=AT, direction=Direction.OUT, data=b"\x06"),
        TrafficLine(at=AT, direction=Direction.IN, data=b"", note="last frame"),
        TrafficLine(at=AT, direction=Direction.OUT, data=b"", note="lines lost"),
    )
    first, second = await keep(writer, ASTM_UNIT, HL7_UNIT, lines=lines)
    journal = [
        (line.direction, line.data, line.inbox_id, line.note) for line in rows(store, Journal)
    ]
    assert journal == [
        ("out", b"\x06", None, ""),
        ("in", None, first.inbox_id, "last frame"),
        ("out", None, None, "lines lost"),
        ("in", None, second.inbox_id, ""),
    ]


async def test_the_journal_says_when_a_message_was_a_resend(store: Store, writer: InboxWriter):
    await keep(writer, HL7_UNIT)
    await keep(writer, HL7_UNIT)
    assert [line.note for line in rows(store, Journal)] == ["", "duplicate"]


async def test_lines_without_a_unit_are_kept_alone(store: Store, writer: InboxWriter):
    line = TrafficLine(at=AT, direction=Direction.IN, data=b"\x021H|\x17AB\r\n")
    assert await keep(writer, lines=(line,)) == ()
    (stored,) = rows(store, Journal)
    assert (stored.at, stored.data, stored.inbox_id) == (AT, line.data, None)


# --- what goes wrong ----------------------------------------------------------------------------


async def test_a_store_error_refuses_and_the_writer_recovers_alone(
    store: Store, writer: InboxWriter
):
    await keep(writer, ASTM_UNIT)
    with store.engines.write.begin() as connection:
        connection.execute(text("ALTER TABLE inbox RENAME TO gone"))
    with pytest.raises(KeepFailed):
        await keep(writer, ASTM_UNIT)
    with store.engines.write.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO inbox"))
    await keep(writer, ASTM_UNIT)
    assert len(rows(store, Inbox)) == 2
    assert writer.is_alive


async def test_a_full_disk_refuses_and_keeping_resumes_when_there_is_space(sqlite_store: Store):
    writer = InboxWriter(sqlite_store)
    writer.start()
    try:
        await keep(writer, ASTM_UNIT)
        table = writer._table
        assert table is not None
        table._execute("PRAGMA max_page_count=1")
        with pytest.raises(KeepFailed):
            await keep(writer, replace(ASTM_UNIT, raw=b"x" * 4_000_000))
        await keep(writer, ASTM_UNIT)  # a new connection has no such limit
    finally:
        writer.stop()
    assert len(rows(sqlite_store, Inbox)) == 2


async def test_nothing_is_kept_by_a_writer_that_does_not_run(store: Store):
    writer = InboxWriter(store)
    with pytest.raises(KeepFailed, match="does not run"):
        await keep(writer, ASTM_UNIT)
    writer.start()
    writer.stop()
    with pytest.raises(KeepFailed, match="does not run"):
        await keep(writer, ASTM_UNIT)


async def test_stopping_commits_what_waits(store: Store):
    writer = InboxWriter(store)
    writer.start()
    waiting = [keep(writer, ASTM_UNIT) for _ in range(5)]
    writer.stop()
    assert len(await asyncio.gather(*waiting)) == 5
    assert len(rows(store, Inbox)) == 5


async def test_the_queue_is_bounded(store: Store, writer: InboxWriter, monkeypatch):
    monkeypatch.setattr(inbox_module, "QUEUE_BYTES_MAX", 10)
    with store.lock.held(inbox_module.Priority.PEOPLE, owner="test"):
        first = keep(writer, ASTM_UNIT)
        while store.lock.waiting() == 0 and store.is_sqlite:
            await asyncio.sleep(0)
        waiting = []
        with pytest.raises(KeepFailed, match="wait for the disk"):  # noqa: PT012 - until full
            while True:
                waiting.append(keep(writer, ASTM_UNIT))
    await asyncio.gather(first, *waiting)


async def test_a_link_that_gave_up_waiting_does_not_disturb_others(
    store: Store, writer: InboxWriter
):
    gone = keep(writer, ASTM_UNIT)
    gone.cancel()
    await keep(writer, ASTM_UNIT)
    assert len(rows(store, Inbox)) == 2


async def test_a_commit_hints_at_new_messages(store: Store, writer: InboxWriter):
    told: asyncio.Queue[tuple[Hint, ...]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    store.on_commit(lambda hints: loop.call_soon_threadsafe(told.put_nowait, hints))
    await keep(
        writer, ASTM_UNIT, link_id=3
    )  # the receipt comes first, so that its ACK does not wait
    assert await asyncio.wait_for(told.get(), HINT_WAIT_S) == (Hint("inbox", "3"),)


async def test_how_a_session_ended_is_noted_on_its_messages(store: Store, writer: InboxWriter):
    (first,) = await keep(writer, ASTM_UNIT)
    (second,) = await keep(writer, ASTM_UNIT)
    writer.end_session([first.inbox_id], is_closed=True)
    writer.end_session([second.inbox_id], is_closed=False)
    await keep(writer, ASTM_UNIT)
    assert [row.is_session_closed for row in rows(store, Inbox)] == [True, False, None]


@pytest.mark.parametrize("size", [0, 1, HASH_STEP_BYTES, HASH_STEP_BYTES + 1, 10_000])
def test_the_digest_in_steps_is_the_digest(size):
    assert digest_of(b"x" * size) == hashlib.sha256(b"x" * size).digest()


# --- afterwards ---------------------------------------------------------------------------------


async def test_claims_are_new_results_in_inbox_order(store: Store, writer: InboxWriter):
    await keep(writer, ASTM_UNIT, HL7_UNIT, CUT_UNIT, ASTM_UNIT, ASTM_UNIT)
    everything = rows(store, Inbox)
    with store.read() as session:
        claimed = [row.id for row in claim_new(session, 2)]
    assert claimed == [everything[0].id, everything[3].id]


async def test_in_is_processed_held_new_or_incomplete(store: Store, writer: InboxWriter):
    receipts = await keep(writer, ASTM_UNIT, ASTM_UNIT, ASTM_UNIT, CUT_UNIT)
    with store.unit("intake") as unit:
        mark_processed(unit, receipts[0].inbox_id, {"observations": 20})
        mark_held(unit, receipts[1].inbox_id, "unknown_driver", {})
    with store.read() as session:
        counts = inbox_counts(session)
    assert counts == InboxCounts(received=4, new=1, processed=1, held=1, incomplete=1)


async def test_a_processed_message_is_not_moved_again(store: Store, writer: InboxWriter):
    (receipt,) = await keep(writer, ASTM_UNIT)
    with store.unit("intake") as unit:
        mark_processed(unit, receipt.inbox_id, {})
        mark_held(unit, receipt.inbox_id, "late", {})
    (stored,) = rows(store, Inbox)
    assert (stored.state, stored.hold_reason) == (InboxState.PROCESSED, "")


# --- after a crash ------------------------------------------------------------------------------


def frame(number: int, note: str = "") -> TrafficLine:
    return TrafficLine(
        at=AT, direction=Direction.IN, data=b"\x02%dR|1\r\x1700\r\n" % number, note=note
    )


async def test_acknowledged_frames_of_a_message_that_never_ended_become_evidence(
    store: Store, writer: InboxWriter, add_link: Callable[[str], int]
):
    link_id = add_link("xp-1")
    await keep(writer, ASTM_UNIT, lines=(frame(1),), link_id=link_id)
    enquiry = TrafficLine(at=AT, direction=Direction.IN, data=b"\x05")
    await keep(writer, lines=(enquiry, frame(1)), link_id=link_id)
    await keep(writer, lines=(frame(2, "refused: checksum"), frame(2)), link_id=link_id)
    with store.unit("start") as unit:
        (recovered,) = recover_open_sessions(unit)
    evidence = rows(store, Inbox)[-1]
    assert (evidence.id, evidence.state) == (recovered, InboxState.INCOMPLETE)
    assert evidence.raw == frame(1).data + frame(2).data
    assert rows(store, Journal)[-1].note == RECOVERED_NOTE
    with store.unit("start") as unit:
        assert recover_open_sessions(unit) == ()


async def test_after_a_clean_end_there_is_nothing_to_recover(
    store: Store, writer: InboxWriter, add_link: Callable[[str], int]
):
    link_id = add_link("xp-1")
    await keep(writer, lines=(frame(1),), link_id=link_id)
    await keep(writer, ASTM_UNIT, link_id=link_id)
    with store.unit("start") as unit:
        assert recover_open_sessions(unit) == ()
