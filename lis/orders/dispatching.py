"""Routing work orders: load, choose, apply, keep the choice with its reasons, audit; in one unit of work.

    order       a received tube has work that no analyzer was chosen for
    facts       where it lies it may not stay: gate closed, quarantine, reagent out, stopped by a person;
                or it need not stay: silent or not connected, and another analyzer is better
    person      a person chose, with a reason; what excludes an analyzer excludes it for people too

A choice is a row of its own and none is ever changed. One that says what the last one said is not kept again. What was
told to the analyzer that loses the order is taken back there, where its protocol can (`is_unwanted`, LAW); elsewhere it
is not named in answers any more, and a value that comes all the same is judged like any other.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from lis.domain.awos import OPEN_AWOS_STATES
from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent, WorkOrderState
from lis.orders.instrument_choice import (
    Load,
    RoutingFacts,
    RoutingVerdict,
    Weight,
    Why,
    choose_instrument,
    judge,
)
from lis.orders.routing_facts import (
    Analyzers,
    Work,
    facts_of,
    load_analyzers,
    load_loads,
    load_work,
)
from lis.store import routing_queries as queries
from lis.store.order_rows import WorkOrder
from lis.store.routing_rows import AnalyzerRouting, RoutingChoice
from lis.store.traffic_queries import all_devices
from lis.store.traffic_rows import Device
from lis.store.unit import Unit

BY_ORDER: Final = "order"
BY_FACTS: Final = "facts"
BY_PERSON: Final = "person"
MOVABLE: Final = frozenset(
    {WorkOrderState.QUEUED, WorkOrderState.SENT, WorkOrderState.ACKNOWLEDGED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What became of one work order."""

    work_order_id: int
    device_id: int | None
    is_moved: bool
    verdict: RoutingVerdict


def route(
    unit: Unit,
    catalog: Catalog,
    orders: Sequence[WorkOrder],
    *,
    trigger: str = BY_ORDER,
    reason: str = "",
) -> list[Routed]:
    """Choose an analyzer for each of these; what runs, is done or was cancelled is left alone."""
    held = queries.hold_work_orders(unit.session, [one.id for one in orders])
    waiting = [one for one in held if WORK_ORDER.allows(one.state, WorkOrderEvent.ROUTE)]
    if not waiting:
        return []
    devices = all_devices(unit.session)
    tests = {one.test_code for one in waiting}
    analyzers = load_analyzers(unit.session, catalog, devices, tests, unit.now)
    work = load_work(unit.session, waiting)
    loads = load_loads(unit.session, devices)
    last = queries.last_choices(unit.session, [one.id for one in waiting])
    routed = []
    for order in waiting:
        verdict = choose_instrument(facts_of(analyzers, work, order, loads))
        is_moved = _apply(unit, order, work, verdict)
        if is_moved is not None or not _says_the_same(last.get(order.id), verdict):
            _keep(unit, order, verdict, is_moved, trigger=trigger, reason=reason)
        if is_moved is not None:
            _count(loads, order, work, is_moved.before)
        routed.append(
            Routed(
                work_order_id=order.id,
                device_id=verdict.device_id,
                is_moved=is_moved is not None,
                verdict=verdict,
            )
        )
    return routed


def route_waiting(unit: Unit, catalog: Catalog, work_order_ids: Sequence[int]) -> int:
    """Route some that wait; how many found an analyzer."""
    rows = queries.work_orders_by_ids(unit.session, work_order_ids)
    return sum(one.is_moved for one in route(unit, catalog, rows))


def is_routing_due(
    session: Session, catalog: Catalog, work_order_ids: Sequence[int], at: datetime
) -> bool:
    """Whether `route_waiting` would do something, without a write lock."""
    rows = queries.work_orders_by_ids(session, work_order_ids)
    if not rows:
        return False
    last = queries.last_choices(session, work_order_ids)
    verdicts = verdict_now(session, catalog, rows, at)
    return any(not _says_the_same(last.get(row.id), verdicts[row.id]) for row in rows)


