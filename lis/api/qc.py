"""Quality control: the board, one chart's runs, and what people do about them.

The pages call the same functions: `lis.qc.reads` and `lis.qc.sheet` to look, `lis.qc.actions` to act.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, Requires, Snapshot
from lis.api.problems import responses
from lis.domain.control import RunVerdict
from lis.domain.roles import Permission
from lis.printing.chart import Mark
from lis.qc import actions, reads
from lis.qc.sheet import answer_for_gate, read_sheet

HOURS_MAX = int(actions.EXCEPTION_MAX / timedelta(hours=1))
QcReader = Annotated[Actor, Depends(Requires(Permission.SEE_QC))]
QcManager = Annotated[Actor, Depends(Requires(Permission.MANAGE_QC))]
Words = Annotated[
    str, Field(max_length=2 * actions.TEXT_LENGTH_MAX)
]  # the exact limit is said by the rule

router = APIRouter(prefix="/qc", tags=["qc"])


class ExceptionBody(BaseModel):
    """A gate that a named person answers for."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    device_id: int
    test: str
    reason: str
    granted_by: str
    granted_at: datetime
    ends_at: datetime


class TileBody(BaseModel):
    """One test on one device."""

    model_config = ConfigDict(from_attributes=True)

    device_id: int
    device: str
    test: str
    name: str
    state: reads.TileState
    valid_until: datetime | None
    last_at: datetime | None
    last_verdict: RunVerdict | None
    module: str
    reagent_lot: str
    excuse: ExceptionBody | None


class PointBody(BaseModel):
    """One control result with the target that was in force."""

    model_config = ConfigDict(from_attributes=True)

    point_id: int
    level: str
    reported: str
    z: float | None
    mean: Decimal
    sd: Decimal
    at: datetime
    lot: str
    mark: Mark
    rules: tuple[str, ...]
    is_flagged: bool
    is_void: bool
    void_reason: str


class RunBody(BaseModel):
    """One run and what was done about it; `version` goes back with an action."""

    model_config = ConfigDict(from_attributes=True)

    run_id: int
    public_id: str
    version: int
    at: datetime
    verdict: RunVerdict
    violations: dict[str, tuple[str, ...]]
    needs_action: bool
    can_be_acted_on: bool
    action: str
    action_by: str
    action_at: datetime | None
    points: tuple[PointBody, ...]


class SheetBody(BaseModel):
    """A chart in numbers."""

    model_config = ConfigDict(from_attributes=True)

    tile: TileBody
    unit: str
    levels: tuple[str, ...]
    can_be_excused: bool
    excuses: tuple[ExceptionBody, ...]
    lines: tuple[RunBody, ...]


class ActionText(BaseModel):
    version: int
    text: Words


class Reason(BaseModel):
    reason: Words


class NewException(BaseModel):
    device_id: int
    test: str = Field(max_length=64)
    reason: Words
    hours: int = Field(ge=1, le=HOURS_MAX)


@router.get("/board", responses=responses(401, 403))
def read_board(
    _actor: QcReader, laboratory: InLaboratory, session: Snapshot, language: Language
) -> list[TileBody]:
    """Every controlled test on every device, the worst first."""
    catalog, now = laboratory.catalog(), laboratory.clock.now()
    tiles = reads.board(session, catalog, at=now, language=language)
    return [TileBody.model_validate(tile) for tile in tiles]


@router.get("/charts/{device_id}/{test}", responses=responses(401, 403, 404))
def read_chart(
    _actor: QcReader,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
    *,
    device_id: int,
    test: str,
    runs: Annotated[int, Query(ge=1, le=reads.RUNS_SHOWN_MAX)] = reads.RUNS_SHOWN,
) -> SheetBody:
    """The newest runs of one test on one device, oldest first."""
    sheet = read_sheet(
        session,
        laboratory.catalog(),
        device_id=device_id,
        test_code=test,
        at=laboratory.clock.now(),
        language=language,
        runs=runs,
    )
    return SheetBody.model_validate(sheet)


@router.post("/runs/{run_id}/action", status_code=204, responses=responses(401, 403, 404, 409, 422))
def record_action(
    run_id: int, body: ActionText, actor: QcManager, laboratory: InLaboratory
) -> None:
    """Record a corrective action; refuses when the run was judged again meanwhile."""
    with laboratory.store.unit(actor.login) as unit:
        actions.record_action(unit, run_id, body.version, body.text)


@router.post("/points/{point_id}/void", status_code=204, responses=responses(401, 403, 404, 422))
def void_point(point_id: int, body: Reason, actor: QcManager, laboratory: InLaboratory) -> None:
    """Take a point out; it stays visible and frees nothing."""
    with laboratory.store.unit(actor.login) as unit:
        actions.void_point(unit, point_id, body.reason)


@router.get("/exceptions", responses=responses(401, 403))
def read_exceptions(
    _actor: QcReader, laboratory: InLaboratory, session: Snapshot
) -> list[ExceptionBody]:
    """Exceptions that are running, the first to end first."""
    found = reads.exceptions(session, laboratory.clock.now())
    return [ExceptionBody.model_validate(one) for one in found]


@router.post("/exceptions", status_code=201, responses=responses(401, 403, 404, 422))
def grant_exception(
    body: NewException, actor: QcManager, laboratory: InLaboratory
) -> ExceptionBody:
    """Answer for a gate whose control is due, overdue or missing; never after a rejection (S02)."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        excuse = answer_for_gate(
            unit,
            catalog,
            device_id=body.device_id,
            test_code=body.test,
            reason=body.reason,
            hours=body.hours,
        )
    return ExceptionBody.model_validate(excuse)


@router.post(
    "/exceptions/{exception_id}/close", status_code=204, responses=responses(401, 403, 404, 422)
)
def close_exception(
    exception_id: int, body: Reason, actor: QcManager, laboratory: InLaboratory
) -> None:
    """End a running exception now."""
    with laboratory.store.unit(actor.login) as unit:
        actions.close_exception(unit, exception_id, body.reason)
