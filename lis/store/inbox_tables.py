"""The inbox and the journal on SQLite and on PostgreSQL, below SQLAlchemy.

This is the one place that writes rows past the mapped classes, because it is where an analyzer waits.
A test compares the columns named here with the mapped ones.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL

from lis.store.engine import connect_sqlite, sqlite_path
from lis.store.inbox_batch import (
    INBOX_COLUMNS,
    INBOX_CONSTANTS,
    JOURNAL_COLUMNS,
    Identity,
    InboxTable,
    Place,
    SessionEnd,
)

STORE_ERRORS = (sqlite3.Error, psycopg.Error)  # what a full disk or a lost server raises here
CONTENT_ERRORS = (  # what the store will never take, of one message and not of its neighbours
    sqlite3.DataError,
    psycopg.DataError,
    psycopg.errors.ProgramLimitExceeded,
    UnicodeError,
)

PART_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)  # 128 x 12 columns: SQLite allows 32,766 variables
TEXTS_KEPT = 64  # statement texts: three shapes in eight sizes, on each store

T = TypeVar("T")

_INBOX = ("inbox", INBOX_COLUMNS, tuple(INBOX_CONSTANTS.items()))
_JOURNAL = ("journal", JOURNAL_COLUMNS, ())
_TableShape = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]


def open_table(url: URL) -> InboxTable:
    """A connection of its own to the store at `url`."""
    if url.get_backend_name() == "sqlite":
        return SqliteInboxTable(connect_sqlite(sqlite_path(url)))
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresqlInboxTable(psycopg.connect(conninfo))


@lru_cache(maxsize=TEXTS_KEPT)
def insert_text(shape: _TableShape, count: int, mark: str) -> str:
    """INSERT of `count` rows in one statement; constants are written out, the rest are marks."""
    table, columns, constants = shape
    names = ", ".join([*columns, *(name for name, _ in constants)])
    row = ", ".join([mark] * len(columns) + [value for _, value in constants])
    rows = ", ".join([f"({row})"] * count)
    return f"INSERT INTO {table} ({names}) VALUES {rows}"  # noqa: S608 - names from this module


@lru_cache(maxsize=TEXTS_KEPT)
def find_text(count: int) -> str:
    """Earlier copies of `count` messages, by link and control id. The join keeps to the index."""
    marks = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH asked (link, control) AS (VALUES {marks}) "  # noqa: S608 - only marks
        "SELECT link_id, sha256, control_id, id, reply FROM asked CROSS JOIN inbox "
        "ON link_id = link AND control_id = control "
        "WHERE control_id <> '' AND state <> 'incomplete'"
    )


class SqliteInboxTable:
    """SQLite: one multi-row INSERT per table; ids are the numbers after the newest row."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._last: tuple[datetime | None, str] = (None, "")  # a line and its unit share a time

    def begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def find(self, identities: Sequence[Identity]) -> dict[Identity, Place]:
        rows: list[Sequence[Any]] = []
        for part in _parts(identities):
            pairs = [text for link_id, _, control_id in part for text in (link_id, control_id)]
            rows += self._execute(find_text(len(part)), pairs).fetchall()
        return _first_copies(rows)

    def reserve(self, count: int) -> Sequence[int]:
        newest = self._execute("SELECT max(id) FROM inbox").fetchone()[0] or 0
        return range(newest + 1, newest + 1 + count)

    def insert(self, inbox: Sequence[Sequence[Any]], journal: Sequence[Sequence[Any]]) -> None:
        for shape, rows in ((_INBOX, inbox), (_JOURNAL, journal)):
            for part in _parts(rows):
                self._execute(insert_text(shape, len(part), "?"), tuple(chain.from_iterable(part)))

    def end_sessions(self, ends: Sequence[SessionEnd]) -> None:
        self._connection.executemany(
            "UPDATE inbox SET is_session_closed = ? WHERE id = ?", _session_ends(ends)
        )

    def time(self, at: datetime) -> str:
        last, text = self._last
        if at is not last:
            utc = at if at.tzinfo is UTC else at.astimezone(UTC)
            text = utc.replace(tzinfo=None).isoformat(" ", "microseconds")
            self._last = (at, text)
        return text

    def commit(self) -> None:
        self._execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class PostgresqlInboxTable:
    """PostgreSQL: rows pass through one pipeline; ids come from the column's sequence."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute("SET synchronous_commit = on")
        connection.execute("SET timezone = 'UTC'")
        connection.commit()

    def begin(self) -> None:
        """The driver begins with the first statement."""

    def find(self, identities: Sequence[Identity]) -> dict[Identity, Place]:
        rows = self._connection.execute(
            "SELECT link_id, sha256, control_id, id, reply FROM inbox "
            "WHERE (link_id, control_id) IN (SELECT * FROM unnest(%s::int[], %s::text[])) "
            "AND control_id <> '' AND state <> 'incomplete'",
            ([link_id for link_id, _, _ in identities], [text for _, _, text in identities]),
        ).fetchall()
        return _first_copies(rows)

    def reserve(self, count: int) -> Sequence[int]:
        rows = self._connection.execute(
            "SELECT nextval(pg_get_serial_sequence('inbox', 'id')) FROM generate_series(1, %s)",
            (count,),
        ).fetchall()
        return sorted(row[0] for row in rows)

    def insert(self, inbox: Sequence[Sequence[Any]], journal: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            for shape, rows in ((_INBOX, inbox), (_JOURNAL, journal)):
                if rows:
                    cursor.executemany(insert_text(shape, 1, "%s"), rows)

    def end_sessions(self, ends: Sequence[SessionEnd]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE inbox SET is_session_closed = %s WHERE id = %s", _session_ends(ends)
            )

    def time(self, at: datetime) -> datetime:
        return at

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def _first_copies(rows: Sequence[Sequence[Any]]) -> dict[Identity, Place]:
    return {
        (link_id, bytes(sha256), control_id): Place(row_id, reply, is_old=True)
        for link_id, sha256, control_id, row_id, reply in sorted(
            rows, key=lambda row: row[3], reverse=True
        )
    }


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut into parts of fixed sizes, so that few statements are compiled and all stay compiled."""
    start = 0
    for size in PART_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _session_ends(ends: Sequence[SessionEnd]) -> list[tuple[bool, int]]:
    return [(end.is_closed, inbox_id) for end in ends for inbox_id in end.inbox_ids]
