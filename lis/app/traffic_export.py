"""A stretch of a link's journal as a capture file: the bytes as they passed, in both directions.

Theory of operation. A journal line holds the bytes of a frame, or points to the message in the inbox that they
ended. A message of many frames has a line for each of the first ones and a pointer for the last; a frame that ended
two messages has its bytes and two pointers behind them. So of what a pointer points to, the last frame passed
here, unless the line before it holds that frame already. HL7 payloads get their block characters back.

A file leaves the house: it goes out without personal data. With it, only for who may, with a reason, and the
audit says who took what.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.app.link_page import link_named
from lis.domain.errors import Refused
from lis.domain.messages import Protocol
from lis.domain.traffic import Direction
from lis.store.journal_queries import JournalLine, JournalSearch, stretch_of
from lis.store.rows import InboxState
from lis.store.unit import Unit
from lis.wire.capture import Chunk, write_capture
from lis.wire.capture import Direction as Side
from lis.wire.frame_view import last_frame
from lis.wire.mllp import VT, frame
from lis.wire.redaction import NotRedactable, redacted

LINES_MAX: Final = 20_000  # of one file: a long day of a busy link
BYTES_MAX: Final = 64 * 1024 * 1024
PAGE_LINES: Final = 500
ACKNOWLEDGEMENT: Final = "acknowledgement"  # how an HL7 session notes an ACK that came in


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A link and a time of its journal; None has no bound."""

    link: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A capture file, and where it had to stop."""

    data: bytes
    chunks: int
    cut_at: datetime | None = None  # ask again from here: there is more

    def file(self, *, is_redacted: bool) -> bytes:
        """The bytes of the file, with remarks at its end that a reader of captures passes over."""
        remarks = ["# redacted" if is_redacted else "# holds personal data"]
        if self.cut_at is not None:
            remarks.append(f"# cut here: there is more from {self.cut_at.isoformat()} on")
        return self.data + "".join(f"{line}\n" for line in remarks).encode("ascii")


def export_redacted(session: Session, stretch: Stretch) -> Export:
    """The capture without personal data. Raises `NotFound`; `Refused` when nothing can be redacted."""
    export = _export(session, stretch)
    try:
        return Export(data=redacted(export.data), chunks=export.chunks, cut_at=export.cut_at)
    except NotRedactable as error:
        raise Refused("capture_not_redactable") from error


def export_raw(unit: Unit, stretch: Stretch, *, reason: str) -> Export:
    """The capture as it passed. Audited; raises `Refused` without a reason."""
    if not reason.strip():
        raise Refused("capture_reason_missing")
    export = _export(unit.session, stretch)
    unit.audit(
        "raw_exported",
        "Link",
        stretch.link,
        after={
            "reason": reason.strip(),
            "since": stretch.since,
            "until": stretch.until,
            "chunks": export.chunks,
        },
    )
    return export


def _export(session: Session, stretch: Stretch) -> Export:
    link = link_named(session, stretch.link)
    search = JournalSearch(link_id=link.id, since=stretch.since, until=stretch.until)
    chunks: list[Chunk] = []
    size_bytes = 0
    cut_at = None
    for chunk in chunks_of(_lines(session, search)):
        if len(chunks) >= LINES_MAX or size_bytes >= BYTES_MAX:
            cut_at = chunk.at
            break
        chunks.append(chunk)
        size_bytes += len(chunk.data)
    return Export(data=write_capture(chunks), chunks=len(chunks), cut_at=cut_at)


def _lines(session: Session, search: JournalSearch) -> Iterator[JournalLine]:
    after_id = 0
    while lines := stretch_of(session, search, after_id=after_id, limit=PAGE_LINES):
        yield from lines
        after_id = lines[-1].id


def chunks_of(lines: Iterable[JournalLine]) -> Iterator[Chunk]:
    """What passed on the wire, line by line; remarks of ours are left out."""
    frame_before = b""  # the last incoming frame that a line holds itself
    for line in lines:
        data = _bytes_of(line, frame_before)
        if line.direction == Direction.IN.value and line.data.startswith(b"\x02"):
            frame_before = line.data
        elif line.inbox_id is not None and data:
            frame_before = b""
        if data:
            yield Chunk(at=line.at, direction=Side(line.direction), data=data)


def _bytes_of(line: JournalLine, frame_before: bytes) -> bytes:
    if line.data:
        return frame(line.data) if line.note == ACKNOWLEDGEMENT else line.data
    if not line.raw:
        return b""
    is_cut = line.state is InboxState.INCOMPLETE
    if line.protocol == Protocol.HL7.value:
        return VT + line.raw if is_cut else frame(line.raw)
    last = last_frame(line.raw)
    has_passed = is_cut and line.raw.startswith(b"\x02")  # each of its frames has a line
    return b"" if has_passed or last == frame_before else last
