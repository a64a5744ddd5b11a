"""Migrating: the migrations and the rows say the same, and only one process migrates."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Inspector, MetaData, inspect, text

from lis.domain.clock import ManualClock
from lis.store import Store
from lis.store.migrations import MigrationLocked, head_revision, migrate, migrating
from lis.store.migrations.migrating import OWN_TABLES, present_revision
from lis.store.rows import Base


@pytest.fixture
def empty(empty_store_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    store = Store.open(empty_store_url, clock=manual_clock)
    yield store
    store.close()


def index_of(index) -> tuple[object, ...]:
    where = [
        str(value) for key, value in index.get("dialect_options", {}).items() if "where" in key
    ]
    return (index["name"], index["column_names"], bool(index["unique"]), where)


def schema(store: Store) -> dict[str, object]:
    inspector: Inspector = inspect(store.engines.read)
    names = sorted(set(inspector.get_table_names()) - OWN_TABLES)
    return {
        name: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"])
                for column in inspector.get_columns(name)
            ],
            "primary": inspector.get_pk_constraint(name),
            "foreign": sorted(inspector.get_foreign_keys(name), key=str),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "indexes": sorted(index_of(index) for index in inspector.get_indexes(name)),
        }
        for name in names
    }


def drop_everything(store: Store) -> None:
    everything = MetaData()
    with store.engines.write.begin() as connection:
        everything.reflect(connection)
        everything.drop_all(connection)


def test_the_migrations_make_exactly_the_mapped_schema(empty: Store):
    empty.migrate()
    with empty.engines.write.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda item, name, kind, *_: name not in OWN_TABLES,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_and_creating_give_equal_schemas(empty: Store):
    empty.migrate()
    migrated = schema(empty)
    drop_everything(empty)
    empty.create_all()
    assert schema(empty) == migrated
    assert len(migrated) == len(Base.metadata.tables)


def test_a_created_store_needs_no_migration(empty: Store):
    empty.create_all()
    with empty.engines.read.connect() as connection:
        assert present_revision(connection) == head_revision()
    empty.migrate()
    assert "migration_lock" not in inspect(empty.engines.read).get_table_names()


def test_migrating_twice_changes_nothing(empty: Store):
    empty.migrate()
    with empty.unit("test") as unit:
        unit.next_number("accession")
    empty.migrate()
    with empty.unit("test") as unit:
        assert unit.next_number("accession") == 2


def test_foreign_keys_are_kept_again_after_migrating(empty: Store):
    empty.migrate()
    if empty.is_sqlite:
        with empty.unit("test") as unit:
            assert unit.session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_a_second_process_is_told_who_migrates(empty: Store, monkeypatch):
    monkeypatch.setattr(migrating, "LOCK_POLLS_MAX", 0)
    with (
        migrating._held_lock(empty.engines.write, empty.clock, "labserver process 17"),
        pytest.raises(MigrationLocked, match="labserver process 17"),
    ):
        empty.migrate()
    empty.migrate()


def test_a_process_that_died_migrating_locks_nobody_out_for_ever(
    empty: Store, manual_clock: ManualClock, monkeypatch
):
    monkeypatch.setattr(migrating, "LOCK_POLLS_MAX", 0)
    migrating._lock.create(empty.engines.write)
    assert migrating._try_lock(empty.engines.write, empty.clock, "dead process") is None
    manual_clock.at += migrating.LOCK_EXPIRES + timedelta(seconds=1)
    empty.migrate()
    with empty.engines.read.connect() as connection:
        assert present_revision(connection) == head_revision()


def test_two_processes_that_start_together_both_come_up(empty: Store, monkeypatch):
    monkeypatch.setattr(migrating, "LOCK_POLL_S", 0.01)
    with ThreadPoolExecutor(2) as threads:
        starts = [threads.submit(migrate, empty.engines.write, empty.clock) for _ in range(2)]
    assert [start.result() for start in starts] == [None, None]
    assert len(schema(empty)) == len(Base.metadata.tables)
