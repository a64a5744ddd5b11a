"""Steps on LAW analyzers: handed over, answered, taken back.

    question or release -> steps and message in one unit of work -> sender -> ORL^O34 -> states

A message is an outbox row: its bytes and its MSH-10 are written once and repeated until the analyzer answers, so
a lost answer never makes a second order (LAW-R06). The destination is the analyzer, the order key the container:
what is said of one tube arrives in the order in which it was written, and no tube holds up another.

What an answer means:

    AA    each step as the reply says (OK, UA, CR, UC); of steps it does not name nothing is concluded, unless the
          profile says that a bare reply takes them all
    AE    the analyzer had trouble: once more after a minute, then a dead letter
    AR    new steps are refused, a dead letter; "nothing to do" was not asked for, which is no failure (LAW-R04)
    none  the same bytes again, with a growing pause, for ever

Steps that nobody needs any more, because the work order was cancelled or another analyzer has answered it, are
taken back (LAW-R07). An analyzer that wants work without asking gets what was released (LAW-R11).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from lis.domain.awos import TOLD_AWOS_STATES, AwosEvent, AwosState
from lis.domain.catalog import Catalog
from lis.domain.messages import HostQuery, OrderedTest, SpecimenOrders
from lis.drivers import Profile, order_records
from lis.drivers.law_orders import split_answer, take_back
from lis.orders.hostquery import orders_unasked
from lis.orders.told_work import allowance_of
from lis.store.order_queries import OPEN_WORK_ORDER_STATES, work_orders_of_specimens
from lis.store.outbox import mark_acknowledged, mark_dead, retry_at, retry_delay
from lis.store.routing_queries import specimens_by_ids
from lis.store.routing_rows import Takes
from lis.store.rows import Outbox, Specimen, WorkOrder
from lis.store.step_queries import (
    has_measured,
    move_step,
    step_by_id,
    steps_not_needed,
    steps_of_work_orders,
    unsent_work_orders,
    work_orders_by_public_ids,
)
from lis.store.step_rows import AnalyzerStep
from lis.store.traffic_queries import open_alarm
from lis.store.traffic_rows import Device
from lis.store.unit import Unit
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode
from lis.wire.law_replies import (
    OrderReply,
    StepAnswer,
    container_of,
    is_negative,
    read_order_reply,
    steps_of,
)

log = structlog.get_logger()

ERROR_RETRY: Final = timedelta(seconds=60)
ERROR_MARK: Final = "AE: "
STEPS_REFUSED: Final = "steps_refused"  # alarm kind
_EVENTS: Final = {
    "OK": AwosEvent.ACCEPT,
    "UA": AwosEvent.REFUSE,
    "CR": AwosEvent.CONFIRM,
    "UC": AwosEvent.CANNOT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What goes back on the connection of the question; the orders are in the outbox."""

    replies: tuple[bytes, ...]
    payloads: tuple[bytes, ...]  # all that was written, for the log of the query


def destination_of(device_name: str) -> str:
    """The outbox destination of an analyzer's orders."""
    return f"orders:{device_name}"


def hand_over(
    unit: Unit,
    profile: Profile,
    device: Device,
    orders: Sequence[SpecimenOrders],
    *,
    control_id: str,
    query: HostQuery | None = None,
) -> Handed:
    """Write the steps of these orders and the messages that carry them."""
    named = _with_step_ids(unit, device, orders)
    payloads = order_records(
        profile,
        named,
        at=unit.now,
        control_id=control_id,
        query=query,
        zone=ZoneInfo(device.timezone or "UTC"),
    )
    replies, messages = split_answer(payloads)
    for payload in messages:
        _post(unit, device, payload)
    _give_steps(unit, device, [test.work_order for entry in named for test in entry.tests])
    return Handed(replies=replies, payloads=payloads)


