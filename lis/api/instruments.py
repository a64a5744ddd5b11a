"""The instrument board, one link, its raw traffic and its messages. The pages call the same functions."""

import re
from datetime import datetime, tzinfo
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, RawReader, Requires, Verifier
from lis.api.problems import responses
from lis.api.raw_text import raw_lines
from lis.app import board, link_page
from lis.app.alarms import close_alarm_by_hand
from lis.app.board_models import Board, LinkDetail, QueryLine, TrafficPage
from lis.app.journal_page import EVERYTHING, TrafficFilter
from lis.app.journal_page import read_traffic as read_traffic_page
from lis.app.laboratory import Laboratory
from lis.app.replay import ReplayReport, replay_message
from lis.app.traffic_export import Export, Stretch, export_raw, export_redacted
from lis.domain.errors import Refused
from lis.domain.roles import Permission
from lis.domain.traffic_verdict import LineVerdict
from lis.store.rows import Inbox
from lis.wire.astm_frame import STX
from lis.wire.frame_view import frames_of_bytes

InstrumentReader = Annotated[Actor, Depends(Requires(Permission.SEE_INSTRUMENTS))]
RawExporter = Annotated[Actor, Depends(Requires(Permission.EXPORT_RAW))]
Before = Annotated[int | None, Query(ge=1)]  # keyset: the last id of the page before
REFUSALS: Final = responses(401, 403, 404, 422)

CAPTURE_TYPE: Final = "text/plain; charset=us-ascii"
QUERIES_PAGE: Final = 100
FRAMES_MAX: Final = 500  # of one message on a page; the records above them are all there

router = APIRouter(prefix="/instruments", tags=["instruments"])


class FrameBody(BaseModel):
    """One frame of a kept message, with its checksum judged."""

    text: str
    checksum: str  # good, bad, none
    expected: str


class MessageBody(BaseModel):
    """One kept message, decoded line by line."""

    id: int
    link: str
    received_at: datetime
    lane: str
    state: str
    hold_reason: str
    driver: str
    driver_version: str
    processed_at: datetime | None
    is_session_closed: bool | None
    counts: dict[str, int]
    error: str
    size_bytes: int
    lines: list[str]
    reply: list[str]
    frames: list[FrameBody]  # as they came; empty where there were none
    can_be_reopened: bool


def zone_of(laboratory: Laboratory) -> tzinfo:
    """The zone in which this laboratory's day begins."""
    return ZoneInfo(laboratory.settings.site[0].timezone)


def board_of(laboratory: Laboratory, language: str) -> Board:
    """The board as it is now."""
    at = laboratory.clock.now()
    with laboratory.store.read() as session:
        return board.read_board(session, at=at, zone=zone_of(laboratory), language=language)


def link_of(
    laboratory: Laboratory, name: str, language: str, before: int | None = None
) -> LinkDetail:
    """One link as it is now."""
    at = laboratory.clock.now()
    with laboratory.store.read() as session:
        return link_page.read_link(
            session,
            name,
            at=at,
            zone=zone_of(laboratory),
            language=language,
            before=before,
        )


def traffic_of(
    laboratory: Laboratory,
    name: str,
    before: int | None = None,
    wanted: TrafficFilter = EVERYTHING,
) -> TrafficPage:
    """One page of a link's raw traffic."""
    with laboratory.store.read() as session:
        return read_traffic_page(session, name, before=before, wanted=wanted)


def moment_asked(laboratory: Laboratory, text: str) -> datetime | None:
    """A time as a person or a program writes it; without an offset it is the laboratory's."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused("search_time_unreadable", text=text) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone_of(laboratory))


def traffic_asked(
    laboratory: InLaboratory,
    *,
    text: Annotated[str, Query(max_length=200)] = "",
    as_hex: bool = False,
    direction: Literal["", "in", "out"] = "",
    verdict: LineVerdict | Literal[""] = "",
    since: Annotated[str, Query(max_length=40)] = "",
    until: Annotated[str, Query(max_length=40)] = "",
) -> TrafficFilter:
    """What to look for in raw traffic."""
    return TrafficFilter(
        text=text,
        is_hex=as_hex,
        direction=direction,
        verdict=verdict,
        since=moment_asked(laboratory, since),
        until=moment_asked(laboratory, until),
    )


TrafficAsked = Annotated[TrafficFilter, Depends(traffic_asked)]


def stretch_asked(laboratory: Laboratory, name: str, since: str, until: str) -> Stretch:
    """A stretch of time of a link."""
    return Stretch(
        link=name, since=moment_asked(laboratory, since), until=moment_asked(laboratory, until)
    )


def redacted_capture(laboratory: Laboratory, stretch: Stretch) -> Response:
    """A capture file without personal data."""
    with laboratory.store.read() as session:
        export = export_redacted(session, stretch)
    return _file(export, stretch, is_redacted=True)


def raw_capture(laboratory: Laboratory, actor: Actor, stretch: Stretch, reason: str) -> Response:
    """A capture file as the bytes passed; the audit says who took it, and why."""
    with laboratory.store.unit(actor.login) as unit:
        export = export_raw(unit, stretch, reason=reason)
    return _file(export, stretch, is_redacted=False)


def _file(export: Export, stretch: Stretch, *, is_redacted: bool) -> Response:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", stretch.link)
    ending = "redacted.cap" if is_redacted else "raw.cap"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{ending}"',
        "Cache-Control": "no-store",
    }
    return Response(export.file(is_redacted=is_redacted), media_type=CAPTURE_TYPE, headers=headers)


def replay_of(laboratory: Laboratory, inbox_id: int) -> ReplayReport:
    """One kept message, read again by today's driver; nothing is changed."""
    with laboratory.store.read() as session:
        return replay_message(session, inbox_id, at=laboratory.clock.now())


