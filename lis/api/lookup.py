"""The look-up: where a result is, and who was told what. The page calls the same functions."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from lis.api.deps import InLaboratory, Language, PatientReader, Snapshot
from lis.api.orders import NOTES_MAX, TEXT_MAX, PatientBody, ViewBody
from lis.api.problems import responses
from lis.orders.lookup import Relation, look_up, look_up_patient, tell

router = APIRouter(tags=["look-up"])


class StandingBody(ViewBody):
    place: str
    detail: list[str]
    expected_at: datetime | None


class ClockBody(ViewBody):
    state: str
    due_at: datetime | None


class TestLineBody(ViewBody):
    __test__ = False

    work_order_id: int
    orderable: str
    code: str
    name: str
    section: str
    priority: str
    accession: str
    specimen_type: str
    device: str
    received_at: datetime | None
    standing: StandingBody
    clock: ClockBody
    value: str
    unit: str
    flag: str
    interval: str
    is_sensitive: bool


class ToldBody(ViewBody):
    told_at: datetime
    told_by: str
    told_to: str
    relation: str
    telephone: str
    note: str
    ready: list[str]
    waiting: list[str]


class AnswerBody(ViewBody):
    public_id: str
    created_at: datetime
    ward: str
    requester: str
    priority: str
    patient: PatientBody
    lines: list[TestLineBody]
    clock: ClockBody
    told: list[ToldBody]
    ready: int


class FoundBody(ViewBody):
    """Orders, or people of whom one is to be chosen (`patient=`)."""

    answers: list[AnswerBody]
    people: list[PatientBody]
    is_cut: bool


class Telling(BaseModel):
    told_to: str = Field(max_length=TEXT_MAX)
    relation: Relation
    telephone: str = Field(default="", max_length=TEXT_MAX)
    note: str = Field(default="", max_length=NOTES_MAX)


@router.get("/lookup", responses=responses(401, 403, 404))
def read_lookup(
    _actor: PatientReader,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
    text: Annotated[str, Query(max_length=TEXT_MAX)] = "",
    patient: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> FoundBody:
    """By the number of a tube or order, an identifier, a telephone, or the beginning of a name."""
    catalog, at = laboratory.catalog(), laboratory.clock.now()
    if patient:
        found = look_up_patient(session, catalog, patient, at=at, language=language)
    else:
        found = look_up(session, catalog, text, at=at, language=language)
    return FoundBody.model_validate(found)


@router.post(
    "/orders/{public_id}/tellings", status_code=201, responses=responses(401, 403, 404, 422)
)
def add_telling(
    public_id: str, body: Telling, actor: PatientReader, laboratory: InLaboratory
) -> ToldBody:
    """Keep that somebody was told how this order stands now."""
    with laboratory.store.unit(actor.login) as unit:
        told = tell(unit, laboratory.catalog(), public_id, **body.model_dump())
        return ToldBody.model_validate(told)
