"""Deliveries: in order per order key, one in flight, never lost, undone only before anybody saw."""

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from lis.domain.clock import ManualClock
from lis.domain.errors import NotFound, Refused
from lis.store import Store
from lis.store.outbox import (
    DEAD_LETTER,
    LEASE,
    RETRY_MAX_S,
    RETRY_MIN_S,
    cancel,
    claim_due,
    dead_letters,
    mark_acknowledged,
    mark_dead,
    next_due,
    replay,
    retry_at,
    retry_delay,
)
from lis.store.rows import Audit, Outbox, OutboxState
from lis.store.traffic_queries import open_alarms

HIS = "emr:his"


def send(store: Store, *keys: str, after_s: float = 0, destination: str = HIS) -> None:
    """Each key is `order:version`."""
    with store.unit("test") as unit:
        for key in keys:
            unit.send(
                destination=destination,
                key=f"{key}:{destination}",
                order_key=key.split(":")[0],
                payload={"key": key},
                not_before=unit.now + timedelta(seconds=after_s),
            )


def claim(store: Store, limit: int = 100, destination: str = HIS) -> dict[str, int]:
    """Claim what is due; gives `order:version` and row id."""
    with store.unit("sender") as unit:
        return {
            row.payload["key"]: row.id
            for row in claim_due(unit.session, destination, unit.now, limit)
        }


def acknowledge(store: Store, outbox_id: int) -> None:
    with store.unit("sender") as unit:
        mark_acknowledged(unit, outbox_id)


def bury(store: Store, outbox_id: int) -> None:
    with store.unit("sender") as unit:
        mark_dead(unit, outbox_id, "AR: unknown patient")


def states(store: Store) -> dict[str, OutboxState]:
    with store.read() as session:
        return {row.payload["key"]: row.state for row in session.scalars(select(Outbox))}


def test_nothing_leaves_before_its_time(store: Store, manual_clock: ManualClock):
    send(store, "A:1", after_s=5)
    manual_clock.advance(seconds=4.999)
    assert claim(store) == {}
    manual_clock.advance(seconds=0.001)
    assert list(claim(store)) == ["A:1"]


def test_versions_of_one_order_leave_in_order_one_at_a_time(store: Store):
    send(store, "A:1", "A:2", "B:1")
    first = claim(store)
    assert list(first) == ["A:1", "B:1"]
    assert claim(store) == {}
    acknowledge(store, first["A:1"])
    assert list(claim(store)) == ["A:2"]


def test_a_later_version_does_not_overtake_one_that_is_not_due_yet(
    store: Store, manual_clock: ManualClock
):
    send(store, "A:1", after_s=5)
    send(store, "A:2")
    assert claim(store) == {}
    manual_clock.advance(seconds=5)
    assert list(claim(store)) == ["A:1"]


def test_destinations_do_not_wait_for_each_other(store: Store):
    send(store, "A:1")
    send(store, "A:1", destination="emr:other")
    assert list(claim(store)) == ["A:1"]
    assert list(claim(store, destination="emr:other")) == ["A:1"]


def test_a_sender_that_died_is_forgotten_when_its_lease_ends(
    store: Store, manual_clock: ManualClock
):
    send(store, "A:1", "A:2")
    claim(store)
    manual_clock.advance(seconds=LEASE.total_seconds() - 1)
    assert claim(store) == {}
    manual_clock.advance(seconds=1)
    assert list(claim(store)) == ["A:1"]


def test_a_transport_failure_is_tried_again_and_blocks_its_own_order_only(
    store: Store, manual_clock: ManualClock
):
    send(store, "A:1", "A:2", "B:1")
    claimed = claim(store, limit=1)
    with store.unit("sender") as unit:
        retry_at(unit, claimed["A:1"], unit.now + timedelta(seconds=30), "connection refused")
    assert list(claim(store)) == ["B:1"]
    manual_clock.advance(seconds=30)
    assert list(claim(store)) == ["A:1"]
    with store.read() as session:
        row = session.get_one(Outbox, claimed["A:1"])
        assert (row.attempts, row.last_error) == (2, "connection refused")


def test_acknowledging_twice_does_no_harm(store: Store, manual_clock: ManualClock):
    send(store, "A:1")
    outbox_id = claim(store)["A:1"]
    acknowledge(store, outbox_id)
    manual_clock.advance(seconds=1)
    acknowledge(store, outbox_id)
    with store.unit("late sender") as unit:
        retry_at(unit, outbox_id, unit.now, "late")
        mark_dead(unit, outbox_id, "late")
    with store.read() as session:
        row = session.get_one(Outbox, outbox_id)
        assert row.state is OutboxState.ACKNOWLEDGED
        assert row.acknowledged_at == manual_clock.now() - timedelta(seconds=1)


def test_a_refusal_is_kept_with_its_reason_and_an_alarm(store: Store):
    send(store, "A:1", "A:2")
    bury(store, claim(store)["A:1"])
    with store.read() as session:
        (letter,) = dead_letters(session, 10)
        (alarm,) = open_alarms(session, limit=10)
        assert letter.last_error == "AR: unknown patient"
        assert (alarm.kind, alarm.subject) == (DEAD_LETTER, "A:1:emr:his")
    assert list(claim(store)) == ["A:2"], "a correction does not wait behind a refused version"


