"""Backup and restore, checked on both sides.

Theory of operation. A backup is one file and a small JSON beside it with what must be found again: the
rows of each table, the head of the audit chain, the time. SQLite is copied through its online backup
while the laboratory works; PostgreSQL is dumped by `pg_dump` from one exported snapshot, so that the
counts and the dump see the same moment. A backup whose chain is not intact is still made, and says so.

A restore goes into an empty place only. It brings the file back, compares counts and chain with the
JSON, migrates to the newest schema and then does what a restored past needs:

* every number sequence jumps by `SEQUENCE_JUMP`: labels were printed after the backup, and no
  accession or filler number may be given twice (S17);
* an alarm stays open until a person has reconciled which reports went out after the restored point:
  the store cannot know them (S34).
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, create_engine, func, inspect, make_url, select, table, text
from sqlalchemy.orm import Session

from lis.domain.clock import Clock
from lis.domain.errors import Malformed
from lis.store.audit import AuditHead, AuditVerdict, verify
from lis.store.engine import open_engines, sqlite_path
from lis.store.traffic_queries import open_alarm
from lis.store.unit import Store

SEQUENCE_JUMP = 100_000  # numbers; a large hospital prints some 5,000 labels a day
TOOL_TIMEOUT_S = 3600  # pg_dump and pg_restore of a very large store
RESTORED = "restored"  # alarm kind
ACTOR = "restore"

MANIFEST_SUFFIX = ".json"


class BackupFailed(Exception):
    """The copy could not be made or brought back; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds."""

    path: Path
    taken_at: datetime
    rows: Mapping[str, int]
    audit: AuditVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What came back. `differences` lists tables whose rows are not those of the backup."""

    taken_at: datetime
    rows: Mapping[str, int]
    audit: AuditVerdict
    differences: tuple[str, ...]
    sequences_moved: int

    @property
    def is_complete(self) -> bool:
        """Whether everything that was backed up is there and unaltered."""
        return not self.differences and self.audit.is_intact


def backup(store_url: str, target_path: Path, *, clock: Clock) -> BackupReport:
    """Copy a store while it is in use; raises `BackupFailed` and never overwrites a file."""
    if target_path.exists():
        raise BackupFailed(f"{target_path} exists already")
    url = make_url(store_url)
    taken_at = clock.now()
    partial = target_path.with_name(target_path.name + ".partial")
    try:
        rows, verdict = (
            _copy_sqlite(sqlite_path(url), partial)
            if url.get_backend_name() == "sqlite"
            else _dump_postgresql(store_url, partial)
        )
        _sync(partial)
        partial.replace(target_path)
    finally:
        partial.unlink(missing_ok=True)
    report = BackupReport(path=target_path, taken_at=taken_at, rows=rows, audit=verdict)
    _write_manifest(report)
    return report


def restore(path: Path, store_url: str, *, clock: Clock) -> RestoreReport:
    """Bring a backup back into an empty place; raises `BackupFailed`, `Malformed`."""
    manifest = _read_manifest(path)
    url = make_url(store_url)
    if url.get_backend_name() == "sqlite":
        _restore_sqlite(path, sqlite_path(url))
    else:
        _restore_postgresql(path, store_url)
    engines = open_engines(store_url)
    try:
        with engines.read.connect() as connection:
            rows, verdict = _inspect(connection, AuditHead(**manifest["head"]))
    finally:
        engines.dispose()
    taken_at = datetime.fromisoformat(manifest["taken_at"])
    return RestoreReport(
        taken_at=taken_at,
        rows=rows,
        audit=verdict,
        differences=_differences(manifest["rows"], rows),
        sequences_moved=_live_on(store_url, clock, taken_at),
    )


def _live_on(store_url: str, clock: Clock, taken_at: datetime) -> int:
    """Migrate, jump past printed numbers, and tell people."""
    store = Store.open(store_url, clock=clock)
    try:
        store.migrate()
        with store.unit(ACTOR) as unit:
            moved = unit.session.execute(
                text("UPDATE sequence SET value = value + :jump RETURNING name"),
                {"jump": SEQUENCE_JUMP},
            ).all()
            parameters = {"taken_at": taken_at.isoformat(), "jump": SEQUENCE_JUMP}
            open_alarm(unit, kind=RESTORED, subject=taken_at.isoformat(), parameters=parameters)
            unit.audit("restore", "store", taken_at.isoformat(), after=parameters)
    finally:
        store.close()
    return len(moved)


