"""The instrument board, the page of one link, and one message line by line."""

import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, RawReader, Verifier, get_words, laboratory_of
from lis.api.instruments import (
    QUERIES_PAGE,
    Before,
    InstrumentReader,
    RawExporter,
    board_of,
    link_of,
    message_of,
    moment_asked,
    queries_of,
    raw_capture,
    redacted_capture,
    replay_of,
    stretch_asked,
    traffic_of,
)
from lis.api.problems import status_of
from lis.app.alarms import close_alarm_by_hand
from lis.app.board_models import AlarmLine
from lis.app.journal_page import TrafficFilter
from lis.app.laboratory import Laboratory
from lis.app.link_page import reopen_message
from lis.domain.errors import Refused
from lis.domain.roles import Permission
from lis.domain.traffic_verdict import LineVerdict
from lis.words import Words
from ui.pages.showing import go, local_path, refusal_in_words, show

router = APIRouter()


# The names of ASCII control characters, in the order of their codes: few fonts have their pictures.
CONTROL_NAMES: Final = [
    "NUL",
    "SOH",
    "STX",
    "ETX",
    "EOT",
    "ENQ",
    "ACK",
    "BEL",
    "BS",
    "HT",
    "LF",
    "VT",
    "FF",
    "CR",
    "SO",
    "SI",
    "DLE",
    "DC1",
    "DC2",
    "DC3",
    "DC4",
    "NAK",
    "SYN",
    "ETB",
    "CAN",
    "EM",
    "SUB",
    "ESC",
    "FS",
    "GS",
    "RS",
    "US",
    "SP",
    "DEL",
]
VERDICTS: Final = tuple(verdict.value for verdict in LineVerdict)
CHANGE_KINDS: Final = {"changed": "check", "added": "low", "gone": "high", "resent": "low"}
_PICTURE: Final = re.compile("([\u2400-\u2421])")


def pieces(text: str) -> list[tuple[bool, str]]:
    """Raw traffic cut into control characters (True, their name) and the text between them."""
    parts = (part for part in _PICTURE.split(text) if part)
    return [
        (True, CONTROL_NAMES[ord(part) - 0x2400]) if _PICTURE.match(part) else (False, part)
        for part in parts
    ]


def alarm_words(alarm: AlarmLine, words: Words) -> dict[str, str]:
    """What happened and what to do, in words; a kind without words shows itself and its facts."""
    known = words.has(f"instruments.alarm.{alarm.kind}")
    kind = alarm.kind if known else "unknown"
    facts = {key: value for key, value in alarm.parameters.items() if key.isidentifier()}
    told = ", ".join(f"{key}: {value}" for key, value in facts.items())
    return {
        "what": words(
            f"instruments.alarm.{kind}",
            **{**facts, "subject": alarm.subject, "kind": alarm.kind, "told": told},
        ),
        "todo": words(f"instruments.alarm_todo.{kind}"),
    }


def _spoken(alarms: tuple[AlarmLine, ...], language: str) -> list[tuple[AlarmLine, dict[str, str]]]:
    words = get_words(language)
    return [(alarm, alarm_words(alarm, words)) for alarm in alarms]


@router.get("/instruments")
def show_board(
    request: Request, actor: InstrumentReader, laboratory: InLaboratory, language: Language
) -> Response:
    """Every link, and every open alarm in words."""
    board = board_of(laboratory, language)
    return show(
        request,
        "instruments.html",
        board=board,
        alarms=_spoken(board.alarms, language),
        may_see_raw=actor.may(Permission.SEE_RAW),
        script_areas=("instruments",),
    )


@router.get("/instruments/messages/{inbox_id}")
def show_message(request: Request, inbox_id: int, actor: RawReader, language: Language) -> Response:
    """One kept message, decoded."""
    return _message_page(request, actor, inbox_id, language)


@router.get("/instruments/messages/{inbox_id}/replay")
def show_replay(
    request: Request, inbox_id: int, _actor: RawReader, laboratory: InLaboratory, language: Language
) -> Response:
    """What today's driver reads in a kept message, beside what is stored."""
    return show(
        request,
        "message_replay.html",
        report=replay_of(laboratory, inbox_id),
        hold_words=_hold_words(language),
        CHANGE_KINDS=CHANGE_KINDS,
    )


@router.post("/instruments/messages/{inbox_id}/reopen")
def reopen(
    request: Request, inbox_id: int, actor: Verifier, laboratory: InLaboratory, language: Language
) -> Response:
    """Let a held message be processed again."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            reopen_message(unit, inbox_id)
    except Refused as refusal:
        return _message_page(request, actor, inbox_id, language, refusal)
    return go(f"/instruments/messages/{inbox_id}")


@router.post("/instruments/alarms/{alarm_id}/close")
def close_alarm(
    alarm_id: int,
    actor: InstrumentReader,
    laboratory: InLaboratory,
    then: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Say that an alarm was dealt with."""
    with laboratory.store.unit(actor.login) as unit:
        close_alarm_by_hand(unit, alarm_id)
    return go(local_path(then) or "/instruments")


