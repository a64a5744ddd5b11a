"""S21: a result for a cancelled order is judged, called if critical, and reinstated or rejected by a person; never dropped."""

import pytest

from lis.domain.errors import Refused, StaleVersion
from lis.domain.lifecycle import BenchState, RequestState, WorkOrderState
from lis.results import validation
from lis.results.desk import Shown
from lis.results.reads import row as read_row
from lis.results.reinstating import reinstate
from lis.store.observation_rows import CriticalCall
from lis.store.order_rows import ServiceRequest, WorkOrder


@pytest.fixture
def tube(laboratory):
    laboratory.controls("CREA")
    number = laboratory.order("CREA")
    with laboratory.store.unit("his") as unit:
        for order in unit.session.query(WorkOrder):
            order.state = WorkOrderState.CANCELLED
        for request in unit.session.query(ServiceRequest):
            request.state = RequestState.REVOKED
    return number


def act(laboratory, function, **how):
    row = laboratory.one()
    with laboratory.store.unit("anna") as unit:
        seen = read_row(unit.session, laboratory.catalog(), row.id)
        shown = Shown(observation_id=row.id, version=seen["row_version"], hash=seen["shown_hash"])
        return function(unit, laboratory.catalog(), shown, user="anna", **how)


@pytest.mark.parametrize(("value", "calls"), [("70", 0), ("270", 1)])
def test_S21_a_result_of_a_cancelled_order_is_kept_judged_and_called_if_critical(
    laboratory, observation, tube, value, calls
):
    laboratory.send(observation(tube, value))
    row = laboratory.one()
    assert (row.bench_state, "order_cancelled" in row.holds) == (BenchState.HELD, True)
    assert (row.patient_id, row.flag) == (1, "HH" if calls else "")
    assert len(laboratory.all(CriticalCall)) == calls
    assert laboratory.outbox() == []


def test_S21_nobody_verifies_it_while_the_order_is_cancelled(laboratory, observation, tube):
    laboratory.send(observation(tube, "70"))
    with pytest.raises(Refused, match="order_cancelled"):
        act(laboratory, validation.verify)


def test_S21_a_reinstated_order_lets_a_person_verify(laboratory, observation, tube):
    laboratory.send(observation(tube, "70"))
    act(laboratory, reinstate, reason="the ward asked again")
    row = laboratory.one()
    assert row.holds == []
    assert row.bench_state is BenchState.HELD  # what once was held waits for a person
    assert [one.state for one in laboratory.all(ServiceRequest)] == [RequestState.ACTIVE]
    cancelled, answered = laboratory.all(WorkOrder)
    assert (cancelled.state, answered.state) == (WorkOrderState.CANCELLED, WorkOrderState.RESULTED)
    assert row.work_order_id == answered.id
    act(laboratory, validation.verify)
    assert laboratory.one().bench_state is BenchState.RELEASED


def test_S21_reinstating_removes_no_other_reason(laboratory, observation, tube):
    laboratory.send(observation(tube, "270", is_abnormal_flagged=True))
    act(laboratory, reinstate, reason="asked again")
    assert {"critical", "instrument_flag"} <= set(laboratory.one().holds)


def test_S21_or_the_result_is_rejected_with_a_reason_and_stays_readable(
    laboratory, observation, tube
):
    laboratory.send(observation(tube, "70"))
    with pytest.raises(Refused, match="reason_required"):
        act(laboratory, validation.reject, reason=" ")
    act(laboratory, validation.reject, reason="order was cancelled")
    row = laboratory.one()
    assert (row.bench_state, row.reported) == (BenchState.REJECTED, "70")
    assert [one.state for one in laboratory.all(ServiceRequest)] == [RequestState.REVOKED]


def test_S21_reinstating_asks_for_a_reason_and_for_what_was_seen(laboratory, observation, tube):
    laboratory.send(observation(tube, "70"))
    with pytest.raises(Refused, match="reason_required"):
        act(laboratory, reinstate, reason="")
    stale = Shown(observation_id=laboratory.one().id, version=99, hash="")
    with laboratory.store.unit("anna") as unit, pytest.raises(StaleVersion):
        reinstate(unit, laboratory.catalog(), stale, reason="r", user="anna")


def test_S21_an_order_entered_in_error_is_not_reinstated(laboratory, observation, tube):
    with laboratory.store.unit("his") as unit:
        for request in unit.session.query(ServiceRequest):
            request.state = RequestState.ENTERED_IN_ERROR
    laboratory.send(observation(tube, "70"))
    with pytest.raises(Refused, match="cannot_reinstate"):
        act(laboratory, reinstate, reason="r")


def test_a_result_of_a_live_order_has_nothing_to_reinstate(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    with pytest.raises(Refused, match="nothing_to_reinstate"):
        act(laboratory, reinstate, reason="r")
