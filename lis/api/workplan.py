"""The work plan of a section, the outstanding list, and the filters that a person keeps."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from lis.api.deps import InLaboratory, Language, Snapshot, Verifier, WorklistReader
from lis.api.lookup import ClockBody, TestLineBody
from lis.api.orders import TEXT_MAX, ViewBody
from lis.api.problems import responses
from lis.orders.outstanding import MINUTES_DEFAULT, MINUTES_MAX, Shift, read_outstanding
from lis.orders.workplan import (
    TESTS_MAX,
    PlanFilter,
    Shows,
    drop_filter,
    keep_filter,
    kept_filters,
    read_plan,
)
from lis.results.hand_entry import enter_value

router = APIRouter(tags=["work plan"])
Section = Annotated[str, Query(max_length=TEXT_MAX)]
Minutes = Annotated[int, Query(ge=0, le=MINUTES_MAX)]


class PlanTubeBody(ViewBody):
    specimen_id: int
    accession: str
    specimen_type: str
    location: str
    received_at: datetime | None
    requisition: str
    ward: str
    name: str
    birth_date: str
    sex: str
    is_urgent: bool
    lines: list[TestLineBody]
    clock: ClockBody


class PlanBody(ViewBody):
    tubes: list[PlanTubeBody]
    next: str  # key to page on with; "" at the end


class FilterBody(BaseModel):
    section: str = Field(default="", max_length=TEXT_MAX)
    is_by_hand: bool = False
    is_urgent: bool = False
    shows: Shows = Shows.HERE
    tests: list[str] = Field(default_factory=list, max_length=TESTS_MAX)


class KeptFilterBody(BaseModel):
    name: str
    filter: FilterBody


class OutstandingRowBody(ViewBody):
    line: TestLineBody
    analyzers: list[str]
    waits_minutes: int
    patient: str


class IncompletePanelBody(ViewBody):
    accession: str
    orderable: str
    done: int
    total: int
    missing: list[str]


class OutstandingBody(ViewBody):
    rows: list[OutstandingRowBody]
    panels: list[IncompletePanelBody]
    counts: dict[str, int]
    overdue: int
    is_cut: bool


@router.get("/workplan", responses=responses(401, 403, 422))
def read_workplan(
    _actor: WorklistReader,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
    *,
    section: Section = "",
    is_by_hand: bool = False,
    is_urgent: bool = False,
    shows: Shows = Shows.HERE,
    after: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> PlanBody:
    """What a section has to do, tube by tube; page on with `next`."""
    chosen = PlanFilter(section=section, is_by_hand=is_by_hand, is_urgent=is_urgent, shows=shows)
    plan = read_plan(
        session,
        laboratory.catalog(),
        chosen,
        at=laboratory.clock.now(),
        after=after,
        language=language,
    )
    return PlanBody.model_validate(plan)


@router.get("/workplan/filters", responses=responses(401, 403))
def read_filters(actor: WorklistReader, session: Snapshot) -> list[KeptFilterBody]:
    """The filters that the person keeps; a few, so there is no paging."""
    return [
        KeptFilterBody(name=one.name, filter=FilterBody(**one.filter.body()))
        for one in kept_filters(session, actor.login)
    ]


@router.put("/workplan/filters/{name}", responses=responses(401, 403, 422))
def put_filter(
    name: str, body: FilterBody, actor: WorklistReader, laboratory: InLaboratory
) -> KeptFilterBody:
    """Keep a filter under a name."""
    chosen = PlanFilter(**body.model_dump(exclude={"tests"}), tests=tuple(body.tests))
    with laboratory.store.unit(actor.login) as unit:
        kept = keep_filter(unit, actor.login, name, chosen)
    return KeptFilterBody(name=kept.name, filter=FilterBody(**kept.filter.body()))


@router.delete("/workplan/filters/{name}", status_code=204, responses=responses(401, 403, 404))
def delete_filter(name: str, actor: WorklistReader, laboratory: InLaboratory) -> None:
    """Forget a filter."""
    with laboratory.store.unit(actor.login) as unit:
        drop_filter(unit, actor.login, name)


class Value(BaseModel):
    value: str = Field(max_length=TEXT_MAX)


class EnteredBody(ViewBody):
    observation_id: int
    test: str
    value: str
    is_released: bool
    holds: list[str]


@router.post(
    "/work-orders/{work_order_id}/value",
    status_code=201,
    responses=responses(401, 403, 404, 422),
)
def enter(
    work_order_id: int, body: Value, actor: Verifier, laboratory: InLaboratory
) -> EnteredBody:
    """A value that a person measured; it is judged like an analyzer's."""
    with laboratory.store.unit(actor.login) as unit:
        entered = enter_value(
            unit,
            laboratory.catalog(),
            work_order_id,
            body.value,
            needs_second_person=laboratory.settings.laboratory.second_person,
        )
    return EnteredBody.model_validate(entered)


@router.get("/outstanding", responses=responses(401, 403))
def read_outstanding_list(
    _actor: WorklistReader,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
    *,
    minutes: Minutes = MINUTES_DEFAULT,
    analyzer: Section = "",
    shift: Shift = Shift.ALL,
    section: Section = "",
) -> OutstandingBody:
    """What was received and has no result, or one that nobody has decided about; at most one screen."""
    found = read_outstanding(
        session,
        laboratory.catalog(),
        at=laboratory.clock.now(),
        zone=ZoneInfo(laboratory.settings.site[0].timezone),
        minutes=minutes,
        analyzer=analyzer,
        shift=shift,
        section=section,
        language=language,
    )
    return OutstandingBody.model_validate(found)
