"""What the choice of an analyzer rests on, loaded for many devices and tests at once.

The number of queries is fixed: how each analyzer takes part, its reagents, its quarantines, its gates and their
exceptions, its links, its load. What belongs to one work order (who was told, who refused, how much is left in the tube)
is added by `facts_of`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.awos import TOLD_AWOS_STATES, AwosState
from lis.domain.catalog import Catalog
from lis.domain.control import GateAnswer, GateExcuse, GateVerdict, QcPolicy, excuse_for
from lis.domain.lifecycle import WorkOrderState
from lis.orders.instrument_choice import Candidate, Load, ReagentFacts, RoutingFacts
from lis.store import routing_queries as queries
from lis.store.control_queries import exceptions_running
from lis.store.gate_reading import excuse_of, gates_now
from lis.store.order_queries import service_requests_by_ids
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.quarantine_queries import quarantined_tests
from lis.store.routing_rows import AnalyzerRouting, ReagentState, Takes
from lis.store.step_rows import AnalyzerStep
from lis.store.traffic_rows import Device

SILENCE: Final = "silence"  # kind of the alarm that `lis.app.silence_watch` opens
TOLD_STATES: Final = frozenset(
    {WorkOrderState.SENT, WorkOrderState.ACKNOWLEDGED, WorkOrderState.IN_PROCESS}
)
_MICROLITRES: Final = {"uL": 1, "µL": 1, "mL": 1_000, "L": 1_000_000}

_MISSING: Final = GateVerdict(answer=GateAnswer.MISSING)

Pair = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyzers:
    """What is known of some analyzers and some tests now."""

    catalog: Catalog
    at: datetime
    devices: tuple[Device, ...]
    routings: Mapping[int, AnalyzerRouting]
    reagents: Mapping[Pair, ReagentState]
    closed_tests: frozenset[Pair]
    gates: Mapping[Pair, GateVerdict]
    excuses: Sequence[GateExcuse]
    away: frozenset[int]
    silent: frozenset[int]

    def measures(self, device: Device, test: str) -> bool:
        return (device.driver, test) in self.catalog.by_instrument_test

    def takes(self, device_id: int) -> Takes:
        routing = self.routings.get(device_id)
        return routing.takes if routing else Takes.ABLE

    def candidate(self, device: Device, test: str) -> Candidate:
        """One analyzer and one test, without what belongs to one order."""
        pair, routing = (device.id, test), self.routings.get(device.id)
        needs_gate = self._needs_gate(test)
        verdict = self.gates.get(pair, _MISSING) if needs_gate else None
        mine = [one for one in self.excuses if (one.device_id, one.test) == pair]
        excuse = (
            excuse_for(verdict, mine, measured_at=self.at, now=self.at)
            if verdict is not None
            else None
        )
        return Candidate(
            device_id=device.id,
            name=device.name,
            site_id=device.site_id,
            measures=self.measures(device, test),
            sections=frozenset(routing.sections) if routing else frozenset(),
            stopped=routing.stopped_reason if routing else "",
            is_quarantined=bool(device.quarantine_reason),
            is_test_quarantined=pair in self.closed_tests,
            gate=verdict.answer if verdict is not None else None,
            is_excused=excuse is not None,
            reagent=_reagent(self.reagents.get(pair)),
            dead_volume_ul=routing.dead_volume_ul if routing else 0,
            is_connected=device.id not in self.away,
            is_silent=device.id in self.silent,
        )

    def _needs_gate(self, test: str) -> bool:
        known = self.catalog.tests.get(test)
        return known is None or known.qc_policy is QcPolicy.EXTERNAL


def load_analyzers(
    session: Session,
    catalog: Catalog,
    devices: Sequence[Device],
    tests: Collection[str],
    at: datetime,
) -> Analyzers:
    """Everything about these analyzers and tests, in a fixed number of queries."""
    ids = [device.id for device in devices]
    pairs = {
        (device.id, test)
        for device in devices
        for test in tests
        if (device.driver, test) in catalog.by_instrument_test
    }
    return Analyzers(
        catalog=catalog,
        at=at,
        devices=tuple(devices),
        routings=queries.routings_of(session, ids),
        reagents=queries.reagents_of(session, ids, tests),
        closed_tests=frozenset(quarantined_tests(session, ids)),
        gates=gates_now(session, pairs, at),
        excuses=[excuse_of(row) for row in exceptions_running(session, at, ids)],
        away=frozenset(queries.devices_away(session, ids)),
        silent=frozenset(queries.devices_silent(session, ids, kind=SILENCE)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Some work orders with what belongs to each of them."""

    specimens: Mapping[int, Specimen]
    requests: Mapping[int, ServiceRequest]
    steps: Mapping[int, Sequence[AnalyzerStep]]


def load_work(session: Session, orders: Sequence[WorkOrder]) -> Work:
    """Tubes, requests and steps of some work orders."""
    return Work(
        specimens=queries.specimens_by_ids(session, {order.specimen_id for order in orders}),
        requests=service_requests_by_ids(session, {order.service_request_id for order in orders}),
        steps=queries.steps_by_work_order(session, [order.id for order in orders]),
    )


def facts_of(
    analyzers: Analyzers, work: Work, order: WorkOrder, loads: Mapping[int, Load]
) -> RoutingFacts:
    """One work order among all analyzers that measure its test, wherever they stand."""
    specimen, test = work.specimens[order.specimen_id], order.test_code
    known = analyzers.catalog.tests.get(test)
    steps = work.steps.get(order.id, ())
    return RoutingFacts(
        test=test,
        site_id=specimen.site_id,
        at=analyzers.at,
        candidates=tuple(
            replace(
                analyzers.candidate(device, test),
                has_refused=_has_refused(device.id, steps),
                was_told=_was_told(device.id, order, steps),
                load=loads.get(device.id, Load()),
            )
            for device in analyzers.devices
            if analyzers.measures(device, test) or device.id == order.pinned_device_id
        ),
        section=known.section if known else "",
        priority=work.requests[order.service_request_id].priority,
        volume_ul=volume_ul(specimen),
        needed_ul=known.volume_ul if known else None,
        pinned_device_id=order.pinned_device_id,
    )


def load_loads(session: Session, devices: Sequence[Device]) -> dict[int, Load]:
    """How much lies before each of these analyzers."""
    found = queries.loads_of(session, [device.id for device in devices])
    return {key: Load(urgent=urgent, routine=routine) for key, (urgent, routine) in found.items()}


def volume_ul(specimen: Specimen) -> int | None:
    """What is left in the tube; None where nobody measured it or the unit is another one."""
    factor = _MICROLITRES.get(specimen.quantity_unit)
    if specimen.quantity is None or factor is None:
        return None
    return int(specimen.quantity * Decimal(factor))


def _reagent(row: ReagentState | None) -> ReagentFacts | None:
    if row is None:
        return None
    return ReagentFacts(tests_left=row.tests_left, valid_until=row.valid_until)


def _has_refused(device_id: int, steps: Sequence[AnalyzerStep]) -> bool:
    mine = [step for step in steps if step.device_id == device_id]
    return bool(mine) and mine[-1].state is AwosState.REFUSED


def _was_told(device_id: int, order: WorkOrder, steps: Sequence[AnalyzerStep]) -> bool:
    """By a step, or by an answer to its question, which leaves its mark on the order alone."""
    if order.device_id == device_id and order.state in TOLD_STATES:
        return True
    return any(step.device_id == device_id and step.state in TOLD_AWOS_STATES for step in steps)
