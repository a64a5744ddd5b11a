"""Orders as their sender wants them: place, change, cancel, replace, hold, release, in any order and any number of times.

    message -> registers of each order (`order_saying`) -> what is wanted -> what the laboratory does about it

Before work began the order becomes what is wanted. Afterwards it stays what it is: the difference is noted, and a person
acknowledges it (`OrderChange`). An order that a person refused stays refused, and a hold of ours (an unknown test, a doubtful patient) ends
by a person only.
"""

from dataclasses import dataclass, replace
from typing import Final

from lis.domain.catalog import Catalog
from lis.domain.lifecycle import (
    SERVICE_REQUEST,
    RequestEvent,
    RequestState,
    WorkOrderState,
)
from lis.orders.differing import note_change
from lis.orders.entries import OrderEntry, OrderMessage, Outcome, PlacedOrder, SaidOrder
from lis.orders.order_saying import (
    Content,
    OrderSaid,
    SenderHold,
    Verb,
    hear,
    read_said,
    stamp_of,
    wanted,
)
from lis.orders.placing import place_requisition
from lis.orders.planning_again import plan_again
from lis.store.order_queries import work_orders_of_requests
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_rows import Patient
from lis.store.referral_queries import (
    code_meant,
    identity_holders,
    placer_order,
    placer_order_of,
    request_of_sender,
    survivor_of,
)
from lis.store.referral_rows import PlacerOrder
from lis.store.unit import Unit

