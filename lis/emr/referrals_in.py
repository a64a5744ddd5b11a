"""Orders of a referral that came over HTTP, whatever its form: FHIR or plain JSON.

Orders of one patient, draw and moment are one referral; they take the same way as those of HL7 v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.orders.changing import hear_orders
from lis.orders.entries import (
    OrderEntry,
    OrderMessage,
    PatientEntry,
    PlacedOrder,
    RequisitionEntry,
    SaidOrder,
)
from lis.orders.order_saying import Verb, stamp_of
from lis.store.fhir_queries import is_number_of_another, order_with_patient
from lis.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends, and to which site."""

    source: str
    site_id: int
    inbox_id: int | None = None  # of the body, as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What is known of the collection."""

    at: datetime | None = None
    certainty: str = "unknown"
    collector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """One order as it was read."""

    verbs: tuple[Verb, ...]
    entry: OrderEntry
    patient: PatientEntry
    group: tuple[str, str]  # requisition: (value, system)
    collected: Collected
    requester: str
    requester_code: str
    ward: str
    reason: str
    updated_at: datetime | None


def take_referral(
    unit: Unit,
    catalog: Catalog,
    orders: Mapping[int, ReadRequest],
    caller: Caller,
    *,
    at: datetime,
) -> dict[int, PlacedOrder]:
    """Carry out orders that were read, those of one patient, draw and moment together; what became of each."""
    for one in orders.values():
        _check_own(unit, one, caller)
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, one in orders.items():
        stamp = stamp_of(one.updated_at or at, "")
        key = (stamp, one.patient, one.group, one.collected, one.requester, one.ward, one.verbs)
        groups.setdefault(key, []).append(index)
    outcomes: dict[int, PlacedOrder] = {}
    people: dict[PatientEntry, str] = {}  # without identifiers: found again by our own id
    for members in groups.values():
        first = orders[members[0]]
        patient = first.patient
        if patient in people and not patient.identifiers:
            patient = PatientEntry(family_name="", patient_public_id=people[patient])
        for verb in first.verbs:
            message = OrderMessage(
                orders=tuple(SaidOrder(verb=verb, entry=orders[index].entry) for index in members),
                requisition=_requisition(first, patient, members, orders, caller),
                stamp=stamp_of(first.updated_at or at, ""),
            )
            placed = hear_orders(unit, catalog, message, site_id=caller.site_id)
            outcomes |= dict(zip(members, placed, strict=True))
        request_id = outcomes[members[0]].service_request_id
        if request_id is not None:
            people[first.patient] = order_with_patient(unit.session, request_id)[1].public_id
    return outcomes


def _check_own(unit: Unit, one: ReadRequest, caller: Caller) -> None:
    """A sender never changes another's order, even if it knows its number."""
    number, authority = one.entry.placer_number, one.entry.placer_authority
    if is_number_of_another(unit.session, number, authority, caller.source):
        raise Refused("senders.number_taken", number=number)


def _requisition(
    one: ReadRequest,
    patient: PatientEntry,
    members: list[int],
    orders: Mapping[int, ReadRequest],
    caller: Caller,
) -> RequisitionEntry:
    entries = tuple(orders[index].entry for index in members)
    urgency = {entry.priority for entry in entries}
    return RequisitionEntry(
        patient=patient,
        orders=entries,
        source=caller.source,
        placer_group=one.group[0],
        placer_authority=one.group[1],
        requester=one.requester,
        requester_code=one.requester_code,
        ward=one.ward,
        priority=next((mark for mark in "SA" if mark in urgency), "R"),
        reason=one.reason,
        collected_at=one.collected.at,
        collected_certainty=one.collected.certainty,
        collector=one.collected.collector,
        inbox_id=caller.inbox_id,
    )
