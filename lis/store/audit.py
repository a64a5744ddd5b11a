"""The audit chain: who did what, so that a later change of the story is found.

Each entry is one canonical JSON text (sorted keys, ISO times, decimals as text) that repeats the row's
columns and holds what was seen, before and after. Entries are chained:

    hash = SHA-256( position "\\n" previous hash "\\n" text )

`position` counts 1, 2, 3 ... without a gap. So verification finds the first entry that was altered
(its hash), removed (a gap), swapped (its text under a foreign position), or inserted (a position twice
or a hash that does not follow). Entries cut off at the end leave a shorter chain that is right in
itself: only a head kept elsewhere shows it, so `export_head` gives the app something to write to a file.

On SQLite there is one writer, so the head is read and the chain continued inside the writing
transaction. On PostgreSQL writers commit side by side; a chain inside each transaction would serialise
them, so entries are inserted unsealed and one sealer at a time (advisory lock) chains whatever has been
committed, in that order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.orm import Session

from lis.store.lock import Priority
from lis.store.rows import Audit

if TYPE_CHECKING:
    from lis.store.unit import Store

GENESIS = "0" * 64  # "previous hash" of the first entry
SEAL_BATCH = 1000  # entries sealed in one transaction
VERIFY_BATCH = 5000  # rows held in memory while verifying
SEALER = "audit-sealer"
SEALER_LOCK = 0x4C49_5341  # advisory lock key of the sealer on PostgreSQL


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry before it is chained."""

    at: datetime
    actor: str
    action: str
    entity: str
    entity_key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The newest sealed entry: what to keep outside the database."""

    position: int = 0
    hash: str = GENESIS


def canonical_text(**fields: object) -> str:
    """The one JSON text of these fields: sorted keys, UTC times, decimals as text."""
    option = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
    return orjson.dumps(fields, default=_plain, option=option).decode()


def _plain(value: Any) -> Any:
    """What JSON cannot say itself."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Decimal():
            return str(value)
        case bytes():
            return value.hex()
        case set() | frozenset():
            return sorted(value, key=str)
        case _:
            raise TypeError(f"audit cannot write {type(value).__name__}: {value!r}")


def chain_hash(position: int, previous: str, document: str) -> str:
    """The hash of one entry."""
    return hashlib.sha256(f"{position}\n{previous}\n{document}".encode()).hexdigest()


def read_head(session: Session) -> AuditHead:
    """The newest sealed entry of this transaction's view."""
    row = session.execute(
        select(Audit.position, Audit.hash)
        .where(Audit.position.is_not(None))
        .order_by(Audit.position.desc())
        .limit(1)
    ).first()
    return AuditHead(position=row[0] or 0, hash=row[1] or "") if row else AuditHead()


def write_entries(session: Session, entries: Sequence[AuditEntry]) -> None:
    """Insert entries in one statement; on SQLite they continue the chain at once."""
    if not entries:
        return
    if session.get_bind().dialect.name == "sqlite":
        rows = list(_chained(read_head(session), entries))
    else:
        rows = [asdict(entry) for entry in entries]
    session.execute(insert(Audit), rows)


def _chained(head: AuditHead, entries: Sequence[AuditEntry]) -> Iterator[dict[str, Any]]:
    position, previous = head.position, head.hash
    for entry in entries:
        position += 1
        current = chain_hash(position, previous, entry.text)
        yield {
            **asdict(entry),
            "position": position,
            "previous_hash": previous,
            "hash": current,
        }
        previous = current


# --- sealing (PostgreSQL) -----------------------------------------------------------------------


def seal(store: "Store") -> int:
    """Chain what was committed unsealed; returns how many entries. On SQLite there is nothing to do.

    One sealer at a time: another one in any process waits for the advisory lock and then goes on.
    """
    if store.is_sqlite:
        return 0
    total = 0
    while sealed := _seal_batch(store):
        total += sealed
    return total


