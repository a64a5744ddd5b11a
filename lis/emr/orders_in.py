"""Orders from an EMR: take the message, carry it out, and say what became of each order.

Runs in the request lane: the raw message is committed before this begins, everything here happens in one
unit of work, and the reply is stored with it, so a resend gets the same bytes. A readable order that
names something unknown is accepted and held for a person (ORC-1 OK, ORC-5 HD). Test traffic never
reaches production rows (S14).
"""

from datetime import datetime, tzinfo
from typing import Final

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.emr.order_controls import said_back
from lis.emr.order_reading import ReadMessage, UnusableOrder, read_order
from lis.emr.replying import PRODUCTION, Reply, accepted, foreign_traffic, refused
from lis.orders.changing import hear_orders
from lis.orders.entries import PlacedOrder
from lis.store.unit import Unit
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message, Segment
from lis.wire.hl7_ack import ErrorCode, Hl7Error
from lis.wire.hl7_writer import Value, segment, timestamp

_RESPONSES: Final = {"O21": ("ORL", "O22", "ORL_O22"), "O33": ("ORL", "O34", "ORL_O34")}
_RESPONSE_TO_ORM: Final = ("ORR", "O02", "ORR_O02")
NO_NAME: Final = (None,) * 6 + ("U",)  # PID-5 is required: a name of unspecified type (table 0200)
_OLD_VERSIONS: Final = ("2.1", "2.2", "2.3")  # MSH-9 has two components; 2.3.1 begins with 2.3


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
) -> Reply:
    """Carry out what one order message asks for. Raises nothing for any bytes."""
    control_id = f"A{inbox_id}"
    try:
        request = Message.parse(raw)
    except ProtocolError as error:
        fault = Hl7Error(code=ErrorCode.SEGMENT_SEQUENCE, text=str(error))
        return refused(None, fault, control_id=control_id, at=unit.now)
    if request.processing_id[:1] != PRODUCTION and not accepts_test_traffic:
        return refused(request, foreign_traffic(request), control_id=control_id, at=unit.now)
    try:
        read = read_order(
            request, catalog, source=emr, zone=zone, inbox_id=inbox_id, received_at=unit.now
        )
        outcomes = _carry_out(unit, catalog, read, site_id)
    except UnusableOrder as unusable:
        return refused(request, unusable.error, control_id=control_id, at=unit.now)
    except Refused as refusal:
        fault = Hl7Error(code=ErrorCode.INTERNAL, text=refusal.code)
        return refused(request, fault, control_id=control_id, at=unit.now)
    return accepted(
        request,
        control_id=control_id,
        at=unit.now,
        message_type=_response_type(request),
        body=_body(request, read, outcomes, unit.now),
    )


def _carry_out(
    unit: Unit, catalog: Catalog, read: ReadMessage, site_id: int
) -> dict[tuple[str, str], PlacedOrder]:
    outcomes = {}
    for part in read.parts:
        became = hear_orders(unit, catalog, part, site_id=site_id)
        for order, outcome in zip(part.orders, became, strict=True):
            outcomes[order.entry.placer_number, order.entry.placer_authority] = outcome
    return outcomes


def _response_type(request: Message) -> tuple[str, ...]:
    kind = _RESPONSES.get(request.event, _RESPONSE_TO_ORM)
    is_old = request.version.startswith(_OLD_VERSIONS)
    return kind[:2] if is_old else kind


def _body(
    request: Message,
    read: ReadMessage,
    outcomes: dict[tuple[str, str], PlacedOrder],
    at: datetime,
) -> list[str]:
    """One ORC for each order, in the order of the request, below its patient and its specimen where the answer has them."""
    lines = [] if request.code == "ORM" else [_echo(read.patient, 3, 5)]
    controls = {id(order.said): order.control for order in read.orders}
    for part, specimen in zip(read.parts, read.specimens, strict=True):
        if specimen is not None:
            lines.append(_echo(specimen, 2, 4))
        for order in part.orders:
            number = (order.entry.placer_number, order.entry.placer_authority)
            outcome = outcomes[number]
            said, status = said_back(controls[id(order)], outcome.outcome)
            placer = (number[0], number[1] or None)
            filler = (outcome.filler_number, "LIS") if outcome.filler_number else None
            lines.append(
                segment("ORC", said, placer, filler, None, status, *[None] * 3, timestamp(at))
            )
    return lines


def _echo(sent: Segment, *fields: int) -> str:
    """Some fields of a segment of the request, written again."""
    values: list[Value] = [None] * max(fields)
    values[0] = sent.component(1) or "1"
    for field in fields:
        values[field - 1] = [repeat.parts() for repeat in sent.repeats(field)]
    if sent.name == "PID" and not sent.component(5):
        values[4] = NO_NAME
    return segment(sent.name, *values)
