"""An instrument is missed by its own habits."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.silence import (
    HORIZON,
    SILENCE_MIN,
    WEEK,
    WEEKS,
    HourProfile,
    alarm_due,
    hour_of,
    hour_of_week,
    learn,
)

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)  # a Monday
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
EVER = range(hour_of(NOW) - WEEKS * 168, hour_of(NOW))


def after(profile: HourProfile, last: datetime = NOW) -> timedelta | None:
    due = alarm_due(profile, last, UTC)
    return None if due is None else due - last


@pytest.mark.parametrize(("heard", "hours"), [(6, 1.75), (5, 2.5), (3, 5.5), (1, 19.5)])
def test_the_threshold_is_as_documented(heard: int, hours: float):
    profile = HourProfile(weeks=6, heard=dict.fromkeys(range(168), heard))
    assert after(profile) == timedelta(hours=hours)


def test_an_instrument_that_never_rests_is_missed_soon():
    assert after(learn(EVER, now=NOW, zone=UTC)) == timedelta(hours=1, minutes=45)


def test_nobody_misses_an_instrument_of_weekday_mornings_at_night():
    mornings = [
        hour
        for hour in EVER
        if (at := datetime.fromtimestamp(hour * 3600, MOSCOW)).weekday() < 5 and 8 <= at.hour < 12
    ]
    profile = learn(mornings, now=NOW, zone=MOSCOW)
    friday_noon = datetime(2026, 10, 30, 12, 0, tzinfo=MOSCOW)
    due = alarm_due(profile, friday_noon, MOSCOW)
    assert due is not None
    assert due.astimezone(MOSCOW) == datetime(2026, 11, 2, 9, 45, tzinfo=MOSCOW)  # Monday


def test_a_new_instrument_is_not_missed_before_its_habits_are_known():
    week = [hour for hour in EVER if hour >= hour_of(NOW - WEEK)]
    assert alarm_due(learn(week, now=NOW, zone=UTC), NOW, UTC) is None
    assert alarm_due(learn([], now=NOW, zone=UTC), NOW, UTC) is None


def test_what_is_older_than_six_weeks_is_forgotten():
    old = [hour - WEEKS * 168 - 1 for hour in EVER]
    assert learn(old, now=NOW, zone=UTC).heard == {}


def test_hours_are_those_of_the_wall_where_the_instrument_stands():
    summer = datetime(2026, 10, 23, 6, 0, tzinfo=UTC)
    winter = datetime(2026, 10, 30, 7, 0, tzinfo=UTC)
    assert hour_of_week(summer, BERLIN) == hour_of_week(winter, BERLIN) == 4 * 24 + 8


HOURS = st.sets(st.integers(EVER[0] - 500, EVER[-1] + 5), max_size=300)


@given(HOURS, st.integers(0, 60 * 24 * 7))
def test_an_alarm_is_never_hasty_and_never_beyond_the_horizon(hours: set[int], ago: int):
    last = NOW - timedelta(minutes=ago)
    due = alarm_due(learn(hours, now=NOW, zone=MOSCOW), last, MOSCOW)
    if due is not None:
        assert SILENCE_MIN <= due - last <= HORIZON + timedelta(minutes=15)


@given(HOURS, st.integers(0, 167))
def test_whoever_speaks_more_is_missed_no_later(hours: set[int], hour: int):
    profile = learn(hours, now=NOW, zone=UTC)
    more = HourProfile(weeks=profile.weeks, heard={**profile.heard, hour: profile.weeks})
    before, now = alarm_due(profile, NOW, UTC), alarm_due(more, NOW, UTC)
    assert before is None or (now is not None and now <= before)


@given(HOURS)
def test_no_hour_is_heard_in_more_weeks_than_are_known(hours: set[int]):
    profile = learn(hours, now=NOW, zone=MOSCOW)
    assert 0 <= profile.weeks <= WEEKS
    assert all(0 <= heard <= profile.weeks for heard in profile.heard.values())
    assert all(0 < profile.chance(hour) <= 1 for hour in range(168))
