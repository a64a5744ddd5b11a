"""Engines: how a connection is opened so that a commit means what the promises need.

Theory of operation. SQLite is the default store and is opened in WAL mode with `synchronous=FULL`: a
commit returns after fsync, so an acknowledgement may follow it (with `NORMAL` power cuts lose committed
rows). The driver is put into autocommit mode and we write `BEGIN` ourselves: `BEGIN IMMEDIATE` for a
unit that writes, so that it never fails half way when it upgrades its lock; plain `BEGIN` for a read,
so that all its queries see one snapshot. Reads have a pool of their own whose connections refuse to
write, so nothing slips past the write lock.

PostgreSQL serves several processes. Reads are `REPEATABLE READ, READ ONLY`, writes `READ COMMITTED`;
`synchronous_commit` is switched on whatever the server's default is.

WAL needs shared memory between the processes of one machine, so a network file system is refused where
we can see it.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

SQLITE_BUSY_TIMEOUT_S = (
    10.0  # only another process (a backup) can hold the file; it must end sooner
)
SYNCHRONOUS = (
    "FULL"  # no setting: the power-cut harness alone lowers it, to show that it sees a loss
)
SQLITE_CACHE_KIB = 16_384  # page cache of one connection
WRITE_POOL_SIZE = 1  # SQLite: the write lock admits one unit at a time
READ_POOL_SIZE = 8  # connections kept open
READ_POOL_OVERFLOW = 40  # FastAPI runs at most 40 plain handlers at once
POSTGRESQL_POOL_SIZE = 10
POSTGRESQL_POOL_OVERFLOW = 30
POOL_WAIT_S = 30.0  # a handler that gets no connection in this time fails loudly
MOUNTS = Path("/proc/mounts")

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)

_BEGIN = "lis_begin"  # execution option: the statement that opens a transaction on SQLite


class StoreUnusable(Exception):
    """The configured store cannot keep our promises; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """One engine for units of work and one for reads; on PostgreSQL they share their pool."""

    write: Engine
    read: Engine

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.read.dispose()
        self.write.dispose()


def open_engines(url: str) -> Engines:
    """Open the engines of a store URL; raise `StoreUnusable` for one that cannot keep promises."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(parsed)
    raise StoreUnusable(f"store url {url!r}: expected sqlite:/// or postgresql+psycopg://")


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite URL; a store in memory is refused, for it survives nothing."""
    if not url.database or url.database == ":memory:":
        raise StoreUnusable("a store in memory keeps nothing: name a file, sqlite:///lis.db")
    return Path(url.database)


def connect_sqlite(path: Path, *, is_reader: bool = False) -> sqlite3.Connection:
    """A raw connection with our pragmas, in autocommit mode: the caller writes BEGIN and COMMIT."""
    connection = sqlite3.connect(
        path, timeout=SQLITE_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    apply_pragmas(connection, is_reader=is_reader)
    return connection


def apply_pragmas(connection: sqlite3.Connection, *, is_reader: bool) -> None:
    """Set what every SQLite connection of ours needs."""
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreUnusable(f"SQLite could not switch to WAL (journal_mode={mode})")
    connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")
    connection.execute(f"PRAGMA query_only={'ON' if is_reader else 'OFF'}")


def refuse_network_file_system(path: Path, mounts: Path = MOUNTS) -> None:
    """Raise `StoreUnusable` when `path` lies on a network file system that we can recognise."""
    if not mounts.exists():
        return
    kind = file_system_of(path.absolute(), mounts.read_text(encoding="utf-8", errors="replace"))
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnusable(
            f"{path} lies on {kind}: SQLite's locks do not hold there. "
            "Use a local disk, or PostgreSQL for several machines."
        )


def file_system_of(path: Path, mounts: str) -> str:
    """The file system type of the longest mount point above `path`, "" when none is listed."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _dump_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _open_sqlite(url: URL) -> Engines:
    path = sqlite_path(url)
    refuse_network_file_system(path)
    write = _sqlite_engine(url, is_reader=False, size=WRITE_POOL_SIZE, overflow=1)
    read = _sqlite_engine(url, is_reader=True, size=READ_POOL_SIZE, overflow=READ_POOL_OVERFLOW)
    return Engines(
        write=write.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}),
        read=read.execution_options(**{_BEGIN: "BEGIN"}),
    )


def _sqlite_engine(url: URL, *, is_reader: bool, size: int, overflow: int) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=POOL_WAIT_S,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # an error's text goes to logs and alarms: no patient data in it
    )

    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        apply_pragmas(connection, is_reader=is_reader)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()[_BEGIN])


def _open_postgresql(url: URL) -> Engines:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=POSTGRESQL_POOL_SIZE,
        max_overflow=POSTGRESQL_POOL_OVERFLOW,
        pool_timeout=POOL_WAIT_S,
        pool_pre_ping=True,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # an error's text goes to logs and alarms: no patient data in it
    )
    event.listen(engine, "connect", _prepare_postgresql)
    read = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(write=engine, read=read)


def _prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SET timezone = 'UTC'")
    connection.commit()
