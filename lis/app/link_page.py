"""The page of one link: its tile, what waits, its messages, its host queries.

Control characters are shown by their pictures, everything else as Latin-1: no byte is hidden and none is guessed.
"""

from datetime import datetime, tzinfo
from typing import Final

from sqlalchemy.orm import Session

from lis.app.board import read_facts, tile_of
from lis.app.board_models import LinkDetail, MessagePage, QueryLine, ToldTube
from lis.domain.errors import NotFound, Refused
from lis.domain.messages import Lane
from lis.store import traffic_queries
from lis.store.rows import HostQueryLog, Inbox, InboxState, Link
from lis.store.unit import Unit
from lis.store.worklist_queries import inbox_row

MESSAGES_PAGE: Final = 20  # messages on one page: raw traffic stands below them
HELD_MAX: Final = 100  # held messages listed on one link's page
QUERIES_MAX: Final = 30  # host queries listed

# ASCII control characters by name, as a person reads traffic.
_CONTROL: Final = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}


def read_link(
    session: Session,
    name: str,
    *,
    at: datetime,
    zone: tzinfo,
    language: str,
    before: int | None = None,
) -> LinkDetail:
    """One link: its tile, what waits, its messages and its host queries. Raises `NotFound`."""
    link = link_named(session, name)
    facts = read_facts(session, [link], at=at, zone=zone, language=language)
    found, older = traffic_queries.messages_page(
        session, link.id, before_id=before, limit=MESSAGES_PAGE
    )
    queries = read_queries(session, link, limit=QUERIES_MAX)
    return LinkDetail(
        at=at,
        tile=tile_of(link, facts),
        alarms=tuple(alarm for alarm in facts.alarms if alarm.link == name),
        held=tuple(traffic_queries.held_messages(session, link.id, limit=HELD_MAX)),
        recent=MessagePage(messages=tuple(found), older=older),
        queries=queries,
    )


def read_queries(
    session: Session,
    link: Link,
    *,
    limit: int,
    before: int | None = None,
    is_empty_only: bool = False,
) -> tuple[QueryLine, ...]:
    """What the analyzer of a link asked and was told, newest first."""
    if link.device_id is None:
        return ()
    rows = traffic_queries.host_queries(
        session, link.device_id, limit=limit, before_id=before, is_empty_only=is_empty_only
    )
    return tuple(_query_line(row) for row in rows)


def _query_line(row: HostQueryLog) -> QueryLine:
    return QueryLine(
        id=row.id,
        at=row.at,
        kind=row.kind.value,
        asked=tuple(str(one) for one in row.asked),
        told=tuple(
            ToldTube(
                specimen=str(one["specimen"]),
                tests=tuple(str(test) for test in one["tests"]),
                reason=str(one.get("reason", "")),
            )
            for one in row.answered
        ),
        empty_reason=row.empty_reason,
        inbox_id=row.inbox_id,
        records=row.records,
        took_ms=row.took_ms,
        is_cut=row.is_cut,
    )


def read_message(session: Session, inbox_id: int) -> tuple[Inbox, str]:
    """One kept message with its bytes, and the name of its link. Raises `NotFound`."""
    row = inbox_row(session, inbox_id)
    if row is None:
        raise NotFound("Inbox", inbox_id)
    link = session.get(Link, row.link_id)
    return row, link.name if link else ""


def reopen_message(unit: Unit, inbox_id: int) -> None:
    """Let a held message be processed again; refuses one that may not be (S13)."""
    read_message(unit.session, inbox_id)
    if not traffic_queries.reopen_held(unit, [inbox_id]):
        raise Refused("message_not_reopenable", days=traffic_queries.REPLAY_AGE_MAX.days)


def can_be_reopened(row: Inbox, at: datetime) -> bool:
    """Whether `reopen_message` would accept it: held as a whole, of the result lane, not too old."""
    return (
        row.state is InboxState.HELD
        and row.lane == Lane.RESULT.value
        and row.received_at > at - traffic_queries.REPLAY_AGE_MAX
    )


def readable(data: bytes) -> str:
    """Bytes as one line of text: control characters as their pictures, the rest as Latin-1."""
    return data.decode("latin-1").translate(_CONTROL)


def link_named(session: Session, name: str) -> Link:
    """The link of that name. Raises `NotFound`."""
    link = traffic_queries.link_by_name(session, name)
    if link is None:
        raise NotFound("Link", name)
    return link
