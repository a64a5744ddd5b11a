"""The write lock: who is served next, and that nobody waits for ever."""

import threading

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from lis.store.lock import PASSED_OVER_MAX, Priority, StoreBusy, WriteLock, _Waiter, choose_next

PRIORITIES = st.sampled_from(list(Priority))


def serve_all(waiters: list[_Waiter]) -> list[_Waiter]:
    """The order of service when nobody new arrives, counted as `WriteLock._release` counts."""
    left, served = list(waiters), []
    while left:
        chosen = choose_next(left)
        position = left.index(chosen)
        for earlier in left[:position]:
            earlier.passed_over += 1
        del left[position]
        served.append(chosen)
    return served


@given(st.lists(PRIORITIES, max_size=PASSED_OVER_MAX))
def test_smaller_priority_is_served_first_and_equals_in_order_of_arrival(priorities):
    waiters = [_Waiter(priority) for priority in priorities]
    expected = [
        waiter for priority in Priority for waiter in waiters if waiter.priority is priority
    ]
    assert serve_all(waiters) == expected


@given(st.lists(PRIORITIES, min_size=1, max_size=60))
def test_nobody_is_passed_over_longer_than_the_bound(priorities):
    waiters = [_Waiter(priority) for priority in priorities]
    served = serve_all(waiters)
    for place, waiter in enumerate(waiters):
        overtakers = [other for other in served[: served.index(waiter)] if other in waiters[place:]]
        assert len(overtakers) <= PASSED_OVER_MAX + place


def test_an_outbox_writer_is_not_starved_by_an_endless_bench():
    outbox = _Waiter(Priority.OUTBOX)
    waiting = [outbox]
    grants = 0
    while True:
        waiting.append(_Waiter(Priority.INBOX))
        chosen = choose_next(waiting)
        grants += 1
        if chosen is outbox:
            break
        outbox.passed_over += 1
        waiting.remove(chosen)
    assert grants == PASSED_OVER_MAX + 1


def test_the_lock_is_handed_over_by_priority():
    lock = WriteLock()
    order: list[str] = []

    def write(priority: Priority) -> None:
        with lock.held(priority, owner=priority.name):
            order.append(priority.name)

    threads = []
    with lock.held(Priority.PEOPLE, owner="first"):
        for priority in (Priority.OUTBOX, Priority.INTAKE, Priority.INBOX):
            thread = threading.Thread(target=write, args=(priority,))
            thread.start()
            threads.append(thread)
            while lock.waiting() < len(threads):
                pass
    for thread in threads:
        thread.join()
    assert order == ["INBOX", "INTAKE", "OUTBOX"]


def test_a_lock_that_is_never_given_back_fails_loudly():
    lock = WriteLock(wait_max_s=0.01)
    failed: list[str] = []

    def write() -> None:
        try:
            with lock.held(Priority.PEOPLE, owner="second"):
                pass
        except StoreBusy as busy:
            failed.append(str(busy))

    with lock.held(Priority.INBOX, owner="first"):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert lock.waiting() == 0
    assert failed == ["second waited 0.01 s for the write lock"]
    with lock.held(Priority.INBOX, owner="third"):
        pass


def test_a_long_transaction_is_logged_with_its_owner(monkeypatch):
    times = iter([10.0, 10.5])
    monkeypatch.setattr("lis.store.lock.time.perf_counter", lambda: next(times))
    lock = WriteLock()
    with (
        structlog.testing.capture_logs() as logs,
        lock.held(Priority.INTAKE, owner="intake"),
    ):
        pass
    assert logs == [
        {
            "event": "long_transaction",
            "log_level": "warning",
            "owner": "intake",
            "priority": "intake",
            "held_ms": 500.0,
        }
    ]
    assert lock.longest_hold_s == pytest.approx(0.5)


def test_on_postgresql_the_lock_only_measures():
    lock = WriteLock(is_exclusive=False)
    with (
        lock.held(Priority.PEOPLE, owner="one"),
        lock.held(Priority.PEOPLE, owner="two"),
    ):
        assert lock.waiting() == 0
