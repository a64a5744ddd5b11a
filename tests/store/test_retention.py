"""Old traffic is forgotten; what a kept result was read from never is, whenever the process dies."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select

from lis.domain.clock import ManualClock
from lis.domain.messages import Reason
from lis.store import Store, retention
from lis.store.inbox_recovery import recover_open_sessions
from lis.store.observation_rows import Observation, UnreadableRecord
from lis.store.retention import Retention, pointing_to_inbox
from lis.store.rows import Audit, HostQueryLog, Inbox, InboxState, Journal
from lis.store.traffic_queries import log_host_query

AddLink = Callable[[str], int]
KEEP_DAYS = 30
OLD_MESSAGES = 60


def add_message(
    store: Store, link_id: int, *, state: InboxState = InboxState.PROCESSED, makes: str = ""
) -> int:
    """A message with its line; `makes` a result, an unreadable record, or nothing."""
    with store.unit("test") as unit:
        row = Inbox(
            link_id=link_id,
            received_at=unit.now,
            protocol="astm",
            lane="result",
            raw=b"H|\\^&\rL|1|N\r",
            sha256=b"",
            state=state,
        )
        unit.session.add(row)
        unit.session.flush()
        line = Journal(link_id=link_id, at=unit.now, direction="in", inbox_id=row.id)
        frame = Journal(link_id=link_id, at=unit.now, direction="in", data=b"\x021H\x0300")
        unit.session.add_all((frame, line))
        if makes == "result":
            unit.session.add(
                Observation(
                    public_id=unit.ids.new(),
                    site_id=1,
                    created_at=unit.now,
                    run_key="k",
                    test_code="WBC",
                    instrument_code="WBC",
                    reported="7.2",
                    inbox_id=row.id,
                    record="R|1",
                )
            )
        elif makes == "unreadable":
            unit.session.add(
                UnreadableRecord(
                    inbox_id=row.id,
                    record="R|1",
                    field="",
                    raw="?",
                    reason=Reason.UNREADABLE_RECORD.value,
                    created_at=unit.now,
                )
            )
        return row.id


def sweep(store: Store) -> int:
    """Run to the end; how many steps it took."""
    house = Retention(store, keep_days=KEEP_DAYS)
    steps = 1
    while house.step():
        steps += 1
    return steps


def left(store: Store) -> set[int]:
    with store.read() as session:
        return set(session.scalars(select(Inbox.id)))


def count(store: Store, model: type) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_what_is_old_and_made_nothing_goes_and_all_else_stays(
    store: Store, add_link: AddLink, manual_clock: ManualClock
):
    link = add_link("xp-1")
    empty = add_message(store, link)
    cut = add_message(store, link, state=InboxState.INCOMPLETE)
    kept = {
        add_message(store, link, makes="result"),
        add_message(store, link, makes="unreadable"),
        add_message(store, link, state=InboxState.HELD),
        add_message(store, link, state=InboxState.NEW),
    }
    manual_clock.advance(days=KEEP_DAYS + 2)
    fresh = add_message(store, link)
    sweep(store)
    assert left(store) == {*kept, fresh}
    assert not {empty, cut} & left(store)
    assert count(store, Journal) == 2  # of the fresh message
    with store.read() as session:
        (entry,) = session.scalars(select(Audit).where(Audit.action == "traffic_forgotten"))
    assert '"messages":2' in entry.text.replace(" ", "")


def test_nothing_goes_before_its_time(store: Store, add_link: AddLink, manual_clock: ManualClock):
    message = add_message(store, add_link("xp-1"))
    manual_clock.advance(days=KEEP_DAYS - 1)
    sweep(store)
    assert left(store) == {message}
    assert count(store, Journal) == 2
    manual_clock.advance(days=1, hours=1)  # the lines first, the message a day later
    sweep(store)
    assert (left(store), count(store, Journal)) == ({message}, 0)


def test_nothing_goes_where_everything_is_kept(
    store: Store, add_link: AddLink, manual_clock: ManualClock
):
    message = add_message(store, add_link("xp-1"))
    manual_clock.advance(days=10_000)
    assert not Retention(store, keep_days=0).step()
    assert left(store) == {message}


def test_host_queries_go_with_the_lines(store: Store, add_link: AddLink, manual_clock: ManualClock):
    add_link("xp-1")
    with store.unit("test") as unit:
        log_host_query(unit, device_id=1, asked=["1"], answered=[])
    manual_clock.advance(days=KEEP_DAYS, seconds=1)
    sweep(store)
    assert count(store, HostQueryLog) == 0


def test_a_sweep_is_made_of_short_steps_and_then_rests(
    store: Store, add_link: AddLink, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retention, "STEP_ROWS", 4)
    monkeypatch.setattr(retention, "WINDOW_IDS", 6)
    link = add_link("xp-1")
    kept = [add_message(store, link, makes="" if number % 3 else "result") for number in range(20)]
    manual_clock.advance(days=KEEP_DAYS + 2)
    house = Retention(store, keep_days=KEEP_DAYS)
    steps = 1
    while house.step():
        steps += 1
    assert steps > 10  # forty lines and thirteen messages, four at a time
    assert left(store) == set(kept[::3])
    add_message(store, link)
    assert not house.step()  # rests, whatever there is
    manual_clock.advance(days=KEEP_DAYS + 2)
    assert house.step()


def test_every_table_that_points_to_a_message_protects_it():
    named = {str(column) for column in pointing_to_inbox()}
    assert named >= {
        "observation.inbox_id",
        "control_point.inbox_id",
        "unreadable_record.inbox_id",
        "attachment.inbox_id",
        "requisition.source_inbox_id",
        "quarantine.inbox_id",
    }
    assert not named & {"journal.inbox_id", "host_query_log.inbox_id"}


@pytest.mark.parametrize("deletes", [1, 3, 4])
def test_a_kill_in_the_middle_loses_no_byte_a_result_was_read_from(
    store: Store, add_link: AddLink, manual_clock: ManualClock, deletes: int
):
    link = add_link("xp-1")
    kept = {
        add_message(store, link, makes="result" if number % 2 else "")
        for number in range(OLD_MESSAGES)
    }
    results = {number for number in kept if has_result(store, number)}
    manual_clock.advance(days=KEEP_DAYS + 2)
    before = left(store)
    assert killed_after(store, deletes, manual_clock.now()) == -signal.SIGKILL
    assert results <= left(store) <= before
    assert dangling(store) == 0
    sweep(store)
    assert left(store) == results
    assert dangling(store) == 0


def killed_after(store: Store, deletes: int, at: datetime) -> int:
    """The exit code of a process that forgets and is killed after so many DELETE statements."""
    text = (
        "from lis.store import retention; retention.STEP_ROWS = 20\n"
        "from tests.store.purge_program import main; main()"
    )
    command = [sys.executable, "-c", text, store.url, str(deletes), at.isoformat()]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert done.returncode < 0, done.stderr.decode()
    return done.returncode


def has_result(store: Store, inbox_id: int) -> bool:
    with store.read() as session:
        query = select(func.count()).where(Observation.inbox_id == inbox_id)
        return bool(session.scalar(query))


def dangling(store: Store) -> int:
    """Results whose message is gone."""
    with store.read() as session:
        query = (
            select(func.count())
            .select_from(Observation)
            .outerjoin(Inbox, Inbox.id == Observation.inbox_id)
            .where(Inbox.id.is_(None))
        )
        return session.scalar(query) or 0


def test_forgotten_lines_are_not_taken_for_an_unfinished_session(
    store: Store, add_link: AddLink, manual_clock: ManualClock
):
    add_message(store, add_link("xp-1"), makes="result")
    manual_clock.advance(days=KEEP_DAYS, seconds=1)
    sweep(store)
    with store.unit("test") as unit:
        assert recover_open_sessions(unit) == ()
