"""The turnaround clock, and where a test stands: examples and properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState
from lis.orders.turnaround import (
    OPEN,
    URGENCY,
    TatFacts,
    TatState,
    Turnaround,
    of_order,
    target_minutes,
    turnaround,
)
from lis.orders.whereabouts import (
    NO_RESULT,
    NOT_RELEASED,
    Place,
    RunFacts,
    StandingFacts,
    standing,
)

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TARGETS = {"S": 60, "R": 240}
moments = st.integers(-500, 500).map(lambda minutes: NOON + timedelta(minutes=minutes))
facts = st.builds(
    TatFacts,
    targets=st.dictionaries(st.sampled_from(URGENCY), st.integers(1, 600)),
    priority=st.sampled_from([*URGENCY, "", "X"]),
    received_at=st.none() | moments,
    done_at=st.none() | moments,
    is_cancelled=st.booleans(),
)


def at(minutes, **more):
    given_facts = {"targets": TARGETS, "priority": "S", "received_at": NOON} | more
    return turnaround(TatFacts(**given_facts), NOON + timedelta(minutes=minutes))


# --- the clock ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        (0, TatState.RUNNING),
        (44, TatState.RUNNING),
        (45, TatState.SOON),
        (60, TatState.SOON),
        (61, TatState.OVERDUE),
    ],
)
def test_a_clock_runs_turns_soon_and_then_late(minutes, state):
    assert at(minutes).state is state
    assert at(minutes).due_at == NOON + HOUR


def test_a_result_on_the_minute_is_in_time():
    assert at(500, done_at=NOON + HOUR).state is TatState.MET
    assert at(500, done_at=NOON + HOUR + timedelta(seconds=1)).state is TatState.MISSED


def test_nothing_is_promised_for_a_tube_that_is_not_here():
    assert at(500, received_at=None) == Turnaround(state=TatState.WAITING, target=HOUR)


def test_a_class_without_a_target_takes_the_next_less_urgent_one():
    assert target_minutes(TARGETS, "A") == 240
    assert target_minutes(TARGETS, "S") == 60
    assert target_minutes({"S": 60}, "R") is None, "a routine test is not promised as fast as stat"
    assert target_minutes(TARGETS, "unheard of") == 240


@given(st.dictionaries(st.sampled_from(URGENCY), st.integers(1, 600)), st.sampled_from(URGENCY))
def test_a_target_comes_from_the_class_itself_or_a_less_urgent_one(targets, priority):
    allowed = [targets[one] for one in URGENCY[URGENCY.index(priority) :] if one in targets]
    assert target_minutes(targets, priority) == (allowed[0] if allowed else None)


@given(facts, moments)
def test_only_what_is_open_and_past_its_time_is_overdue(given_facts, moment):
    clock = turnaround(given_facts, moment)
    minutes = target_minutes(given_facts.targets, given_facts.priority)
    is_late = (
        not given_facts.is_cancelled
        and given_facts.done_at is None
        and given_facts.received_at is not None
        and minutes is not None
        and moment > given_facts.received_at + timedelta(minutes=minutes)
    )
    assert (clock.state is TatState.OVERDUE) == is_late


@given(facts, moments, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_an_overdue_test_stays_overdue_until_it_is_done(given_facts, moment, passed):
    if turnaround(given_facts, moment).state is TatState.OVERDUE:
        assert turnaround(given_facts, moment + passed).state is TatState.OVERDUE


@given(facts, moments, moments)
def test_a_finished_clock_never_changes(given_facts, one, other):
    first = turnaround(given_facts, one)
    if not first.is_open and first.state is not TatState.WAITING:
        assert turnaround(given_facts, other) == first


@given(st.lists(st.tuples(facts, moments), max_size=6))
def test_an_order_is_as_late_as_its_worst_test(tests):
    clocks = [turnaround(one, NOON) for one, _ in tests]
    whole = of_order(clocks)
    assert (whole.state is TatState.OVERDUE) == any(one.state is TatState.OVERDUE for one in clocks)
    assert (whole.state in OPEN) == any(one.state in OPEN for one in clocks)
    late = [one.due_at for one in clocks if one.state is TatState.OVERDUE]
    assert not late or whole.due_at == min(late)


# --- where a test stands ------------------------------------------------------------------------

RUNNING = Turnaround(state=TatState.RUNNING, target=HOUR, due_at=NOON + HOUR)
runs = st.none() | st.builds(
    RunFacts,
    bench_state=st.sampled_from(BenchState),
    holds=st.sampled_from([(), ("delta",)]),
    lane=st.sampled_from(["", "clear", "hold"]),
    visible_from=st.none() | moments,
)
standings = st.builds(
    StandingFacts,
    request_state=st.sampled_from(RequestState),
    work_state=st.sampled_from(WorkOrderState),
    specimen_state=st.sampled_from(SpecimenState),
    hold_reason=st.sampled_from(["", "unknown_orderable"]),
    reject_reason=st.sampled_from(["", "clot"]),
    device=st.sampled_from(["", "c111-1"]),
    run=runs,
)


def where(**known):
    usual = {
        "request_state": RequestState.ACTIVE,
        "work_state": WorkOrderState.PENDING,
        "specimen_state": SpecimenState.RECEIVED,
    }
    return standing(StandingFacts(**usual | known), RUNNING, NOON)


@pytest.mark.parametrize(
    ("known", "place", "detail"),
    [
        ({"specimen_state": SpecimenState.EXPECTED}, Place.NOT_COLLECTED, ()),
        ({"specimen_state": SpecimenState.COLLECTED}, Place.ON_ITS_WAY, ()),
        (
            {"specimen_state": SpecimenState.REJECTED, "reject_reason": "clot"},
            Place.TUBE_REJECTED,
            ("clot",),
        ),
        ({}, Place.WAITS_FOR_ANALYZER, ()),
        (
            {"work_state": WorkOrderState.SENT, "device": "c111-1"},
            Place.TOLD_TO_ANALYZER,
            ("c111-1",),
        ),
        ({"work_state": WorkOrderState.FAILED}, Place.FAILED, ()),
        ({"request_state": RequestState.REVOKED}, Place.CANCELLED, ()),
        (
            {"request_state": RequestState.ON_HOLD, "hold_reason": "unknown_orderable"},
            Place.ORDER_HELD,
            ("unknown_orderable",),
        ),
        (
            {
                "work_state": WorkOrderState.RESULTED,
                "run": RunFacts(bench_state=BenchState.HELD, holds=("delta",), lane="hold"),
            },
            Place.HELD,
            ("delta",),
        ),
        (
            {
                "work_state": WorkOrderState.RESULTED,
                "run": RunFacts(
                    bench_state=BenchState.HELD, holds=("automatic_off",), lane="clear"
                ),
            },
            Place.WAITS_FOR_PERSON,
            (),
        ),
    ],
)
def test_a_person_can_say_where_a_test_is(known, place, detail):
    found = where(**known)
    assert (found.place, found.detail) == (place, detail)


def test_a_time_is_told_only_while_it_can_be_kept():
    assert where().expected_at == NOON + HOUR
    late = Turnaround(state=TatState.OVERDUE, target=HOUR, due_at=NOON - HOUR)
    waiting = StandingFacts(
        request_state=RequestState.ACTIVE,
        work_state=WorkOrderState.PENDING,
        specimen_state=SpecimenState.RECEIVED,
    )
    assert standing(waiting, late, NOON).expected_at is None
    assert where(specimen_state=SpecimenState.EXPECTED).expected_at is None


@given(standings, moments)
def test_a_value_is_ready_exactly_when_it_is_released_and_cannot_be_undone(known, moment):
    found = standing(known, RUNNING, moment)
    run = known.run
    is_out = (
        run is not None
        and run.bench_state is BenchState.RELEASED
        and run.visible_from is not None
        and run.visible_from <= moment
    )
    assert found.is_ready == is_out


@given(standings, moments)
def test_every_test_has_one_place_and_only_open_ones_are_expected(known, moment):
    found = standing(known, RUNNING, moment)
    assert found.expected_at is None or found.place in NO_RESULT | NOT_RELEASED
