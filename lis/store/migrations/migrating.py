"""Bringing a store to the newest schema, once, however many processes start.

Theory of operation. Alembic holds the steps; everything it needs is set here in code. All steps run in
one transaction, which both stores allow for changes of schema, so a failed migration leaves the old
schema. Who migrates takes a row in `migration_lock` that names the holder and expires, so a process that
died half way does not lock everybody out; others wait for it and then find nothing to do.

On SQLite foreign keys are off while tables are made anew and are checked before the commit.

While the first migration is not released it is made again from the metadata whenever rows change:

    python -m lis.store.migrations.regenerate
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from lis.domain.clock import Clock
from lis.store.base import UtcTime

log = structlog.get_logger()

LOCK_EXPIRES = timedelta(minutes=10)  # far longer than any migration; then the holder is dead
LOCK_POLL_S = 0.5
LOCK_POLLS_MAX = 240  # two minutes: a process that waits longer says who it waits for

ALONE_LOCK = 0x4C49_534D  # advisory lock key on PostgreSQL
LOCK_ROW = 1  # the only key there is: a second insert fails
_lock = Table(
    "migration_lock",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", String, nullable=False),
    Column("expires_at", UtcTime(), nullable=False),
)
OWN_TABLES = frozenset({_lock.name, "alembic_version"})


class MigrationLocked(Exception):
    """Another process migrates this store; the message says which."""


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings, in code."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The revision that this version of the program needs."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None, "the package holds at least one migration"
    return head


def present_revision(connection: Connection) -> str | None:
    """The revision a store has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine, clock: Clock) -> None:
    """Bring the store to the newest schema; raise `MigrationLocked` if another process does so."""
    head = head_revision()
    with engine.connect() as connection:
        if present_revision(connection) == head:
            return
    holder = f"{socket.gethostname()} process {os.getpid()}"
    with _held_lock(engine, clock, holder), _migration_connection(engine) as connection:
        before = present_revision(connection)
        if before != head:  # somebody else may have been faster
            command.upgrade(alembic_config(connection), "head")
            log.info("store_migrated", before=before, after=head)


def stamp(connection: Connection) -> None:
    """Say that a store made from the metadata has the newest schema."""
    MigrationContext.configure(connection).stamp(
        ScriptDirectory.from_config(alembic_config()), head_revision()
    )


@contextmanager
def _migration_connection(engine: Engine) -> Iterator[Connection]:
    """One transaction for all steps, with SQLite's foreign keys off until its end."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if is_sqlite:  # before BEGIN: inside a transaction the pragma does nothing
            _pragma(connection, "PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                if is_sqlite:
                    _check_foreign_keys(connection)
        finally:
            if is_sqlite:
                _pragma(connection, "PRAGMA foreign_keys=ON")


def _pragma(connection: Connection, statement: str) -> None:
    cursor = connection.connection.cursor()  # below SQLAlchemy, which would begin a transaction
    cursor.execute(statement)
    cursor.close()


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"migration would break {len(broken)} references: {broken[:3]}")


@contextmanager
def _held_lock(engine: Engine, clock: Clock, holder: str) -> Iterator[None]:
    with _alone(engine) as connection:
        _lock.create(connection, checkfirst=True)
    polls = 0
    while (other := _try_lock(engine, clock, holder)) is not None and polls < LOCK_POLLS_MAX:
        polls += 1
        time.sleep(LOCK_POLL_S)
    if other is not None:
        raise MigrationLocked(f"{other} migrates this store, or died doing so less than 10 min ago")
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(delete(_lock).where(_lock.c.holder == holder))


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A short transaction that no other process has at the same time."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE is alone already
            connection.execute(select(func.pg_advisory_xact_lock(ALONE_LOCK)))
        yield connection


def _try_lock(engine: Engine, clock: Clock, holder: str) -> str | None:
    """Take the lock and return None, or return who has it."""
    now = clock.now()
    with _alone(engine) as connection:
        connection.execute(delete(_lock).where(_lock.c.expires_at <= now))
        other = connection.execute(select(_lock.c.holder)).scalar()
        if other is None:
            connection.execute(
                insert(_lock).values(id=LOCK_ROW, holder=holder, expires_at=now + LOCK_EXPIRES)
            )
    return other
