"""Reflex, rerun and dilution from the message to the order, on a real store."""

from datetime import timedelta
from decimal import Decimal

import pytest

from lis.domain.catalog import Sex
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import BenchState, SpecimenState, WorkOrderState
from lis.domain.messages import HostQuery, ValueBasis
from lis.orders.hostquery import answer_query
from lis.results import validation
from lis.results.desk import Shown
from lis.results.reads import row as read_row
from lis.store.definitions import DefinitionKind, put_definition
from lis.store.order_rows import ServiceRequest, WorkOrder
from lis.store.repeat_rows import RepeatMade, RepeatStop
from lis.store.traffic_rows import Device

FIRES, SILENT = {"value": "999", "fires": True}, {"value": "2", "fires": False}
ADD_UREA = {
    "id": "crea-urea",
    "test": "CREA",
    "when": {"kind": "above", "high": "100"},
    "then": {"action": "reflex", "test": "UREA"},
    "cases": [FIRES, SILENT],
}
DILUTE = {
    "id": "crea-dilute",
    "test": "CREA",
    "when": {"kind": "above_range"},
    "then": {"action": "dilute", "factor": "10"},
    "cases": [{"value": ">500", "fires": True}, {"value": "2", "fires": False}],
}
BY_DILUTION = {"id": "crea-run", "test": "CREA", "prefer": "diluted"}


@pytest.fixture
def rule(laboratory):
    def put(*rules, choices=(), version="p1"):
        body = {"version": version, "rules": list(rules), "choices": list(choices)}
        with laboratory.store.unit("author") as unit:
            since = unit.now - timedelta(days=20)
            put_definition(unit, DefinitionKind.REPEAT, version, body, since, "approver")

    return put


@pytest.fixture
def tube(laboratory):
    laboratory.controls("CREA", "UREA")
    return laboratory.order("CREA")


def orders(laboratory):
    return [
        (one.test_code, one.rerun, one.dilution, one.state) for one in laboratory.all(WorkOrder)
    ]


def act(laboratory, function, row, **how):
    with laboratory.store.unit("anna") as unit:
        catalog = laboratory.catalog()
        seen = read_row(unit.session, catalog, row.id)
        shown = Shown(observation_id=row.id, version=seen["row_version"], hash=seen["shown_hash"])
        return function(unit, catalog, shown, user="anna", **how)


def test_a_reflex_adds_a_request_and_a_work_order_on_the_same_tube(
    laboratory, observation, rule, tube
):
    rule(ADD_UREA)
    laboratory.send(observation(tube, "120"))
    assert orders(laboratory) == [
        ("CREA", 0, None, WorkOrderState.RESULTED),
        ("UREA", 0, None, WorkOrderState.PENDING),
    ]
    first, added = laboratory.all(ServiceRequest)
    assert (added.code, added.requisition_id) == ("UREA", first.requisition_id)
    (made,) = laboratory.all(RepeatMade)
    assert (made.rule, made.rule_version, made.inputs["value"]) == ("crea-urea", "p1", "120")
    row = laboratory.one()
    assert row.bench_state is BenchState.RELEASED  # adding a test doubts nothing
    (said,) = [one for one in row.verdicts if one["rule"] == "repeat_rule"]
    assert (said["version"], said["parameters"]["answer"]) == ("p1", "fired")


def test_a_rule_that_is_not_met_is_kept_too(laboratory, observation, rule, tube):
    rule(ADD_UREA)
    laboratory.send(observation(tube, "70"))
    assert laboratory.all(RepeatMade) == []
    (said,) = [one for one in laboratory.one().verdicts if one["rule"] == "repeat_rule"]
    assert (said["outcome"], said["parameters"]["answer"]) == ("not_applicable", "not_met")


def test_a_reflex_is_made_once_whatever_comes_again(laboratory, observation, rule, tube, t0):
    rule(ADD_UREA)
    laboratory.send(observation(tube, "120"))
    laboratory.send(observation(tube, "120"))
    laboratory.send(observation(tube, "130", observed_at=t0 - timedelta(minutes=2)))
    assert [one[0] for one in orders(laboratory)] == ["CREA", "UREA"]


def test_a_test_that_is_ordered_already_is_not_added(laboratory, observation, rule):
    laboratory.controls("CREA")
    rule(ADD_UREA)
    tube = laboratory.order("CREA", "UREA")
    laboratory.send(observation(tube, "120"))
    assert len(laboratory.all(WorkOrder)) == 2
    assert laboratory.one(test_code="CREA").bench_state is BenchState.RELEASED
    assert [one.refused for one in laboratory.all(RepeatMade)] == ["already_ordered"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": SpecimenState.EXHAUSTED}, "no_volume"),
        ({"suspicion": "clot"}, ""),  # the value itself is held, so nothing is asked of the tube
    ],
)
def test_what_the_tube_cannot_give_is_kept_with_its_reason(
    laboratory, observation, rule, changes, why
):
    laboratory.controls("CREA")
    rule(ADD_UREA)
    tube = laboratory.order("CREA", **changes)
    laboratory.send(observation(tube, "120"))
    assert [one.refused for one in laboratory.all(RepeatMade)] == ([why] if why else [])
    assert len(laboratory.all(WorkOrder)) == 1


def test_a_reflex_waits_for_the_gate_and_comes_with_it(laboratory, observation, rule):
    rule(ADD_UREA)
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "120"))  # no control yet
    assert laboratory.all(RepeatMade) == []
    laboratory.controls("CREA")
    assert laboratory.one().bench_state is BenchState.RELEASED
    assert [one[0] for one in orders(laboratory)] == ["CREA", "UREA"]


