"""The pure gate: events in clinical order, needs of action, excuses."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.control import (
    GATE_EVENTS_KEPT,
    ControlMeasurement,
    ControlTarget,
    GateAnswer,
    GateEvent,
    GateExcuse,
    GateKey,
    GateState,
    GateVerdict,
    RunVerdict,
    excuse_for,
    gate_at,
    settled,
    strictest,
)
from lis.qc.gate import RunRules, judge_measurements, split_runs
from lis.qc.westgard import NO_HISTORY
from tests.qc.laboratory import at

KEY = GateKey(device_id=1, test="GLU")
A, W, R, P = RunVerdict.ACCEPTED, RunVerdict.WARNED, RunVerdict.REJECTED, RunVerdict.PENDING


def gate(*events, actions=()):
    """A gate from (minutes, verdict) pairs."""
    state = GateState(key=KEY, actions=tuple(at(minutes) for minutes in actions))
    return settled(
        state,
        (
            GateEvent(at=at(minutes), verdict=verdict, run_id=number)
            for number, (minutes, verdict) in enumerate(events, 1)
        ),
    )


def answer(state, minutes):
    return gate_at(state, at(minutes)).answer


def test_s01_the_answer_belongs_to_the_measurement():
    state = gate((0, A), (60, R), (90, A), actions=(80,))
    assert answer(state, -1) is GateAnswer.MISSING
    assert answer(state, 0) is GateAnswer.REJECTED  # bracketed by the failure at 60
    assert answer(state, 59) is GateAnswer.REJECTED
    assert answer(state, 70) is GateAnswer.REJECTED
    assert answer(state, 90) is GateAnswer.OPEN
    assert answer(state, 90 + 24 * 60) is GateAnswer.OPEN
    assert answer(state, 91 + 24 * 60) is GateAnswer.OVERDUE
    assert answer(None, 0) is GateAnswer.MISSING


def test_s01_a_lucky_repeat_frees_nothing():
    before = gate((0, A), (60, R))
    after = gate((0, A), (60, R), (61, A))
    for minutes in (1, 30, 60, 65, 200):
        assert answer(before, minutes) is answer(after, minutes) is GateAnswer.REJECTED


def test_s01_a_window_is_no_calendar_day():
    state = gate((0, A))  # 06:00
    assert answer(state, 18 * 60 + 30) is GateAnswer.OPEN  # past midnight


def test_s11_an_action_counts_only_between_the_rejection_and_the_run():
    assert answer(gate((0, R), (10, A)), 11) is GateAnswer.REJECTED
    assert answer(gate((0, R), (10, A), actions=(0,)), 11) is GateAnswer.REJECTED
    assert answer(gate((0, R), (10, A), actions=(5,)), 11) is GateAnswer.OPEN
    assert answer(gate((0, R), (10, A), actions=(11,)), 12) is GateAnswer.REJECTED
    assert answer(gate((0, R), (10, A), (20, A), actions=(11,)), 21) is GateAnswer.OPEN
    assert answer(gate((0, R), (6, R), (10, A), actions=(5,)), 11) is GateAnswer.REJECTED


def test_a_rejection_is_never_hidden_by_missing_or_overdue():
    # both of these could be excused; a rejection must not be
    assert answer(gate((60, R)), 0) is GateAnswer.REJECTED
    assert answer(gate((0, A), (3000, R)), 2000) is GateAnswer.REJECTED


def test_a_rejection_at_the_same_moment_decides():
    assert answer(gate((0, R), (0, A)), 1) is GateAnswer.REJECTED


def test_pending_runs_are_no_events():
    assert gate((0, A), (5, P)).events == gate((0, A)).events


def test_valid_until_is_said_only_while_open():
    assert gate((0, W)).valid_until == at(24 * 60)
    assert gate((0, A), (5, R)).valid_until is None
    assert gate((0, R), (5, A)).valid_until is None
    assert gate().valid_until is None


def test_a_forgotten_rejection_is_still_unresolved():
    repeats = [(minutes, A) for minutes in range(1, GATE_EVENTS_KEPT + 20)]
    state = gate((0, R), *repeats)
    assert len(state.events) == GATE_EVENTS_KEPT
    again = settled(state, state.events)
    assert again == state
    assert all(event.needs_action for event in again.events)
    assert answer(state, 5) is GateAnswer.MISSING  # older than the history: it waits


events_strategy = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([A, W, R])), max_size=12, unique_by=lambda e: e[0]
)


@given(events=events_strategy, actions=st.sets(st.integers(0, 40), max_size=3), data=st.data())
def test_s11_events_in_any_order_give_the_same_gate(events, actions, data):
    shuffled = data.draw(st.permutations(events))
    plain = [
        (event.at, event.verdict, event.needs_action)
        for event in gate(*events, actions=actions).events
    ]
    mixed = [
        (event.at, event.verdict, event.needs_action)
        for event in gate(*shuffled, actions=actions).events
    ]
    assert plain == mixed


@given(
    events=events_strategy,
    late=st.tuples(st.integers(0, 40), st.just(R)),
    measured=st.integers(-5, 50),
)
def test_a_further_rejection_never_opens_anything(events, late, measured):
    if answer(gate(*events), measured) is not GateAnswer.OPEN:
        assert answer(gate(*events, late), measured) is not GateAnswer.OPEN


@given(events=events_strategy, measured=st.integers(-5, 50), data=st.data())
def test_s01_a_run_that_no_longer_opens_frees_nothing(events, measured, data):
    passing = [event for event in events if event[1] is not R]
    if passing:
        voided = data.draw(st.sampled_from(passing))
        less = [event for event in events if event != voided]
        if answer(gate(*events), measured) is not GateAnswer.OPEN:
            assert answer(gate(*less), measured) is not GateAnswer.OPEN


def test_the_strictest_of_several_gates_answers():
    verdicts = [gate_at(gate((0, A)), at(5)), gate_at(gate((0, R)), at(5))]
    assert strictest(verdicts).answer is GateAnswer.REJECTED
    assert strictest(()).answer is GateAnswer.MISSING


@pytest.mark.parametrize(
    ("verdict", "measured", "now", "is_excused"),
    [
        (GateAnswer.MISSING, 10, 20, True),
        (GateAnswer.OVERDUE, -500, 20, True),
        (GateAnswer.REJECTED, 10, 20, False),
        (GateAnswer.OPEN, 10, 20, False),
        (GateAnswer.MISSING, 10, 60, False),  # it has ended
        (GateAnswer.MISSING, 10, -1, False),  # it was not granted yet
        (GateAnswer.MISSING, 61, 20, False),  # measured after its end
    ],
)
def test_s02_an_excuse_covers_missing_and_overdue_only_while_it_runs(
    verdict, measured, now, is_excused
):
    excuse = GateExcuse(
        id=1,
        device_id=1,
        test="GLU",
        reason="control is on its way",
        granted_by="anna",
        granted_at=at(0),
        ends_at=at(60),
    )
    found = excuse_for(GateVerdict(answer=verdict), [excuse], measured_at=at(measured), now=at(now))
    assert (found is excuse) is is_excused


# --- runs from measurements ---------------------------------------------------------------------


def measured(minutes, level, z="0", **more):
    target = ControlTarget(
        lot_id=1,
        level_id=level,
        level=f"L{level}",
        mean=Decimal(0),
        sd=Decimal(1),
        target_id=level,
        material_id=1,
    )
    value = None if z is None else Decimal(z)
    return ControlMeasurement(
        at=at(minutes), value=value, target=target, key=f"{minutes}/{level}/{z}", **more
    )


def cut(*measurements):
    return [
        [(int((one.at - at(0)) / timedelta(minutes=1)), one.target.level_id) for one in run]
        for run in split_runs(measurements)
    ]


def test_a_repeated_level_begins_a_new_run():
    assert cut(measured(0, 1), measured(1, 2), measured(2, 1), measured(3, 2)) == [
        [(0, 1), (1, 2)],
        [(2, 1), (3, 2)],
    ]


def test_a_run_is_over_an_hour_after_it_began():
    assert cut(measured(0, 1), measured(60, 2)) == [[(0, 1), (60, 2)]]
    assert cut(measured(0, 1), measured(61, 2)) == [[(0, 1)], [(61, 2)]]


times = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 3)), max_size=15, unique=True)


@given(times=times, data=st.data())
def test_runs_do_not_depend_on_the_order_of_arrival_nor_on_later_points(times, data):
    measurements = [measured(*one) for one in times]
    whole = cut(*measurements)
    assert cut(*data.draw(st.permutations(measurements))) == whole
    until = data.draw(st.integers(0, 200))
    earlier = cut(*(one for one in measurements if one.at <= at(until)))
    trimmed = [[one for one in run if one[0] <= until] for run in whole]
    assert earlier == [run for run in trimmed if run]


PLAN = RunRules(plan=frozenset({(1, "L1"), (1, "L2")}))


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        ([measured(0, 1), measured(1, 2)], A),
        ([measured(0, 1, "2.5"), measured(1, 2)], W),
        ([measured(0, 1)], P),
        ([measured(0, 1, "3.1")], R),
        ([measured(0, 1), measured(1, 2, None)], P),
        ([measured(0, 1), measured(1, 2, is_flagged=True)], P),
        ([measured(0, 1), measured(1, 2, "9", is_flagged=True)], R),
        ([measured(0, 1), measured(1, 2, is_void=True)], P),
        ([measured(0, 1, "3.1", is_void=True), measured(1, 2)], R),
    ],
)
def test_what_a_run_allows(run, verdict):
    judged, _ = judge_measurements(NO_HISTORY, run, PLAN)
    assert judged.verdict is verdict


def test_an_empty_plan_is_never_complete():
    judged, _ = judge_measurements(NO_HISTORY, [measured(0, 1)], RunRules(plan=frozenset()))
    assert judged.verdict is P


def test_what_a_run_was_judged_by_is_stored_and_read_back():
    assert RunRules.from_document(PLAN.document()) == PLAN