def misplaced(session: Session, catalog: Catalog, at: datetime) -> dict[int, list[str]]:
    """Tests by analyzer whose work should not lie there now: to be routed again."""
    pairs = queries.pairs_at_devices(session)
    devices = {device.id: device for device in all_devices(session)}
    tests = {test for _, test in pairs}
    analyzers = load_analyzers(session, catalog, tuple(devices.values()), tests, at)
    found: dict[int, list[str]] = defaultdict(list)
    for device_id, test in pairs:
        if _should_leave(analyzers, devices[device_id], test):
            found[device_id].append(test)
    return found


def route_again(
    unit: Unit, catalog: Catalog, device_id: int, tests: Sequence[str], *, reason: str = ""
) -> int:
    """Route what lies at an analyzer once more; the number that went elsewhere."""
    rows = queries.work_at_device(unit.session, device_id, tests=tests, states=MOVABLE)
    done = route(unit, catalog, rows, trigger=BY_FACTS, reason=reason)
    return sum(one.is_moved for one in done)


def route_by_person(
    unit: Unit,
    catalog: Catalog,
    public_id: str,
    device_id: int | None,
    *,
    reason: str,
    version: int,
) -> Routed:
    """A person chooses the analyzer, or gives the choice back (`device_id` None). Raises for a closed gate."""
    order = queries.work_order_for_change(unit.session, public_id)
    if order is None:
        raise NotFound("WorkOrder", public_id)
    if order.version != version:
        raise StaleVersion("routing.changed")
    if not reason.strip():
        raise Refused("orders.reason_needed")
    if not WORK_ORDER.allows(order.state, WorkOrderEvent.ROUTE):
        raise Refused("routing.cannot_move", state=order.state.value)
    if device_id is not None:
        _must_be_able(unit, catalog, order, device_id)
    before, order.pinned_device_id = order.pinned_device_id, device_id
    order.version += 1
    unit.audit(
        "work_order_pinned",
        "WorkOrder",
        order.id,
        before={"device": before},
        after={"device": device_id, "reason": reason},
    )
    unit.session.flush()
    [done] = route(unit, catalog, [order], trigger=BY_PERSON, reason=reason)
    return done


def stop_analyzer(
    unit: Unit, catalog: Catalog, device: Device, *, reason: str, is_stopped: bool
) -> int:
    """Take an analyzer out of routing, or back into it; the number of orders that went elsewhere."""
    if not reason.strip():
        raise Refused("orders.reason_needed")
    row = queries.routings_of(unit.session, [device.id]).get(device.id)
    if row is None:
        row = AnalyzerRouting(device_id=device.id)
        unit.session.add(row)
    before = row.stopped_reason
    row.stopped_reason = reason.strip() if is_stopped else ""
    row.stopped_by, row.stopped_at = unit.actor, unit.now
    row.version += 1
    action = "analyzer_stopped" if is_stopped else "analyzer_resumed"
    unit.audit(action, "Device", device.id, before={"stopped": before}, after={"reason": reason})
    unit.publish("device", device.id)
    unit.session.flush()
    if not is_stopped:
        return 0
    rows = queries.work_at_device(unit.session, device.id, states=MOVABLE)
    return sum(one.is_moved for one in route(unit, catalog, rows, trigger=BY_FACTS, reason=reason))


def verdict_now(
    session: Session, catalog: Catalog, orders: Sequence[WorkOrder], at: Any
) -> dict[int, RoutingVerdict]:
    """What would be chosen now, with every reason; nothing is changed."""
    devices = all_devices(session)
    analyzers = load_analyzers(session, catalog, devices, {one.test_code for one in orders}, at)
    work, loads = load_work(session, orders), load_loads(session, devices)
    return {one.id: choose_instrument(facts_of(analyzers, work, one, loads)) for one in orders}


# --- inside -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """Where an order came from."""

    before: int | None
    state: WorkOrderState


def _should_leave(analyzers: Analyzers, device: Device, test: str) -> bool:
    candidate = analyzers.candidate(device, test)
    if candidate.is_silent or not candidate.is_connected:
        return True
    known = analyzers.catalog.tests.get(test)
    facts = RoutingFacts(
        test=test,
        site_id=device.site_id,
        at=analyzers.at,
        candidates=(candidate,),
        section=known.section if known else "",
    )
    return not judge(facts, candidate).is_able


