"""What the board and the page of one link show: values, made by `lis.app.board` and `lis.app.link_page`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lis.store.traffic_queries import MessageLine


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """One open alarm; words are made from its kind and parameters."""

    id: int
    kind: str
    subject: str
    opened_at: datetime
    parameters: Mapping[str, Any]
    link: str = ""  # the link it speaks of, if any
    inbox_id: int | None = None  # the message it speaks of, if any
    can_be_closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTile:
    """One link on the board."""

    link_id: int
    name: str
    purpose: str
    address: str
    peer: str
    state: str  # lis.domain.instrument_state; an EMR's link has its own
    changed_at: datetime | None
    link_state: str = ""  # as the link itself says
    device: str = ""
    driver: str = ""
    driver_name: str = ""
    grade: str = ""
    last_at: datetime | None = None
    age_s: int | None = None  # since the last message, when the board was read
    messages: int = 0  # today
    processed: int = 0  # today
    incomplete: int = 0  # today
    queue: int = 0  # kept and not yet processed
    held: int = 0  # waits for a person, whenever it came
    alarms: int = 0
    clock_offset_s: int | None = None
    is_clock_off: bool = False
    quarantine_reason: str = ""
    qc: str = ""  # the worst tile's state, "" without controlled tests
    qc_tests: tuple[str, ...] = ()  # tests in that state
    qc_locked: tuple[str, ...] = ()  # tests whose results are held by a closed gate
    destination: str = ""
    waiting: int = 0
    dead: int = 0
    delivery_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The whole board at one moment."""

    at: datetime
    tiles: tuple[LinkTile, ...]
    alarms: tuple[AlarmLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficEntry:
    """One journal line as text: control characters as their pictures."""

    id: int
    at: datetime
    direction: str
    text: str
    note: str
    inbox_id: int | None
    verdict: str = ""  # lis.domain.traffic_verdict
    reason: str = ""  # why, in the words of the session
    checksum: str = ""  # good, bad, none
    state: str = ""  # of the message it points to


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPage:
    """Lines, newest first."""

    lines: tuple[TrafficEntry, ...]
    older: int | None  # ask with `before` = this; None at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    messages: tuple[MessageLine, ...]
    older: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTube:
    """What an analyzer was told of one tube, or why nothing."""

    specimen: str
    tests: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLine:
    """What an analyzer asked and what it was told."""

    id: int
    at: datetime
    kind: str  # list, range, all, cancel
    asked: tuple[str, ...]
    told: tuple[ToldTube, ...]
    empty_reason: str
    inbox_id: int | None
    records: int  # of the reply
    took_ms: int | None  # from the question kept to the reply ready
    is_cut: bool  # there was more than one answer holds


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDetail:
    """One link's page, without its traffic."""

    at: datetime
    tile: LinkTile
    alarms: tuple[AlarmLine, ...]
    held: tuple[MessageLine, ...]
    recent: MessagePage
    queries: tuple[QueryLine, ...]
