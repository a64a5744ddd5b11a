"""The message lab: what a message says field by field, and a driver for an instrument nobody taught us yet.

The page keeps nothing between two requests: captures travel in the form, so that what is confirmed is what was
shown. A driver is saved only when every line is confirmed.
"""

import base64
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import FormData

from lis.access import Actor
from lis.api.deps import InLaboratory, RawReader, get_words, language_of
from lis.api.message_lab import (
    CAPTURE_BYTES_MAX,
    Proposal,
    captures_from,
    check_size,
    known_drivers,
    preview_of,
    propose_driver,
    read_captures,
    save_learned,
)
from lis.app.laboratory import Laboratory
from lis.domain.errors import LisError, Malformed, NotFound, Refused
from lis.words import Words
from ui.pages.showing import show

ANSWER, CONFIRMED = "answer.", "ok."
LETTERS: Final = frozenset({"flag", "status", "id_mode"})
LIMIT_KB: Final = CAPTURE_BYTES_MAX // 1000

router = APIRouter()


async def sent_form(request: Request) -> AsyncIterator[FormData]:
    """All fields of the form, as their names are not known beforehand; its files close with the answer."""
    form = await request.form()
    try:
        yield form
    finally:
        await form.close()


Sent = Annotated[FormData, Depends(sent_form)]


@dataclass(frozen=True, slots=True)
class Line:
    """One question as a row of the form."""

    name: str
    title: str
    question: Any
    is_confirmed: bool


@dataclass(slots=True)
class _Taught:
    """What was confirmed so far."""

    captures: Sequence[bytes]
    proposal: Proposal
    lines: list[Line]
    named: dict[str, Any]
    action: str
    problem: str


@router.get("/instruments/lab")
def show_lab(request: Request, _actor: RawReader) -> Response:
    """The empty form."""
    return _page(request)


@router.post("/instruments/lab")
def read_in_lab(
    request: Request, form: Sent, _actor: RawReader, laboratory: InLaboratory
) -> Response:
    """What the captures say."""
    captures = _given(form)
    driver = _text(form, "driver")
    if not captures:
        return _page(request, status=422, problem=_word(request, "nothing"))
    try:
        check_size(captures)
        reading = read_captures(laboratory, captures, driver=driver)
    except (Malformed, NotFound) as error:
        return _page(request, status=422, problem=_told(request, error))
    return _page(request, reading=reading, captures=captures, driver=driver)


@router.post("/instruments/lab/learn")
def learn_in_lab(
    request: Request, form: Sent, actor: RawReader, laboratory: InLaboratory
) -> Response:
    """Propose a driver, show what it reads with the answers, or save it."""
    try:
        captures = captures_from([item for item in form.getlist("data") if isinstance(item, str)])
        taught = _taught(request, captures, form)
        written = _save(request, laboratory, actor, taught)
        if written:
            return _page(request, saved=taught.named["key"], written=written)
        reading = read_captures(laboratory, captures, profile=preview_of(taught.proposal))
    except Malformed as error:
        return _page(request, status=422, problem=_told(request, error))
    return _page(
        request,
        status=422 if taught.problem else 200,
        problem=taught.problem,
        proposal=taught.proposal,
        reading=reading,
        captures=captures,
        can_save=bool(laboratory.settings.drivers.folder),
        lines=taught.lines,
        **taught.named,
    )


def _taught(request: Request, captures: Sequence[bytes], form: FormData) -> "_Taught":
    """The proposal with all answers that can be taken; of the first that cannot, why."""
    answers = _answers(form)
    problem, wrong = "", set[str]()
    while True:
        try:
            proposal = propose_driver(captures, answers)
            preview_of(proposal)
        except Malformed as error:
            culprit = _culprit(error, answers)
            if culprit is None:
                raise
            problem = problem or _told(request, error)
            wrong.add(culprit)
            del answers[culprit]
        else:
            lines = _lines(request, proposal, form, wrong)
            return _Taught(captures, proposal, lines, _named(form), _text(form, "action"), problem)


def _culprit(error: Malformed, answers: Mapping[str, str]) -> str | None:
    """The answer that the error speaks of, or that it got."""
    named = [name for name in answers if re.search(rf"[ .]{re.escape(name)}$", error.where)]
    if named:
        return max(named, key=len)
    return error.got if isinstance(error.got, str) and error.got in answers else None


