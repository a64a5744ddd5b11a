"""Referrals by REST: the same meaning as by FHIR or HL7, for systems that speak neither.

An order is known by the sender's number: the same one again makes nothing new, and its action changes or cancels it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from lis.api.deps import InLaboratory
from lis.api.problems import responses
from lis.api.senders import ReferralSender
from lis.domain.ids import KEY_LENGTH_MAX
from lis.emr.raw_keeping import keep_raw
from lis.emr.referrals_in import Caller, Collected, ReadRequest, take_referral
from lis.orders.entries import IdentifierEntry, OrderEntry, PatientEntry
from lis.orders.order_saying import Verb

ORDERS_MAX: Final = 200
NO_NUL: Final = r"^[^\x00]*$"
Key = Annotated[str, StringConstraints(max_length=KEY_LENGTH_MAX, pattern=NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=1_000, pattern=NO_NUL)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=KEY_LENGTH_MAX, pattern=NO_NUL)]

router = APIRouter(prefix="/referrals", tags=["referrals"])


class Action(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"


class ReferralIdentifier(BaseModel):
    system: Number
    value: Number
    issuer: Key = ""


class ReferralPatient(BaseModel):
    """`birth_date` is as precise as known: YYYY, YYYY-MM or YYYY-MM-DD."""

    identifiers: list[ReferralIdentifier] = Field(min_length=1, max_length=20)
    family_name: Text = ""
    given_name: Text = ""
    middle_name: Text = ""
    birth_date: str = Field(
        default="", pattern=r"^(\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?)?$"
    )
    sex: str = Field(default="U", pattern="^[FMU]$")


class ReferralOrder(BaseModel):
    """`number` is the sender's; `code` is ours, or anything: an unknown one is held for a person."""

    number: Number
    authority: Key = ""
    code: Number
    priority: str = Field(default="R", pattern="^[SAR]$")
    notes: Text = ""
    action: Action = Action.PLACE


class Referral(BaseModel):
    """`said_at`: when the sender said so; older news never undoes newer. Empty: now."""

    patient: ReferralPatient
    orders: list[ReferralOrder] = Field(min_length=1, max_length=ORDERS_MAX)
    group: Key = ""
    group_authority: Key = ""
    requester: Text = ""
    requester_code: Key = ""
    ward: Text = ""
    reason: Text = ""
    collected_at: AwareDatetime | None = None
    is_collection_estimated: bool = False
    collector: Text = ""
    said_at: AwareDatetime | None = None


class OrderTaken(BaseModel):
    """What became of an order; `reason` says why it is held or could not be done."""

    number: str
    authority: str
    outcome: str
    filler_number: str
    reason: str


class ReferralTaken(BaseModel):
    orders: list[OrderTaken]


@router.post("", responses=responses(401, 403, 422, 429))
def take(body: Referral, sender: ReferralSender, laboratory: InLaboratory) -> ReferralTaken:
    """Place, change, hold or cancel the orders of a referral; all of them, or none."""
    raw = body.model_dump_json(exclude_unset=True).encode()
    catalog = laboratory.catalog()
    with laboratory.store.unit(sender.name) as unit:
        inbox_id = keep_raw(unit, raw, protocol="rest", source=sender.name)
        caller = Caller(source=sender.name, site_id=sender.site_id, inbox_id=inbox_id)
        outcomes = take_referral(
            unit,
            catalog,
            {index: _read(body, order, sender.name) for index, order in enumerate(body.orders)},
            caller,
            at=unit.now,
        )
    return ReferralTaken(
        orders=[
            OrderTaken(
                number=order.number,
                authority=order.authority,
                outcome=outcomes[index].outcome.value,
                filler_number=outcomes[index].filler_number,
                reason=outcomes[index].reason,
            )
            for index, order in enumerate(body.orders)
        ]
    )


def _read(body: Referral, order: ReferralOrder, source: str) -> ReadRequest:
    patient = body.patient
    return ReadRequest(
        verbs=(Verb(order.action.value),),
        entry=OrderEntry(
            code=order.code,
            placer_number=order.number,
            placer_authority=order.authority or source,
            placer_code=order.code,
            priority=order.priority,
            notes=order.notes,
        ),
        patient=PatientEntry(
            family_name=patient.family_name,
            given_name=patient.given_name,
            middle_name=patient.middle_name,
            birth_date=patient.birth_date,
            sex=patient.sex,
            identifiers=tuple(
                IdentifierEntry(system=one.system, value=one.value, issuer=one.issuer)
                for one in patient.identifiers
            ),
        ),
        group=(body.group, body.group_authority),
        collected=_collected(body),
        requester=body.requester,
        requester_code=body.requester_code,
        ward=body.ward,
        reason=body.reason,
        updated_at=body.said_at,
    )


def _collected(body: Referral) -> Collected:
    at: datetime | None = body.collected_at
    certainty = "unknown" if at is None else "exact"
    if at is not None and body.is_collection_estimated:
        certainty = "estimated"
    return Collected(at=at, certainty=certainty, collector=body.collector)
