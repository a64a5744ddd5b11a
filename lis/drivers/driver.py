"""The door to the drivers: translate what was kept, write what was ordered, know who is speaking.

All three are pure functions of bytes, values and a profile; the protocol picks the code, the profile steers
it. `is_request` is here because the lane must be known before a message is kept.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from lis.domain.messages import HostQuery, Lane, Protocol, SpecimenOrders, Translation
from lis.drivers import (
    astm_driver,
    astm_orders,
    hl7_driver,
    law_driver,
    printout_driver,
    registry,
)
from lis.drivers.expressions import Scope, holds_true
from lis.drivers.printout_driver import head_scope
from lis.drivers.profile import Profile
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_record import Message as AstmRecords
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message as Hl7Message
from lis.wire.hl7 import split_messages
from lis.wire.mllp import VT
from lis.wire.printout import is_printout


def translate(
    profile: Profile, raw: bytes, *, zone: tzinfo, charset: str = "", received_at: datetime
) -> Translation:
    """Everything one kept message says; pure, and raises nothing for any bytes.

    `zone` is the instrument's; `charset` overrides the profile's. `received_at` tells the two passes of an
    hour apart that summer time repeats.
    """
    read = _READERS[profile.protocol]
    if profile.law is not None:
        read = law_driver.translate
    return read(profile, raw, zone=zone, charset=charset, received_at=received_at)


def order_records(
    profile: Profile,
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,
    query: HostQuery | None = None,
    zone: tzinfo = UTC,
) -> tuple[bytes, ...]:
    """Work orders for the instrument: ASTM records, or HL7 payloads. () = say nothing.

    Give the `query` that is answered, also when there is nothing to do: most instruments wait for an answer.
    `control_id` is the new message's own id, at most 20 characters to suit old instruments.
    """
    write = profile.write_orders or _WRITERS[profile.protocol]
    return write(profile, orders, at=at.astimezone(zone), control_id=control_id, query=query)


def no_orders(
    profile: Profile,  # noqa: ARG001
    orders: Sequence[SpecimenOrders],  # noqa: ARG001
    *,
    at: datetime,  # noqa: ARG001
    control_id: str,  # noqa: ARG001
    query: HostQuery | None = None,  # noqa: ARG001
) -> tuple[bytes, ...]:
    """HL7 has no one way to hand over orders: without `write_orders` there is none. A printer takes none."""
    return ()


_READERS = {
    Protocol.ASTM: astm_driver.translate,
    Protocol.HL7: hl7_driver.translate,
    Protocol.PRINTOUT: printout_driver.translate,
}
_WRITERS = {
    Protocol.ASTM: astm_orders.order_records,
    Protocol.HL7: no_orders,
    Protocol.PRINTOUT: no_orders,
}


def identify(raw: bytes) -> str | None:
    """Which known instrument a message says it comes from; None if none, or more than one."""
    protocol = protocol_of(raw)
    profiles = [entry for entry in registry.profiles().values() if entry.protocol is protocol]
    scopes: list[tuple[Profile, Scope | None]]
    if protocol is Protocol.PRINTOUT:  # without a header the layout tells
        scopes = [(profile, head_scope(profile, raw)) for profile in profiles]
    else:
        header = _header_scope(raw, protocol)
        scopes = [(profile, header) for profile in profiles]
    found = [profile.key for profile, scope in scopes if scope and _is_from(profile, scope)]
    return found[0] if len(found) == 1 else None


def _is_from(profile: Profile, scope: Scope) -> bool:
    return any(all(holds_true(rule, scope) for rule in group) for group in profile.identity)


def protocol_of(raw: bytes) -> Protocol:
    """HL7 begins with MSH or the block start, a print-out is one block; all else is read as ASTM."""
    if is_printout(raw):
        return Protocol.PRINTOUT
    head = raw.lstrip(b"\r\n\xef\xbb\xbf" + VT)
    is_hl7 = raw.startswith(VT) or head.startswith((b"MSH", b"FHS", b"BHS"))
    return Protocol.HL7 if is_hl7 else Protocol.ASTM


def lane_of(protocol: Protocol, raw: bytes, records: Sequence[bytes] = ()) -> Lane:
    """Whether a message can be acknowledged at once, or asks for an answer that must be computed."""
    if protocol is Protocol.ASTM:
        is_request = astm_driver.is_request(records or decode_raw(raw))
        return Lane.REQUEST if is_request else Lane.RESULT
    if protocol is Protocol.PRINTOUT:
        return Lane.RESULT
    try:
        return hl7_driver.lane_of(Hl7Message.parse(split_messages(raw)[0]))
    except RemoteProtocolError:
        return Lane.RESULT


def _header_scope(raw: bytes, protocol: Protocol) -> Scope | None:
    if protocol is Protocol.ASTM:
        records = AstmRecords.parse(decode_raw(raw))
        scope = astm_driver.AstmScope()
        if records.header is None:
            return None
        scope.enter(records.header, "H")
        return scope
    try:
        message = Hl7Message.parse(split_messages(raw.strip(VT))[0])
    except RemoteProtocolError:
        return None
    segments = hl7_driver.Hl7Scope()
    for segment in message.segments[:HEADER_SEGMENTS_MAX]:
        segments.enter(segment)
    return segments


HEADER_SEGMENTS_MAX = 10  # MSH, PID, PV1, ORC, OBR and notes: what names the sender stands first
