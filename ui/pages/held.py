"""Orders that wait for a person, and what senders changed after work began.

Plain forms: each order is a card with what is known, why it waits, and the one way on; refusing stands beside it. A refusal of
the rules is shown above the list, and what was typed stays in the address of the search.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import InLaboratory, Verifier, WorklistReader, laboratory_of, language_of
from lis.api.problems import status_of
from lis.domain.errors import NotFound, Refused
from lis.domain.roles import Permission
from lis.orders.held import (
    REASON_MAX,
    accept,
    acknowledge_change,
    choose_patient,
    map_code,
    refuse,
)
from lis.orders.held_reads import PAGE_ROWS, differences, held_orders, orderables
from lis.orders.reads import search_patients
from ui.pages.patients import birthday
from ui.pages.showing import go, refusal_in_words, show

TEXT_MAX: Final = 200
Text = Annotated[str, Form(max_length=TEXT_MAX)]
Version = Annotated[int, Form()]

router = APIRouter()


def _show(
    request: Request,
    *,
    after: int = 0,
    at: int = 0,
    find: str = "",
    problem: Refused | None = None,
) -> Response:
    laboratory = laboratory_of(request)
    with laboratory.store.read() as session:
        orders = held_orders(session, after=after)
        changes = differences(session)
        found = search_patients(session, find) if at else ()
    actor = request.state.actor
    return show(
        request,
        "held.html",
        status=status_of(problem) if problem else 200,
        orders=orders,
        changes=changes,
        next=orders[-1].id if len(orders) == PAGE_ROWS else None,
        at=at,
        find=find,
        found=found,
        orderables=orderables(laboratory.catalog(), language_of(request)),
        may_act=actor.may(Permission.VERIFY),
        reason_max=REASON_MAX,
        birthday=birthday,
        problem=refusal_in_words(request, problem) if problem else "",
    )


def _act(request: Request, actor: Verifier, act: Callable[..., Any], *, at: int = 0) -> Response:
    laboratory = laboratory_of(request)
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            act(unit, catalog)
    except Refused as refusal:
        return _show(request, problem=refusal, at=at)
    except NotFound:
        return _show(request, problem=Refused("heldpage.nobody_chosen"), at=at)
    return go("/held")


@router.get("/held")
def show_held(
    request: Request,
    _actor: WorklistReader,
    *,
    after: Annotated[int, Query(ge=0)] = 0,
    at: Annotated[int, Query(ge=0)] = 0,
    find: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """Everything that waits, oldest first."""
    return _show(request, after=after, at=at, find=find.strip())


@router.post("/held/{order_id}/map")
def map_held(
    request: Request, actor: Verifier, order_id: int, *, version: Version, code: Text = ""
) -> Response:
    """Say what a sender's code means."""
    return _act(
        request,
        actor,
        lambda unit, catalog: map_code(unit, catalog, order_id, version=version, code=code.strip()),
    )


@router.post("/held/{order_id}/patient")
def choose_held(
    request: Request,
    actor: Verifier,
    order_id: int,
    *,
    version: Version,
    patient: Text = "",
    second: Text = "",
) -> Response:
    """Say whose order it is."""
    return _act(
        request,
        actor,
        lambda unit, catalog: choose_patient(
            unit,
            catalog,
            order_id,
            version=version,
            patient=patient,
            second_identifier=second,
        ),
        at=order_id,
    )


@router.post("/held/{order_id}/accept")
def accept_held(request: Request, actor: Verifier, order_id: int, *, version: Version) -> Response:
    """Carry it out as it stands."""
    return _act(
        request, actor, lambda unit, catalog: accept(unit, catalog, order_id, version=version)
    )


@router.post("/held/{order_id}/refuse")
def refuse_held(
    request: Request,
    actor: Verifier,
    order_id: int,
    *,
    version: Version,
    reason: Annotated[str, Form(max_length=REASON_MAX)] = "",
) -> Response:
    """Do not carry it out; the sender is told."""
    return _act(
        request,
        actor,
        lambda unit, catalog: refuse(unit, catalog, order_id, version=version, reason=reason),
    )


@router.post("/held/changes/{change_id}/acknowledge")
def acknowledge(actor: Verifier, laboratory: InLaboratory, change_id: int) -> Response:
    """I have seen what the sender changed."""
    with laboratory.store.unit(actor.login) as unit:
        acknowledge_change(unit, change_id)
    return go("/held#changes")
