"""Backup and restore: everything comes back, nothing is numbered twice, people are told."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from lis.domain.clock import ManualClock
from lis.domain.errors import Malformed
from lis.store import Store
from lis.store.audit import AuditFault, seal
from lis.store.backup import (
    RESTORED,
    SEQUENCE_JUMP,
    BackupFailed,
    backup,
    manifest_path,
    restore,
)
from lis.store.rows import Site
from lis.store.traffic_queries import open_alarms


@pytest.fixture
def target_url(store_url: str, tmp_path: Path) -> Iterator[str]:
    """An empty place beside the store."""
    url = make_url(store_url)
    if url.get_backend_name() == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.db'}"
        return
    name = f"{url.database}_restored"
    admin = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def full(store: Store) -> Store:
    if not store.is_sqlite and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not on PATH")
    for number in range(3):
        with store.unit("anna") as unit:
            unit.session.add(Site(name=f"site {number}", timezone="Europe/Moscow"))
            unit.next_number("accession:26")
            unit.audit("create", "site", number)
    seal(store)
    return store


def test_what_was_backed_up_comes_back(full: Store, target_url: str, tmp_path: Path):
    report = backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    assert report.audit.is_intact
    assert (report.rows["site"], report.rows["audit"]) == (3, 3)
    restored = restore(report.path, target_url, clock=full.clock)
    assert restored.is_complete
    assert restored.rows == report.rows
    assert restored.audit.head == report.audit.head


def test_S17_numbers_jump_past_every_printed_label(full: Store, target_url: str, tmp_path: Path):
    backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    with full.unit("anna") as unit:
        printed = [unit.next_number("accession:26") for _ in range(50)]
    restored = restore(tmp_path / "lis.backup", target_url, clock=full.clock)
    assert restored.sequences_moved == 1
    store = Store.open(target_url, clock=full.clock)
    with store.unit("anna") as unit:
        assert unit.next_number("accession:26") == 3 + SEQUENCE_JUMP + 1 > max(printed)
    store.close()


def test_S34_a_restore_leaves_an_alarm_to_reconcile_reports(
    full: Store, target_url: str, tmp_path: Path, manual_clock: ManualClock
):
    taken_at = manual_clock.now()
    backup(full.url, tmp_path / "lis.backup", clock=manual_clock)
    manual_clock.advance(hours=5)
    restore(tmp_path / "lis.backup", target_url, clock=manual_clock)
    store = Store.open(target_url, clock=manual_clock)
    with store.read() as session:
        (alarm,) = open_alarms(session, limit=10)
        assert (alarm.kind, alarm.subject) == (RESTORED, taken_at.isoformat())
        assert alarm.opened_at == manual_clock.now()
    store.close()


def test_a_backup_does_not_stop_the_laboratory(full: Store, tmp_path: Path):
    with full.unit("anna") as unit:
        unit.session.add(Site(name="while copying", timezone="Europe/Moscow"))
        unit.session.flush()
        report = backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    assert report.rows["site"] == 3


def test_a_tampered_chain_is_backed_up_and_named(full: Store, target_url: str, tmp_path: Path):
    with full.engines.write.begin() as connection:
        connection.execute(text("UPDATE audit SET actor = 'boris' WHERE position = 2"))
    report = backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    assert report.audit.fault is AuditFault.ALTERED
    assert not restore(report.path, target_url, clock=full.clock).is_complete


def test_a_restore_that_misses_rows_says_which(sqlite_store: Store, tmp_path: Path):
    report = backup(sqlite_store.url, tmp_path / "lis.backup", clock=sqlite_store.clock)
    with sqlite3.connect(report.path) as connection:
        connection.execute(
            "INSERT INTO site (name, timezone, accession) VALUES ('x', 'UTC', 'YYNNNNNNN')"
        )
    connection.close()
    restored = restore(report.path, f"sqlite:///{tmp_path / 'r.db'}", clock=sqlite_store.clock)
    assert restored.differences == ("site: 0 rows backed up, 1 restored",)


def test_nothing_is_overwritten(full: Store, tmp_path: Path):
    target = tmp_path / "lis.backup"
    backup(full.url, target, clock=full.clock)
    with pytest.raises(BackupFailed, match="exists already"):
        backup(full.url, target, clock=full.clock)
    with pytest.raises(BackupFailed, match=r"exists already|has \d+ tables"):
        restore(target, full.url, clock=full.clock)


def test_a_backup_without_its_manifest_is_refused(full: Store, target_url: str, tmp_path: Path):
    report = backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    manifest_path(report.path).write_text("[]")
    with pytest.raises(Malformed, match="taken_at"):
        restore(report.path, target_url, clock=full.clock)
    manifest_path(report.path).unlink()
    with pytest.raises(BackupFailed, match="missing"):
        restore(report.path, target_url, clock=full.clock)


def test_a_file_that_is_no_backup_is_refused_and_leaves_nothing(full: Store, tmp_path: Path):
    report = backup(full.url, tmp_path / "lis.backup", clock=full.clock)
    report.path.write_bytes(b"not a database" * 1000)
    target = tmp_path / "other.db"
    with pytest.raises(BackupFailed):
        restore(report.path, f"sqlite:///{target}", clock=full.clock)
    assert not target.exists()


def test_a_store_that_is_not_there_cannot_be_backed_up(tmp_path: Path, manual_clock: ManualClock):
    with pytest.raises(BackupFailed, match="no store"):
        backup(f"sqlite:///{tmp_path / 'absent.db'}", tmp_path / "b", clock=manual_clock)
    assert list(tmp_path.iterdir()) == []


def test_without_the_tools_postgresql_is_not_backed_up_half(
    postgresql_url: str, tmp_path: Path, manual_clock: ManualClock, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match="pg_dump is not on PATH"):
        backup(postgresql_url, tmp_path / "lis.backup", clock=manual_clock)
    assert list(tmp_path.iterdir()) == []
