"""Routing: which analyzer does which test and why, what was asked and answered, and what a person changes."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, Requires, Verifier
from lis.api.problems import responses
from lis.app import routing_desk
from lis.domain.roles import Permission
from lis.orders.routing_reads import (
    AnalyzerLine,
    AnalyzerView,
    TubeView,
    analyzer_lines,
    analyzer_view,
    tube_view,
)

REASON_MAX: Final = 1_000
NAME_MAX: Final = 200

router = APIRouter(prefix="/routing", tags=["routing"])
RoutingReader = Annotated[Actor, Depends(Requires(Permission.SEE_WORKLIST))]


class MoveBody(BaseModel):
    analyzer: str = Field(max_length=NAME_MAX)  # "" gives the choice back to the rules
    reason: str = Field(max_length=REASON_MAX)
    version: int


class StopBody(BaseModel):
    is_stopped: bool
    reason: str = Field(max_length=REASON_MAX)


class SendBody(BaseModel):
    analyzer: str = Field(max_length=NAME_MAX)


class Count(BaseModel):
    count: int


@router.get("/analyzers", responses=responses(401, 403))
def list_analyzers(_actor: RoutingReader, laboratory: InLaboratory) -> tuple[AnalyzerLine, ...]:
    """Every analyzer with what lies before it."""
    with laboratory.store.read() as session:
        return analyzer_lines(session)


@router.get("/analyzers/{name}", responses=responses(401, 403, 404))
def read_analyzer(name: str, _actor: RoutingReader, laboratory: InLaboratory) -> AnalyzerView:
    """One analyzer: its load list with racks and places, and its last questions."""
    with laboratory.store.read() as session:
        return analyzer_view(session, name)


@router.get("/tubes/{accession}", responses=responses(401, 403, 404))
def read_tube(
    accession: str, _actor: RoutingReader, laboratory: InLaboratory, language: Language
) -> TubeView:
    """One tube: each test with every analyzer and every reason, and who asked for it."""
    catalog, at = laboratory.catalog(), laboratory.clock.now()
    with laboratory.store.read() as session:
        return tube_view(session, catalog, accession, at=at, language=language)


@router.post(
    "/work-orders/{public_id}/move", status_code=204, responses=responses(401, 403, 404, 409, 422)
)
def move(public_id: str, body: MoveBody, actor: Verifier, laboratory: InLaboratory) -> None:
    """A person chooses the analyzer, with a reason; what excludes an analyzer excludes it here too."""
    catalog, version = laboratory.catalog(), body.version
    with laboratory.store.unit(actor.login) as unit:
        routing_desk.move(
            unit, catalog, public_id, body.analyzer, reason=body.reason, version=version
        )


@router.post("/analyzers/{name}/stop", responses=responses(401, 403, 404, 422))
def stop(name: str, body: StopBody, actor: Verifier, laboratory: InLaboratory) -> Count:
    """Take an analyzer out of routing or back into it; how many orders went elsewhere."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        count = routing_desk.stop(
            unit, catalog, name, reason=body.reason, is_stopped=body.is_stopped
        )
    return Count(count=count)


@router.post("/tubes/{accession}/send-again", responses=responses(401, 403, 404, 422))
def send_again(accession: str, body: SendBody, actor: Verifier, laboratory: InLaboratory) -> Count:
    """Tell an analyzer that does not ask of this tube once more."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        return Count(count=routing_desk.send_again(unit, catalog, accession, body.analyzer))
