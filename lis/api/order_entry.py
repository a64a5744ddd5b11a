"""Order entry while it is typed: tubes and warnings, and the draft. The page works without them."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lis.api.deps import InLaboratory, Language, Snapshot
from lis.api.orders import CODES_MAX, KEY_MAX, NOTES_MAX, TEXT_MAX, OrderClerk, ViewBody
from lis.api.problems import responses
from lis.orders.advising import advise, drop_draft, keep_draft
from lis.orders.desk import Collection
from lis.orders.entry_advice import EntryFacts

router = APIRouter(tags=["orders"])


class Typing(BaseModel):
    """What stands in the form so far."""

    codes: str = Field(default="", max_length=CODES_MAX)
    patient: str = Field(default="", max_length=KEY_MAX)
    family_name: str = Field(default="", max_length=TEXT_MAX)
    birth_date: str = Field(default="", max_length=32)
    sex: str = Field(default="U", max_length=1)
    collection: Collection = Collection.UNKNOWN
    priority: str = Field(default="R", max_length=1)
    requester: str = Field(default="", max_length=TEXT_MAX)


class TubeBody(BaseModel):
    specimen_type: str
    container: str  # its name in the language of the person, "" for any that holds the type
    cap: str
    count: int
    tests: list[str]


class WarnedBody(ViewBody):
    code: str
    tests: list[str]
    at: datetime | None


class AdviceBody(BaseModel):
    tubes: list[TubeBody]
    warnings: list[WarnedBody]
    unknown: list[str]


class Draft(Typing):
    """A working paper: the fields as they stand."""

    given_name: str = Field(default="", max_length=TEXT_MAX)
    middle_name: str = Field(default="", max_length=TEXT_MAX)
    identifier: str = Field(default="", max_length=TEXT_MAX)
    collected_at: str = Field(default="", max_length=32)
    is_received: bool = False
    ward: str = Field(default="", max_length=TEXT_MAX)
    notes: str = Field(default="", max_length=NOTES_MAX)


@router.post("/order-advice", responses=responses(401, 403, 422))
def read_advice(
    body: Typing,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
) -> AdviceBody:
    """Tubes and warnings for what is typed; a POST, because names must not stand in addresses."""
    advice = advise(
        session,
        laboratory.catalog(),
        codes=body.codes,
        patient=body.patient,
        typed=EntryFacts(
            codes=(),
            has_patient=bool(body.family_name.strip()),
            birth_date=body.birth_date.strip(),
            sex=body.sex,
            is_collection_known=body.collection is not Collection.UNKNOWN,
            priority=body.priority,
            requester=body.requester,
        ),
        at=laboratory.clock.now(),
    )
    return AdviceBody(
        tubes=[
            TubeBody(
                specimen_type=one.specimen_type,
                container=one.names.get(language) or one.names.get("en") or one.container,
                cap=one.cap,
                count=one.count,
                tests=list(one.tests),
            )
            for one in advice.tubes
        ],
        warnings=[WarnedBody.model_validate(one) for one in advice.warnings],
        unknown=list(advice.unknown),
    )


@router.put("/order-draft", status_code=204, responses=responses(401, 403, 422))
def put_draft(body: Draft, actor: OrderClerk, laboratory: InLaboratory) -> None:
    """Keep what is typed until the order is placed; each person has one draft."""
    with laboratory.store.unit(actor.login) as unit:
        keep_draft(unit, actor.login, body.model_dump(mode="json"))


@router.delete("/order-draft", status_code=204, responses=responses(401, 403))
def delete_draft(actor: OrderClerk, laboratory: InLaboratory) -> None:
    """Throw the draft away."""
    with laboratory.store.unit(actor.login) as unit:
        drop_draft(unit, actor.login)