def _apply(unit: Unit, order: WorkOrder, work: Work, verdict: RoutingVerdict) -> _Move | None:
    """Into its state; None where nothing changes."""
    chosen = verdict.device_id
    is_waiting = order.state in (WorkOrderState.PENDING, WorkOrderState.FAILED)
    here = None if is_waiting else order.device_id
    if chosen == here and (chosen is not None or is_waiting):
        return None
    event = WorkOrderEvent.UNROUTE if chosen is None else WorkOrderEvent.ROUTE
    if not WORK_ORDER.allows(order.state, event):
        return None
    before = _Move(before=here, state=order.state)
    order.state = WORK_ORDER.apply(order.state, event)
    order.device_id = chosen
    order.version += 1
    for step in work.steps.get(order.id, ()):
        if step.state in OPEN_AWOS_STATES:
            step.is_unwanted = step.device_id != chosen
    unit.audit(
        "work_order_routed",
        "WorkOrder",
        order.id,
        before={"device": before.before, "state": before.state.value},
        after={"device": chosen, "state": order.state.value, "outcome": verdict.outcome.value},
    )
    unit.publish("order", order.id)
    return before


def _keep(
    unit: Unit,
    order: WorkOrder,
    verdict: RoutingVerdict,
    move: _Move | None,
    *,
    trigger: str,
    reason: str,
) -> None:
    unit.session.add(
        RoutingChoice(
            work_order_id=order.id,
            at=unit.now,
            actor=unit.actor,
            trigger=trigger,
            outcome=verdict.outcome.value,
            device_id=verdict.device_id,
            from_device_id=move.before if move else order.device_id,
            reason=reason,
            judged=judged_document(verdict),
        )
    )


def judged_document(verdict: RoutingVerdict) -> list[dict[str, Any]]:
    """Everybody with every reason, best first, as it is kept."""
    return [
        {
            "device": one.device_id,
            "name": one.name,
            "able": one.is_able,
            "reasons": [
                {
                    "why": reason.why.value,
                    "weight": reason.weight.value,
                    "facts": dict(reason.facts),
                }
                for reason in one.reasons
            ],
        }
        for one in verdict.judged
    ]


def _says_the_same(last: RoutingChoice | None, verdict: RoutingVerdict) -> bool:
    """Whether the last kept choice has the same end, for the same reasons against; loads may differ."""
    if last is None:
        return False
    if (last.device_id, last.outcome) != (verdict.device_id, verdict.outcome.value):
        return False
    return _against(last.judged) == _against(judged_document(verdict))


def _against(judged: Sequence[dict[str, Any]]) -> set[tuple[int, str]]:
    return {
        (one["device"], reason["why"])
        for one in judged
        for reason in one["reasons"]
        if reason["weight"] != Weight.BETTER.value
    }


def _must_be_able(unit: Unit, catalog: Catalog, order: WorkOrder, device_id: int) -> None:
    """Nobody can send a tube to a closed gate; the refusal names the first reason."""
    device = next((one for one in all_devices(unit.session) if one.id == device_id), None)
    if device is None:
        raise NotFound("Device", device_id)
    analyzers = load_analyzers(unit.session, catalog, (device,), {order.test_code}, unit.now)
    work = load_work(unit.session, [order])
    facts = replace(facts_of(analyzers, work, order, {}), pinned_device_id=device_id)
    judged = choose_instrument(facts).of(device_id)
    if judged is None:
        raise Refused("routing.not_there", name=device.name, why=Why.NO_SUCH_TEST.value)
    if not judged.is_able:
        raise Refused("routing.not_there", name=device.name, why=judged.never[0].value)


def _count(loads: dict[int, Load], order: WorkOrder, work: Work, before: int | None) -> None:
    """The next order of this unit sees where this one went."""
    is_urgent = work.requests[order.service_request_id].priority in queries.URGENT
    for device_id, by in ((before, -1), (order.device_id, 1)):
        if device_id is not None:
            was = loads.get(device_id, Load())
            loads[device_id] = (
                replace(was, urgent=max(0, was.urgent + by))
                if is_urgent
                else replace(was, routine=max(0, was.routine + by))
            )
