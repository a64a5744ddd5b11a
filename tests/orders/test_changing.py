"""An order that changes gets the tubes and work orders it needs, and takes nothing from a tube that is full."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lis.domain.catalog import Container, Stability, Storage
from lis.domain.lifecycle import SpecimenState, WorkOrderState
from lis.orders.changing import hear_orders
from lis.orders.entries import (
    OrderEntry,
    OrderMessage,
    PatientEntry,
    RequisitionEntry,
    SaidOrder,
)
from lis.orders.order_saying import Verb
from lis.store.order_rows import Specimen, WorkOrder
from tests.seeded_store import catalog, store

__all__ = ["catalog", "store"]


@pytest.fixture
def small(catalog):
    """Tubes that hold one test: 100 of which 20 cannot be reached, and each test takes 60."""
    codes = ("GLU", "ALT")
    kind = catalog.tests["GLU"].specimen_type
    tube = Container(
        code="S",
        names={"en": "small", "ru": "малая"},
        cap="red",
        volume_ul=100,
        dead_volume_ul=20,
        specimen_types=(kind,),
    )
    tests = {code: replace(catalog.tests[code], container="S", volume_ul=60) for code in codes}
    return replace(catalog, tests={**catalog.tests, **tests}, containers={"S": tube})


@pytest.fixture
def say(store):
    def say(catalog, *words, stamp):
        requisition = RequisitionEntry(
            patient=PatientEntry(family_name="Примерова"), orders=(), source="his"
        )
        orders = tuple(
            SaidOrder(verb=verb, entry=OrderEntry(code=code, placer_number=number))
            for verb, number, code in words
        )
        message = OrderMessage(orders=orders, requisition=requisition, stamp=stamp)
        with store.unit("his") as unit:
            return hear_orders(unit, catalog, message, site_id=1)

    return say


def tubes(store):
    """Each live tube's container and its open tests."""
    with store.read() as session:
        open_work = (
            session.query(WorkOrder).filter(WorkOrder.state != WorkOrderState.CANCELLED).all()
        )
        return [
            (
                tube.container,
                sorted(one.test_code for one in open_work if one.specimen_id == tube.id),
            )
            for tube in session.query(Specimen).order_by(Specimen.id)
        ]


def test_a_changed_test_goes_on_the_tube_that_is_there(say, store, catalog):
    say(catalog, (Verb.PLACE, "O1", "GLU"), stamp="1")
    say(catalog, (Verb.CHANGE, "O1", "ALT"), stamp="2")
    assert [tests for _, tests in tubes(store)] == [["ALT"]]


def test_a_change_that_finds_the_tube_full_gets_a_second_one(say, store, small):
    say(small, (Verb.PLACE, "O1", "GLU"), (Verb.PLACE, "O2", "NOPE"), stamp="1")
    say(small, (Verb.CHANGE, "O2", "ALT"), stamp="2")
    assert tubes(store) == [("S", ["GLU"]), ("S", ["ALT"])]


def test_a_test_that_is_on_a_tube_already_needs_no_more_of_it(say, store, small):
    say(small, (Verb.PLACE, "O1", "GLU"), (Verb.PLACE, "O2", "NOPE"), stamp="1")
    say(small, (Verb.CHANGE, "O2", "GLU"), stamp="2")
    assert tubes(store) == [("S", ["GLU", "GLU"])]


def test_a_rejected_tube_gets_nothing_more(say, store, catalog):
    say(catalog, (Verb.PLACE, "O1", "GLU"), (Verb.HOLD, "O2", ""), stamp="1")
    with store.unit("desk") as unit:
        unit.session.query(Specimen).one().state = SpecimenState.REJECTED
    say(catalog, (Verb.CHANGE, "O1", "ALT"), stamp="2")
    assert [tests for _, tests in tubes(store)] == [[], ["ALT"]]
    with store.read() as session:
        accessions = {one.accession for one in session.query(Specimen)}
    assert len(accessions) == 2


def test_a_hold_takes_the_work_off_the_analyzers_list_and_a_release_puts_it_back(
    say, store, catalog
):
    say(catalog, (Verb.PLACE, "O1", "GLU"), stamp="1")
    say(catalog, (Verb.HOLD, "O1", ""), stamp="2")
    assert [tests for _, tests in tubes(store)] == [[]]
    say(catalog, (Verb.RELEASE, "O1", ""), stamp="3")
    assert [tests for _, tests in tubes(store)] == [["GLU"]]


@pytest.mark.parametrize(
    ("hours", "suspicion", "state", "expected"),
    [
        (1, "", SpecimenState.RECEIVED, [["ALT"]]),
        (9, "", SpecimenState.RECEIVED, [[], ["ALT"]]),
        (1, "perhaps another person", SpecimenState.RECEIVED, [[], ["ALT"]]),
        (1, "", SpecimenState.EXHAUSTED, [[], ["ALT"]]),
        (None, "", SpecimenState.RECEIVED, [[], ["ALT"]]),
    ],
)
def test_S36_a_changed_test_joins_a_received_tube_only_if_nothing_speaks_against_it(
    say, store, catalog, hours, suspicion, state, expected
):
    limits = tuple(Stability(storage=one, hours=8) for one in Storage)
    alt = replace(catalog.tests["ALT"], stability=limits)
    limited = replace(catalog, tests={**catalog.tests, "ALT": alt})
    say(limited, (Verb.PLACE, "O1", "GLU"), stamp="1")
    with store.unit("desk") as unit:
        tube = unit.session.query(Specimen).one()
        drawn = unit.now - timedelta(hours=hours) if hours else None
        tube.collected_from = tube.collected_to = drawn
        tube.received_at, tube.state, tube.suspicion = unit.now, state, suspicion
    say(limited, (Verb.CHANGE, "O1", "ALT"), stamp="2")
    assert [tests for _, tests in tubes(store)] == expected
