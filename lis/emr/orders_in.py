"""Orders from an EMR: take the message, place or cancel, and say what became of each order.

Runs in the request lane: the raw message is committed before this begins, everything here happens in one
unit of work, and the reply is stored with it, so a resend gets the same bytes. A readable order that
names something unknown is accepted and held for a person (ORC-1 OK, ORC-5 HD). Test traffic never
reaches production rows (S14).
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.emr.order_reading import OrderControl, ReadMessage, UnusableOrder, read_order
from lis.orders.entries import Outcome, PlacedOrder
from lis.orders.placing import cancel_order, place_requisition
from lis.store.unit import Unit
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, ErrorCode, ErrorPlace, Hl7Error, acknowledge, refusal_code
from lis.wire.hl7_writer import message, segment, timestamp

SENDING: Final = ("LIS", "LAB")
PRODUCTION: Final = "P"

# What we answer for each outcome: (ORC-1 of the reply, ORC-5 order status).
_REPLIES: Final = {
    Outcome.ACCEPTED: ("OK", "SC"),
    Outcome.REPEATED: ("OK", "SC"),
    Outcome.HELD: ("OK", "HD"),
    Outcome.CANCELLED: ("CR", "CA"),
    Outcome.UNABLE: ("UC", "IP"),
    Outcome.UNKNOWN: ("UC", ""),
}
_RESPONSES: Final = {"OML": ("ORL", "O22", "ORL_O22"), "ORM": ("ORR", "O02", "ORR_O02")}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReply:
    """The bytes to answer, and whether a person must look at the message."""

    payload: bytes
    is_accepted: bool
    reason: str = ""


def receive_order(
    unit: Unit,
    catalog: Catalog,
    raw: bytes,
    *,
    emr: str,
    site_id: int,
    inbox_id: int,
    zone: tzinfo,
    accepts_test_traffic: bool = False,
) -> OrderReply:
    """Place or cancel what one order message asks for. Raises nothing for any bytes."""
    control_id = f"A{inbox_id}"
    try:
        request = Message.parse(raw)
    except ProtocolError as error:
        fault = Hl7Error(code=ErrorCode.SEGMENT_SEQUENCE, text=str(error))
        return _refuse(None, fault, control_id=control_id, at=unit.now)
    if request.processing_id[:1] != PRODUCTION and not accepts_test_traffic:
        fault = Hl7Error(
            code=ErrorCode.UNSUPPORTED_PROCESSING_ID,
            text=f"expected processing id P, got {request.processing_id!r}",
            place=ErrorPlace(segment="MSH", field=11),
        )
        return _refuse(request, fault, control_id=control_id, at=unit.now)
    try:
        read = read_order(request, catalog, source=emr, zone=zone, inbox_id=inbox_id)
        outcomes = _carry_out(unit, catalog, read, site_id)
    except UnusableOrder as unusable:
        return _refuse(request, unusable.error, control_id=control_id, at=unit.now)
    except Refused as refused:
        fault = Hl7Error(code=ErrorCode.INTERNAL, text=refused.code)
        return _refuse(request, fault, control_id=control_id, at=unit.now)
    payload = _response(request, read, outcomes, control_id=control_id, at=unit.now)
    return OrderReply(payload=payload, is_accepted=True)


def _carry_out(
    unit: Unit, catalog: Catalog, read: ReadMessage, site_id: int
) -> tuple[PlacedOrder, ...]:
    placed: dict[str, PlacedOrder] = {}
    if read.requisition.orders:
        requisition = place_requisition(unit, catalog, read.requisition, site_id=site_id)
        placed = {outcome.placer_number: outcome for outcome in requisition.orders}
    for order in read.orders:
        if order.control is OrderControl.CANCEL:
            number = order.entry.placer_number
            placed[number] = cancel_order(
                unit, placer_number=number, placer_authority=order.entry.placer_authority
            )
    return tuple(placed[order.entry.placer_number] for order in read.orders)


def _response(
    request: Message,
    read: ReadMessage,
    outcomes: tuple[PlacedOrder, ...],
    *,
    control_id: str,
    at: datetime,
) -> bytes:
    code, event, structure = _RESPONSES[request.code]
    base = acknowledge(
        request,
        code=AckCode.AA,
        control_id=control_id,
        at=at,
        sending=SENDING,
        message_type=(code, event, structure),
    )
    head = base.decode(request.charset).rstrip("\r").split("\r")
    orders = []
    for order, outcome in zip(read.orders, outcomes, strict=True):
        said, status = _REPLIES[outcome.outcome]
        placer = (order.entry.placer_number, order.entry.placer_authority or None)
        filler = (outcome.filler_number, "LIS") if outcome.filler_number else None
        orders.append(
            segment("ORC", said, placer, filler, None, status, None, None, None, timestamp(at))
        )
    return message([*head, *orders], request.charset)


def _refuse(
    request: Message | None, error: Hl7Error, *, control_id: str, at: datetime
) -> OrderReply:
    payload = acknowledge(
        request,
        code=refusal_code(error.code),
        control_id=control_id,
        at=at,
        sending=SENDING,
        error=error,
    )
    return OrderReply(payload=payload, is_accepted=False, reason=error.text)
