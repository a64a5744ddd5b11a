"""The request lane: whatever must be answered, answered from what was kept.

    kept request -> one unit of work: translate, decide, log, reply bytes on the inbox row -> send

The reply is committed before it is sent, so a resend of the same request gets the same bytes and changes
nothing. A host query that cannot be understood is held for a person and answered by silence or by an
error of its protocol, never by somebody else's orders. A request that meets a defect of ours is held with an alarm and
answered with an error; it must not take the link down, because its sender would send it again for ever.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from lis.app.configuring import ConfiguredLink
from lis.domain.messages import HostQuery, Protocol, Reason, SpecimenOrders
from lis.domain.traffic import Answer, KeepFailed, Receipt
from lis.drivers import Profile, order_records, registry, translate
from lis.drivers.law_orders import refused_query
from lis.emr.receiving import receive_message
from lis.orders import answer_and_log
from lis.orders.analyzer_steps import hand_over
from lis.store.definitions import catalog_in_force
from lis.store.lock import Priority
from lis.store.traffic_queries import log_host_query, note_reply, open_alarm
from lis.store.traffic_rows import Device, Inbox, InboxState
from lis.store.unit import Store, Unit, is_store_away
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import ErrorCode, Hl7Error, acknowledge, refusal_code

log = structlog.get_logger()

# How several payloads lie in one stored reply: ASTM records end with CR, HL7 blocks never contain FS.
_SEPARATORS: Final = {Protocol.ASTM.value: b"\r", Protocol.HL7.value: b"\x1c"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLane:
    """Answers the requests of all links of this process."""

    store: Store
    executor: Executor
    accepts_test_traffic: bool = False

    def answering(self, link: ConfiguredLink) -> Answer:
        """The `answer` function of one link."""

        async def answer(receipt: Receipt) -> tuple[bytes, ...]:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.executor, self.answer_now, link, receipt)

        return answer

    def answer_now(self, link: ConfiguredLink, receipt: Receipt) -> tuple[bytes, ...]:
        """Process a kept request, or read again what was answered before. Raises `KeepFailed`."""
        try:
            return self._answer(link, receipt)
        except Exception as error:
            if is_store_away(error):
                raise KeepFailed("the store is away") from error
            name = type(error).__name__  # its text may hold a patient's data
            log.error("request_held", link=link.name, inbox=receipt.inbox_id, error=name)
            return self._hold(link, receipt, name)

    def _hold(self, link: ConfiguredLink, receipt: Receipt, error: str) -> tuple[bytes, ...]:
        """Keep for a person what we could not process, and say so to the sender."""
        with self.store.unit(f"link:{link.name}", priority=Priority.PEOPLE) as unit:
            row = unit.session.get_one(Inbox, receipt.inbox_id)
            row.state, row.hold_reason = InboxState.HELD, Reason.PROCESSING_FAILED.value
            row.verdict, row.processed_at = {"error": error}, unit.now
            reply = _failure(row, unit.now) if row.protocol == Protocol.HL7.value else ()
            row.reply = _SEPARATORS[row.protocol].join(reply)
            open_alarm(
                unit,
                kind=Reason.PROCESSING_FAILED.value,
                subject=f"inbox:{row.id}",
                parameters={"error": error},
            )
            unit.publish("inbox", row.id)
        return reply

    def _answer(self, link: ConfiguredLink, receipt: Receipt) -> tuple[bytes, ...]:
        with self.store.unit(f"link:{link.name}", priority=Priority.PEOPLE) as unit:
            row = unit.session.get_one(Inbox, receipt.inbox_id)
            if row.state is InboxState.NEW:
                reply = self._compute(unit, link, row)
                row.reply = _SEPARATORS[row.protocol].join(reply)
                row.processed_at = unit.now
                unit.publish("inbox", row.id)
            stored, protocol = row.reply or b"", row.protocol
        return tuple(part for part in stored.split(_SEPARATORS[protocol]) if part)

    def _compute(self, unit: Unit, link: ConfiguredLink, row: Inbox) -> tuple[bytes, ...]:
        if link.is_instrument:
            return self._orders_for_instrument(unit, link, row)
        reply = receive_message(
            unit,
            catalog_in_force(unit.session, unit.now),
            row.raw,
            emr=link.name,
            site_id=link.site_id,
            inbox_id=row.id,
            zone=ZoneInfo(link.timezone),
            accepts_test_traffic=self.accepts_test_traffic,
        )
        row.state = InboxState.PROCESSED if reply.is_accepted else InboxState.HELD
        row.hold_reason = "" if reply.is_accepted else "order_refused"
        row.verdict = {"reason": reply.reason} if reply.reason else {}
        return reply.payloads

    def _orders_for_instrument(
        self, unit: Unit, link: ConfiguredLink, row: Inbox
    ) -> tuple[bytes, ...]:
        profile = registry.get(link.driver)
        translation = translate(
            profile,
            row.raw,
            zone=ZoneInfo(link.timezone),
            charset=link.charset,
            received_at=row.received_at,
        )
        row.driver, row.driver_version = translation.driver, translation.driver_version
        if not translation.queries:
            row.state, row.hold_reason = InboxState.HELD, "no_query_understood"
            log.warning("query_not_understood", link=link.name, inbox=row.id)
            log_host_query(
                unit,
                device_id=link.device_id or 0,
                asked=(),
                answered=(),
                empty_reason="not_understood",
                inbox_id=row.id,
            )
            return _refusal(profile, row, unit.now)
        device = unit.session.get_one(Device, row.device_id)
        device.last_message_at = row.received_at
        is_mixed = bool(translation.observations or translation.unreadable)
        row.state = InboxState.HELD if is_mixed else InboxState.PROCESSED
        row.hold_reason = "results_in_request" if is_mixed else ""
        catalog = catalog_in_force(unit.session, unit.now)
        reply: list[bytes] = []
        for number, query in enumerate(translation.queries):
            answered = answer_and_log(
                unit,
                catalog,
                device,
                query,
                inbox_id=row.id,
                needs_reception=link.orders_need_reception,
                serial=translation.sender.serial,
            )
            control_id = f"Q{row.id}-{number}"
            replies, written = _write(
                unit, profile, device, answered.orders, control_id=control_id, query=query
            )
            note_reply(
                answered.line,
                records=_records_in(written, profile.protocol),
                took=self.store.clock.now() - row.received_at,
            )
            reply.extend(replies)
        return tuple(reply)


def _write(
    unit: Unit,
    profile: Profile,
    device: Device,
    orders: Sequence[SpecimenOrders],
    *,
    control_id: str,
    query: HostQuery,
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What goes back at once, and all that was written: a LAW analyzer gets its orders by another way."""
    if profile.law is not None:
        handed = hand_over(unit, profile, device, orders, control_id=control_id, query=query)
        return handed.replies, handed.payloads
    written = order_records(
        profile,
        orders,
        at=unit.now,
        control_id=control_id,
        query=query,
        zone=ZoneInfo(device.timezone or "UTC"),
    )
    return written, written


