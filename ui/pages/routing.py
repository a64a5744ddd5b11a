""" "The analyzer does not see the order": one field for a tube, one line for each analyzer, and what a person may change."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import InLaboratory, Verifier, language_of
from lis.api.problems import status_of
from lis.api.routing import NAME_MAX, REASON_MAX, RoutingReader
from lis.app import routing_desk
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotFound, Refused
from lis.domain.roles import Permission
from lis.orders.routing_reads import analyzer_lines, analyzer_view, tube_view
from ui.pages.showing import go, refusal_in_words, show

router = APIRouter()

NUMBER_MAX: Final = 60
Reason = Annotated[str, Form(max_length=REASON_MAX)]
Name = Annotated[str, Form(max_length=NAME_MAX)]


@router.get("/routing")
def show_routing(
    request: Request,
    actor: RoutingReader,
    laboratory: InLaboratory,
    *,
    tube: Annotated[str, Query(max_length=NUMBER_MAX)] = "",
) -> Response:
    """The field and the analyzers; with a number also its tube."""
    return _page(request, laboratory, tube.strip(), may_change=actor.may(Permission.VERIFY))


def _page(
    request: Request,
    laboratory: Laboratory,
    number: str,
    *,
    may_change: bool,
    problem: Refused | None = None,
) -> Response:
    catalog, at = laboratory.catalog(), laboratory.clock.now()
    found, is_unknown = None, False
    with laboratory.store.read() as session:
        lines = analyzer_lines(session)
        try:
            if number:
                language = language_of(request)
                found = tube_view(session, catalog, number, at=at, language=language)
        except NotFound:
            is_unknown = True
    return show(
        request,
        "routing.html",
        status=status_of(problem) if problem else 200,
        lines=lines,
        number=number,
        tube=found,
        is_unknown=is_unknown,
        may_change=may_change,
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/routing/analyzers/{name}")
def show_analyzer(
    request: Request, name: str, actor: RoutingReader, laboratory: InLaboratory
) -> Response:
    """One analyzer: the load list to print, and its questions."""
    return _analyzer(request, laboratory, name, may_change=actor.may(Permission.VERIFY))


def _analyzer(
    request: Request,
    laboratory: Laboratory,
    name: str,
    *,
    may_change: bool,
    problem: Refused | None = None,
) -> Response:
    with laboratory.store.read() as session:
        view = analyzer_view(session, name)
    return show(
        request,
        "routing_analyzer.html",
        status=status_of(problem) if problem else 200,
        view=view,
        at=laboratory.clock.now(),
        may_change=may_change,
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.post("/routing/work-orders/{public_id}/move")
def move(
    request: Request,
    public_id: str,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    version: Annotated[int, Form()],
    tube: Annotated[str, Form(max_length=NUMBER_MAX)],
    analyzer: Name = "",
    reason: Reason = "",
) -> Response:
    """A person chooses; a refusal stands on the same page."""
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            routing_desk.move(unit, catalog, public_id, analyzer, reason=reason, version=version)
    except Refused as refusal:
        return _page(request, laboratory, tube, may_change=True, problem=refusal)
    return go(f"/routing?tube={tube}" if tube.isdigit() else "/routing")


@router.post("/routing/tubes/{number}/send-again")
def send_again(
    request: Request, number: str, actor: Verifier, laboratory: InLaboratory, *, analyzer: Name
) -> Response:
    """Tell an analyzer of the tube once more."""
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            routing_desk.send_again(unit, catalog, number, analyzer)
    except Refused as refusal:
        return _page(request, laboratory, number, may_change=True, problem=refusal)
    return go(f"/routing?tube={number}" if number.isdigit() else "/routing")


@router.post("/routing/analyzers/{name}/stop")
def stop(
    request: Request,
    name: str,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    reason: Reason = "",
    is_stopped: Annotated[bool, Form()] = False,
) -> Response:
    """Out of routing, or back into it."""
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            routing_desk.stop(unit, catalog, name, reason=reason, is_stopped=is_stopped)
    except Refused as refusal:
        return _analyzer(request, laboratory, name, may_change=True, problem=refusal)
    return go(request.url.path.removesuffix("/stop"))
