"""Clearing a quarantine through its alarm. The page calls the same function."""

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lis.api.deps import InLaboratory, Verifier
from lis.api.problems import responses
from lis.app.quarantine import clear_by_alarm

REASON_MAX: Final = 1_000

router = APIRouter(prefix="/instruments", tags=["instruments"])


class ClearBody(BaseModel):
    reason: str = Field(max_length=REASON_MAX)
    accepts: bool = False  # what the header says is right from now on


@router.post(
    "/alarms/{alarm_id}/clear-quarantine",
    status_code=204,
    responses=responses(401, 403, 404, 409, 422),
)
def clear_quarantine(
    alarm_id: int, body: ClearBody, actor: Verifier, laboratory: InLaboratory
) -> None:
    """Say why a device, or a test on it, may speak again (S23)."""
    with laboratory.store.unit(actor.login) as unit:
        clear_by_alarm(unit, alarm_id, reason=body.reason, user=actor.login, accepts=body.accepts)
