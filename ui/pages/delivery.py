"""The delivery screen: queues, dead letters, what was taken."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from lis.access import Actor
from lis.api.delivery import REASON_MAX, DeliveryManager, deliveries_of
from lis.api.deps import InLaboratory, laboratory_of
from lis.api.instruments import InstrumentReader
from lis.api.problems import status_of
from lis.app.deliveries import replay_delivery
from lis.domain.errors import Refused
from lis.domain.roles import Permission
from ui.pages.showing import go, refusal_in_words, show

router = APIRouter()


def _show(request: Request, actor: Actor, problem: Refused | None = None) -> Response:
    return show(
        request,
        "delivery.html",
        status=status_of(problem) if problem else 200,
        script_areas=("instruments",),
        deliveries=deliveries_of(laboratory_of(request)),
        may_replay=actor.may(Permission.MANAGE_DELIVERY),
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/delivery")
def show_deliveries(request: Request, actor: InstrumentReader) -> Response:
    """All destinations; sending again needs its own permission."""
    return _show(request, actor)


@router.post("/delivery/{outbox_id}/replay")
def send_again(
    request: Request,
    outbox_id: int,
    actor: DeliveryManager,
    laboratory: InLaboratory,
    reason: Annotated[str, Form(max_length=REASON_MAX)] = "",
) -> Response:
    """Send a dead letter again."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            replay_delivery(unit, outbox_id, reason=reason)
    except Refused as refusal:
        return _show(request, actor, refusal)
    return go("/delivery")
