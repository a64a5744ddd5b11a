"""Orders: the list, one referral, entry at the desk, reception of tubes. The pages call the same functions."""

from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, Requires, Snapshot
from lis.api.problems import responses
from lis.domain.roles import Permission
from lis.orders import reject_specimen
from lis.orders.advising import drop_draft
from lis.orders.desk import Collection, OrderForm, place_form, receive_at_desk
from lis.orders.reads import (
    PAGE_ROWS,
    list_requisitions,
    orderables,
    show_requisition,
)

OrderClerk = Annotated[Actor, Depends(Requires(Permission.ENTER_ORDERS))]
TEXT_MAX: Final = 200
NOTES_MAX: Final = 1_000
CODES_MAX: Final = 4_000
KEY_MAX: Final = 64
KEY_MIN: Final = 8  # short keys would collide between desks

router = APIRouter(tags=["orders"])


class ViewBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PatientBody(ViewBody):
    public_id: str
    name: str
    birth_date: str
    sex: str
    identifiers: list[str]


class RequisitionLineBody(ViewBody):
    key: int
    public_id: str
    created_at: datetime
    source: str
    priority: str
    requester: str
    patient: PatientBody
    state: str
    codes: list[str]
    accessions: list[str]


class RequisitionPage(BaseModel):
    rows: list[RequisitionLineBody]
    next: int | None  # key to page on with; null at the end


class OrderBody(ViewBody):
    code: str
    name: str
    filler_number: str
    placer_number: str
    state: str
    hold_reason: str


class SpecimenBody(ViewBody):
    id: int
    accession: str
    specimen_type: str
    state: str
    version: int
    collected_at: datetime | None
    received_at: datetime | None
    reject_reason: str
    tests: list[tuple[str, str]]


class RequisitionBody(ViewBody):
    line: RequisitionLineBody
    ward: str
    reason: str
    notes: str
    orders: list[OrderBody]
    specimens: list[SpecimenBody]


class OrderableBody(ViewBody):
    code: str
    name: str
    is_panel: bool
    specimen_types: list[str]
    short: list[str]


class NewOrder(BaseModel):
    """A referral as typed; `key` makes sending it twice harmless."""

    key: str = Field(min_length=KEY_MIN, max_length=KEY_MAX)
    codes: str = Field(max_length=CODES_MAX)
    patient: str = Field(default="", max_length=KEY_MAX)
    family_name: str = Field(default="", max_length=TEXT_MAX)
    given_name: str = Field(default="", max_length=TEXT_MAX)
    middle_name: str = Field(default="", max_length=TEXT_MAX)
    birth_date: str = Field(default="", max_length=32)
    sex: str = Field(default="U", max_length=1)
    identifier: str = Field(default="", max_length=TEXT_MAX)
    is_another_person: bool = False
    collection: Collection = Collection.UNKNOWN
    collected_at: str = Field(default="", max_length=32)
    collector: str = Field(default="", max_length=TEXT_MAX)
    is_received: bool = False
    ward: str = Field(default="", max_length=TEXT_MAX)
    requester: str = Field(default="", max_length=TEXT_MAX)
    priority: str = Field(default="R", max_length=1)
    notes: str = Field(default="", max_length=NOTES_MAX)


class PlacedSpecimenBody(ViewBody):
    specimen_id: int
    accession: str
    specimen_type: str


class PlacedBody(ViewBody):
    """`receipt_code` is told only this once; "" when the form was placed before."""

    public_id: str
    receipt_code: str
    specimens: list[PlacedSpecimenBody]


class Scanned(BaseModel):
    accession: str = Field(max_length=64)


class ReceivedBody(ViewBody):
    accession: str
    specimen_type: str
    patient: PatientBody
    requisition: str
    tests: int
    was_here: bool
    received_at: datetime


class Rejection(BaseModel):
    version: int
    reason: str = Field(max_length=NOTES_MAX)


class SpecimenState(ViewBody):
    id: int
    state: str
    version: int


@router.get("/orders", responses=responses(401, 403))
def read_orders(
    _actor: OrderClerk,
    session: Snapshot,
    before: int | None = None,
    text: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> RequisitionPage:
    """The newest referrals, by name or tube number; page on with `next`."""
    rows = list_requisitions(session, before=before, text=text)
    return RequisitionPage(
        rows=[RequisitionLineBody.model_validate(row) for row in rows],
        next=rows[-1].key if len(rows) == PAGE_ROWS else None,
    )


@router.get("/orders/{public_id}", responses=responses(401, 403, 404))
def read_order(
    public_id: str,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
) -> RequisitionBody:
    """One referral with its orders and tubes."""
    view = show_requisition(session, laboratory.catalog(), public_id, language=language)
    return RequisitionBody.model_validate(view)


@router.post("/orders", status_code=201, responses=responses(401, 403, 404, 422))
def place_order(body: NewOrder, actor: OrderClerk, laboratory: InLaboratory) -> PlacedBody:
    """Place a referral typed at a desk."""
    site = laboratory.settings.site[0]
    with laboratory.store.unit(actor.login) as unit:
        placed = place_form(
            unit,
            laboratory.catalog(),
            OrderForm(**body.model_dump()),
            site=site.name,
            zone=ZoneInfo(site.timezone),
        )
        drop_draft(unit, actor.login)
    return PlacedBody.model_validate(placed)


@router.get("/orderables", responses=responses(401, 403))
def read_orderables(
    _actor: OrderClerk, laboratory: InLaboratory, language: Language
) -> list[OrderableBody]:
    """Everything that can be ordered; a laboratory has hundreds, so there is no paging."""
    return [
        OrderableBody.model_validate(one)
        for one in orderables(laboratory.catalog(), language=language)
    ]


@router.post("/specimens/receive", responses=responses(401, 403, 422))
def receive(body: Scanned, actor: OrderClerk, laboratory: InLaboratory) -> ReceivedBody:
    """Receive a scanned tube; doing it again changes nothing and says so."""
    with laboratory.store.unit(actor.login) as unit:
        return ReceivedBody.model_validate(receive_at_desk(unit, body.accession))


@router.post("/specimens/{specimen_id}/refuse", responses=responses(401, 403, 404, 409, 422))
def refuse_tube(
    specimen_id: int, body: Rejection, actor: OrderClerk, laboratory: InLaboratory
) -> SpecimenState:
    """Reject a tube before it is measured, with a reason, at exactly the version that was shown."""
    with laboratory.store.unit(actor.login) as unit:
        tube = reject_specimen(unit, specimen_id, version=body.version, reason=body.reason)
        return SpecimenState.model_validate(tube)
