"""The floors of the intake bench: what the disk does, and what plain `sqlite3` writes on it.

Nothing here uses our store. The raw writer gets rows that a house has just stored, in a database with the same
tables and indexes, and writes them again: WAL, `synchronous=FULL`, a fixed number of messages a commit, one
prepared statement a table. No socket, no protocol, no hash, no waiting for anybody.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MESSAGES_PER_COMMIT: Final = 200  # DESIGN 5.1
FSYNC_BLOCK: Final = bytes(8192)  # two pages: the least a commit of one message appends to the WAL
FSYNC_SAMPLES: Final = 250  # a round; the 99th percentile is taken over all rounds together
FSYNC_GAP_S: Final = 0.002

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """What a house stored, as `sqlite3` reads it: schema, and the rows of some tables by message."""

    schema: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    messages: Sequence[Mapping[str, Sequence[Row]]]  # one mapping of table -> rows a message

    @property
    def count(self) -> int:
        return len(self.messages)


def read_intake_rows(database: Path) -> StoredRows:
    """The inbox rows of a store, each with its journal lines."""
    with closing(sqlite3.connect(database)) as connection:
        inbox = _rows(connection, "inbox", "id")
        lines = _rows(connection, "journal", "id")
        columns = {table: _columns(connection, table) for table in ("inbox", "journal")}
        share = len(lines) / max(len(inbox), 1)  # lines and messages are written in the same order
        messages = [
            {"inbox": [row], "journal": lines[round(n * share) : round((n + 1) * share)]}
            for n, row in enumerate(inbox)
        ]
        return StoredRows(schema=_schema(connection), columns=columns, messages=messages)


def read_result_rows(database: Path, *, after_message: int) -> StoredRows:
    """The observations of a store, message by message, from the one after `after_message` on."""
    with closing(sqlite3.connect(database)) as connection:
        columns = {"observation": _columns(connection, "observation")}
        at = columns["observation"].index("inbox_id")
        by_message: dict[Any, list[Row]] = {}
        for row in _rows(connection, "observation", "id"):
            if row[at] > after_message:
                by_message.setdefault(row[at], []).append(row)
        messages = [{"observation": rows} for rows in by_message.values()]
        return StoredRows(schema=_schema(connection), columns=columns, messages=messages)


def write_raw(rows: StoredRows, database: Path) -> float:
    """Write all rows into a new database; the seconds it took."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        for statement in rows.schema:
            connection.execute(statement)
        inserts = {table: _insert(table, names) for table, names in rows.columns.items()}
        started = time.perf_counter()
        for batch in _batches(rows.messages):
            connection.execute("BEGIN IMMEDIATE")
            for table, statement in inserts.items():
                flat = [row for message in batch for row in message[table]]
                connection.executemany(statement, flat)
            connection.execute("COMMIT")
        return time.perf_counter() - started


def fsync_ms(folder: Path, samples: int = FSYNC_SAMPLES) -> list[float]:
    """How long the disk takes to make a small append durable, sorted; asked now and then, not in a hurry."""
    path = folder / "fsync.probe"
    taken = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(samples):
            os.write(descriptor, FSYNC_BLOCK)
            started = time.perf_counter()
            os.fdatasync(descriptor)
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(FSYNC_GAP_S)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)


def _batches(
    messages: Sequence[Mapping[str, Sequence[Row]]],
) -> Iterator[Sequence[Mapping[str, Sequence[Row]]]]:
    for start in range(0, len(messages), MESSAGES_PER_COMMIT):
        yield messages[start : start + MESSAGES_PER_COMMIT]


def _schema(connection: sqlite3.Connection) -> tuple[str, ...]:
    found = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
        "ORDER BY type DESC"  # tables, then indexes
    ).fetchall()
    return tuple(row[0] for row in found)


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def _rows(connection: sqlite3.Connection, table: str, order: str) -> list[Row]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()  # noqa: S608 - names from this module


def _insert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names from the schema
