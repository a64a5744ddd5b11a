"""S24: the analyzer's clock, measured on each message."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.clock import ManualClock
from lis.domain.messages import Reason
from lis.results.timing import CLOCK_TOLERANCE, ZONE_STEP, judge_time
from lis.store.traffic_rows import Alarm, Device


@pytest.fixture
def tube(laboratory):
    laboratory.controls("CREA", "GLU")
    return laboratory.order("CREA", "GLU")


def test_S24_the_offset_is_measured_on_each_message(laboratory, observation, tube, t0):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(seconds=40))
    assert laboratory.all(Device)[0].clock_offset_s == 40
    laboratory.send(observation(tube, "70", "GLU"), sent_at=t0 - timedelta(seconds=20))
    assert laboratory.all(Device)[0].clock_offset_s == -20
    assert [row.clock_offset_s for row in laboratory.rows()] == [40, -20]
    assert laboratory.all(Alarm) == []


def test_S24_a_header_without_a_time_gives_no_offset_and_forgets_none(
    laboratory, observation, tube, t0
):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(seconds=40))
    laboratory.send(observation(tube, "70", "GLU"))
    assert [row.clock_offset_s for row in laboratory.rows()] == [40, None]
    assert [row.holds for row in laboratory.rows()] == [[], []]
    assert laboratory.all(Device)[0].clock_offset_s == 40


@pytest.mark.parametrize(("minutes", "held"), [(2, False), (3, True), (-2, False), (-3, True)])
def test_S24_more_than_two_minutes_is_held_and_alarmed(
    laboratory, observation, tube, t0, minutes, held
):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=minutes))
    assert ("clock_offset" in laboratory.one().holds) is held
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["device_clock"] * held


@pytest.mark.parametrize(
    ("minutes", "hours"), [(60, "+1"), (-60, "-1"), (181, "+3"), (-30, "-0.5"), (330, "+5.5")]
)
def test_S24_an_offset_of_whole_half_hours_is_a_wrong_zone_with_its_own_sentence(
    laboratory, observation, tube, t0, minutes, hours
):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=minutes))
    row = laboratory.one()
    assert "clock_zone" in row.holds
    assert "clock_offset" not in row.holds
    (verdict,) = [one for one in row.verdicts if one["rule"] == "clock"]
    assert verdict["parameters"]["hours"] == hours
    (alarm,) = laboratory.all(Alarm)
    assert (alarm.kind, alarm.parameters) == ("device_zone", {"hours": hours})


def test_S24_a_jump_of_an_hour_is_a_change_of_zone_whatever_the_clock_was_off_by_before(
    laboratory, observation, tube, t0
):
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=10))
    laboratory.send(observation(tube, "70", "GLU"), sent_at=t0 - timedelta(minutes=50))
    first, second = laboratory.rows()
    assert "clock_offset" in first.holds
    assert "clock_zone" in second.holds


def test_S24_a_jump_is_seen_inside_one_batch_as_between_batches(laboratory, observation, tube, t0):
    laboratory.message(observation(tube, "70"), sent_at=t0 + timedelta(minutes=10))
    laboratory.message(observation(tube, "70", "GLU"), sent_at=t0 - timedelta(minutes=50))
    laboratory.process()
    assert "clock_zone" in laboratory.rows()[1].holds


def test_S24_a_time_in_the_future_is_held(laboratory, observation, tube, t0):
    laboratory.send(observation(tube, "70", observed_at=t0 + timedelta(minutes=3)))
    assert "no_credible_time" in laboratory.one().holds


def test_S24_a_time_before_collection_is_held(laboratory, observation, tube, t0):
    laboratory.send(observation(tube, "70", observed_at=t0 - timedelta(minutes=31)))
    row = laboratory.one()
    assert "measured_before_collection" in row.holds
    assert row.patient_id is None


@given(
    step=st.integers(-52, 52).filter(bool),
    delay_s=st.integers(-119, 119),
    before_s=st.none() | st.integers(-119, 119),
)
def test_S24_every_zone_there_is_is_recognised(step, delay_s, before_s):
    now = ManualClock().now()
    sent = now + step * ZONE_STEP + timedelta(seconds=delay_s)
    found = judge_time(
        observed_at=now - timedelta(days=2),
        sent_at=sent,
        received_at=now,
        offset_before_s=before_s,
    )
    assert (found.reason, found.zone_shift) == (Reason.CLOCK_ZONE, step * ZONE_STEP)


@given(offset_s=st.integers(-120, 120), before_s=st.none() | st.integers(-100_000, 100_000))
def test_S24_a_clock_that_agrees_is_never_a_wrong_zone(offset_s, before_s):
    now = ManualClock().now()
    found = judge_time(
        observed_at=now - timedelta(hours=1),
        sent_at=now + timedelta(seconds=offset_s),
        received_at=now,
        offset_before_s=before_s,
    )
    assert abs(timedelta(seconds=offset_s)) <= CLOCK_TOLERANCE
    assert (found.reason, found.zone_shift) == (None, None)
