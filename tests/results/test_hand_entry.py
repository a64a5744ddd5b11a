"""Values that a person types: the same gate, the same judging, and a second person where that is asked."""

from dataclasses import replace

import pytest

from lis.domain.catalog import Limits, ValueType
from lis.domain.control import QcPolicy
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import BenchState, SpecimenState, WorkOrderState
from lis.results import reads, validation
from lis.results.desk import Shown
from lis.results.hand_entry import enter_value
from lis.store.order_rows import WorkOrder
from lis.store.traffic_rows import Device, Inbox, InboxState
from tests.results.conftest import RULES, make_catalog, make_test

ESR = make_test(
    "ESR", qc_policy=QcPolicy.INTERNAL, critical=Limits(), rules=replace(RULES, is_on=False)
)
URINE = make_test(
    "LEU",
    value_type=ValueType.CODED,
    qc_policy=QcPolicy.INTERNAL,
    intervals=(),
    critical=Limits(),
    rules=replace(RULES, accepted_codes=frozenset({"NEGATIVE"})),
)
CATALOG = make_catalog(ESR, URINE)


@pytest.fixture
def enter(laboratory):
    def enter(tube, text, *, test="ESR", user="anna", second=False):
        (order,) = [
            row for row in laboratory.all(WorkOrder, test_code=test) if row.specimen_id == tube
        ]
        with laboratory.store.unit(user) as unit:
            return enter_value(unit, CATALOG, order.id, text, needs_second_person=second)

    return enter


@pytest.fixture
def tube(laboratory):
    laboratory.order("ESR", "LEU", "UREA")
    return 1


def verify(laboratory, observation_id, user):
    with laboratory.store.read() as session:
        row = reads.row(session, CATALOG, observation_id)
    shown = Shown(observation_id=row["id"], version=row["row_version"], hash=row["shown_hash"])
    with laboratory.store.unit(user) as unit:
        return validation.verify(unit, CATALOG, shown, user=user)


def test_a_typed_value_is_bound_judged_and_waits_for_a_person(laboratory, enter, tube):
    entered = enter(tube, " 70 ")
    row = laboratory.one(test_code="ESR")
    assert (row.id, row.reported, row.specimen_id) == (entered.observation_id, "70", tube)
    assert (row.bench_state, row.lane, row.operator) == (BenchState.HELD, "clear", "anna")
    assert not entered.is_released
    (order,) = laboratory.all(WorkOrder, test_code="ESR")
    assert order.state is WorkOrderState.RESULTED


def test_what_was_typed_is_kept_with_who_typed_it(laboratory, enter, tube):
    enter(tube, "5,4")
    row = laboratory.one(test_code="ESR")
    assert row.reported == "5.4"
    (message,) = laboratory.all(Inbox)
    assert (message.id, message.state) == (row.inbox_id, InboxState.PROCESSED)
    assert b'"typed": "5,4"' in message.raw
    assert b'"user": "anna"' in message.raw


def test_the_rules_release_a_typed_value_exactly_as_an_analyzers(laboratory, enter, tube):
    assert enter(tube, "NEGATIVE", test="LEU").is_released
    laboratory.order("LEU")
    assert not enter(2, "POSITIVE", test="LEU").is_released


def test_a_test_that_needs_controls_waits_for_them_by_hand_too(laboratory, enter, tube):
    assert "qc_missing" in enter(tube, "70", test="UREA").holds
    with pytest.raises(Refused, match="qc_missing"):
        verify(laboratory, laboratory.one(test_code="UREA").id, "boris")


def test_who_typed_a_value_does_not_verify_it_where_the_laboratory_says_so(laboratory, enter, tube):
    entered = enter(tube, "70", second=True)
    with pytest.raises(Refused, match="own_entry"):
        verify(laboratory, entered.observation_id, "anna")
    assert verify(laboratory, entered.observation_id, "boris").row["bench_state"] == "released"


def test_without_the_setting_one_person_is_enough(laboratory, enter, tube):
    entered = enter(tube, "70")
    assert verify(laboratory, entered.observation_id, "anna").row["bench_state"] == "released"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_value"),
        ("   ", "no_value"),
        ("twelve", "not_a_number"),
        ("1.2.3", "not_a_number"),
        ("9" * 101, "value_too_long"),
    ],
)
def test_what_is_no_value_is_refused_and_leaves_nothing(laboratory, enter, tube, text, code):
    with pytest.raises(Refused, match=code):
        enter(tube, text)
    assert not laboratory.rows()
    assert not laboratory.all(Inbox)


def test_a_test_that_has_its_value_takes_no_second_one_by_the_way(enter, tube):
    enter(tube, "70")
    with pytest.raises(Refused, match="done_already"):
        enter(tube, "71")


@pytest.mark.parametrize("state", [SpecimenState.COLLECTED, SpecimenState.REJECTED])
def test_only_a_tube_that_is_here_is_measured(laboratory, enter, state):
    laboratory.order("ESR", state=state)
    with pytest.raises(Refused, match="not_received"):
        enter(1, "70")


def test_an_unknown_work_order_is_not_found(laboratory):
    with pytest.raises(NotFound), laboratory.store.unit("anna") as unit:
        enter_value(unit, CATALOG, 999, "70", needs_second_person=False)


def test_a_site_has_one_place_for_work_by_hand(laboratory, enter, tube):
    enter(tube, "70")
    enter(tube, "NEGATIVE", test="LEU")
    assert [one.name for one in laboratory.all(Device, driver="by-hand")] == ["by-hand-1"]