def settle(
    unit: Unit,
    profile: Profile,
    device: Device,
    outbox_id: int,
    reply: bytes | None,
    *,
    random: float,
    error: str = "",
) -> None:
    """What became of one message; `reply` is None when no answer came in time."""
    row = unit.session.get_one(Outbox, outbox_id)
    order = Message.parse(row.body or b"")
    read = _read(order, reply)
    if reply is None or read is None:
        delay = retry_delay(row.attempts, lambda: random)
        retry_at(unit, outbox_id, unit.now + delay, error or "no answer that could be read")
        return
    row.payload = {**row.payload, "reply": reply.decode("utf-8", errors="replace")}
    match read.ack.code:
        case AckCode.AA | AckCode.CA:
            _take_answers(unit, profile, device, read, container=container_of(order))
            mark_acknowledged(unit, outbox_id)
        case AckCode.AE | AckCode.CE if not row.last_error.startswith(ERROR_MARK):
            retry_at(unit, outbox_id, unit.now + ERROR_RETRY, ERROR_MARK + _code(read))
        case AckCode.AE | AckCode.CE:
            mark_dead(unit, outbox_id, ERROR_MARK + _code(read))
        case AckCode.AR | AckCode.CR if is_negative(order):
            log.info("nothing_to_do_refused", device=device.name, outbox=outbox_id)
            unit.audit("refused_nothing_to_do", "device", device.id, after={"error": _code(read)})
            mark_acknowledged(unit, outbox_id)
        case AckCode.AR | AckCode.CR:
            for step_id, asked in steps_of(order):
                if asked == "NW":
                    _move(unit, device, step_id, AwosEvent.REFUSE)
            mark_dead(unit, outbox_id, f"AR: {_code(read)}")


def _read(order: Message, reply: bytes | None) -> OrderReply | None:
    if reply is None:
        return None
    try:
        return read_order_reply(order, Message.parse(reply))
    except RemoteProtocolError:
        return None


def withdraw_not_needed(unit: Unit, catalog: Catalog, profile: Profile, device: Device) -> int:
    """Take back what this analyzer need not measure; close what it has measured. The number taken back."""
    by_specimen: dict[int, list[tuple[AnalyzerStep, WorkOrder]]] = defaultdict(list)
    for step, order in steps_not_needed(unit.session, device.id):
        if has_measured(unit.session, device.id, order.id):
            move_step(unit.session, step, AwosEvent.COMPLETE, unit.now)
        elif move_step(unit.session, step, AwosEvent.WITHDRAW, unit.now):
            step.is_unwanted = False
            by_specimen[order.specimen_id].append((step, order))
    codes = codes_of(catalog, device)
    zone = ZoneInfo(device.timezone or "UTC")
    for specimen_id, rows in by_specimen.items():
        tests = tuple(
            OrderedTest(work_order=step.step_id, test=codes.get(order.test_code, order.test_code))
            for step, order in rows
        )
        specimen = unit.session.get_one(Specimen, specimen_id)
        entry = SpecimenOrders(
            specimen=specimen.accession, specimen_type=specimen.specimen_type, tests=tests
        )
        control_id = f"C{rows[0][0].id}-{unit.now:%H%M%S}"
        payload = take_back(profile, entry, at=unit.now.astimezone(zone), control_id=control_id)
        _post(unit, device, payload)
    return sum(map(len, by_specimen.values()))


def broadcast_new(unit: Unit, catalog: Catalog, profile: Profile, device: Device) -> int:
    """Hand over released work that this analyzer may have and was never told of (LAW-R11). The number of steps."""
    codes = codes_of(catalog, device)
    rows = work_to_tell(unit.session, catalog, device, unit.now)
    if not rows:
        return 0
    orders = orders_unasked(unit, device, codes, rows)
    for number, entry in enumerate(orders):
        control_id = f"B{rows[0].id}-{unit.now:%H%M%S}-{number}"
        hand_over(unit, profile, device, (entry,), control_id=control_id)
    return len(rows)


def work_to_tell(
    session: Session, catalog: Catalog, device: Device, at: datetime
) -> list[WorkOrder]:
    """What an analyzer that does not ask should hear now; a look costs no write lock."""
    codes = codes_of(catalog, device)
    if device.quarantine_reason or not codes:
        return []
    allowance = allowance_of(session, catalog, device, tuple(codes), at)
    rows = unsent_work_orders(
        session,
        device_id=device.id,
        site_id=device.site_id,
        tests=[test for test in codes if test not in allowance.closed],
        is_chosen_only=allowance.takes is Takes.CHOSEN,
    )
    tubes = specimens_by_ids(session, {row.specimen_id for row in rows})
    return [row for row in rows if not allowance.reason_against(row, tubes[row.specimen_id])]


def tell_again(
    unit: Unit, catalog: Catalog, profile: Profile, device: Device, specimen: Specimen
) -> int:
    """Write the open work of one tube for this analyzer once more, because a person asked. The number of steps."""
    codes = codes_of(catalog, device)
    allowance = allowance_of(unit.session, catalog, device, tuple(codes), unit.now)
    rows = [
        row
        for row in work_orders_of_specimens(unit.session, [specimen.id])
        if row.state in OPEN_WORK_ORDER_STATES
        and row.test_code in codes
        and not allowance.reason_against(row, specimen)
    ]
    if not rows or device.quarantine_reason:
        return 0
    orders = orders_unasked(unit, device, codes, rows)
    hand_over(unit, profile, device, orders, control_id=f"R{rows[0].id}-{unit.now:%H%M%S%f}")
    return len(rows)


