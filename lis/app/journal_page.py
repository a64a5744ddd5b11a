"""Raw traffic of one link as people read and search it: lines both ways, each with its verdict."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.app.board_models import TrafficEntry, TrafficPage
from lis.app.link_page import link_named, readable
from lis.domain.errors import Refused
from lis.domain.traffic import Direction
from lis.domain.traffic_verdict import LineVerdict, reason_of
from lis.store.journal_queries import JournalLine, JournalSearch, search_journal
from lis.wire.astm_frame import STX
from lis.wire.frame_view import checksum_of, last_frame

TRAFFIC_PAGE: Final = 100  # journal lines on one page
NEEDLE_MAX: Final = 200  # characters of what is looked for
# In which letters a text may stand on the wire; a line that holds it in any of them fits.
CHARSETS: Final = ("utf-8", "latin-1", "cp1251", "gb18030")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficFilter:
    """What a person looks for; what is empty excludes nothing."""

    text: str = ""
    is_hex: bool = False
    direction: str = ""
    verdict: str = ""
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING: Final = TrafficFilter()


def read_traffic(
    session: Session,
    name: str,
    *,
    before: int | None = None,
    wanted: TrafficFilter = EVERYTHING,
) -> TrafficPage:
    """Raw traffic of a link both ways, newest first. Raises `NotFound`, and `Refused` for odd hex."""
    search = JournalSearch(
        link_id=link_named(session, name).id,
        needles=needles_of(wanted.text, is_hex=wanted.is_hex),
        direction=wanted.direction,
        verdict=LineVerdict(wanted.verdict) if wanted.verdict else None,
        since=wanted.since,
        until=wanted.until,
    )
    lines, older = search_journal(session, search, before_id=before, limit=TRAFFIC_PAGE)
    return TrafficPage(lines=tuple(_entry(line) for line in lines), older=older)


def needles_of(text: str, *, is_hex: bool) -> tuple[bytes, ...]:
    """The bytes to look for: hex as it says, a text in every charset that can write it."""
    if not text:
        return ()
    if is_hex:
        digits = re.sub(r"\s|0x", "", text)
        if not _HEX.fullmatch(digits) or len(digits) > NEEDLE_MAX * 2:
            raise Refused("search_hex_unreadable", text=text)
        return (bytes.fromhex(digits),)
    found = []
    for charset in CHARSETS:
        try:
            found.append(text[:NEEDLE_MAX].encode(charset))
        except UnicodeEncodeError:
            continue
    return tuple(dict.fromkeys(found))


def _entry(line: JournalLine) -> TrafficEntry:
    is_in = line.direction == Direction.IN.value
    verdict = line.verdict
    data = line.data or _ending_frame(line.tail)
    return TrafficEntry(
        id=line.id,
        at=line.at,
        direction=(Direction.IN if is_in else Direction.OUT).value,
        text=readable(data),
        note=line.note,
        inbox_id=line.inbox_id,
        verdict=verdict.value,
        reason=reason_of(line.note),
        checksum=checksum_of(data).value if is_in else "",
        state=line.state.value if line.state is not None else "",
    )


def _ending_frame(tail: bytes) -> bytes:
    """The frame that ended a message, whose bytes lie in the inbox; nothing where it is long, or no frame."""
    return last_frame(tail) if STX in tail else b""
