"""S19: resend, repeat, edit; every line of the table in `lis.results.runs`, on a real store."""

from datetime import timedelta

import pytest

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus


@pytest.fixture
def tube(laboratory):
    laboratory.controls("CREA")
    return laboratory.order("CREA")


def test_S19_a_resend_after_days_is_still_a_resend(laboratory, observation, tube):
    laboratory.send(observation(tube, "70"))
    laboratory.clock.advance(hours=50)
    assert laboratory.send(observation(tube, "70")).resent == 1
    assert len(laboratory.rows()) == 1


def test_S19_a_resend_of_the_first_value_after_an_edit_changes_nothing(
    laboratory, observation, tube
):
    laboratory.send(observation(tube, "70"))
    laboratory.send(observation(tube, "75"))
    assert laboratory.send(observation(tube, "70")).resent == 1
    assert [row.version for row in laboratory.rows()] == [1, 2]


def test_S19_every_further_edit_is_a_further_version(laboratory, observation, tube):
    for value in ("70", "75", "80"):
        laboratory.send(observation(tube, value))
    rows = laboratory.rows()
    assert [row.version for row in rows] == [1, 2, 3]
    assert [row.previous_id for row in rows] == [None, rows[0].id, rows[1].id]
    assert [row.is_chosen for row in rows] == [True, False, False]


@pytest.mark.parametrize(
    "changes", [{"unit": "mg/dL"}, {"flags": ("H",)}, {"status": ResultStatus.CORRECTED}]
)
def test_S19_an_equal_number_with_other_unit_flag_or_status_is_an_edit(
    laboratory, observation, tube, changes
):
    laboratory.send(observation(tube, "70"))
    laboratory.send(observation(tube, "70", **changes))
    first, second = laboratory.rows()
    assert "edited_on_analyzer" in second.holds
    assert first.bench_state is BenchState.RELEASED


def test_S19_another_run_number_at_the_same_time_is_a_second_run(laboratory, observation, tube):
    laboratory.send(observation(tube, "70", run="1"))
    laboratory.send(observation(tube, "70", run="2"))
    assert laboratory.rows()[-1].holds == ["second_run"]


def test_S19_a_run_after_a_rejected_one_is_the_first_that_counts(laboratory, observation, tube, t0):
    laboratory.send(observation(tube, "70", is_abnormal_flagged=True))
    with laboratory.store.unit("anna") as unit:
        row = unit.session.get_one(type(laboratory.one()), laboratory.one().id)
        row.bench_state = BenchState.REJECTED
    laboratory.send(observation(tube, "70", observed_at=t0 - timedelta(minutes=1)))
    assert laboratory.rows()[-1].bench_state is BenchState.RELEASED


def test_S19_the_same_value_of_another_tube_is_no_resend(laboratory, observation, tube):
    other = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.send(observation(other, "70")).resent == 0


def test_S19_without_a_time_equal_values_of_one_message_are_not_merged(
    laboratory, observation, tube
):
    twin = observation(tube, "70", observed_at=None)
    laboratory.send(twin, twin)
    assert len(laboratory.rows()) == 2
    assert "possible_duplicate" in laboratory.rows()[1].holds


def test_S19_without_a_time_other_bytes_with_the_same_value_are_a_possible_duplicate(
    laboratory, observation, tube
):
    value = observation(tube, "70", observed_at=None)
    laboratory.send(value, raw=b"first", is_session_closed=False)
    laboratory.send(value, raw=b"second")
    assert "possible_duplicate" in laboratory.rows()[1].holds


def test_S19_without_a_time_equal_bytes_after_a_day_are_kept_as_a_run_of_their_own(
    laboratory, observation, tube
):
    value = observation(tube, "70", observed_at=None)
    laboratory.send(value, raw=b"same")
    laboratory.clock.advance(hours=24, minutes=1)
    laboratory.send(value, raw=b"same")
    first, second = laboratory.rows()
    assert "possible_duplicate" not in second.holds
    assert "no_credible_time" in second.holds  # it waits for a person all the same
    assert first.id != second.id


def test_S19_the_clocks_offset_does_not_make_a_resend_a_second_run(
    laboratory, observation, tube, t0
):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=10))
    laboratory.clock.advance(minutes=5)
    report = laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=15))
    assert report.resent == 1