# --- SQLite -------------------------------------------------------------------------------------


def _copy_sqlite(source: Path, target: Path) -> tuple[dict[str, int], AuditVerdict]:
    if not source.exists():
        raise BackupFailed(f"there is no store at {source}")
    try:
        _copy_pages(source, target)
        engine = create_engine(f"sqlite:///{target}")
        try:
            with engine.connect() as connection:
                return _inspect(connection)
        finally:
            engine.dispose()
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} could not be copied to {target}: {error}") from error


def _copy_pages(source: Path, target: Path) -> None:
    """A consistent copy as one plain file, readable by its owner only."""
    target.touch(mode=0o600, exist_ok=False)
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writer = sqlite3.connect(target)
    try:
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE")
        checked = writer.execute("PRAGMA quick_check").fetchone()[0]
        if checked != "ok":
            raise BackupFailed(f"the copy of {source} is damaged: {checked}")
    finally:
        writer.close()
        reader.close()


def _restore_sqlite(path: Path, target: Path) -> None:
    if target.exists():
        raise BackupFailed(f"{target} exists already: move it away first, it is never overwritten")
    partial = target.with_name(target.name + ".partial")
    try:
        _copy_pages(path, partial)
        _sync(partial)
        partial.replace(target)
    except sqlite3.Error as error:
        raise BackupFailed(f"{path} could not be restored: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


# --- PostgreSQL ---------------------------------------------------------------------------------


def _dump_postgresql(store_url: str, target: Path) -> tuple[dict[str, int], AuditVerdict]:
    engines = open_engines(store_url)
    try:
        with engines.read.connect() as connection:
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            arguments = ["--format=custom", "--no-owner", f"--snapshot={snapshot}"]
            target.touch(mode=0o600, exist_ok=False)
            _run_tool("pg_dump", [*arguments, f"--file={target}"], make_url(store_url))
            return _inspect(connection)
    finally:
        engines.dispose()


def _restore_postgresql(path: Path, store_url: str) -> None:
    engines = open_engines(store_url)
    try:
        tables = inspect(engines.read).get_table_names()
    finally:
        engines.dispose()
    if tables:
        raise BackupFailed(f"the database has {len(tables)} tables: restore into an empty one")
    arguments = ["--no-owner", "--exit-on-error", "--single-transaction"]
    _run_tool("pg_restore", [*arguments, str(path)], make_url(store_url))


def _run_tool(name: str, arguments: list[str], url: URL) -> None:
    """Run a PostgreSQL tool; the password goes through the environment, where `ps` does not show it."""
    tool = shutil.which(name)
    if tool is None:
        raise BackupFailed(f"{name} is not on PATH: install the PostgreSQL client of the server")
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    conninfo = url.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(  # noqa: S603 - a fixed tool, arguments of ours
        [tool, *arguments, f"--dbname={conninfo}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BackupFailed(f"{name} failed: {done.stderr.strip()}")


# --- checking -----------------------------------------------------------------------------------


def _inspect(
    connection: Connection, head: AuditHead | None = None
) -> tuple[dict[str, int], AuditVerdict]:
    names = sorted(inspect(connection).get_table_names())
    rows = {
        name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
        for name in names
    }
    with Session(connection) as session:
        return rows, verify(session, head)


def _differences(then: Mapping[str, int], now: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {then.get(name, 0)} rows backed up, {now.get(name, 0)} restored"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    )


def manifest_path(path: Path) -> Path:
    """The JSON beside a backup."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def _write_manifest(report: BackupReport) -> None:
    document = {
        "taken_at": report.taken_at.isoformat(),
        "rows": dict(report.rows),
        "head": asdict(report.audit.head),
        "is_intact": report.audit.is_intact,
    }
    manifest_path(report.path).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = manifest_path(path)
    for file in (path, manifest):
        if not file.is_file():
            raise BackupFailed(f"{file} is missing: a backup is a file and its {MANIFEST_SUFFIX}")
    document = orjson.loads(manifest.read_bytes())
    if not isinstance(document, dict) or not {"taken_at", "rows", "head"} <= document.keys():
        raise Malformed(expected="taken_at, rows, head", got=document, where=str(manifest))
    return document


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
