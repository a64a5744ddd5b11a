"""Two identities that are one person: find both, merge; undo a merge; messages about people that wait."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import Verifier, WorklistReader, laboratory_of
from lis.api.identity import REASON_MAX
from lis.api.problems import status_of
from lis.domain.errors import NotFound, Refused
from lis.domain.roles import Permission
from lis.orders.held_reads import issues, merges
from lis.orders.reads import search_patients
from lis.results.person_changed import merge_by_person, settle_issue, unmerge_by_person
from ui.pages.patients import birthday
from ui.pages.showing import go, refusal_in_words, show

TEXT_MAX: Final = 200
Text = Annotated[str, Form(max_length=TEXT_MAX)]
Reason = Annotated[str, Form(max_length=REASON_MAX)]

router = APIRouter()


def _show(request: Request, *, find: str = "", problem: Refused | None = None) -> Response:
    with laboratory_of(request).store.read() as session:
        waiting, joined = issues(session), merges(session)
        found = search_patients(session, find)
    return show(
        request,
        "identity.html",
        status=status_of(problem) if problem else 200,
        issues=waiting,
        merges=joined,
        find=find,
        found=found,
        may_act=request.state.actor.may(Permission.VERIFY),
        reason_max=REASON_MAX,
        birthday=birthday,
        problem=refusal_in_words(request, problem) if problem else "",
    )


def _act(request: Request, actor: Verifier, act: Callable[..., Any], *, find: str = "") -> Response:
    laboratory = laboratory_of(request)
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            act(unit, catalog)
    except Refused as refusal:
        return _show(request, problem=refusal, find=find)
    except NotFound:
        return _show(request, problem=Refused("identitypage.choose_two"), find=find)
    return go("/identity")


@router.get("/identity")
def show_identity(
    request: Request,
    _actor: WorklistReader,
    find: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """What waits, a search for two people, and the merges that may be undone."""
    return _show(request, find=find.strip())


@router.post("/identity/merge")
def merge(
    request: Request,
    actor: Verifier,
    *,
    retired: Text = "",
    surviving: Text = "",
    reason: Reason = "",
    find: Text = "",
) -> Response:
    """Make two identities one."""
    if not retired or not surviving or retired == surviving:
        return _show(request, find=find, problem=Refused("identitypage.choose_two"))
    return _act(
        request,
        actor,
        lambda unit, catalog: merge_by_person(
            unit, catalog, retired=retired, surviving=surviving, reason=reason
        ),
        find=find,
    )


@router.post("/identity/unmerge")
def unmerge(
    request: Request, actor: Verifier, *, retired: Text = "", reason: Reason = ""
) -> Response:
    """Undo a merge."""
    return _act(
        request,
        actor,
        lambda unit, catalog: unmerge_by_person(unit, catalog, retired=retired, reason=reason),
    )


@router.post("/identity/issues/{issue_id}/settle")
def settle(request: Request, actor: Verifier, issue_id: int, *, reason: Reason = "") -> Response:
    """Say what was done about a message."""
    return _act(request, actor, lambda unit, _catalog: settle_issue(unit, issue_id, reason=reason))