@router.get("/instruments/{name}")
def show_link(
    request: Request,
    name: str,
    actor: InstrumentReader,
    laboratory: InLaboratory,
    language: Language,
    *,
    before: Before = None,
    messages_before: Before = None,
) -> Response:
    """One link: what waits, its messages, its questions, and raw traffic for who may see it."""
    detail = link_of(laboratory, name, language, messages_before)
    may_see_raw = actor.may(Permission.SEE_RAW)
    return show(
        request,
        "instrument.html",
        detail=detail,
        alarms=_spoken(detail.alarms, language),
        traffic=traffic_of(laboratory, name, before) if may_see_raw else None,
        may_see_raw=may_see_raw,
        pieces=pieces,
        script_areas=("instruments",),
        is_first_page=before is None and messages_before is None,
        before=before,
        messages_before=messages_before,
        hold_words=_hold_words(language),
    )


@router.get("/instruments/{name}/queries")
def show_queries(
    request: Request,
    name: str,
    actor: InstrumentReader,
    laboratory: InLaboratory,
    *,
    before: Before = None,
    empty_only: bool = False,
) -> Response:
    """Everything an analyzer asked, or only what was answered with nothing."""
    queries = queries_of(laboratory, name, before=before, is_empty_only=empty_only)
    return show(
        request,
        "instrument_queries.html",
        name=name,
        queries=queries,
        older=queries[-1].id if len(queries) == QUERIES_PAGE else None,
        before=before,
        empty_only=empty_only,
        may_see_raw=actor.may(Permission.SEE_RAW),
    )


@dataclass(frozen=True, slots=True)
class SearchForm:
    """A search of raw traffic as it was typed."""

    text: Annotated[str, Query(max_length=200)] = ""
    as_hex: bool = False
    direction: Annotated[str, Query(pattern="^(in|out)?$")] = ""
    verdict: Annotated[str, Query(max_length=20)] = ""
    since: Annotated[str, Query(max_length=40)] = ""
    until: Annotated[str, Query(max_length=40)] = ""

    def filter(self, laboratory: Laboratory) -> TrafficFilter:
        """What it asks for; raises `Refused` for a time that is none."""
        return TrafficFilter(
            text=self.text,
            is_hex=self.as_hex,
            direction=self.direction,
            verdict=self.verdict if self.verdict in VERDICTS else "",
            since=moment_asked(laboratory, self.since),
            until=moment_asked(laboratory, self.until),
        )

    def address(self) -> str:
        """The same search as the end of an address, without what is empty."""
        values = asdict(self) | {"as_hex": "true" if self.as_hex else ""}
        return urlencode({key: value for key, value in values.items() if value})


@router.get("/instruments/{name}/journal")
def show_journal(
    request: Request,
    name: str,
    actor: RawReader,
    laboratory: InLaboratory,
    *,
    asked: Annotated[SearchForm, Depends()],
    before: Before = None,
) -> Response:
    """Raw traffic of one link, searched."""
    problem: Refused | None = None
    traffic = None
    try:
        traffic = traffic_of(laboratory, name, before, asked.filter(laboratory))
    except Refused as refusal:
        problem = refusal
    return show(
        request,
        "instrument_journal.html",
        status=status_of(problem) if problem else 200,
        name=name,
        traffic=traffic,
        asked=asked,
        before=before,
        verdicts=VERDICTS,
        same_search=asked.address(),
        may_export_raw=actor.may(Permission.EXPORT_RAW),
        problem=refusal_in_words(request, problem) if problem else "",
        pieces=pieces,
    )


@router.get("/instruments/{name}/capture")
def download_capture(
    name: str, _actor: RawReader, laboratory: InLaboratory, since: str = "", until: str = ""
) -> Response:
    """Traffic as a file without personal data."""
    return redacted_capture(laboratory, stretch_asked(laboratory, name, since, until))


@router.post("/instruments/{name}/capture")
def download_raw_capture(
    name: str,
    actor: RawExporter,
    laboratory: InLaboratory,
    *,
    reason: Annotated[str, Form(max_length=500)] = "",
    since: Annotated[str, Form(max_length=40)] = "",
    until: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Traffic as a file with everything in it; audited."""
    stretch = stretch_asked(laboratory, name, since, until)
    return raw_capture(laboratory, actor, stretch, reason)


def _message_page(
    request: Request,
    actor: Actor,
    inbox_id: int,
    language: str,
    problem: Refused | None = None,
) -> Response:
    values: dict[str, Any] = {
        "message": message_of(laboratory_of(request), inbox_id),
        "may_reopen": actor.may(Permission.VERIFY),
        "hold_words": _hold_words(language),
        "pieces": pieces,
        "problem": refusal_in_words(request, problem) if problem else "",
    }
    status = status_of(problem) if problem else 200
    return show(request, "inbox_message.html", status=status, **values)


def _hold_words(language: str) -> Any:
    """Why a message is held, from the area that knows the code."""
    words = get_words(language)

    def of(code: str) -> str:
        keys = (f"instruments.hold.{code}", f"results.reason_short.{code}")
        return words(next((key for key in keys if words.has(key)), keys[0]))

    return of