def queries_of(
    laboratory: Laboratory, name: str, *, before: int | None, is_empty_only: bool
) -> tuple[QueryLine, ...]:
    """Host queries of one link, newest first."""
    with laboratory.store.read() as session:
        link = link_page.link_named(session, name)
        return link_page.read_queries(
            session, link, limit=QUERIES_PAGE, before=before, is_empty_only=is_empty_only
        )


def message_of(laboratory: Laboratory, inbox_id: int) -> MessageBody:
    """One message with everything that was kept of it."""
    with laboratory.store.read() as session:
        row, link = link_page.read_message(session, inbox_id)
        return _message(row, link, laboratory.clock.now())


def _message(row: Inbox, link: str, at: datetime) -> MessageBody:
    reply = link_page.readable(row.reply or b"")
    return MessageBody(
        id=row.id,
        link=link,
        received_at=row.received_at,
        lane=row.lane,
        state=row.state.value,
        hold_reason=row.hold_reason,
        driver=row.driver,
        driver_version=row.driver_version,
        processed_at=row.processed_at,
        is_session_closed=row.is_session_closed,
        counts={key: value for key, value in row.verdict.items() if isinstance(value, int)},
        error=str(row.verdict.get("error") or row.verdict.get("reason") or ""),
        size_bytes=len(row.raw),
        lines=raw_lines(row),
        reply=[line for line in reply.split("\u240d") if line],
        frames=_frames(row),
        can_be_reopened=link_page.can_be_reopened(row, at),
    )


def _frames(row: Inbox) -> list[FrameBody]:
    if STX not in row.raw:
        return []
    return [
        FrameBody(
            text=link_page.readable(view.data), checksum=view.checksum.value, expected=view.expected
        )
        for view in frames_of_bytes(row.raw)[:FRAMES_MAX]
    ]


@router.get("", responses=responses(401, 403))
def read_instruments(
    _actor: InstrumentReader, laboratory: InLaboratory, language: Language
) -> Board:
    """Every link with its state, its counts of today and what is wrong with it."""
    return board_of(laboratory, language)


@router.get("/messages/{inbox_id}", responses=REFUSALS)
def read_message(inbox_id: int, _actor: RawReader, laboratory: InLaboratory) -> MessageBody:
    """One kept message, decoded."""
    return message_of(laboratory, inbox_id)


@router.get("/messages/{inbox_id}/replay", responses=REFUSALS)
def replay(inbox_id: int, _actor: RawReader, laboratory: InLaboratory) -> ReplayReport:
    """What today's driver reads in a kept message, and how it differs; nothing is changed (S13)."""
    return replay_of(laboratory, inbox_id)


@router.post("/messages/{inbox_id}/reopen", status_code=204, responses=REFUSALS)
def reopen_message(inbox_id: int, actor: Verifier, laboratory: InLaboratory) -> None:
    """Let a message that was held as a whole be processed again."""
    with laboratory.store.unit(actor.login) as unit:
        link_page.reopen_message(unit, inbox_id)


@router.post("/alarms/{alarm_id}/close", status_code=204, responses=REFUSALS)
def close_alarm(alarm_id: int, actor: InstrumentReader, laboratory: InLaboratory) -> None:
    """Say that an alarm was dealt with."""
    with laboratory.store.unit(actor.login) as unit:
        close_alarm_by_hand(unit, alarm_id)


@router.get("/{name}", responses=REFUSALS)
def read_link(
    name: str,
    _actor: InstrumentReader,
    laboratory: InLaboratory,
    language: Language,
    before: Before = None,
) -> LinkDetail:
    """One link with its messages, newest first; `before` = `recent.older` of the page before."""
    return link_of(laboratory, name, language, before)


@router.get("/{name}/traffic", responses=REFUSALS)
def read_traffic(
    name: str,
    _actor: RawReader,
    laboratory: InLaboratory,
    wanted: TrafficAsked,
    before: Before = None,
) -> TrafficPage:
    """Raw traffic both ways, newest first; `before` = `older` of the page before."""
    return traffic_of(laboratory, name, before, wanted)


@router.get("/{name}/queries", responses=REFUSALS)
def read_queries(
    name: str,
    _actor: InstrumentReader,
    laboratory: InLaboratory,
    *,
    before: Before = None,
    empty_only: bool = False,
) -> tuple[QueryLine, ...]:
    """What the analyzer asked and was told, newest first; `before` = the last id of the page before."""
    return queries_of(laboratory, name, before=before, is_empty_only=empty_only)


@router.get("/{name}/capture", responses=REFUSALS, response_class=Response)
def download_capture(
    name: str, _actor: RawReader, laboratory: InLaboratory, since: str = "", until: str = ""
) -> Response:
    """Traffic as a capture file, without personal data."""
    return redacted_capture(laboratory, stretch_asked(laboratory, name, since, until))


class RawCaptureBody(BaseModel):
    """Which traffic is taken out of the house as it is, and why."""

    reason: str
    since: str = ""
    until: str = ""


@router.post("/{name}/capture", responses=REFUSALS, response_class=Response)
def download_raw_capture(
    name: str, body: RawCaptureBody, actor: RawExporter, laboratory: InLaboratory
) -> Response:
    """Traffic as a capture file with everything in it; audited."""
    stretch = stretch_asked(laboratory, name, body.since, body.until)
    return raw_capture(laboratory, actor, stretch, body.reason)
