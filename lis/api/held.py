"""Orders that wait for a person, and differences to acknowledge. The pages call the same functions."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from lis.api.deps import InLaboratory, Snapshot, Verifier, WorklistReader
from lis.api.patients import PatientBody
from lis.api.problems import responses
from lis.orders.held import (
    REASON_MAX,
    accept,
    acknowledge_change,
    choose_patient,
    map_code,
    refuse,
)
from lis.orders.held_reads import PAGE_ROWS, differences, held_orders

TEXT_MAX: Final = 200
After = Annotated[int, Query(ge=0)]

router = APIRouter(tags=["held orders"])


class _Body(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class HeldOrderBody(_Body):
    """One order that waits; `way` is how it ends: map, patient, accept, or sender."""

    id: int
    version: int
    filler_number: str
    placer_number: str
    source: str
    requisition: str
    code: str
    sent: str
    hold_reason: str
    way: str
    priority: str
    since: datetime
    patient: PatientBody


class HeldOrdersBody(BaseModel):
    orders: list[HeldOrderBody]
    next: int | None  # ask on with `after`; none: that was all


class DifferenceBody(_Body):
    """What the sender changed after work began; `is_applied`: it was followed all the same."""

    id: int
    filler_number: str
    requisition: str
    code: str
    field: str
    had: str
    said: str
    is_applied: bool
    noted_at: datetime
    patient: PatientBody


class DifferencesBody(BaseModel):
    changes: list[DifferenceBody]
    next: int | None


class SeenBody(BaseModel):
    version: int  # of the order as it was shown


class CodeBody(SeenBody):
    code: str = Field(max_length=TEXT_MAX)


class PatientChoiceBody(SeenBody):
    patient: str = Field(max_length=TEXT_MAX)
    second_identifier: str = Field(max_length=TEXT_MAX)


class RefusalBody(SeenBody):
    reason: str = Field(max_length=REASON_MAX)


class FreedBody(BaseModel):
    """The orders that went on."""

    orders: list[int]


_ACT = responses(401, 403, 404, 409, 422)


@router.get("/held-orders", responses=responses(401, 403))
def read_held(_actor: WorklistReader, session: Snapshot, after: After = 0) -> HeldOrdersBody:
    """Orders that wait for a person, oldest first."""
    rows = held_orders(session, after=after)
    return HeldOrdersBody(
        orders=[HeldOrderBody.model_validate(row) for row in rows],
        next=rows[-1].id if len(rows) == PAGE_ROWS else None,
    )


@router.post("/held-orders/{order_id}/map-code", responses=_ACT)
def map_held(order_id: int, body: CodeBody, actor: Verifier, laboratory: InLaboratory) -> FreedBody:
    """Say what the sender's code means, now and from now on."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        freed = map_code(unit, catalog, order_id, version=body.version, code=body.code)
    return FreedBody(orders=list(freed))


@router.post("/held-orders/{order_id}/choose-patient", responses=_ACT)
def choose_held(
    order_id: int, body: PatientChoiceBody, actor: Verifier, laboratory: InLaboratory
) -> FreedBody:
    """Say whose order it is, with a second identifier."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        freed = choose_patient(
            unit,
            catalog,
            order_id,
            version=body.version,
            patient=body.patient,
            second_identifier=body.second_identifier,
        )
    return FreedBody(orders=list(freed))


@router.post("/held-orders/{order_id}/accept", responses=_ACT)
def accept_held(
    order_id: int, body: SeenBody, actor: Verifier, laboratory: InLaboratory
) -> FreedBody:
    """Carry the order out as it stands."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        accept(unit, catalog, order_id, version=body.version)
    return FreedBody(orders=[order_id])


@router.post("/held-orders/{order_id}/refuse", status_code=204, responses=_ACT)
def refuse_held(
    order_id: int, body: RefusalBody, actor: Verifier, laboratory: InLaboratory
) -> None:
    """Do not carry it out; its sender is told why."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        refuse(unit, catalog, order_id, version=body.version, reason=body.reason)


@router.get("/order-changes", responses=responses(401, 403))
def read_changes(_actor: WorklistReader, session: Snapshot, after: After = 0) -> DifferencesBody:
    """What senders changed after work began and nobody has acknowledged, oldest first."""
    rows = differences(session, after=after)
    return DifferencesBody(
        changes=[DifferenceBody.model_validate(row) for row in rows],
        next=rows[-1].id if len(rows) == PAGE_ROWS else None,
    )


@router.post(
    "/order-changes/{change_id}/acknowledge",
    status_code=204,
    responses=responses(401, 403, 404),
)
def acknowledge(change_id: int, actor: Verifier, laboratory: InLaboratory) -> None:
    """I have seen this."""
    with laboratory.store.unit(actor.login) as unit:
        acknowledge_change(unit, change_id)
