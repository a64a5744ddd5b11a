"""Work goes to an analyzer that may have it, leaves one that may not, and every choice is kept with its reasons."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from lis.app.router import AGAIN, Router
from lis.domain.awos import AwosState
from lis.domain.catalog import InstrumentTest
from lis.domain.control import GateEvent, GateKey, GateState, RunVerdict
from lis.domain.errors import Refused, StaleVersion
from lis.domain.lifecycle import WorkOrderState
from lis.domain.messages import HostQuery
from lis.drivers import registry
from lis.orders import (
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    answer_query,
    place_requisition,
)
from lis.orders.analyzer_steps import broadcast_new, withdraw_not_needed
from lis.orders.dispatching import (
    misplaced,
    route_again,
    route_by_person,
    route_waiting,
    stop_analyzer,
)
from lis.orders.instrument_choice import Outcome, Why
from lis.qc.stored import gate_values
from lis.store.control_rows import GateProjection
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.routing_queries import unrouted_ids
from lis.store.routing_rows import AnalyzerRouting, ReagentState, RoutingChoice, Takes
from lis.store.rows import AnalyzerStep, Audit, HostQueryLog
from lis.store.traffic_queries import close_alarm, open_alarm
from lis.store.traffic_rows import Device, Link, Quarantine

DRIVER = "sysmex-xp-100"
LAW = "roche-cobas-pro"


class Bench:
    """Two analyzers of one kind, and what a person or the day does to them."""

    def __init__(self, store, catalog, driver=DRIVER):
        self.store, self.catalog, self.driver = store, catalog, driver
        self.router = Router(store)
        with store.unit("author") as unit:
            rows = [
                Device(public_id=unit.ids.new(), site_id=1, name=name, driver=driver)
                for name in ("first", "second")
            ]
            unit.session.add_all(rows)
            unit.session.flush()
            self.first, self.second = rows
            unit.session.add_all(
                Link(
                    name=row.name,
                    address=f"memory://{row.name}",
                    purpose="instrument",
                    device_id=row.id,
                    state="connected",
                )
                for row in rows
            )

    def place(self, *codes, priority="R", is_received=True):
        entry = RequisitionEntry(
            patient=PatientEntry(family_name="Проверкин"),
            source="form",
            orders=tuple(OrderEntry(code=code, priority=priority) for code in codes),
            is_received=is_received,
        )
        with self.store.unit("anna") as unit:
            return place_requisition(unit, self.catalog, entry, site_id=1).specimens[0]

    def route(self):
        self.store.clock.advance(seconds=AGAIN.total_seconds())
        while self.router.step():
            pass

    def route_with(self, catalog):
        """As the router does, by a catalog that is not in force."""
        with self.store.unit("routing") as unit:
            route_waiting(unit, catalog, unrouted_ids(unit.session))
            unit.session.flush()
            for device_id, tests in misplaced(unit.session, catalog, unit.now).items():
                route_again(unit, catalog, device_id, tests)

    def gate(self, device, test, verdict):
        at = self.store.clock.now() - timedelta(hours=1)
        key = GateKey(device_id=device.id, test=test)
        state = GateState(key=key, events=(GateEvent(at=at, verdict=verdict, run_id=1),))
        with self.store.unit("qc") as unit:
            for old in unit.session.scalars(
                select(GateProjection).where(
                    GateProjection.device_id == device.id, GateProjection.test_code == test
                )
            ):
                unit.session.delete(old)
            unit.session.flush()
            unit.session.add(
                GateProjection(device_id=device.id, test_code=test, **gate_values(state))
            )

    def add(self, row):
        with self.store.unit("author") as unit:
            unit.session.add(row)

    def orders(self):
        with self.store.read() as session:
            return list(session.scalars(select(WorkOrder).order_by(WorkOrder.id)))

    def order(self, test="WBC"):
        return next(row for row in self.orders() if row.test_code == test)

    def choices(self):
        with self.store.read() as session:
            return list(session.scalars(select(RoutingChoice).order_by(RoutingChoice.id)))

    def ask(self, device, *numbers):
        with self.store.unit("link") as unit:
            return answer_query(unit, self.catalog, device, HostQuery(specimens=numbers))

    def log(self):
        with self.store.read() as session:
            return session.scalars(select(HostQueryLog).order_by(HostQueryLog.id.desc())).first()


@pytest.fixture
def bench(store, catalog):
    return Bench(store, catalog)


W = WorkOrderState


def test_a_received_tube_is_queued_and_the_choice_is_kept_with_every_reason(bench):
    bench.place("WBC")
    bench.route()
    order = bench.order()
    assert (order.state, order.device_id) == (W.QUEUED, bench.first.id)
    [choice] = bench.choices()
    assert (choice.device_id, choice.outcome) == (bench.first.id, Outcome.CHOSEN.value)
    assert {one["name"] for one in choice.judged} == {"first", "second"}
    assert all(one["reasons"] for one in choice.judged)
    with bench.store.read() as session:
        audited = session.scalars(select(Audit).where(Audit.action == "work_order_routed")).all()
    assert len(audited) == 1


def test_a_tube_that_is_not_here_waits(bench):
    bench.place("WBC", is_received=False)
    bench.route()
    assert bench.order().state is W.PENDING
    assert bench.choices() == []


def test_work_is_shared_by_load(bench):
    for _ in range(4):
        bench.place("WBC")
    bench.route()
    devices = [row.device_id for row in bench.orders()]
    assert devices.count(bench.first.id) == devices.count(bench.second.id) == 2


def test_a_test_that_nobody_measures_waits_and_says_so_once(bench, catalog):
    unmapped = replace(catalog, instrument_tests=())
    bench.place("GLU")
    for _ in range(2):
        with bench.store.unit("routing") as unit:
            assert route_waiting(unit, unmapped, unrouted_ids(unit.session)) == 0
    assert bench.order("GLU").state is W.PENDING
    assert [row.outcome for row in bench.choices()] == [Outcome.NOBODY_MEASURES.value]


def test_S01_work_never_goes_to_a_closed_gate_and_leaves_one_that_closes(bench):
    bench.gate(bench.first, "WBC", RunVerdict.REJECTED)
    bench.gate(bench.second, "WBC", RunVerdict.ACCEPTED)
    bench.place("WBC")
    bench.route()
    assert bench.order().device_id == bench.second.id
    bench.gate(bench.second, "WBC", RunVerdict.REJECTED)
    bench.route()
    order = bench.order()
    assert (order.state, order.device_id) == (W.PENDING, None)
    assert bench.choices()[-1].outcome == Outcome.NOBODY_MAY.value
    bench.gate(bench.first, "WBC", RunVerdict.ACCEPTED)
    bench.route()
    assert bench.order().device_id == bench.first.id


def test_S02_no_person_sends_a_tube_to_a_closed_gate(bench):
    bench.gate(bench.first, "WBC", RunVerdict.REJECTED)
    bench.place("WBC")
    bench.route()
    order = bench.order()
    with bench.store.unit("anna") as unit, pytest.raises(Refused, match=r"routing\.not_there"):
        route_by_person(
            unit,
            bench.catalog,
            order.public_id,
            bench.first.id,
            reason="quicker",
            version=order.version,
        )
    assert bench.order().device_id == bench.second.id


def test_a_closed_test_is_not_named_in_an_answer_and_the_log_says_why(bench):
    bench.gate(bench.first, "WBC", RunVerdict.REJECTED)
    tube = bench.place("WBC", "RBC")
    [entry] = bench.ask(bench.first, tube.accession)
    assert [test.test for test in entry.tests] == ["RBC"]
    assert bench.log().answered[0]["withheld"] == {"WBC": Why.GATE_REJECTED.value}


def test_S23_a_quarantined_test_is_not_named_in_an_answer(bench, store):
    tube = bench.place("WBC")
    row = Quarantine(
        device_id=bench.first.id,
        kind="unit",
        expected="a",
        got="b",
        opened_at=store.clock.now(),
        test_code="WBC",
    )
    bench.add(row)
    [entry] = bench.ask(bench.first, tube.accession)
    assert entry.tests == ()
    assert bench.log().empty_reason == Why.TEST_QUARANTINED.value
    assert bench.ask(bench.second, tube.accession)[0].tests


def test_a_silent_analyzer_loses_what_it_was_not_told_and_gets_new_work_when_it_speaks(bench):
    bench.place("WBC")
    bench.route()
    with bench.store.unit("watch") as unit:
        open_alarm(unit, kind="silence", subject="first")
    bench.route()
    assert bench.order().device_id == bench.second.id
    with bench.store.unit("watch") as unit:
        close_alarm(unit, kind="silence", subject="first")
    bench.place("WBC")
    bench.route()
    assert bench.orders()[-1].device_id == bench.first.id


def test_used_up_reagent_sends_work_elsewhere(bench, store):
    bench.place("WBC")
    bench.route()
    bench.add(
        ReagentState(
            device_id=bench.first.id, test_code="WBC", changed_at=store.clock.now(), tests_left=0
        )
    )
    bench.route()
    assert bench.order().device_id == bench.second.id


def test_a_person_chooses_with_a_reason_and_the_other_analyzer_is_told_nothing(bench):
    tube = bench.place("WBC")
    bench.route()
    order = bench.order()
    with bench.store.unit("anna") as unit:
        route_by_person(
            unit,
            bench.catalog,
            order.public_id,
            bench.second.id,
            reason="needs the other method",
            version=order.version,
        )
    assert bench.order().device_id == bench.second.id
    assert bench.choices()[-1].reason == "needs the other method"
    assert bench.choices()[-1].actor == "anna"
    assert bench.ask(bench.first, tube.accession)[0].tests == ()
    assert bench.log().empty_reason == "routed_elsewhere"
    assert bench.ask(bench.second, tube.accession)[0].tests
    with bench.store.unit("anna") as unit, pytest.raises(StaleVersion):
        route_by_person(
            unit, bench.catalog, order.public_id, None, reason="back", version=order.version
        )


def test_a_person_needs_a_reason(bench):
    bench.place("WBC")
    order = bench.order()
    with bench.store.unit("anna") as unit, pytest.raises(Refused, match="reason_needed"):
        route_by_person(
            unit, bench.catalog, order.public_id, bench.first.id, reason=" ", version=order.version
        )


def test_an_analyzer_that_takes_only_its_own_work_is_told_only_that(bench):
    bench.add(AnalyzerRouting(device_id=bench.second.id, takes=Takes.CHOSEN))
    tube = bench.place("WBC")
    bench.route()
    assert bench.order().device_id == bench.first.id
    assert bench.ask(bench.second, tube.accession)[0].tests == ()
    assert bench.ask(bench.first, tube.accession)[0].tests


def test_an_analyzer_taken_out_loses_its_work_and_what_runs_stays(bench):
    bench.place("WBC")
    bench.place("RBC")
    bench.route()
    with bench.store.unit("intake") as unit:
        running = unit.session.get_one(WorkOrder, bench.order("WBC").id)
        running.state, running.device_id = W.IN_PROCESS, bench.first.id
    with bench.store.unit("anna") as unit:
        stop_analyzer(unit, bench.catalog, bench.first, reason="lamp", is_stopped=True)
    bench.route()
    assert bench.order("WBC").device_id == bench.first.id
    assert bench.order("RBC").device_id == bench.second.id
    with bench.store.unit("anna") as unit:
        stop_analyzer(unit, bench.catalog, bench.first, reason="new lamp", is_stopped=False)


def test_S25_a_dilution_is_asked_for_with_its_factor(bench):
    tube = bench.place("WBC")
    with bench.store.unit("rules") as unit:
        unit.session.get_one(WorkOrder, bench.order().id).dilution = Decimal(5)
    bench.route()
    assert bench.order().state is W.QUEUED
    [entry] = bench.ask(bench.first, tube.accession)
    assert [test.dilution for test in entry.tests] == [Decimal(5)]


def test_too_little_material_excludes_where_volumes_are_known(bench, catalog):
    wbc = replace(catalog.tests["WBC"], volume_ul=50)
    bench.catalog = replace(catalog, tests={**catalog.tests, "WBC": wbc})
    tube = bench.place("WBC")
    with bench.store.unit("anna") as unit:
        row = unit.session.get_one(Specimen, tube.specimen_id)
        row.quantity, row.quantity_unit = Decimal("0.04"), "mL"
    assert bench.ask(bench.first, tube.accession)[0].tests == ()
    assert bench.log().empty_reason == Why.TOO_LITTLE.value


# --- analyzers that do not ask ------------------------------------------------------------------


@pytest.fixture
def law(store, catalog):
    glucose = InstrumentTest(driver=LAW, code="20411", test="GLU", unit="mmol/L")
    return Bench(store, replace(catalog, instrument_tests=(glucose,)), driver=LAW)


def broadcast(bench, device):
    with bench.store.unit("orders") as unit:
        return broadcast_new(unit, bench.catalog, registry.get(LAW), device)


def steps(bench):
    with bench.store.read() as session:
        rows = session.scalars(select(AnalyzerStep).order_by(AnalyzerStep.id))
        return [(row.device_id, row.state) for row in rows]


def test_LAW_R07_work_routed_away_is_taken_back_and_told_to_the_other(law):
    law.add(AnalyzerRouting(device_id=law.first.id, takes=Takes.CHOSEN))
    law.add(AnalyzerRouting(device_id=law.second.id, takes=Takes.CHOSEN))
    law.place("GLU")
    law.route_with(law.catalog)
    assert (broadcast(law, law.first), broadcast(law, law.second)) == (1, 0)
    law.gate(law.first, "GLU", RunVerdict.REJECTED)
    law.route_with(law.catalog)
    order = law.order("GLU")
    assert (order.state, order.device_id) == (W.QUEUED, law.second.id)
    with law.store.unit("orders") as unit:
        assert withdraw_not_needed(unit, law.catalog, registry.get(LAW), law.first) == 1
    assert (broadcast(law, law.first), broadcast(law, law.second)) == (0, 1)
    assert steps(law) == [
        (law.first.id, AwosState.CANCEL_SENT),
        (law.second.id, AwosState.SENT),
    ]
    assert law.order("GLU").state is W.SENT


def test_nothing_is_broadcast_to_a_closed_gate(law):
    law.gate(law.first, "GLU", RunVerdict.REJECTED)
    law.place("GLU")
    law.route_with(law.catalog)
    assert (broadcast(law, law.first), broadcast(law, law.second)) == (0, 1)
