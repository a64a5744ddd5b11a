"""Placing and cancelling: from a referral to tubes and work orders, in one unit of work.

An order that is readable but names something unknown is accepted and held for a person; nothing is
dropped. The same order sent again (same placer number and authority) makes nothing new: an EMR may
resend for ever. Accession and filler numbers come from counters inside the transaction, so two clerks
can never get the same one.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from lis.access.passwords import new_receipt_code, receipt_hash
from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import (
    SERVICE_REQUEST,
    SPECIMEN,
    WORK_ORDER,
    RequestEvent,
    RequestState,
    SpecimenEvent,
    SpecimenState,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.orders.accession import new_accession
from lis.orders.entries import (
    OrderEntry,
    Outcome,
    Placed,
    PlacedOrder,
    PlacedSpecimen,
    RequisitionEntry,
)
from lis.orders.patients import find_or_make_patient
from lis.orders.routing import Plan, plan_orders
from lis.store.one_at_a_time import hold_names
from lis.store.order_queries import (
    service_requests_by_placer,
    specimen_by_id,
    specimens_by_accession,
    specimens_of_requisition,
    work_orders_of_requests,
    work_orders_of_specimens,
)
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import PatientAccess
from lis.store.unit import Unit

ORDERS_MAX: Final = 200  # in one referral; more is a broken message, not a patient
RECEIPT_LIFE: Final = timedelta(days=90)
SAME_RECEPTION: Final = timedelta(minutes=10)  # a tube scanned twice in one go, not two tubes
FILLER_AUTHORITY: Final = "LIS"
_STARTED = frozenset({WorkOrderState.IN_PROCESS, WorkOrderState.RESULTED})


def place_requisition(
    unit: Unit, catalog: Catalog, entry: RequisitionEntry, *, site_id: int
) -> Placed:
    """Store a referral: patient, orders, tubes, work orders, receipt. Nothing is dropped."""
    if not entry.orders:
        raise Refused("orders.no_orders")
    if len(entry.orders) > ORDERS_MAX:
        raise Refused("orders.too_many_orders", limit=ORDERS_MAX)
    known = _known_orders(unit, entry)
    if known:
        return _place_the_rest(unit, catalog, entry, known, site_id=site_id)
    found = find_or_make_patient(unit, entry.patient, site_id=site_id)
    requisition = _requisition(unit, entry, site_id, found.patient.id)
    plan = plan_orders(catalog, tuple(order.code for order in entry.orders))
    requests = [
        _service_request(
            unit,
            requisition,
            order,
            hold_reason=found.conflict or ("unknown_orderable" if index in plan.unknown else ""),
        )
        for index, order in enumerate(entry.orders)
    ]
    unit.session.flush()
    specimens = _specimens(unit, entry, requisition, plan)
    _work_orders(unit, plan, requests, specimens)
    receipt_code = _receipt(unit, requisition)
    unit.audit(
        "requisition_placed",
        "Requisition",
        requisition.id,
        after={"source": entry.source, "orders": [order.code for order in entry.orders]},
    )
    unit.publish("order", requisition.public_id)
    return Placed(
        requisition_id=requisition.id,
        public_id=requisition.public_id,
        receipt_code=receipt_code,
        orders=tuple(_placed(request) for request in requests),
        specimens=tuple(
            PlacedSpecimen(
                specimen_id=tube.id, accession=tube.accession, specimen_type=tube.specimen_type
            )
            for tube in specimens
        ),
    )


def cancel_order(unit: Unit, *, placer_number: str, placer_authority: str) -> PlacedOrder:
    """Cancel by the EMR's number: not started = revoked, started = unable (DESIGN 5.5)."""
    requests = service_requests_by_placer(unit.session, placer_number, placer_authority)
    if not requests:
        return PlacedOrder(
            outcome=Outcome.UNKNOWN, placer_number=placer_number, reason="order_unknown"
        )
    request = requests[-1]
    outcome = _revoke(unit, request)
    return PlacedOrder(
        outcome=outcome,
        placer_number=placer_number,
        filler_number=request.filler_number,
        service_request_id=request.id,
        reason="" if outcome is Outcome.CANCELLED else "already_started",
    )


