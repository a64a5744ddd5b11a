"""The outstanding list: who stands on it, under which analyzer, of which shift."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.orders.outstanding import (
    BY_HAND,
    SHIFT_STARTS,
    Shift,
    is_of_shift,
    read_outstanding,
    shift_start,
)
from lis.orders.turnaround import TatState
from lis.orders.whereabouts import Place
from tests.orders.desk_story import Story, with_targets
from tests.results.conftest import make_test

MOSCOW = ZoneInfo("Europe/Moscow")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@pytest.fixture
def desk(store, catalog, manual_clock):
    by_hand = make_test("ESR", turnaround_min={})
    return Story(store, manual_clock, with_targets(catalog, ESR=by_hand))


@pytest.fixture
def listed(desk):
    def listed(**chosen):
        with desk.store.read() as session:
            return read_outstanding(
                session, desk.catalog, at=desk.clock.now(), zone=MOSCOW, **chosen
            )

    return listed


def codes(found):
    return [row.line.code for row in found.rows]


def test_a_received_tube_without_a_result_is_outstanding_after_the_minutes(desk, listed):
    desk.order("GLU")
    assert codes(listed(minutes=60)) == []
    desk.passes(60)
    assert codes(listed(minutes=60)) == ["GLU"]


def test_a_promised_time_that_comes_near_is_listed_before_the_minutes(desk, listed):
    desk.order("GLU", priority="S")
    desk.passes(23)
    (row,) = listed(minutes=600).rows
    assert row.line.clock.state is TatState.SOON
    desk.passes(8)
    assert listed(minutes=600).overdue == 1


def test_what_is_not_here_is_not_outstanding(desk, listed):
    desk.order("GLU", is_received=False)
    desk.passes(600)
    assert codes(listed(minutes=0)) == []


def test_a_released_test_leaves_the_list_and_a_held_one_stays(desk, listed):
    placed = desk.order("GLU", "K")
    desk.measure(placed.specimens[0].accession, "GLU")
    desk.measure(placed.specimens[0].accession, "K", is_out=False)
    desk.passes(120)
    (row,) = listed(minutes=60).rows
    assert (row.line.code, row.line.standing.place) == ("K", Place.HELD)


def test_the_most_overdue_comes_first(desk, listed):
    desk.order("GLU")
    desk.passes(45)
    desk.order("K", priority="S")
    desk.passes(31)
    desk.order("ALT")
    desk.passes(1)
    assert codes(listed(minutes=0)) == ["K", "GLU", "ALT"]


def test_a_test_stands_under_the_analyzers_that_could_measure_it(desk, listed):
    desk.order("GLU", "ESR", "WBC")
    found = listed(minutes=0)
    assert found.counts == {BY_HAND: 2, "c111-1": 1}, "nobody here counts blood: by hand, then"
    assert codes(listed(minutes=0, analyzer="c111-1")) == ["GLU"]
    assert listed(minutes=0, analyzer="c111-1").counts == found.counts
    assert codes(listed(minutes=0, section="haematology")) == ["WBC"]


def test_a_panel_of_which_some_is_out_is_incomplete(desk, listed):
    placed = desk.order("LIVER", "GLU")
    accession = placed.specimens[0].accession
    assert listed(minutes=0).panels == ()
    for test in ("ALT", "AST", "GLU"):
        desk.measure(accession, test)
    (panel,) = listed(minutes=0).panels
    assert (panel.orderable, panel.done, panel.total) == ("LIVER", 2, 7)
    assert set(panel.missing) == {"ALP", "GGT", "TBIL", "TP", "ALB"}


def test_what_the_shift_before_left_over_is_told_apart(desk, listed):
    desk.clock.at = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)  # 07:00 in Moscow
    desk.order("GLU")
    desk.clock.at = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
    desk.order("K")
    assert codes(listed(minutes=0, shift=Shift.BEFORE)) == ["GLU"]
    assert codes(listed(minutes=0, shift=Shift.THIS)) == ["K"]
    assert codes(listed(minutes=0, shift=Shift.ALL)) == ["GLU", "K"]


@given(moments, st.sampled_from(["UTC", "Europe/Moscow", "Asia/Kolkata", "America/New_York"]))
def test_a_shift_begins_at_one_of_its_hours_and_lasts_half_a_day(at, zone):
    started = shift_start(at, ZoneInfo(zone))
    assert started <= at
    assert at - started < timedelta(hours=14), "summer time may lengthen a night"
    assert started.astimezone(ZoneInfo(zone)).time() in SHIFT_STARTS


@given(moments, moments)
def test_every_tube_is_of_this_shift_or_of_one_before(received, started):
    assert is_of_shift(received, Shift.THIS, started) != is_of_shift(
        received, Shift.BEFORE, started
    )
    assert is_of_shift(received, Shift.ALL, started)