# ---- steps and messages


def _with_step_ids(
    unit: Unit, device: Device, orders: Sequence[SpecimenOrders]
) -> tuple[SpecimenOrders, ...]:
    """The same orders under the ids that this analyzer may know them by."""
    ids = {test.work_order for entry in orders for test in entry.tests}
    rows = work_orders_by_public_ids(unit.session, ids)
    steps = steps_of_work_orders(unit.session, device.id, [row.id for row in rows.values()])

    def renamed(test: OrderedTest) -> OrderedTest:
        known = steps.get(rows[test.work_order].id, [])
        return replace(test, work_order=_step_id(test.work_order, known))

    return tuple(replace(entry, tests=tuple(map(renamed, entry.tests))) for entry in orders)


def _step_id(public_id: str, steps: Sequence[AnalyzerStep]) -> str:
    """The newest step's id while it means what it meant; else one that was never used."""
    if not steps:
        return public_id
    means_the_same = steps[-1].state in TOLD_AWOS_STATES
    return steps[-1].step_id if means_the_same else f"{public_id}.{len(steps) + 1}"


def _post(unit: Unit, device: Device, payload: bytes) -> None:
    """One message into the outbox."""
    message = Message.parse(payload)
    destination = destination_of(device.name)
    row = Outbox(
        destination=destination,
        key=f"{destination}:{message.control_id}",
        order_key=f"{destination}:{container_of(message)}",
        payload=_payload(message),
        created_at=unit.now,
        not_before=unit.now,
        body=payload,
    )
    unit.session.add(row)
    unit.publish("outbox", destination)


def _give_steps(unit: Unit, device: Device, step_ids: Sequence[str]) -> None:
    """New steps into their states; also those that a step of the same order stands for."""
    rows = work_orders_by_public_ids(unit.session, [_work_order_of(one) for one in step_ids])
    for step_id in step_ids:
        order = rows[_work_order_of(step_id)]
        step = step_by_id(unit.session, device.id, step_id)
        if step is None:
            step = AnalyzerStep(
                device_id=device.id, work_order_id=order.id, step_id=step_id, changed_at=unit.now
            )
            unit.session.add(step)
            unit.session.flush()
        move_step(unit.session, step, AwosEvent.SEND, unit.now)
        step.is_unwanted = False
        order.device_id, order.sent_at = device.id, unit.now


def _payload(message: Message) -> dict[str, Any]:
    return {
        "control_id": message.control_id,
        "steps": [{"id": step_id, "asked": asked} for step_id, asked in steps_of(message)],
    }


def _work_order_of(step_id: str) -> str:
    return step_id.split(".", 1)[0]


def _take_answers(
    unit: Unit, profile: Profile, device: Device, read: OrderReply, *, container: str
) -> None:
    style = profile.law
    takes_all = read.is_bare and style is not None and style.bare_reply_takes
    for answer in read.steps:
        event = _EVENTS.get(answer.answer)
        if takes_all:
            event = AwosEvent.ACCEPT if answer.asked == "NW" else AwosEvent.CONFIRM
        if event is not None:
            _move(unit, device, answer.step_id, event)
            _note_refusal(unit, device, answer, container)


def _note_refusal(unit: Unit, device: Device, answer: StepAnswer, container: str) -> None:
    if answer.answer == "UA":
        step = step_by_id(unit.session, device.id, answer.step_id)
        is_refused = step is not None and step.state is AwosState.REFUSED
        if is_refused:
            log.warning("step_refused", device=device.name, step=answer.step_id)
            unit.audit("step_refused", "device", device.id, after={"step": answer.step_id})
            told = {"container": container}
            open_alarm(unit, kind=STEPS_REFUSED, subject=device.name, parameters=told)


def _move(unit: Unit, device: Device, step_id: str, event: AwosEvent) -> None:
    step = step_by_id(unit.session, device.id, step_id)
    if step is None:
        log.warning("step_unknown", device=device.name, awos_event=event.value)
        return
    if move_step(unit.session, step, event, unit.now):
        unit.publish("order", step.work_order_id)


def _code(read: OrderReply) -> str:
    """The code of an error, never its text: that may name a patient."""
    return read.ack.error.code if read.ack.error is not None else read.ack.code.value


def codes_of(catalog: Catalog, device: Device) -> dict[str, str]:
    """This analyzer's codes by our tests."""
    return {
        entry.test: entry.code
        for entry in catalog.instrument_tests
        if entry.driver == device.driver
    }