def _revoke(unit: Unit, request: ServiceRequest) -> Outcome:
    if request.state is RequestState.REVOKED:
        return Outcome.CANCELLED
    work_orders = work_orders_of_requests(unit.session, [request.id])
    is_started = any(work_order.state in _STARTED for work_order in work_orders)
    if is_started or not SERVICE_REQUEST.allows(request.state, RequestEvent.REVOKE):
        return Outcome.UNABLE
    for work_order in work_orders:
        work_order.state = WORK_ORDER.apply(work_order.state, WorkOrderEvent.CANCEL)
        work_order.version += 1
    before = request.state
    request.state = SERVICE_REQUEST.apply(before, RequestEvent.REVOKE)
    request.version += 1
    unit.audit("order_revoked", "ServiceRequest", request.id, before=before, after=request.state)
    unit.publish("order", request.requisition_id)
    return Outcome.CANCELLED


def receive_specimen(unit: Unit, accession: str) -> Specimen:
    """Reception scans a tube.

    The same number again, and not at once, may be a second tube with that label: its results wait until a
    person has looked at both (S16).
    """
    number = AccessionNumber.parse(accession.strip())
    specimen = specimens_by_accession(unit.session, [number.text]).get(number.text)
    if specimen is None:
        raise NotFound("Specimen", number.text)
    if specimen.state is SpecimenState.RECEIVED:
        _note_second_reception(unit, specimen)
        return specimen
    before = specimen.state
    specimen.state = SPECIMEN.apply(before, SpecimenEvent.RECEIVE)
    specimen.received_at, specimen.received_by = unit.now, unit.actor
    specimen.version += 1
    unit.audit("specimen_received", "Specimen", specimen.id, before=before, after=specimen.state)
    unit.publish("order", specimen.requisition_id)
    return specimen


def _note_second_reception(unit: Unit, specimen: Specimen) -> None:
    first = specimen.received_at
    if first is None or specimen.received_again_at or unit.now - first <= SAME_RECEPTION:
        return
    specimen.received_again_at = unit.now
    specimen.version += 1
    unit.audit("specimen_received_again", "Specimen", specimen.id, before=first, after=unit.now)
    unit.publish("order", specimen.requisition_id)


def reject_specimen(unit: Unit, specimen_id: int, *, version: int, reason: str) -> Specimen:
    """Reject a tube with a reason; its open work orders are cancelled."""
    if not reason.strip():
        raise Refused("orders.reason_needed")
    specimen = specimen_by_id(unit.session, specimen_id)
    if specimen is None:
        raise NotFound("Specimen", specimen_id)
    if specimen.version != version:
        raise StaleVersion("orders.specimen_changed", accession=specimen.accession)
    before = specimen.state
    specimen.state = SPECIMEN.apply(before, SpecimenEvent.REJECT)
    specimen.reject_reason = reason.strip()
    specimen.version += 1
    for work_order in work_orders_of_specimens(unit.session, [specimen.id]):
        if work_order.state not in _STARTED and WORK_ORDER.allows(
            work_order.state, WorkOrderEvent.CANCEL
        ):
            work_order.state = WORK_ORDER.apply(work_order.state, WorkOrderEvent.CANCEL)
            work_order.version += 1
    unit.audit(
        "specimen_rejected",
        "Specimen",
        specimen.id,
        before=before,
        after={"state": specimen.state, "reason": specimen.reject_reason},
    )
    unit.publish("order", specimen.requisition_id)
    return specimen


def _known_orders(unit: Unit, entry: RequisitionEntry) -> dict[int, ServiceRequest]:
    """The orders of this referral that were placed before, by their index."""
    numbers = ((one.placer_number, one.placer_authority) for one in entry.orders)
    hold_names(unit.session, "placer", (number for number in numbers if number[0]))
    known = {}
    for index, order in enumerate(entry.orders):
        if order.placer_number:
            rows = service_requests_by_placer(
                unit.session, order.placer_number, order.placer_authority
            )
            if rows:
                known[index] = rows[-1]
    return known


def _place_the_rest(
    unit: Unit,
    catalog: Catalog,
    entry: RequisitionEntry,
    known: dict[int, ServiceRequest],
    *,
    site_id: int,
) -> Placed:
    """A referral that came before, in whole or in part: only what is new is placed."""
    new = tuple(order for index, order in enumerate(entry.orders) if index not in known)
    repeated = tuple(_placed(request, is_repeated=True) for request in known.values())
    if new:
        placed = place_requisition(unit, catalog, replace(entry, orders=new), site_id=site_id)
        return replace(placed, orders=repeated + placed.orders)
    first = next(iter(known.values()))
    requisition = unit.session.get_one(Requisition, first.requisition_id)
    tubes = specimens_of_requisition(unit.session, requisition.id)
    return Placed(
        requisition_id=requisition.id,
        public_id=requisition.public_id,
        receipt_code="",
        orders=repeated,
        specimens=tuple(
            PlacedSpecimen(
                specimen_id=tube.id, accession=tube.accession, specimen_type=tube.specimen_type
            )
            for tube in tubes
        ),
    )


