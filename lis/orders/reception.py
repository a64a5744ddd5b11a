"""Receiving a tube test by test (S35): accept, accept with deviation, or reject and ask for a new tube.

The tube itself stays: a test that cannot be made of it any more is cancelled there and waits on a new tube, with a work
order of its own for the same service request. Whoever scans only (`placing.receive_specimen`) receives the tube without
a word about its tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lis.domain.catalog import Catalog, Storage, Test
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.lifecycle import (
    SPECIMEN,
    WORK_ORDER,
    SpecimenEvent,
    SpecimenState,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.domain.reception import ReceptionVerdict
from lis.orders.accession import new_accession
from lis.orders.placing import receive_specimen
from lis.orders.reception_rules import DecidedTest, objection
from lis.orders.stability import Holds, judge_stability, stay_since
from lis.store.order_queries import specimen_by_id, work_orders_of_specimens
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.specimen_rows import ReceptionDecision
from lis.store.unit import Unit

_BEGUN = frozenset({WorkOrderState.IN_PROCESS, WorkOrderState.RESULTED})
_OVER = frozenset({WorkOrderState.RESULTED, WorkOrderState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of the tube: the decisions, and the tube to draw again, if any."""

    specimen: Specimen
    decisions: tuple[ReceptionDecision, ...]
    drawn_again: Specimen | None


def stability_at_reception(
    test: Test | None, tube: Specimen, *, storage: Storage | None, at: datetime
) -> Holds:
    """How one test stands, if the tube was kept that way since it was collected."""
    if test is None:
        return Holds.UNKNOWN
    stay = stay_since(tube.collected_from, tube.collected_to, at, storage)
    return judge_stability(test.stability, (stay,))


def receive_tests(
    unit: Unit,
    catalog: Catalog,
    specimen_id: int,
    *,
    version: int,
    decided: Sequence[DecidedTest] = (),
    storage: Storage | None = None,
    is_irreplaceable: bool = False,
) -> Received:
    """Receive a tube with a verdict for each of its open tests; nothing is received if one verdict cannot stand."""
    tube = _tube(unit, specimen_id, version)
    by_test = {one.test: one for one in decided}
    orders = [
        order
        for order in work_orders_of_specimens(unit.session, [tube.id])
        if order.state not in _OVER
    ]
    strangers = set(by_test) - {order.test_code for order in orders}
    if strangers:
        raise Refused("specimenpage.test_not_open", tests=", ".join(sorted(strangers)))
    for order in orders:
        test = catalog.tests.get(order.test_code)
        holds = stability_at_reception(test, tube, storage=storage, at=unit.now)
        _check(order, holds, by_test.get(order.test_code), is_irreplaceable=is_irreplaceable)
    if tube.state is not SpecimenState.RECEIVED:
        receive_specimen(unit, tube.accession)
    rejected = [
        order
        for order in orders
        if order.test_code in by_test
        and by_test[order.test_code].verdict is ReceptionVerdict.REJECT
    ]
    drawn_again = _draw_again(unit, tube, rejected) if rejected else None
    rows = [
        _decide(unit, tube, order, by_test.get(order.test_code), drawn_again) for order in orders
    ]
    _note_deviations(tube, rows)
    unit.session.flush()
    unit.publish("order", tube.requisition_id)
    return Received(specimen=tube, decisions=tuple(rows), drawn_again=drawn_again)


def _tube(unit: Unit, specimen_id: int, version: int) -> Specimen:
    tube = specimen_by_id(unit.session, specimen_id)
    if tube is None:
        raise NotFound("Specimen", specimen_id)
    if tube.version != version:
        raise StaleVersion("orders.specimen_changed", accession=tube.accession)
    if not SPECIMEN.allows(tube.state, SpecimenEvent.RECEIVE):
        raise Refused("orders.specimen_not_live")
    return tube


def _check(
    order: WorkOrder, holds: Holds, decided: DecidedTest | None, *, is_irreplaceable: bool
) -> None:
    code = objection(holds, decided, is_irreplaceable=is_irreplaceable)
    if code:
        raise Refused(f"specimenpage.{code}", test=order.test_code)
    is_rejected = decided is not None and decided.verdict is ReceptionVerdict.REJECT
    if is_rejected and order.state in _BEGUN:
        raise Refused("specimenpage.already_measured", test=order.test_code)


def _decide(
    unit: Unit,
    tube: Specimen,
    order: WorkOrder,
    decided: DecidedTest | None,
    drawn_again: Specimen | None,
) -> ReceptionDecision:
    verdict = decided.verdict if decided else ReceptionVerdict.ACCEPT
    is_rejected = verdict is ReceptionVerdict.REJECT
    row = ReceptionDecision(
        specimen_id=tube.id,
        work_order_id=order.id,
        test_code=order.test_code,
        verdict=verdict,
        decided_at=unit.now,
        decided_by=unit.actor,
        reason=decided.reason.strip() if decided else "",
        recollected_on_id=drawn_again.id if drawn_again is not None and is_rejected else None,
    )
    unit.session.add(row)
    before = order.state
    if is_rejected:
        order.state = WORK_ORDER.apply(before, WorkOrderEvent.CANCEL)
        order.version += 1
    unit.audit(
        "reception_decided",
        "WorkOrder",
        order.id,
        before=before,
        after={"state": order.state, "verdict": verdict, "reason": row.reason},
    )
    return row


def _draw_again(unit: Unit, tube: Specimen, rejected: list[WorkOrder]) -> Specimen:
    """A tube to be drawn for what this one cannot give; each test keeps its service request."""
    again = Specimen(
        public_id=unit.ids.new(),
        site_id=tube.site_id,
        requisition_id=tube.requisition_id,
        patient_id=tube.patient_id,
        accession=new_accession(unit, tube.site_id).text,
        specimen_type=tube.specimen_type,
        created_at=unit.now,
        container=tube.container,
    )
    unit.session.add(again)
    unit.session.flush()
    unit.session.add_all(
        WorkOrder(
            public_id=unit.ids.new(),
            service_request_id=order.service_request_id,
            specimen_id=again.id,
            test_code=order.test_code,
            created_at=unit.now,
            reason="recollection",
        )
        for order in rejected
    )
    unit.audit(
        "recollection_asked",
        "Specimen",
        again.id,
        after={"instead_of": tube.accession, "tests": [order.test_code for order in rejected]},
    )
    return again


def _note_deviations(tube: Specimen, rows: list[ReceptionDecision]) -> None:
    said = [
        f"{row.test_code}: {row.reason} ({row.decided_by})"
        for row in rows
        if row.verdict is ReceptionVerdict.DEVIATE
    ]
    if said:
        tube.deviation = "; ".join([*([tube.deviation] if tube.deviation else []), *said])
        tube.version += 1