STARTED: Final = frozenset({WorkOrderState.IN_PROCESS, WorkOrderState.RESULTED})
UNKNOWN_ORDERABLE: Final = "unknown_orderable"
PATIENT_DIFFERS: Final = "patient_differs"
REPLACES_STARTED: Final = "replaces_started_work"
# Holds that only a person ends, whatever the sender says next.
PERSON_HOLDS: Final = frozenset(
    {"several_patients", "patient_conflict", "wrong_check_digit", PATIENT_DIFFERS, REPLACES_STARTED}
)
OUR_HOLDS: Final = PERSON_HOLDS | {UNKNOWN_ORDERABLE, *(hold.value for hold in SenderHold)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    one: SaidOrder
    row: PlacerOrder


def hear_orders(
    unit: Unit, catalog: Catalog, message: OrderMessage, *, site_id: int
) -> tuple[PlacedOrder, ...]:
    """Carry out what one message asks; what became of each of its orders, in its order."""
    heard = [_hear(unit, message, one) for one in message.orders]
    was_started = {
        one.row.id for one in heard if one.one.verb is Verb.REPLACE and _has_begun(unit, one.row)
    }
    made = _place(unit, catalog, message, heard, site_id=site_id)
    if was_started:
        _hold_replacements(unit, heard, made)
    for one in heard:
        if one.row.service_request_id is not None and one.row.service_request_id not in made:
            _check_patient(unit, message, one.row)
        settle(unit, catalog, one.row, inbox_id=message.requisition.inbox_id)
    return tuple(_outcome(unit, one, made) for one in heard)


def settle(
    unit: Unit, catalog: Catalog, row: PlacerOrder, *, inbox_id: int | None = None
) -> ServiceRequest | None:
    """Make an order what its registers want, or note the difference when work has begun."""
    if row.service_request_id is None:
        return None
    request = unit.session.get_one(ServiceRequest, row.service_request_id)
    said = read_said(row.said)
    if is_started(unit, request):
        _note_differences(unit, catalog, row, request, said=said, inbox_id=inbox_id)
        return request
    if said.has_content:
        _take_content(unit, catalog, row, request, said)
    _move(unit, row, request, said, catalog)
    plan_again(unit, catalog, request)
    return request


def is_started(unit: Unit, request: ServiceRequest) -> bool:
    """Whether an analyzer or the bench has begun: from here on nothing is taken back silently."""
    if request.state in {RequestState.COMPLETED, RequestState.ENTERED_IN_ERROR}:
        return True
    return any(
        order.state in STARTED for order in work_orders_of_requests(unit.session, [request.id])
    )


# --- hearing and placing ------------------------------------------------------------------------


def _hear(unit: Unit, message: OrderMessage, one: SaidOrder) -> _Heard:
    source = message.requisition.source
    number, authority = one.entry.placer_number, one.entry.placer_authority
    row = placer_order(unit.session, source, number, authority)
    if row is None:
        row = _first_word(unit, source, number, authority)
    entry = one.entry
    content = Content(
        code=entry.code,
        placer_code=entry.placer_code,
        priority=entry.priority,
        notes=entry.notes,
    )
    said = hear(read_said(row.said), one.verb, message.stamp, content if one.has_content else None)
    if said.document() != row.said:
        unit.audit(
            "order_said",
            "PlacerOrder",
            row.id,
            before=row.said,
            after=said.document() | {"verb": one.verb.value, "stamp": message.stamp},
        )
        row.said = said.document()
    return _Heard(one=one, row=row)


def _first_word(unit: Unit, source: str, number: str, authority: str) -> PlacerOrder:
    """The row of an order of which nothing was kept: a new one, or one that was placed by another way."""
    row = PlacerOrder(source=source, number=number, authority=authority)
    request = request_of_sender(unit.session, source, number, authority)
    if request is not None:
        _begin_with(row, request)
    unit.session.add(row)
    unit.session.flush()
    return row


def _begin_with(row: PlacerOrder, request: ServiceRequest) -> None:
    content = Content(
        code=request.code,
        placer_code=request.placer_code,
        priority=request.priority,
        notes=request.notes,
    )
    row.service_request_id = request.id
    stamp = stamp_of(request.created_at, "")
    row.said = hear(OrderSaid(), Verb.PLACE, stamp, content).document()


def row_of(unit: Unit, request: ServiceRequest) -> PlacerOrder:
    """What was said of an order; of one that came by another way, what it says itself."""
    row = placer_order_of(unit.session, request.id)
    if row is None:
        requisition = unit.session.get_one(Requisition, request.requisition_id)
        number = request.placer_number or request.filler_number
        row = _first_word(unit, requisition.source, number, request.placer_authority)
        _begin_with(row, request)
        unit.session.flush()
    return row


def _place(
    unit: Unit, catalog: Catalog, message: OrderMessage, heard: list[_Heard], *, site_id: int
) -> set[int]:
    """Place what has content and no request yet; the requests that are new."""
    fresh = {
        one.row.id: one
        for one in heard
        if one.row.service_request_id is None and read_said(one.row.said).has_content
    }
    if not fresh:
        return set()
    entries = tuple(_entry(unit, catalog, one.row, one.one.entry) for one in fresh.values())
    placed = place_requisition(
        unit, catalog, replace(message.requisition, orders=entries), site_id=site_id
    )
    by_number = {order.placer_number: order.service_request_id for order in placed.orders}
    for one in fresh.values():
        one.row.service_request_id = by_number[one.row.number]
    return {one.row.service_request_id for one in fresh.values() if one.row.service_request_id}


def _entry(unit: Unit, catalog: Catalog, row: PlacerOrder, entry: OrderEntry) -> OrderEntry:
    content = read_said(row.said).content
    return replace(
        entry,
        code=_code(unit, catalog, row, content),
        placer_code=content.placer_code,
        priority=content.priority,
        notes=content.notes,
    )


def _code(unit: Unit, catalog: Catalog, row: PlacerOrder, content: Content) -> str:
    """Our code for what was sent: as read, or as a person said it is meant."""
    if catalog.tests_of(content.code):
        return content.code
    return code_meant(unit.session, row.source, content.placer_code) or content.code


def _has_begun(unit: Unit, row: PlacerOrder) -> bool:
    request = unit.session.get(ServiceRequest, row.service_request_id or 0)
    return request is not None and is_started(unit, request)


def _hold_replacements(unit: Unit, heard: list[_Heard], made: set[int]) -> None:
    """The old order cannot be taken back any more: what should replace it waits, so that nothing is measured twice."""
    for one in heard:
        if one.one.verb is Verb.PLACE and one.row.service_request_id in made:
            request = unit.session.get_one(ServiceRequest, one.row.service_request_id)
            if REPLACES_STARTED not in one.row.settled:
                _hold(unit, request, REPLACES_STARTED)


def _check_patient(unit: Unit, message: OrderMessage, row: PlacerOrder) -> None:
    """The same order for somebody else: nothing is moved, a person looks."""
    wanted_ids = [
        (one.system, one.issuer, one.value) for one in message.requisition.patient.identifiers
    ]
    named = {
        survivor_of(unit.session, one).id for one in identity_holders(unit.session, wanted_ids)
    }
    request = unit.session.get_one(ServiceRequest, row.service_request_id)
    requisition = unit.session.get_one(Requisition, request.requisition_id)
    owner = survivor_of(unit.session, unit.session.get_one(Patient, requisition.patient_id))
    if not named or owner.id in named or PATIENT_DIFFERS in row.settled:
        return
    if is_started(unit, request):
        note_change(
            unit, request, "patient", stamp=message.stamp, inbox_id=message.requisition.inbox_id
        )
    elif request.state is RequestState.ACTIVE:
        _hold(unit, request, PATIENT_DIFFERS)


# --- becoming what is wanted --------------------------------------------------------------------


def _take_content(
    unit: Unit, catalog: Catalog, row: PlacerOrder, request: ServiceRequest, said: OrderSaid
) -> None:
    before = (request.code, request.priority, request.notes)
    request.code = _code(unit, catalog, row, said.content)
    request.placer_code = said.content.placer_code
    request.priority, request.notes = said.content.priority, said.content.notes
    after = (request.code, request.priority, request.notes)
    if before != after:
        request.version += 1
        unit.audit("order_changed", "ServiceRequest", request.id, before=before, after=after)
        unit.publish("order", request.requisition_id)


def _move(
    unit: Unit, row: PlacerOrder, request: ServiceRequest, said: OrderSaid, catalog: Catalog
) -> None:
    want = wanted(said, row.settled)
    if want.is_revoked or row.is_refused:
        _change_state(unit, request, RequestEvent.REVOKE, "")
        return
    if request.state is RequestState.REVOKED and not said.cancelled:
        return  # somebody here revoked it: no resend brings it back
    if request.state is RequestState.ON_HOLD and request.hold_reason not in OUR_HOLDS:
        return  # somebody here holds it
    reason = _hold_of_ours(request, row, catalog) or want.hold.value
    if reason:
        _hold(unit, request, reason)
    else:
        _change_state(unit, request, RequestEvent.ACTIVATE, "")


def _hold_of_ours(request: ServiceRequest, row: PlacerOrder, catalog: Catalog) -> str:
    reason = request.hold_reason
    if reason in PERSON_HOLDS and reason not in row.settled:
        return reason
    return "" if catalog.tests_of(request.code) else UNKNOWN_ORDERABLE


def _hold(unit: Unit, request: ServiceRequest, reason: str) -> None:
    _change_state(unit, request, RequestEvent.HOLD, reason)


def _change_state(unit: Unit, request: ServiceRequest, event: RequestEvent, reason: str) -> None:
    before = (request.state, request.hold_reason)
    state = SERVICE_REQUEST.apply(request.state, event)
    # A revoked order keeps the hold that a person has to end, should it ever be ordered again.
    kept = request.hold_reason if request.hold_reason in PERSON_HOLDS else ""
    after = (state, kept if event is RequestEvent.REVOKE else reason)
    if before == after:
        return
    request.state, request.hold_reason = after
    request.version += 1
    unit.audit(f"order_{event.value}", "ServiceRequest", request.id, before=before, after=after)
    unit.publish("order", request.requisition_id)


# --- differences after work began ---------------------------------------------------------------


def _note_differences(
    unit: Unit,
    catalog: Catalog,
    row: PlacerOrder,
    request: ServiceRequest,
    *,
    said: OrderSaid,
    inbox_id: int | None,
) -> None:
    """The test stays what is measured; priority and notes follow, because they can."""
    content, want = said.content, wanted(said, row.settled)
    if said.has_content:
        code = _code(unit, catalog, row, content)
        stamp = said.content_at
        for field, has, says in (
            ("code", request.code, code),
            ("priority", request.priority, content.priority),
            ("notes", request.notes, content.notes),
        ):
            if has != says:
                note_change(
                    unit, request, field, stamp=stamp, had=has, said=says, inbox_id=inbox_id
                )
        request.priority, request.notes = content.priority, content.notes
    if want.is_revoked and request.state is not RequestState.REVOKED:
        note_change(unit, request, "cancelled", stamp=said.cancelled, inbox_id=inbox_id)
    if want.hold is SenderHold.HELD:
        note_change(unit, request, "held", stamp=said.held, inbox_id=inbox_id)


# --- what to answer -----------------------------------------------------------------------------


def _outcome(unit: Unit, heard: _Heard, made: set[int]) -> PlacedOrder:
    number, request_id = heard.one.entry.placer_number, heard.row.service_request_id
    if request_id is None:
        return PlacedOrder(outcome=Outcome.UNKNOWN, placer_number=number, reason="order_unknown")
    request = unit.session.get_one(ServiceRequest, request_id)
    outcome, reason = _became(unit, heard.one, request, is_new=request_id in made)
    return PlacedOrder(
        outcome=outcome,
        placer_number=number,
        filler_number=request.filler_number,
        service_request_id=request.id,
        reason=reason,
    )


_TAKES_BACK: Final = frozenset({Verb.CANCEL, Verb.REPLACE})


def _became(
    unit: Unit, one: SaidOrder, request: ServiceRequest, *, is_new: bool
) -> tuple[Outcome, str]:
    if request.state is RequestState.REVOKED:
        is_asked = one.verb in _TAKES_BACK
        return (Outcome.CANCELLED, "") if is_asked else (Outcome.REFUSED, "order_cancelled")
    if one.verb in _TAKES_BACK:
        # said, but a newer message ordered it again, or work has begun
        return Outcome.UNABLE, "already_started"
    if request.state is RequestState.ON_HOLD:
        return Outcome.HELD, request.hold_reason
    is_late = one.verb is Verb.HOLD or (one.verb is Verb.CHANGE and _differs(one, request))
    if is_late and is_started(unit, request):
        return Outcome.UNABLE, "already_started"
    return (Outcome.ACCEPTED if is_new or one.verb is not Verb.PLACE else Outcome.REPEATED), ""


def _differs(one: SaidOrder, request: ServiceRequest) -> bool:
    return one.has_content and one.entry.placer_code != request.placer_code
