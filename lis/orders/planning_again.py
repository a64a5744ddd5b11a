"""The work orders of one order, made anew after it changed: what is not wanted any more is cancelled, what is missing is added.

A test goes on a live tube of the same requisition that fits; only when there is none, a new tube is planned. An order
that is held or revoked has no open work orders: the analyzers are told nothing of it. A tube that is here already takes a
test only if `add_on` finds nothing against it (S36).
"""

from typing import Final

from lis.domain.catalog import Catalog, Test
from lis.domain.lifecycle import (
    LIVE_SPECIMEN_STATES,
    WORK_ORDER,
    RequestState,
    SpecimenState,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.orders.accession import new_accession
from lis.orders.add_on import AgainstTube, TubeHere, judge_add_on
from lis.orders.routing import container_of, usable_ul
from lis.orders.stability import stay_since
from lis.store.order_queries import (
    specimens_of_requisition,
    work_orders_of_requests,
    work_orders_of_specimens,
)
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.unit import Unit

_COUNTED_ELSEWHERE: Final = frozenset({AgainstTube.STORAGE_UNKNOWN, AgainstTube.VOLUME_UNKNOWN})


def plan_again(unit: Unit, catalog: Catalog, request: ServiceRequest) -> None:
    """Make the work orders those of the order's code and state. Work that began is never touched."""
    is_active = request.state is RequestState.ACTIVE
    tests = {test.code: test for test in catalog.tests_of(request.code)} if is_active else {}
    present = set()
    for order in work_orders_of_requests(unit.session, [request.id]):
        if order.state is WorkOrderState.CANCELLED:
            continue
        if order.test_code in tests:
            present.add(order.test_code)
        elif WORK_ORDER.allows(order.state, WorkOrderEvent.CANCEL):
            before = order.state
            order.state = WORK_ORDER.apply(before, WorkOrderEvent.CANCEL)
            if order.state is not before:
                order.version += 1
                unit.audit(
                    "work_order_cancelled", "WorkOrder", order.id, before=before, after=order.state
                )
    missing = [test for code, test in tests.items() if code not in present]
    if missing:
        _add(unit, catalog, request, missing)


def _add(unit: Unit, catalog: Catalog, request: ServiceRequest, tests: list[Test]) -> None:
    tubes = [
        tube
        for tube in specimens_of_requisition(unit.session, request.requisition_id)
        if tube.state in LIVE_SPECIMEN_STATES and tube.parent_id is None
    ]
    load = _load(unit, catalog, tubes)
    made = []
    for test in tests:
        container = container_of(catalog, test)
        code = container.code if container else ""
        fitting = (
            tube
            for tube in tubes
            if (tube.specimen_type, tube.container)
            in {(test.specimen_type, code), (test.specimen_type, "")}
            and _has_room(load[tube.id], test, usable_ul(container))
            and (test.code in load[tube.id] or _may_join(unit, tube, test))
        )
        tube = next(fitting, None)
        if tube is None:
            tube = _tube(unit, request, test, code)
            tubes.append(tube)
            load[tube.id] = {}
        load[tube.id][test.code] = test.volume_ul or 0
        made.append(
            WorkOrder(
                public_id=unit.ids.new(),
                service_request_id=request.id,
                specimen_id=tube.id,
                test_code=test.code,
                created_at=unit.now,
            )
        )
    unit.session.add_all(made)
    unit.session.flush()
    unit.audit(
        "work_orders_planned", "ServiceRequest", request.id, after=[test.code for test in tests]
    )


def _may_join(unit: Unit, tube: Specimen, test: Test) -> bool:
    """Whether a tube that is here may take one more test (S36); of one still to come nothing is known.

    Where it was kept since collection is not recorded for the whole time, so a stated limit must hold in the strictest
    storage. The volume is counted with the container.
    """
    if tube.received_at is None:
        return True
    stay = stay_since(tube.collected_from, tube.collected_to, unit.now, None)
    here = TubeHere(
        state=tube.state,
        specimen_type=tube.specimen_type,
        storage=None,
        stays=(stay,),
        suspicion=tube.suspicion,
    )
    verdict = judge_add_on(test, here, at=unit.now)
    return not set(verdict.against) - _COUNTED_ELSEWHERE


def _load(unit: Unit, catalog: Catalog, tubes: list[Specimen]) -> dict[int, dict[str, int]]:
    """What each tube has to give already, by test: a test of two orders is measured once."""
    load: dict[int, dict[str, int]] = {tube.id: {} for tube in tubes}
    for order in work_orders_of_specimens(unit.session, load):
        test = catalog.tests.get(order.test_code)
        if order.state is not WorkOrderState.CANCELLED and test is not None:
            load[order.specimen_id][test.code] = test.volume_ul or 0
    return load


def _has_room(load: dict[str, int], test: Test, usable: int | None) -> bool:
    """As when tubes are planned first: an empty tube takes any test, and what is measured there needs no more."""
    if not load or usable is None or test.code in load:
        return True
    return sum(load.values()) + (test.volume_ul or 0) <= usable


def _tube(unit: Unit, request: ServiceRequest, test: Test, container: str) -> Specimen:
    requisition = unit.session.get_one(Requisition, request.requisition_id)
    tube = Specimen(
        public_id=unit.ids.new(),
        site_id=requisition.site_id,
        requisition_id=requisition.id,
        patient_id=requisition.patient_id,
        accession=new_accession(unit, requisition.site_id).text,
        specimen_type=test.specimen_type,
        container=container,
        created_at=unit.now,
        state=SpecimenState.EXPECTED,
    )
    unit.session.add(tube)
    unit.session.flush()
    unit.audit("specimen_planned", "Specimen", tube.id, after={"accession": tube.accession})
    return tube