def _placed(request: ServiceRequest, *, is_repeated: bool = False) -> PlacedOrder:
    outcome = Outcome.HELD if request.state is RequestState.ON_HOLD else Outcome.ACCEPTED
    return PlacedOrder(
        outcome=Outcome.REPEATED if is_repeated and outcome is Outcome.ACCEPTED else outcome,
        placer_number=request.placer_number,
        filler_number=request.filler_number,
        service_request_id=request.id,
        reason=request.hold_reason,
    )


def _requisition(unit: Unit, entry: RequisitionEntry, site_id: int, patient_id: int) -> Requisition:
    requisition = Requisition(
        public_id=unit.ids.new(),
        site_id=site_id,
        patient_id=patient_id,
        created_at=unit.now,
        source=entry.source,
        placer_group=entry.placer_group,
        placer_authority=entry.placer_authority,
        requester=entry.requester,
        requester_code=entry.requester_code,
        ward=entry.ward,
        priority=entry.priority,
        reason=entry.reason,
        notes=entry.notes,
        source_inbox_id=entry.inbox_id,
    )
    unit.session.add(requisition)
    unit.session.flush()
    return requisition


def _service_request(
    unit: Unit,
    requisition: Requisition,
    order: OrderEntry,
    *,
    hold_reason: str,
) -> ServiceRequest:
    request = ServiceRequest(
        public_id=unit.ids.new(),
        requisition_id=requisition.id,
        code=order.code,
        created_at=unit.now,
        filler_number=f"L{unit.next_number('filler'):010d}",
        filler_authority=FILLER_AUTHORITY,
        placer_number=order.placer_number,
        placer_authority=order.placer_authority,
        placer_code=order.placer_code,
        priority=order.priority,
        notes=order.notes,
        state=RequestState.ON_HOLD if hold_reason else RequestState.ACTIVE,
        hold_reason=hold_reason,
    )
    unit.session.add(request)
    return request


def _specimens(
    unit: Unit, entry: RequisitionEntry, requisition: Requisition, plan: Plan
) -> tuple[Specimen, ...]:
    state = SpecimenState.EXPECTED
    if entry.is_received:
        state = SpecimenState.RECEIVED
    elif entry.collected_at is not None:
        state = SpecimenState.COLLECTED
    tubes = tuple(
        Specimen(
            public_id=unit.ids.new(),
            site_id=requisition.site_id,
            requisition_id=requisition.id,
            patient_id=requisition.patient_id,
            accession=new_accession(unit, requisition.site_id).text,
            specimen_type=planned.specimen_type,
            container=planned.container,
            created_at=unit.now,
            collected_from=entry.collected_at,
            collected_to=entry.collected_at,
            collected_certainty=entry.collected_certainty if entry.collected_at else "unknown",
            collector=entry.collector,
            state=state,
            received_at=unit.now if entry.is_received else None,
            received_by=unit.actor if entry.is_received else "",
        )
        for planned in plan.tubes
    )
    unit.session.add_all(tubes)
    unit.session.flush()
    return tubes


def _work_orders(
    unit: Unit, plan: Plan, requests: list[ServiceRequest], specimens: tuple[Specimen, ...]
) -> None:
    unit.session.add_all(
        WorkOrder(
            public_id=unit.ids.new(),
            service_request_id=requests[planned.order_index].id,
            specimen_id=specimens[planned.tube].id,
            test_code=planned.test,
            created_at=unit.now,
        )
        for planned in plan.tests
        if requests[planned.order_index].state is RequestState.ACTIVE
    )


def _receipt(unit: Unit, requisition: Requisition) -> str:
    code = new_receipt_code()
    unit.session.add(
        PatientAccess(
            requisition_id=requisition.id,
            token_hash=receipt_hash(code),
            created_at=unit.now,
            expires_at=unit.now + RECEIPT_LIFE,
        )
    )
    return code
