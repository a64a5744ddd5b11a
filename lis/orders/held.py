"""Orders that wait for a person, and what a person does about them; afterwards the order goes its way (replay).

    unknown_orderable                 say which test the sender's code means: every order with that code goes on
    several_patients,                 choose the patient, with a second identifier
    patient_conflict, wrong_check_digit
    patient_differs, ordered_after_cancel, changed_before_ordered, replaces_started_work
                                      accept the order as it stands
    any of them                       refuse, with a reason: the EMR is told

Nothing else ends a hold but the sender's own release (`held_by_sender`).
"""

from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.lifecycle import RequestState
from lis.orders.changing import (
    PATIENT_DIFFERS,
    REPLACES_STARTED,
    UNKNOWN_ORDERABLE,
    row_of,
    settle,
)
from lis.orders.identity import patient_named
from lis.orders.order_saying import SenderHold
from lis.store.order_queries import service_request_by_id, service_requests_of_requisition
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_queries import identifiers_of
from lis.store.people_rows import Patient
from lis.store.referral_queries import (
    code_row,
    held_requests,
    move_to_patient,
    order_change,
    placer_order_of,
)
from lis.store.referral_rows import OrderChange, OrderCode
from lis.store.unit import Unit

NO_EMR: Final = frozenset({"", "form"})
REFUSAL: Final = "refusal"  # kind of an outbox row
DOUBTFUL_PATIENT: Final = frozenset({"several_patients", "patient_conflict", "wrong_check_digit"})
ACCEPTABLE: Final = frozenset(
    {
        PATIENT_DIFFERS,
        REPLACES_STARTED,
        SenderHold.AFTER_CANCEL.value,
        SenderHold.BEFORE_ORDER.value,
    }
)
REASON_MAX: Final = 500
SAME_CODE_MAX: Final = 10_000  # held orders looked through for one code


def map_code(
    unit: Unit, catalog: Catalog, request_id: int, *, version: int, code: str
) -> tuple[int, ...]:
    """Say what a sender's code means from now on; the orders that went on because of it."""
    request = _held(unit, request_id, version, frozenset({UNKNOWN_ORDERABLE}))
    if not catalog.tests_of(code):
        raise Refused("heldpage.no_such_test", code=code)
    row = row_of(unit, request)
    sent = request.placer_code or request.code
    known = code_row(unit.session, row.source, sent)
    before = known.code if known else ""
    if known is None:
        unit.session.add(OrderCode(source=row.source, sent=sent, code=code))
    else:
        known.code = code
    unit.session.flush()
    unit.audit("order_code", "OrderCode", f"{row.source}:{sent}", before=before, after=code)
    freed = []
    for other in held_requests(unit.session, limit=SAME_CODE_MAX):
        said = placer_order_of(unit.session, other.id)
        is_same = other.id == request.id or (other.placer_code or other.code) == sent
        if said is None or said.source != row.source or not is_same:
            continue
        settle(unit, catalog, said)
        if other.state is RequestState.ACTIVE:
            freed.append(other.id)
    return tuple(freed)


def choose_patient(
    unit: Unit,
    catalog: Catalog,
    request_id: int,
    *,
    version: int,
    patient: str,
    second_identifier: str,
) -> tuple[int, ...]:
    """Say whose order this is; refused unless birth date or an identifier of that person is given. All orders of
    the referral that wait for the same reason go on."""
    request = _held(unit, request_id, version, DOUBTFUL_PATIENT)
    chosen = patient_named(unit, patient)
    if chosen.merged_into_id is not None:
        raise NotFound("Patient", patient)
    _check_second(unit.session, chosen, second_identifier)
    requisition = unit.session.get_one(Requisition, request.requisition_id)
    before, reason = requisition.patient_id, request.hold_reason
    if before != chosen.id:
        move_to_patient(unit.session, [requisition.id], chosen.id)
    unit.audit(
        "patient_chosen",
        "Requisition",
        request.requisition_id,
        before={"patient": before, "reason": reason},
        after={"patient": chosen.id},
    )
    freed = []
    for one in service_requests_of_requisition(unit.session, request.requisition_id):
        if one.state is RequestState.ON_HOLD and one.hold_reason == reason:
            _lift(unit, catalog, one)
            freed.append(one.id)
    return tuple(freed)


def accept(unit: Unit, catalog: Catalog, request_id: int, *, version: int) -> ServiceRequest:
    """Carry the order out as it stands now."""
    request = _held(unit, request_id, version, ACCEPTABLE)
    _lift(unit, catalog, request)
    return request


def refuse(
    unit: Unit, catalog: Catalog, request_id: int, *, version: int, reason: str
) -> ServiceRequest:
    """Do not carry the order out; the EMR that sent it is told why."""
    text = _needed(reason)
    request = _held(unit, request_id, version, None)
    row = row_of(unit, request)
    row.is_refused = True
    settle(unit, catalog, row)
    unit.audit("order_refused", "ServiceRequest", request.id, after={"reason": text})
    if row.source not in NO_EMR:
        unit.send(
            destination=f"emr:{row.source}",
            key=f"refusal:{request.public_id}:{request.version}",
            order_key=request.filler_number,
            payload={REFUSAL: request.id, "reason": text},
            not_before=unit.now,
        )
    return request


def acknowledge_change(unit: Unit, change_id: int) -> OrderChange:
    """A person has seen what the sender changed after work began; twice does no harm."""
    change = order_change(unit.session, change_id)
    if change is None:
        raise NotFound("OrderChange", change_id)
    if change.acknowledged_at is None:
        change.acknowledged_at, change.acknowledged_by = unit.now, unit.actor
        unit.audit(
            "change_acknowledged",
            "ServiceRequest",
            change.service_request_id,
            seen={"field": change.field, "had": change.had, "said": change.said},
        )
        unit.publish("order", change.service_request_id)
    return change


def _held(
    unit: Unit, request_id: int, version: int, reasons: frozenset[str] | None
) -> ServiceRequest:
    request = service_request_by_id(unit.session, request_id)
    if request is None:
        raise NotFound("ServiceRequest", request_id)
    if request.version != version:
        row = {
            "id": request.id,
            "version": request.version,
            "state": request.state.value,
            "hold_reason": request.hold_reason,
            "code": request.code,
        }
        raise StaleVersion("heldpage.changed", filler=request.filler_number, row=row)
    if request.state is not RequestState.ON_HOLD:
        raise Refused("heldpage.not_held", filler=request.filler_number)
    if reasons is not None and request.hold_reason not in reasons:
        raise Refused("heldpage.other_way", filler=request.filler_number)
    return request


def _lift(unit: Unit, catalog: Catalog, request: ServiceRequest) -> None:
    row = row_of(unit, request)
    row.settled = [*row.settled, request.hold_reason]
    settle(unit, catalog, row)


def _check_second(session: Session, patient: Patient, given: str) -> None:
    """S15: birth date or any identifier, exactly."""
    known = {one.value for one in identifiers_of(session, patient.id)} | {patient.birth_date}
    text = given.strip()
    day = "-".join(reversed(text.split("."))) if text.count(".") == 2 else text
    if not text or not {text, day} & (known - {""}):
        raise Refused("heldpage.second_identifier_differs")


def _needed(reason: str) -> str:
    text = reason.strip()
    if not text:
        raise Refused("heldpage.reason_needed")
    if len(text) > REASON_MAX:
        raise Refused("heldpage.reason_too_long", limit=REASON_MAX)
    return text
