"""Questions about raw traffic: searching the journal of one link, and reading a stretch of it.

Theory of operation. The journal grows by thousands of lines an hour, and what is looked for stands in no index.
So a search walks the lines of its link backwards by key, at most `SEARCH_WINDOW` ids a question, and says where
to go on: a page may hold few lines, or none, and still have an older one. A stretch of time is found by bisection.

Bytes of a message that came whole lie in the inbox; its journal line points there, and the search looks there too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Select,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from lis.domain.traffic import Direction
from lis.domain.traffic_verdict import NOTES, LineVerdict, all_notes, verdict_of
from lis.store.key_walk import first_id_since
from lis.store.rows import Inbox, InboxState, Journal

SEARCH_WINDOW: Final = 200_000  # ids walked for one page: tenths of a second on a slow disk
PAGE_MAX: Final = 500
TAIL_BYTES: Final = 1_024  # a frame of 1995 has 247 bytes; of longer ones a page shows the message
SLACK: Final = timedelta(
    minutes=1
)  # a line waits half a second for its commit, the store's fsync longer


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSearch:
    """What to look for on one link; what is empty excludes nothing."""

    link_id: int
    needles: tuple[bytes, ...] = ()  # a line fits that holds one of them
    direction: str = ""
    verdict: LineVerdict | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One line; `raw` and what follows are of the message it points to, when it was asked for."""

    id: int
    at: datetime
    direction: str
    data: bytes
    note: str
    inbox_id: int | None
    state: InboxState | None = None
    hold_reason: str = ""
    protocol: str = ""
    tail: bytes = b""  # the end of its bytes: enough for the frame that ended it, if that is short
    raw: bytes = b""

    @property
    def verdict(self) -> LineVerdict:
        """What became of it."""
        return verdict_of(self.direction, self.data, self.note)


def search_journal(
    session: Session, search: JournalSearch, *, before_id: int | None = None, limit: int
) -> tuple[list[JournalLine], int | None]:
    """Lines, newest first, and where the next page begins (None: there are no older ones)."""
    lowest = _lowest(session, search)
    top = _top(session, search, before_id)
    bottom = max(lowest, top - SEARCH_WINDOW)
    query = _fitting(_columns(has_raw=False), search, session).where(
        Journal.id < top, Journal.id >= bottom
    )
    bound = min(limit, PAGE_MAX)
    rows = session.execute(query.order_by(Journal.id.desc()).limit(bound)).mappings().all()
    lines = [JournalLine(**_plain(dict(row))) for row in rows]
    following = lines[-1].id if len(lines) == bound else bottom
    shown = [line for line in lines if search.verdict in {None, line.verdict}]
    return shown, following if following > lowest else None


def stretch_of(
    session: Session, search: JournalSearch, *, after_id: int = 0, limit: int
) -> list[JournalLine]:
    """Lines with the bytes of their messages, oldest first: what an export reads, page by page."""
    query = _fitting(_columns(has_raw=True), search, session).where(
        Journal.id > after_id, Journal.id >= _lowest(session, search)
    )
    rows = session.execute(query.order_by(Journal.id).limit(limit)).mappings()
    return [JournalLine(**_plain(dict(row))) for row in rows]


def _lowest(session: Session, search: JournalSearch) -> int:
    if search.since is None:
        return 1
    return first_id_since(session, Journal.id, Journal.at, search.since - SLACK)


def _top(session: Session, search: JournalSearch, before_id: int | None) -> int:
    if before_id is not None:
        return before_id
    if search.until is not None:
        return first_id_since(session, Journal.id, Journal.at, search.until + SLACK)
    return 1 + (session.scalar(select(func.max(Journal.id))) or 0)


def _columns(*, has_raw: bool) -> Select[Any]:
    columns: list[Any] = [
        *(Journal.id, Journal.at, Journal.direction, Journal.data, Journal.note, Journal.inbox_id),
        *(Inbox.state, Inbox.hold_reason, Inbox.protocol),
        Inbox.raw if has_raw else _TAIL,
    ]
    return select(*columns).outerjoin(Inbox, Inbox.id == Journal.inbox_id)


_LENGTH = func.length(Inbox.raw)
_TAIL = type_coerce(
    case(
        (_LENGTH <= TAIL_BYTES, Inbox.raw),
        else_=func.substr(Inbox.raw, _LENGTH - TAIL_BYTES + 1, TAIL_BYTES),
    ),
    LargeBinary,
).label("tail")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A line without bytes or without a message has empty ones."""
    empty: dict[str, Any] = dict.fromkeys(("data", "tail", "raw"), b"")
    empty |= dict.fromkeys(("hold_reason", "protocol"), "")
    return row | {key: value for key, value in empty.items() if key in row and row[key] is None}


def _fitting(query: Select[Any], search: JournalSearch, session: Session) -> Select[Any]:
    query = query.where(Journal.link_id == search.link_id)
    if search.direction:
        query = query.where(Journal.direction == search.direction)
    if search.since is not None:
        query = query.where(Journal.at >= search.since)
    if search.until is not None:
        query = query.where(Journal.at < search.until)
    if search.verdict is not None:
        query = query.where(_said(search.verdict))
    if search.needles:
        dialect = session.get_bind().dialect.name
        query = query.where(or_(*(_holds(needle, dialect) for needle in search.needles)))
    return query


def _said(verdict: LineVerdict) -> ColumnElement[bool]:
    """Lines that may have this verdict; `JournalLine.verdict` then tells exactly."""
    is_in = Journal.direction == Direction.IN.value
    if verdict in {LineVerdict.SENT, LineVerdict.REMARK}:
        return and_(not_(is_in), Journal.data.is_not(None) == (verdict is LineVerdict.SENT))
    if verdict is LineVerdict.ACCEPTED:
        return and_(is_in, not_(_begins(tuple(all_notes()))))
    if verdict is LineVerdict.CONTROL:
        return and_(is_in, Journal.inbox_id.is_(None))
    return and_(is_in, _begins(NOTES[verdict]))


def _begins(beginnings: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(Journal.note.startswith(text, autoescape=True) for text in beginnings))


def _holds(needle: bytes, dialect: str) -> ColumnElement[bool]:
    """Whether the bytes of a line, or of the message it points to, hold `needle`."""
    if dialect == "sqlite":
        return or_(func.instr(Journal.data, needle) > 0, func.instr(Inbox.raw, needle) > 0)
    return or_(
        func.position(literal(needle).op("IN")(Journal.data)) > 0,
        func.position(literal(needle).op("IN")(Inbox.raw)) > 0,
    )