def _records_in(reply: tuple[bytes, ...], protocol: Protocol) -> int:
    """ASTM records, or HL7 segments of all payloads."""
    if protocol is Protocol.ASTM:
        return len(reply)
    return sum(len(payload.rstrip(b"\r").split(b"\r")) for payload in reply)


def _refusal(profile: Profile, row: Inbox, at: datetime) -> tuple[bytes, ...]:
    """Whoever speaks HL7 hears that the question was not understood, never AA; ASTM has only silence."""
    if profile.law is None:
        is_hl7 = profile.protocol is Protocol.HL7
        return _failure(row, at, ErrorCode.UNSUPPORTED_EVENT) if is_hl7 else ()
    asked = Message.parse(row.raw)
    control_id, error = f"Q{row.id}", ErrorCode.TABLE_VALUE_NOT_FOUND
    return (refused_query(profile, asked, at=at, control_id=control_id, error=error),)


def _failure(row: Inbox, at: datetime, code: ErrorCode = ErrorCode.INTERNAL) -> tuple[bytes, ...]:
    """AE 207: something is wrong here, not in the message; or another code of table 0357."""
    try:
        request = Message.parse(row.raw)
    except ProtocolError:
        request = None
    said, control_id = refusal_code(code), f"A{row.id}"
    error, sending = Hl7Error(code=code), ("LIS", "")
    reply = acknowledge(
        request, code=said, control_id=control_id, at=at, sending=sending, error=error
    )
    return (reply,)