def test_a_reflex_waits_for_a_person_who_verifies(laboratory, observation, rule, tube):
    rule(ADD_UREA)
    laboratory.send(observation(tube, "120", is_abnormal_flagged=True))
    assert laboratory.all(RepeatMade) == []
    act(laboratory, validation.verify, laboratory.one())
    assert [one[0] for one in orders(laboratory)] == ["CREA", "UREA"]


def test_the_stop_switch_stops_at_once(laboratory, observation, rule, tube):
    rule(ADD_UREA)
    with laboratory.store.unit("anna") as unit:
        stop = RepeatStop(rule="crea-urea", stopped_at=unit.now, stopped_by="anna", reason="r")
        unit.session.add(stop)
    laboratory.send(observation(tube, "120"))
    assert laboratory.all(RepeatMade) == []


def test_S27_a_reflex_no_longer_justified_is_marked_and_kept(laboratory, observation, rule, tube):
    rule(ADD_UREA)
    laboratory.send(observation(tube, "270"))  # critical: waits, and may be rejected
    assert laboratory.all(RepeatMade)[0].unjustified_at is None
    act(laboratory, validation.reject, laboratory.one(), reason="clot")
    (made,) = laboratory.all(RepeatMade)
    assert (made.unjustified_why, len(laboratory.all(WorkOrder))) == ("value_gone", 2)
    with laboratory.store.unit("anna") as unit:
        validation.undo(unit, laboratory.catalog(), made.observation_id, user="anna")
    assert laboratory.all(RepeatMade)[0].unjustified_at is None


# --- dilution -------------------------------------------------------------------------------------


def test_S25_above_the_range_is_diluted_asked_by_the_analyzer_and_calculated_back(
    laboratory, observation, rule, t0
):
    laboratory.controls("CREA")
    number = AccessionNumber.from_serial(prefix="26", serial=1)
    tube = laboratory.order("CREA", accession=number.text)
    rule(DILUTE, choices=[BY_DILUTION])
    laboratory.send(observation(tube, ">500"))
    first = laboratory.one()
    assert "waits_for_repeat" in first.holds  # not released while it is being measured again
    assert orders(laboratory)[1] == ("CREA", 1, Decimal(10), WorkOrderState.PENDING)

    with laboratory.store.unit("link") as unit:
        device = unit.session.get_one(Device, laboratory.device_id)
        told = answer_query(unit, laboratory.catalog(), device, HostQuery(specimens=(tube,)))
    assert [(one.test, one.dilution) for entry in told for one in entry.tests] == [
        ("iCREA", Decimal(10))
    ]

    second = observation(
        tube,
        "70",
        basis=ValueBasis.RAW,
        dilution=Decimal(10),
        observed_at=t0 - timedelta(minutes=1),
    )
    laboratory.send(second)
    old, new = laboratory.rows()
    assert (old.bench_state, old.reported) == (BenchState.SUPERSEDED, ">500")  # both stay visible
    assert (new.value, new.is_chosen, new.dilution) == (Decimal(700), True, Decimal(10))
    assert new.bench_state is BenchState.HELD  # what once was held waits for a person
    assert "second_run" not in new.holds
    assert [one["parameters"]["why"] for one in new.verdicts if one["rule"] == "run_rule"] == [
        "above_range_then_diluted"
    ]
    assert len(laboratory.all(WorkOrder)) == 2  # and is not diluted again


def test_S20_without_a_rule_a_person_chooses_and_both_runs_stay(
    laboratory, observation, rule, tube, t0
):
    rule(DILUTE)
    laboratory.send(observation(tube, ">500"))
    laboratory.send(
        observation(
            tube,
            "700",
            basis=ValueBasis.CORRECTED,
            dilution=Decimal(10),
            observed_at=t0 - timedelta(minutes=1),
        )
    )
    first, second = laboratory.rows()
    assert "second_run" in first.holds
    assert "second_run" in second.holds
    act(laboratory, validation.choose_run, second, reason="diluted")
    first, second = laboratory.rows()
    assert (first.bench_state, second.is_chosen) == (BenchState.SUPERSEDED, True)
    assert "waits_for_repeat" not in second.holds


def test_S12_a_batch_gives_what_its_messages_give_alone(laboratory, observation, rule, tube, t0):
    rule(DILUTE, choices=[BY_DILUTION])
    diluted = {"basis": ValueBasis.CORRECTED, "dilution": Decimal(10)}
    laboratory.message(observation(tube, ">500"))
    laboratory.message(observation(tube, "700", observed_at=t0 - timedelta(minutes=1), **diluted))
    laboratory.process()
    first, second = laboratory.rows()
    rerun = laboratory.all(WorkOrder)[1]
    assert second.work_order_id == rerun.id  # the order that the first message made
    assert (first.is_chosen, second.is_chosen) == (False, True)


def test_a_rule_for_some_people_does_not_guess_who_they_are(laboratory, observation, rule):
    laboratory.controls("CREA")
    rule(
        ADD_UREA
        | {
            "who": {"sex": "M"},
            "cases": [FIRES | {"sex": Sex.MALE.value}, SILENT],
        }
    )
    tube = laboratory.order("CREA", patient=laboratory.patient(sex="U"))
    laboratory.send(observation(tube, "120"))
    assert laboratory.all(RepeatMade) == []
    (said,) = [one for one in laboratory.one().verdicts if one["rule"] == "repeat_rule"]
    assert said["outcome"] == "not_evaluable"


def test_a_comment_is_added_once(laboratory, observation, rule, tube):
    rule(ADD_UREA | {"then": {"action": "comment", "text": "Check the renal function."}})
    laboratory.send(observation(tube, "120"))
    assert laboratory.one().comment == "Check the renal function."