def test_a_person_replays_a_dead_letter_and_says_why(store: Store):
    send(store, "A:1")
    outbox_id = claim(store)["A:1"]
    bury(store, outbox_id)
    with store.unit("boris") as unit:
        replay(unit, outbox_id, "patient was registered")
    with store.read() as session:
        assert open_alarms(session, limit=10) == []
        audit = session.scalars(select(Audit).where(Audit.action == "replay")).one()
        assert audit.actor == "boris"
        assert "patient was registered" in audit.text
    assert claim(store) == {"A:1": outbox_id}


def test_an_old_version_is_never_replayed_over_a_newer_one(store: Store):
    send(store, "A:1", "A:2")
    first = claim(store)["A:1"]
    bury(store, first)
    acknowledge(store, claim(store)["A:2"])
    with store.unit("boris") as unit, pytest.raises(Refused, match="newer_version_delivered"):
        replay(unit, first, "try again")


def test_only_dead_letters_are_replayed_and_only_with_a_reason(store: Store):
    send(store, "A:1")
    outbox_id = claim(store)["A:1"]
    with store.unit("boris") as unit:
        with pytest.raises(Refused, match="outbox_not_dead"):
            replay(unit, outbox_id, "why not")
        with pytest.raises(NotFound):
            replay(unit, 999, "why not")
    bury(store, outbox_id)
    with store.unit("boris") as unit, pytest.raises(Refused, match="reason_missing"):
        replay(unit, outbox_id, " ")


def test_S08_undo_works_before_anybody_saw_it_and_never_after(
    store: Store, manual_clock: ManualClock
):
    send(store, "A:1", "B:1", after_s=5)
    manual_clock.advance(seconds=4)
    with store.unit("anna") as unit:
        assert cancel(unit, f"A:1:{HIS}")
    manual_clock.advance(seconds=1)
    with store.unit("anna") as unit:
        assert not cancel(unit, f"B:1:{HIS}")
    assert list(claim(store)) == ["B:1"]
    assert states(store) == {"A:1": OutboxState.CANCELLED, "B:1": OutboxState.SENT}


def test_a_sender_knows_how_long_it_may_sleep(store: Store, manual_clock: ManualClock):
    def due() -> datetime | None:
        with store.read() as session:
            return next_due(session, HIS)

    now = manual_clock.now()
    assert due() is None
    send(store, "A:1", after_s=5)
    assert due() == now + timedelta(seconds=5)
    manual_clock.advance(seconds=5)
    outbox_id = claim(store)["A:1"]
    assert due() == manual_clock.now() + LEASE
    with store.unit("sender") as unit:
        retry_at(unit, outbox_id, unit.now + timedelta(seconds=7), "refused")
    assert due() == manual_clock.now() + timedelta(seconds=7)
    manual_clock.advance(seconds=7)
    acknowledge(store, claim(store)["A:1"])
    assert due() is None


@given(attempts=st.integers(0, 10_000), seed=st.integers(0, 1000))
def test_retries_are_spread_between_one_second_and_five_minutes(attempts, seed):
    delay_s = retry_delay(attempts, random.Random(seed).random).total_seconds()
    assert RETRY_MIN_S <= delay_s <= min(RETRY_MAX_S, 2.0 ** min(max(attempts, 1), 20))


def test_claiming_reads_the_index_of_what_waits(sqlite_store: Store):
    with sqlite_store.engines.write.connect() as connection:
        plan = connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT id FROM outbox WHERE outbox.state IN ('new','sent')"
                " AND destination = 'x' AND not_before <= '2026'"
            )
        ).all()
    assert "ix_outbox_due" in str(plan)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "claim", "acknowledge", "retry", "dead", "replay", "wait"]),
        st.integers(0, 2),
    ),
    max_size=40,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_whatever_happens_an_order_is_delivered_in_order_and_one_at_a_time(tmp_path_factory, steps):
    clock = ManualClock()
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'lis.db'}", clock=clock)
    store.create_all()
    sent: dict[str, int] = {"0": 0, "1": 0, "2": 0}
    flying: dict[str, int] = {}
    delivered: dict[str, list[int]] = {"0": [], "1": [], "2": []}
    dead: dict[str, int] = {}
    for action, number in steps:
        order = str(number)
        mine = next((key for key in flying if key.startswith(order)), None)
        match action:
            case "send":
                sent[order] += 1
                send(store, f"{order}:{sent[order]}", after_s=number)
            case "claim":
                claimed = claim(store)
                orders = [key.split(":")[0] for key in (*flying, *claimed)]
                assert len(orders) == len(set(orders)), "two of one order in flight"
                flying |= claimed
            case "acknowledge" if mine:
                acknowledge(store, flying.pop(mine))
                delivered[order].append(int(mine.split(":")[1]))
            case "retry" if mine:
                with store.unit("sender") as unit:
                    retry_at(unit, flying.pop(mine), unit.now + timedelta(seconds=1), "refused")
            case "dead" if mine:
                dead[mine] = flying[mine]
                bury(store, flying.pop(mine))
            case "replay" if dead:
                key, outbox_id = dead.popitem()
                try:
                    with store.unit("boris") as unit:
                        replay(unit, outbox_id, "again")
                except Refused:
                    dead.setdefault(key, outbox_id)
            case _:
                clock.advance(seconds=1)
    store.close()
    for versions in delivered.values():
        assert versions == sorted(set(versions))
