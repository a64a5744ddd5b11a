"""One alarm for a silence, and none when the instrument speaks again."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from lis.app import silence_watch
from lis.app.alarms import close_alarm_by_hand
from lis.app.silence_watch import SILENCE, SilenceWatch
from lis.domain.clock import ManualClock
from lis.store import Store
from lis.store.rows import Alarm, Device, Inbox, Link, Site

WEEKS = 3


@pytest.fixture
def store(store_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    """A laboratory whose analyzer spoke every hour for three weeks, until now."""
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("test") as unit:
        site = Site(name="main", timezone="Europe/Moscow")
        unit.session.add(site)
        unit.session.flush()
        device = Device(
            public_id=unit.ids.new(),
            site_id=site.id,
            name="xp-1",
            driver="sysmex-xp-100",
            timezone="Europe/Moscow",
        )
        unit.session.add(device)
        unit.session.flush()
        link = Link(
            name="xp-1",
            address="memory://x",
            purpose="instrument",
            device_id=device.id,
            state="listening",
        )
        unit.session.add(link)
        unit.session.flush()
        for hours in range(WEEKS * 168 + 2, -1, -1):
            add_message(unit, link.id, hours)
    yield store
    store.close()


def add_message(unit, link_id: int, hours_ago: float = 0) -> None:
    unit.session.add(
        Inbox(
            link_id=link_id,
            received_at=unit.now - timedelta(hours=hours_ago),
            protocol="astm",
            lane="result",
            raw=b"",
            sha256=b"",
        )
    )
    unit.session.flush()


def speak(store: Store) -> None:
    with store.unit("link") as unit:
        add_message(unit, unit.session.query(Link).one().id)


def look(watch: SilenceWatch) -> None:
    while watch.step():
        pass


def alarms(store: Store) -> list[tuple[str, bool]]:
    with store.read() as session:
        rows = session.query(Alarm).filter_by(kind=SILENCE).order_by(Alarm.id).all()
        return [(row.subject, row.closed_at is None) for row in rows]


def test_a_silence_opens_one_alarm_which_ends_with_the_next_message(
    store: Store, manual_clock: ManualClock
):
    watch = SilenceWatch(store)
    look(watch)
    assert alarms(store) == []
    manual_clock.advance(hours=4)
    look(watch)
    look(watch)
    assert alarms(store) == [("xp-1", True)]
    speak(store)
    look(watch)
    assert alarms(store) == [("xp-1", False)]


def test_a_new_silence_is_a_new_alarm(store: Store, manual_clock: ManualClock):
    watch = SilenceWatch(store)
    for _ in range(2):
        manual_clock.advance(hours=4)
        look(watch)
        speak(store)
        look(watch)
    assert alarms(store) == [("xp-1", False), ("xp-1", False)]


def test_an_alarm_that_a_person_closed_does_not_come_back_for_the_same_silence(
    store: Store, manual_clock: ManualClock
):
    watch = SilenceWatch(store)
    manual_clock.advance(hours=4)
    look(watch)
    with store.unit("anna") as unit:
        close_alarm_by_hand(unit, unit.session.query(Alarm).one().id)
    manual_clock.advance(hours=4)
    look(watch)
    assert alarms(store) == [("xp-1", False)]


def test_the_time_when_the_house_was_down_is_no_silence(store: Store, manual_clock: ManualClock):
    manual_clock.advance(hours=12)
    watch = SilenceWatch(store)
    look(watch)
    assert alarms(store) == []
    manual_clock.advance(hours=4)
    look(watch)
    assert alarms(store) == [("xp-1", True)]


def test_a_stopped_link_is_not_missed(store: Store, manual_clock: ManualClock):
    with store.unit("test") as unit:
        unit.session.query(Link).one().state = "stopped"
    watch = SilenceWatch(store)
    manual_clock.advance(hours=12)
    look(watch)
    assert alarms(store) == []


def test_history_is_learned_in_parts(
    store: Store, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(silence_watch, "LEARN_ROWS", 100)
    watch = SilenceWatch(store)
    steps = 1
    while watch.step():
        steps += 1
    assert steps == (WEEKS * 168 + 3) // 100 + 1
    manual_clock.advance(hours=4)
    look(watch)
    assert alarms(store) == [("xp-1", True)]
