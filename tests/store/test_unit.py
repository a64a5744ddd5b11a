"""The unit of work: all of it or nothing."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from lis.store import CountingIds, Hint, NestedUnit, RandomIds, Store
from lis.store.rows import Audit, Outbox, Sequence, Site


def count(store: Store, row: type) -> int:
    with store.read() as session:
        return session.execute(select(func.count()).select_from(row)).scalar_one()


def change_everything(unit) -> None:
    unit.session.add(Site(name="main", timezone="Europe/Moscow"))
    unit.audit("create", "site", "main")
    unit.send(destination="emr:his", key="r:1:his", order_key="F1", payload={}, not_before=unit.now)
    unit.next_number("accession")
    unit.publish("order", 1)


def send_again(unit) -> None:
    unit.audit("create", "site", "other")
    unit.send(destination="emr:his", key="r:1:his", order_key="F1", payload={}, not_before=unit.now)


def fail(unit) -> None:
    raise ZeroDivisionError


def run_unit(store: Store, *steps) -> None:
    with store.unit("anna") as unit:
        for step in steps:
            step(unit)


def test_rows_audit_and_outbox_commit_together(store: Store):
    with store.unit("anna") as unit:
        change_everything(unit)
    assert [count(store, row) for row in (Site, Audit, Outbox, Sequence)] == [1, 1, 1, 1]


def test_a_unit_that_raises_leaves_nothing(store: Store):
    hints = []
    store.on_commit(hints.append)
    with pytest.raises(ZeroDivisionError):
        run_unit(store, change_everything, fail)
    assert [count(store, row) for row in (Site, Audit, Outbox, Sequence)] == [0, 0, 0, 0]
    assert hints == []


def test_a_unit_that_fails_at_its_end_leaves_nothing(store: Store):
    with store.unit("anna") as unit:
        change_everything(unit)
    with pytest.raises(IntegrityError):
        run_unit(store, send_again)
    assert [count(store, row) for row in (Site, Audit, Outbox)] == [1, 1, 1]


def test_hints_come_after_the_commit_once_each(store: Store):
    seen = []

    def listen(hints):
        seen.append((hints, count(store, Site)))

    store.on_commit(listen)
    with store.unit("anna") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        unit.publish("device", 7)
        unit.publish("device", 7)
        unit.publish("gate", "7:K")
        assert seen == []
    assert seen == [((Hint("device", "7"), Hint("gate", "7:K")), 1)]


def test_a_unit_without_hints_tells_nobody(store: Store):
    seen = []
    store.on_commit(seen.append)
    with store.unit("anna"):
        pass
    assert seen == []


def test_nested_units_are_refused(store: Store):
    with (
        store.unit("anna"),
        pytest.raises(NestedUnit, match="boris opened a unit inside one of anna"),
        store.unit("boris"),
    ):
        pass
    with store.unit("boris"):
        pass


def test_time_stands_still_in_a_unit(store: Store, manual_clock):
    with store.unit("anna") as unit:
        before = unit.now
        manual_clock.advance(minutes=5)
        assert unit.now == before
    with store.unit("anna") as unit:
        assert unit.now == before + timedelta(minutes=5)


def test_numbers_go_up_by_one_and_a_failed_unit_gives_its_number_back(store: Store):
    with store.unit("anna") as unit:
        assert [unit.next_number("accession", start=100) for _ in range(3)] == [100, 101, 102]
        assert unit.next_number("filler") == 1
    with pytest.raises(ZeroDivisionError):
        run_unit(store, lambda unit: unit.next_number("accession"), fail)
    with store.unit("anna") as unit:
        assert unit.next_number("accession") == 103


def test_numbers_are_unique_across_threads(store: Store):
    numbers: list[int] = []

    def take() -> None:
        for _ in range(5):
            with store.unit("test") as unit:
                numbers.append(unit.next_number("accession"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 21))


def test_public_ids_are_uuid7_and_can_be_fixed():
    ids = RandomIds()
    assert ids.new()[14] == "7"
    assert ids.new() != ids.new()
    assert CountingIds().new() == "00000000-0000-7000-8000-000000000001"
