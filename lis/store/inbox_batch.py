"""What one group commit writes: rows of the inbox and lines of the journal, as few statements.

Theory of operation. While a link waits for its ACK, two threads share one interpreter: the event loop
with its links, and the writer. Each call into SQLite gives the interpreter away and must win it back, so
a batch of 200 messages must not be 400 calls: rows go in as one multi-row INSERT per table. The same
holds for hashing: digests of more than 2047 bytes at once give the interpreter away each time.

A batch is prepared in two passes, because a journal line points to the inbox row of its message. First
every unit is looked at: one whose link, control id and bytes are known already is a resend and gets the
receipt of the first copy (A6, S19), all others are counted and get ids. Then rows are built with these
ids. A unit without a control id (ASTM) is always stored; whether its results are new is decided by the
results themselves.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from lis.domain.ids import InboxId
from lis.domain.messages import Lane
from lis.domain.messages import Protocol as WireProtocol
from lis.domain.traffic import Direction, Receipt, ReceivedUnit, TrafficLine

HASH_STEP_BYTES = 2047  # hashlib keeps the interpreter to itself up to here
NEW, INCOMPLETE = "new", "incomplete"  # InboxState, as stored
DUPLICATE_NOTE = "duplicate"

INBOX_COLUMNS = (
    "id",
    "link_id",
    "received_at",
    "protocol",
    "lane",
    "raw",
    "sha256",
    "control_id",
    "state",
    "device_id",
    "driver",
    "driver_version",
)
INBOX_CONSTANTS = {"hold_reason": "''", "verdict": "'{}'"}
JOURNAL_COLUMNS = ("link_id", "at", "direction", "data", "inbox_id", "note")

_DIRECTION = {direction: direction.value for direction in Direction}
_LANE = {lane: lane.value for lane in Lane}
_PROTOCOL = {protocol: protocol.value for protocol in WireProtocol}


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One call of `keep`: what to store, and whom to tell."""

    link_id: int
    device_id: int | None
    driver: str
    driver_version: str
    lines: Sequence[TrafficLine]
    units: Sequence[ReceivedUnit]


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How the session that brought these inbox rows ended (S19)."""

    inbox_ids: tuple[int, ...]
    is_closed: bool


class Place(NamedTuple):
    """The inbox row of a unit; `is_old` when it was there before this unit came."""

    id: int
    reply: bytes | None
    is_old: bool


Arrived = tuple[Job, ReceivedUnit, bytes]  # a unit with its digest
Identity = tuple[int, bytes, str]  # link, digest, control id


class InboxTable(Protocol):
    """The two tables on one of the two stores. One transaction: `begin`, calls, `commit`."""

    def begin(self) -> None: ...

    def find(self, identities: Sequence[Identity]) -> dict[Identity, Place]: ...

    def reserve(self, count: int) -> Sequence[int]: ...

    def insert(self, inbox: Sequence[Sequence[Any]], journal: Sequence[Sequence[Any]]) -> None: ...

    def end_sessions(self, ends: Sequence[SessionEnd]) -> None: ...

    def time(self, at: datetime) -> Any: ...

    def commit(self) -> None: ...

    def close(self) -> None: ...


def digest(raw: bytes) -> bytes:
    """SHA-256, fed in steps that keep the interpreter."""
    state = hashlib.sha256(raw[:HASH_STEP_BYTES])
    for start in range(HASH_STEP_BYTES, len(raw), HASH_STEP_BYTES):
        state.update(raw[start : start + HASH_STEP_BYTES])
    return state.digest()


def write_batch(
    table: InboxTable, jobs: Sequence[Job], ends: Sequence[SessionEnd]
) -> list[tuple[Receipt, ...]]:
    """Store all jobs in one transaction; returns the receipts of each. Raises the driver's error."""
    arrived = [(job, unit, digest(unit.raw)) for job in jobs for unit in job.units]
    table.begin()
    places = _places(table, arrived)
    inbox = _inbox_rows(table, arrived, places)
    journal: list[Sequence[Any]] = []
    receipts = []
    position = 0
    for job in jobs:
        mine = places[position : position + len(job.units)]
        position += len(mine)
        _add_journal_rows(journal, table, job, mine)
        receipts.append(
            tuple(
                [
                    Receipt(inbox_id=InboxId(row_id), is_duplicate=is_old, reply=reply)
                    for row_id, reply, is_old in mine
                ]
            )
        )
    table.insert(inbox, journal)
    if ends:
        table.end_sessions(ends)
    table.commit()
    return receipts


def _places(table: InboxTable, arrived: Sequence[Arrived]) -> list[Place]:
    """For each unit in order: the row it has or will have."""
    if not arrived:
        return []
    ids = table.reserve(len(arrived))
    identities = [_identity(item) for item in arrived]
    asked = [identity for identity in identities if identity is not None]
    if not asked:
        return [Place(row_id, None, is_old=False) for row_id in ids]
    known = table.find(asked)
    free = iter(ids)
    places = []
    for identity in identities:
        place = known.get(identity) if identity is not None else None
        if place is None:
            place = Place(next(free), None, is_old=False)
            if identity is not None:
                known[identity] = Place(place.id, None, is_old=True)
        places.append(place)
    return places


def _identity(item: Arrived) -> Identity | None:
    """What makes a resend recognisable; a message without control id, or a cut one, has none."""
    job, unit, sha256 = item
    if not unit.control_id or not unit.is_complete:
        return None
    return (job.link_id, sha256, unit.control_id)


def _inbox_rows(
    table: InboxTable, arrived: Sequence[Arrived], places: Sequence[Place]
) -> list[Sequence[Any]]:
    time = table.time
    return [
        (
            place.id,
            job.link_id,
            time(unit.received_at),
            _PROTOCOL[unit.protocol],
            _LANE[unit.lane],
            unit.raw,
            sha256,
            unit.control_id,
            NEW if unit.is_complete else INCOMPLETE,
            job.device_id,
            job.driver,
            job.driver_version,
        )
        for (job, unit, sha256), place in zip(arrived, places, strict=True)
        if not place.is_old
    ]


def _add_journal_rows(
    rows: list[Sequence[Any]], table: InboxTable, job: Job, places: Sequence[Place]
) -> None:
    """The given lines; an incoming line without bytes stands for the next unit.

    A unit that no line stands for gets a line of its own at the end.
    """
    link_id = job.link_id
    told = 0  # units that a line stands for
    for line in job.lines:
        inbox_id, note = None, line.note
        if not line.data and line.direction is Direction.IN and told < len(places):
            inbox_id = places[told].id
            note = note or (DUPLICATE_NOTE if places[told].is_old else "")
            told += 1
        at = table.time(line.at)
        rows.append((link_id, at, _DIRECTION[line.direction], line.data or None, inbox_id, note))
    for place, unit in zip(places[told:], job.units[told:], strict=True):
        note = DUPLICATE_NOTE if place.is_old else ""
        rows.append((link_id, table.time(unit.received_at), "in", None, place.id, note))