def _save(
    request: Request, laboratory: Laboratory, actor: Actor, taught: "_Taught"
) -> tuple[Path, ...]:
    """The files of the driver; () where nobody wants it yet or something is in the way."""
    if taught.action != "save" or taught.problem:
        return ()
    if waiting := sum(not line.is_confirmed for line in taught.lines):
        taught.problem = _word(request, "unconfirmed", count=waiting)
        return ()
    try:
        return save_learned(laboratory, actor, taught.captures, taught.proposal, **taught.named)
    except (Malformed, Refused) as error:
        taught.problem = _told(request, error)
        return ()


# ---------------------------------------------------------------------------- what was sent


def _given(form: FormData) -> list[bytes]:
    """Files that were dropped and text that was pasted, in that order."""
    given = [
        item.file.read(CAPTURE_BYTES_MAX + 1)
        for item in form.getlist("files")
        if not isinstance(item, str)
    ]
    text = _text(form, "text")
    return [data for data in (*given, text.encode("utf-8", errors="replace")) if data.strip()]


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _answers(form: FormData) -> dict[str, str]:
    return {
        name.removeprefix(ANSWER): value
        for name, value in form.items()
        if name.startswith(ANSWER) and isinstance(value, str)
    }


def _named(form: FormData) -> dict[str, Any]:
    return {
        "key": _text(form, "key"),
        "name": _text(form, "name"),
        "source": _text(form, "source"),
        "is_from_instrument": bool(_text(form, "is_from_instrument")),
    }


def _lines(request: Request, proposal: Proposal, form: FormData, wrong: set[str]) -> list[Line]:
    words = get_words(language_of(request))
    sent = {name for name, value in form.items() if name.startswith(CONFIRMED) and value}
    return [
        Line(
            name=one.name,
            title=_title(words, one.name),
            question=one,
            is_confirmed=one.name not in wrong and CONFIRMED + one.name in sent,
        )
        for one in proposal.questions
    ]


def _title(words: Words, name: str) -> str:
    stem, mark, text = name.partition(".")
    if mark and stem in LETTERS:
        return words(f"lab.meaning.{stem}", text=text)
    return _use(words, name)


# ---------------------------------------------------------------------------- what is shown


def _use(words: Words, name: str) -> str:
    """What a place is read as; a name that has no words yet shows itself."""
    key = f"lab.question.{name}"
    return words(key) if words.has(key) else name


def _word(request: Request, key: str, **parameters: object) -> str:
    return get_words(language_of(request))(f"lab.{key}", **parameters)


def _told(request: Request, error: LisError) -> str:
    words = get_words(language_of(request))
    match error:
        case Malformed() if error.where == "captures":
            return words("lab.too_large", limit=LIMIT_KB)
        case Malformed():
            return words(
                "lab.malformed",
                where=error.where,
                expected=error.expected,
                got=str(error.got)[:200],
            )
        case Refused():
            return words(error.code, **error.parameters)
        case _:
            return str(error)


def _page(request: Request, *, status: int = 200, **values: Any) -> Response:
    words = get_words(language_of(request))

    def field_name(protocol: str, place: str) -> str:
        key = f"lab.{protocol}.{place}"
        if words.has(key):
            return words(key)
        return words("lab.maker_field") if place.startswith("M.") else ""

    shown: dict[str, Any] = {
        "reading": None,
        "proposal": None,
        "captures": (),
        "driver": "",
        "drivers": known_drivers(),
        "limit": LIMIT_KB,
        "saved": "",
        "written": (),
        "field_name": field_name,
        "use": lambda name: _use(words, name),
        "encoded": _encoded,
        "hold_words": lambda code: words(f"results.reason_short.{code}"),
        "answer_words": lambda code: words(f"lab.answer.{code}"),
        "has_answer_words": lambda code: words.has(f"lab.answer.{code}"),
    }
    return show(
        request, "message_lab.html", status=status, script_areas=("lab",), **(shown | values)
    )


def _encoded(data: bytes) -> str:
    """A capture as a field of a form: letters that need no escape in an address-encoded body."""
    return base64.urlsafe_b64encode(data).decode("ascii")
