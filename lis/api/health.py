"""GET /healthz: whether this process can do its work, for supervisors and load balancers."""

from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from lis.api.deps import InLaboratory
from lis.store.queue_queries import answers

router = APIRouter(tags=["operation"])
log = structlog.get_logger("lis.api")


class Health(BaseModel):
    status: Literal["ok", "store_unavailable"]


@router.get("/healthz", responses={503: {"model": Health}})
def read_health(laboratory: InLaboratory, response: Response) -> Health:
    """200 while the store answers, 503 when it does not."""
    try:
        with laboratory.store.read() as session:
            is_well = answers(session)
    except SQLAlchemyError as error:
        log.error("store_unavailable", error=type(error).__name__)
        is_well = False
    if is_well:
        return Health(status="ok")
    response.status_code = 503
    return Health(status="store_unavailable")