def _seal_batch(store: "Store") -> int:
    with store.unit(SEALER, priority=Priority.BACKGROUND) as unit:
        session = unit.session
        session.execute(select(func.pg_advisory_xact_lock(SEALER_LOCK)))
        waiting = session.execute(
            select(Audit.id, Audit.text)
            .where(Audit.position.is_(None))
            .order_by(Audit.id)
            .limit(SEAL_BATCH)
        ).all()
        head = read_head(session)
        position, previous = head.position, head.hash
        rows = []
        for row_id, document in waiting:
            position += 1
            current = chain_hash(position, previous, document)
            rows.append(
                {"id": row_id, "position": position, "previous_hash": previous, "hash": current}
            )
            previous = current
        if rows:
            session.execute(update(Audit), rows)
        return len(rows)


# --- verifying ----------------------------------------------------------------------------------


class AuditFault(StrEnum):
    """What is wrong with the first entry that is wrong."""

    ALTERED = "altered"  # its text, hash or a column is not what was written
    REMOVED = "removed"  # entries before it are missing
    INSERTED = "inserted"  # an entry that is in no chain, or a position used twice
    BROKEN_LINK = "broken_link"  # it does not follow the entry before: swapped or rewritten
    TRUNCATED = "truncated"  # the chain ends before the head that was kept elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """What verification found. `position` and `audit_id` name the first wrong entry."""

    checked: int
    unsealed: int
    head: AuditHead
    fault: AuditFault | None = None
    position: int | None = None
    audit_id: int | None = None

    @property
    def is_intact(self) -> bool:
        return self.fault is None


def export_head(session: Session) -> AuditHead:
    """The newest entry, for a file outside the database: only it can show a chain cut at its end."""
    return read_head(session)


def verify(session: Session, kept: AuditHead | None = None) -> AuditVerdict:
    """Walk the whole chain and report the first entry that is not as it was written.

    `kept` is a head exported earlier: the chain must still contain it.
    """
    chain = _Walk(kept=kept)
    columns = (Audit.id, Audit.at, Audit.actor, Audit.action, Audit.entity, Audit.entity_key)
    query = (
        select(Audit.position, Audit.previous_hash, Audit.hash, Audit.text, *columns)
        .where(Audit.position.is_not(None))
        .order_by(Audit.position)
        .execution_options(yield_per=VERIFY_BATCH)
    )
    with session.execute(query) as entries:
        for row in entries:
            fault = chain.step(row)
            if fault is not None:
                return chain.verdict(fault, row.position, row.id)
    unsealed = session.execute(
        select(func.count(), func.min(Audit.id)).where(Audit.position.is_(None))
    ).one()
    if unsealed[0] and session.get_bind().dialect.name == "sqlite":
        return chain.verdict(AuditFault.INSERTED, None, unsealed[1])
    if kept is not None and chain.position < kept.position:
        return chain.verdict(AuditFault.TRUNCATED, chain.position + 1, None)
    return replace(chain.verdict(None, None, None), unsealed=unsealed[0])


@dataclass(slots=True, kw_only=True)
class _Walk:
    kept: AuditHead | None
    position: int = 0
    previous: str = GENESIS
    checked: int = 0

    def step(self, row: Row[*tuple[Any, ...]]) -> AuditFault | None:
        """Check one entry against the one before, and move on to it."""
        if row.position > self.position + 1:
            return AuditFault.REMOVED
        if row.position <= self.position:
            return AuditFault.INSERTED
        if row.previous_hash != self.previous:
            return AuditFault.BROKEN_LINK
        if row.hash != chain_hash(row.position, self.previous, row.text) or not _columns_agree(row):
            return AuditFault.ALTERED
        if self.kept and row.position == self.kept.position and row.hash != self.kept.hash:
            return AuditFault.BROKEN_LINK  # the whole chain was written anew
        self.position, self.previous = row.position, row.hash
        self.checked += 1
        return None

    def verdict(
        self, fault: AuditFault | None, position: int | None, audit_id: int | None
    ) -> AuditVerdict:
        return AuditVerdict(
            checked=self.checked,
            unsealed=0,
            head=AuditHead(position=self.position, hash=self.previous),
            fault=fault,
            position=position,
            audit_id=audit_id,
        )


def _columns_agree(row: Row[*tuple[Any, ...]]) -> bool:
    """Whether the columns people search by say what the chained text says."""
    said = orjson.loads(row.text)
    columns = {
        "at": row.at.isoformat(),
        "actor": row.actor,
        "action": row.action,
        "entity": row.entity,
        "key": row.entity_key,
    }
    return all(said[name] == value for name, value in columns.items())
