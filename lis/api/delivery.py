"""Deliveries: the queues of each destination, dead letters, sending one again."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, Requires
from lis.api.instruments import InstrumentReader
from lis.api.problems import responses
from lis.app.deliveries import Deliveries, read_deliveries, replay_delivery
from lis.app.laboratory import Laboratory
from lis.domain.roles import Permission

DeliveryManager = Annotated[Actor, Depends(Requires(Permission.MANAGE_DELIVERY))]
REASON_MAX = 1_000

router = APIRouter(prefix="/delivery", tags=["delivery"])


class ReplayBody(BaseModel):
    reason: str = Field(max_length=REASON_MAX)


def deliveries_of(laboratory: Laboratory) -> Deliveries:
    """The delivery screen as it is now."""
    with laboratory.store.read() as session:
        return read_deliveries(session, at=laboratory.clock.now())


@router.get("", responses=responses(401, 403))
def read_delivery(_actor: InstrumentReader, laboratory: InLaboratory) -> Deliveries:
    """What waits, what was refused, what was taken."""
    return deliveries_of(laboratory)


@router.post("/{outbox_id}/replay", status_code=204, responses=responses(401, 403, 404, 422))
def replay(
    outbox_id: int, body: ReplayBody, actor: DeliveryManager, laboratory: InLaboratory
) -> None:
    """Send a dead letter again; the reason is audited."""
    with laboratory.store.unit(actor.login) as unit:
        replay_delivery(unit, outbox_id, reason=body.reason)
