"""The page about rules of repeating: what is in force, what waits for a second person, what the rules made."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Form, Query, Request, Response

from lis.access import Actor
from lis.api.deps import InLaboratory, Verifier, WorklistReader, laboratory_of
from lis.api.problems import status_of
from lis.api.repeat_rules import (
    REASON_MAX,
    approve_proposal,
    count_and_keep,
    propose_document,
    show_made,
    show_rules,
)
from lis.domain.document_fields import age_text
from lis.domain.errors import Malformed, Refused
from lis.domain.repeat_document import read_repeat_rules
from lis.domain.repeat_rules import NO_RULES
from lis.domain.roles import Permission
from lis.results import repeat_versions
from lis.results.repeat_dry_run import DAYS_DEFAULT, DAYS_MAX
from ui.pages.showing import go, refusal_in_words, show

DOCUMENT_MAX: Final = 500_000  # characters of one version
HERE: Final = "/repeat-rules"
Reason = Annotated[str, Form(max_length=REASON_MAX)]
Seen = Annotated[int, Form()]

router = APIRouter()


def _show(
    request: Request,
    actor: Actor,
    *,
    problem: Refused | Malformed | None = None,
    entered: str = "",
    before: int | None = None,
    needs_person: bool = False,
) -> Response:
    laboratory = laboratory_of(request)
    with laboratory.store.read() as session:
        known = show_rules(actor, session, laboratory)
        made = show_made(actor, session, before=before, needs_person=needs_person)
    rules = read_repeat_rules(known.document) if known.version else NO_RULES
    stops = {one.rule: one for one in known.stopped}
    start = known.document if known.version else _FIRST
    return show(
        request,
        "repeat_rules.html",
        status=status_of(problem) if problem else 200,
        known=known,
        rules=rules,
        stops=stops,
        made=made,
        needs_person=needs_person,
        may_change=actor.may(Permission.VERIFY),
        age_text=age_text,
        days=DAYS_DEFAULT,
        days_max=DAYS_MAX,
        document=entered or _pretty(start),
        is_entered=bool(entered),
        problem=_words(request, problem),
    )


_FIRST: Final[dict[str, Any]] = {"version": "1", "rules": [], "choices": []}


def _pretty(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _words(request: Request, problem: Refused | Malformed | None) -> str:
    if problem is None:
        return ""
    return refusal_in_words(request, problem) if isinstance(problem, Refused) else str(problem)


@router.get(HERE)
def show_page(
    request: Request,
    actor: WorklistReader,
    *,
    before: Annotated[int | None, Query(ge=1)] = None,
    needs_person: bool = False,
) -> Response:
    """Rules, proposals, and what was made."""
    return _show(request, actor, before=before, needs_person=needs_person)


@router.post(HERE)
def propose(
    request: Request,
    actor: Verifier,
    laboratory: InLaboratory,
    document: Annotated[str, Form(max_length=DOCUMENT_MAX)],
) -> Response:
    """Propose a version; what is wrong with it is said above the text, which stays."""
    try:
        read = _document(document)
        propose_document(laboratory, read, login=actor.login)
    except (Refused, Malformed) as problem:
        return _show(request, actor, problem=problem, entered=document)
    return go(f"{HERE}#proposals")


def _document(text: str) -> dict[str, Any]:
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused("repeatpage.not_json", problem=str(error)) from error
    if not isinstance(read, dict):
        raise Malformed(expected="an object with version and rules", got=read, where="repeat")
    return read


@router.post(HERE + "/stop")
def stop(
    request: Request,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    rule: Annotated[str, Form(max_length=100)] = "",
    reason: Reason = "",
) -> Response:
    """Press a stop switch."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            repeat_versions.stop(unit, rule=rule, reason=reason)
    except Refused as problem:
        return _show(request, actor, problem=problem)
    return go(HERE)


@router.post(HERE + "/resume")
def resume(
    request: Request,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    rule: Annotated[str, Form(max_length=100)] = "",
    reason: Reason = "",
) -> Response:
    """Let what was stopped speak again."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            repeat_versions.resume(unit, rule=rule, reason=reason)
    except Refused as problem:
        return _show(request, actor, problem=problem)
    return go(HERE)


@router.post(HERE + "/{proposal_id}/count")
def count(
    request: Request,
    proposal_id: int,
    actor: Verifier,
    laboratory: InLaboratory,
    days: Annotated[int, Form()] = DAYS_DEFAULT,
) -> Response:
    """Count over history what a proposal would have done."""
    try:
        count_and_keep(laboratory, proposal_id, days, login=actor.login)
    except Refused as problem:
        return _show(request, actor, problem=problem)
    return go(f"{HERE}#proposal-{proposal_id}")


@router.post(HERE + "/{proposal_id}/approve")
def approve(
    request: Request, proposal_id: int, actor: Verifier, laboratory: InLaboratory, seen: Seen
) -> Response:
    """Put a proposal in force as the second person."""
    try:
        approve_proposal(laboratory, proposal_id, seen, login=actor.login)
    except (Refused, Malformed) as problem:
        return _show(request, actor, problem=problem)
    return go(HERE)


@router.post(HERE + "/{proposal_id}/withdraw")
def withdraw(
    request: Request,
    proposal_id: int,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    seen: Seen,
    reason: Reason = "",
) -> Response:
    """Give a proposal up."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            repeat_versions.withdraw(unit, proposal_id, seen=seen, reason=reason)
    except Refused as problem:
        return _show(request, actor, problem=problem)
    return go(f"{HERE}#proposals")
