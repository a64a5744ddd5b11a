"""The form under a quarantine's alarm on the instrument board."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response

from lis.api.deps import InLaboratory, Verifier
from lis.api.quarantine import REASON_MAX
from lis.app.quarantine import clear_by_alarm
from ui.pages.showing import go, local_path

router = APIRouter()


@router.post("/instruments/alarms/{alarm_id}/clear-quarantine")
def clear_quarantine(
    alarm_id: int,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    reason: Annotated[str, Form(max_length=REASON_MAX)] = "",
    accepts: Annotated[str, Form(max_length=10)] = "",
    then: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Let a device, or a test on it, speak again; a refusal is a page in words."""
    with laboratory.store.unit(actor.login) as unit:
        clear_by_alarm(unit, alarm_id, reason=reason, user=actor.login, accepts=accepts == "true")
    return go(local_path(then) or "/instruments")
