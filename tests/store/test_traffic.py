"""Devices, links, host queries and alarms."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from lis.domain.clock import ManualClock
from lis.store import Store
from lis.store.rows import Audit
from lis.store.traffic_queries import (
    all_devices,
    all_links,
    close_alarm,
    device_by_name,
    host_queries,
    link_by_name,
    log_host_query,
    note_link_state,
    note_message,
    open_alarm,
    open_alarms,
    set_quarantine,
)

AddLink = Callable[[str], int]


def test_devices_and_links_are_found_by_name(store: Store, add_link: AddLink):
    add_link("xp-2")
    link_id = add_link("xp-1")
    with store.read() as session:
        assert [device.name for device in all_devices(session)] == ["xp-1", "xp-2"]
        assert [link.name for link in all_links(session)] == ["xp-1", "xp-2"]
        link = link_by_name(session, "xp-1")
        device = device_by_name(session, "xp-1")
        assert link is not None
        assert device is not None
        assert (link.id, link.device_id) == (link_id, device.id)
        assert link_by_name(session, "xn-9") is None


def test_a_link_remembers_its_state_and_a_device_its_last_word(
    store: Store, add_link: AddLink, manual_clock: ManualClock
):
    link_id = add_link("xp-1")
    hints = []
    store.on_commit(hints.extend)
    with store.unit("links") as unit:
        note_link_state(unit, link_id, "connected", "10.0.0.7:5000")
        device = device_by_name(unit.session, "xp-1")
        assert device is not None
        note_message(unit, device.id, unit.now - timedelta(seconds=3), -12)
        note_message(unit, device.id, unit.now, None)
    with store.read() as session:
        link = link_by_name(session, "xp-1")
        device = device_by_name(session, "xp-1")
        assert link is not None
        assert device is not None
        assert (link.state, link.peer, link.changed_at) == (
            "connected",
            "10.0.0.7:5000",
            manual_clock.now(),
        )
        assert (device.last_message_at, device.clock_offset_s) == (manual_clock.now(), -12)
    assert {hint.topic for hint in hints} == {"link", "device"}


def test_a_quarantine_is_audited(store: Store, add_link: AddLink):
    add_link("xp-1")
    with store.unit("boris") as unit:
        device = device_by_name(unit.session, "xp-1")
        assert device is not None
        set_quarantine(unit, device.id, "swapped ports")
        set_quarantine(unit, device.id, "")
    with store.read() as session:
        device = device_by_name(session, "xp-1")
        assert device is not None
        assert device.quarantine_reason == ""
        actions = session.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert actions == ["quarantine", "end_quarantine"]


def test_an_empty_answer_to_a_host_query_keeps_its_reason(store: Store, add_link: AddLink):
    add_link("xp-1")
    with store.unit("request lane") as unit:
        device = device_by_name(unit.session, "xp-1")
        assert device is not None
        log_host_query(
            unit,
            device_id=device.id,
            asked=["26000018"],
            answered=[],
            empty_reason="unknown_specimen",
        )
    with store.read() as session:
        (entry,) = host_queries(session, device.id, limit=10)
    assert (entry.asked, entry.answered, entry.empty_reason) == (
        ["26000018"],
        [],
        "unknown_specimen",
    )


def test_one_cause_is_one_alarm_until_it_is_closed(store: Store):
    with store.unit("supervisor") as unit:
        first = open_alarm(unit, kind="silence", subject="xp-1", parameters={"minutes": 10})
        assert open_alarm(unit, kind="silence", subject="xp-1") is first
        open_alarm(unit, kind="silence", subject="xp-2")
    with store.unit("supervisor") as unit:
        assert close_alarm(unit, kind="silence", subject="xp-1")
        assert not close_alarm(unit, kind="silence", subject="xp-1")
    with store.read() as session:
        assert [alarm.subject for alarm in open_alarms(session, limit=10)] == ["xp-2"]
