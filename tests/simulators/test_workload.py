"""A day repeats itself for the same seed, names nobody, and plays each situation where it can be told apart."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.ids import AccessionNumber
from lis.domain.messages import Reason
from lis.drivers import registry
from simulators.cases import Case, supported_cases
from simulators.measuring import (
    OUTCOME_SHARES,
    ControlTarget,
    Outcome,
    TestPlan,
    control_value,
    measure,
)
from simulators.models import models
from simulators.people import person
from simulators.tubes import unissued_numbers
from simulators.workload import ORDER_SETS, PLANNED_FAULTS, referral_of
from tests.simulators.laboratory import AT

PLAN = TestPlan(
    code="K",
    unit="mmol/L",
    mean=4.3,
    sd=0.3,
    decimals=2,
    low=3.5,
    high=5.1,
    critical_low=2.8,
    critical_high=6.2,
    absurd=14.0,
    limit_of_detection=1.0,
)


def test_the_same_number_gives_the_same_referral_and_another_seed_another():
    first, again, other = (referral_of(7, seed=seed, at=AT) for seed in (1, 1, 2))
    assert first == again
    assert first.person != other.person


def test_every_planned_case_is_played_once_where_it_can_be_said():
    assert [fault.case for fault in PLANNED_FAULTS] == list(
        dict.fromkeys(fault.case for fault in PLANNED_FAULTS)
    )
    assert {fault.case for fault in PLANNED_FAULTS} == set(Case)
    for fault in PLANNED_FAULTS:
        if fault.driver:
            assert fault.case in supported_cases(registry.get(fault.driver))


def test_placer_numbers_never_repeat_and_specimens_were_drawn_before():
    referrals = [referral_of(number, seed=1, at=AT) for number in range(50)]
    numbers = [line.placer_number for one in referrals for line in one.orders]
    assert len(numbers) == len(set(numbers))
    assert all(one.collected_at < AT for one in referrals)
    assert {one.priority for one in referrals} == {"R", "S"}
    assert {tuple(line.code for line in one.orders) for one in referrals} == set(ORDER_SETS)


def test_people_are_invented_and_write_in_both_alphabets():
    people = [person(number, seed=1, today=AT.date()) for number in range(40)]
    assert {one.family.isascii() for one in people} == {True, False}
    assert all(one.identifier.startswith("DEMO-") for one in people)
    assert all(one.birth_date < "20081103" for one in people)


def test_stray_numbers_are_well_formed():
    for number in unissued_numbers(20, seed=1):
        assert str(AccessionNumber.parse(number)) == number


# ---- values


@given(st.integers(), st.sampled_from(list(Outcome)))
def test_a_value_is_of_the_kind_that_was_thrown(seed: int, outcome: Outcome):
    one = measure(PLAN, seed=seed, specimen="1", run=1, shares={outcome: 1.0})
    assert one.outcome is outcome
    number = float(one.text.lstrip("<"))
    assert {
        Outcome.NORMAL: 3.5 <= number <= 5.1 and one.flags == ("N",),
        Outcome.FLAGGED: 3.5 <= number <= 5.1 and one.flags == ("A",),
        Outcome.HIGH: 5.1 < number < 6.2 and one.flags == ("H",),
        Outcome.LOW: 2.8 < number < 3.5 and one.flags == ("L",),
        Outcome.CRITICAL: number > 6.2 or 0 < number < 2.8,
        Outcome.ABSURD: number == 14.0,
        Outcome.CENSORED: one.text == "<1.00",
    }[outcome]


def test_a_day_has_mostly_normal_values_and_some_of_every_kind():
    kinds = Counter(
        measure(PLAN, seed=1, specimen=str(n), run=1, shares=OUTCOME_SHARES).outcome
        for n in range(2000)
    )
    assert set(kinds) == set(Outcome)
    assert 0.85 < kinds[Outcome.NORMAL] / 2000 < 0.95


def test_a_rerun_comes_close_but_is_no_copy():
    first, second = (
        float(measure(PLAN, seed=1, specimen="1", run=run, shares={Outcome.NORMAL: 1.0}).text)
        for run in (1, 2)
    )
    assert first != second
    assert abs(first - second) / first < 0.05


def test_kinds_without_a_figure_are_never_thrown():
    words = TestPlan(code="MTB", answers=("NOT DETECTED",))
    kinds = {
        measure(words, seed=1, specimen=str(n), run=1, shares=OUTCOME_SHARES).outcome
        for n in range(300)
    }
    assert kinds == {Outcome.NORMAL}


def test_critical_words_are_expected_to_wait():
    words = TestPlan(code="MTB", answers=("NOT DETECTED",), critical_answers=("DETECTED",))
    one = measure(words, seed=1, specimen="1", run=1, shares={Outcome.CRITICAL: 1.0})
    assert (one.text, one.expected) == ("DETECTED", {Reason.CRITICAL})


@given(st.integers(), st.sampled_from(["L1", "L2", "L3"]))
def test_controls_stay_within_one_sd_and_never_drift(seed: int, level: str):
    target = ControlTarget(mean=100.0, sd=10.0)
    values = [
        float(control_value(PLAN, target, seed=seed, level=level, run=run).text)
        for run in range(30)
    ]
    assert all(90.0 < value < 110.0 for value in values)
    sides = "".join("-0+"[(value > 100) - (value < 100) + 1] for value in values)
    assert "++++" not in sides
    assert "----" not in sides


def test_a_failure_on_purpose_is_a_failure():
    target = ControlTarget(mean=100.0, sd=10.0)
    failed = control_value(PLAN, target, seed=1, level="L1", run=1, shift_sd=4.5)
    assert float(failed.text) > 130.0


@pytest.mark.parametrize("key", sorted(models()))
def test_the_built_in_plans_can_be_measured(key: str):
    for plan in models()[key].plans:
        for number in range(50):
            one = measure(plan, seed=1, specimen=str(number), run=1, shares=OUTCOME_SHARES)
            assert one.text
            assert plan.answers or "-" not in one.text
