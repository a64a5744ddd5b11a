"""Rules about repeating as values: what is read, what is refused, and what each says of a value."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.catalog import Limits, Sex
from lis.domain.errors import Malformed
from lis.domain.messages import Reason, ValueBasis
from lis.domain.quantity import Comparator, ReportedValue
from lis.domain.repeat_document import check_depth, read_repeat_rules
from lis.domain.repeat_rules import (
    REFLEX_DEPTH_MAX,
    Action,
    ChoiceRule,
    Condition,
    Preference,
    RepeatRule,
    RepeatRules,
    Then,
    When,
    Who,
)
from lis.results.repeating import UNSETTLED, Answer, RepeatFacts, ask, ask_rules, fires_in_case
from lis.results.run_choice import Run, choose_by_rule, worst_index

RANGE = Limits(low=Decimal(1), high=Decimal(500))
ABOVE_10 = When(kind=Condition.ABOVE, high=Decimal(10))
ADD = Then(action=Action.REFLEX, test="FT4")
DILUTE = Then(action=Action.DILUTE, factor=Decimal(10))


def rule(when=ABOVE_10, then=ADD, **changes) -> RepeatRule:
    return RepeatRule(id="r", test="TSH", when=when, then=then, **changes)


def facts(text: str, **changes) -> RepeatFacts:
    base = RepeatFacts(test="TSH", value=ReportedValue.read(text), limits=RANGE)
    return replace(base, **changes)


def answer(one: RepeatRule, seen: RepeatFacts) -> Answer:
    return ask(one, "v1", seen).answer


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "text", "expected"),
    [
        (ABOVE_10, "10.01", Answer.FIRED),
        (ABOVE_10, "10", Answer.NOT_MET),
        (ABOVE_10, ">10", Answer.FIRED),
        (ABOVE_10, ">3", Answer.NOT_EVALUABLE),
        (ABOVE_10, "<9", Answer.NOT_MET),
        (ABOVE_10, "<90", Answer.NOT_EVALUABLE),
        (ABOVE_10, "*****", Answer.NOT_EVALUABLE),
        (When(kind=Condition.BELOW, low=Decimal(1)), "0.9", Answer.FIRED),
        (When(kind=Condition.BELOW, low=Decimal(1)), "<1", Answer.FIRED),
        (When(kind=Condition.BELOW, low=Decimal(1)), "<2", Answer.NOT_EVALUABLE),
        (When(kind=Condition.BETWEEN, low=Decimal(1), high=Decimal(2)), "1", Answer.FIRED),
        (When(kind=Condition.BETWEEN, low=Decimal(1), high=Decimal(2)), "2.01", Answer.NOT_MET),
        (When(kind=Condition.BETWEEN, low=Decimal(1), high=Decimal(2)), "<3", Answer.NOT_EVALUABLE),
        (When(kind=Condition.ANSWER, words=frozenset({"REACTIVE"})), " REACTIVE", Answer.FIRED),
        (When(kind=Condition.ANSWER, words=frozenset({"REACTIVE"})), "NEG", Answer.NOT_MET),
        (When(kind=Condition.ABOVE_RANGE), ">500", Answer.FIRED),
        (When(kind=Condition.ABOVE_RANGE), "500", Answer.NOT_MET),
        (When(kind=Condition.ABOVE_RANGE), "501", Answer.FIRED),
        (When(kind=Condition.BELOW_RANGE), "<1", Answer.FIRED),
        (When(kind=Condition.BELOW_RANGE), "1", Answer.NOT_MET),
    ],
)
def test_each_condition_fires_only_where_the_value_proves_it(when, text, expected):
    assert answer(rule(when), facts(text)) is expected


@given(
    st.sampled_from(["", "<", ">", "<=", ">="]),
    st.integers(-30, 30),
    st.sampled_from(
        [
            ABOVE_10,
            When(kind=Condition.BELOW, low=Decimal(-5)),
            When(kind=Condition.BETWEEN, low=Decimal(-5), high=Decimal(10)),
        ]
    ),
)
def test_a_bound_agrees_with_every_number_it_may_stand_for(sign, number, when):
    """Oracle: all numbers that the text allows, asked one by one."""
    said = answer(rule(when), facts(f"{sign}{number}"))
    allowed = {
        "": lambda x: x == number,
        "<": lambda x: x < number,
        ">": lambda x: x > number,
        "<=": lambda x: x <= number,
        ">=": lambda x: x >= number,
    }[sign]
    halves = [Decimal(x) / 2 for x in range(-120, 121)]
    each = {answer(rule(when), facts(f"{x}")) for x in halves if allowed(x)}
    if said in (Answer.FIRED, Answer.NOT_MET):
        assert each == {said}
    else:
        assert len(each) == 2 or when.kind is Condition.BETWEEN


def test_a_flag_is_a_condition_of_its_own():
    when = When(kind=Condition.FLAG, words=frozenset({"H?", "AGG"}))
    assert answer(rule(when), facts("5", flags=("AGG",))) is Answer.FIRED
    assert answer(rule(when), facts("5", flags=("X",))) is Answer.NOT_MET
    held = facts("5", flags=("AGG",), holds=(Reason.INSTRUMENT_FLAG,))
    assert answer(rule(when), held) is Answer.FIRED
    assert answer(rule(), facts("50", holds=(Reason.INSTRUMENT_FLAG,))) is Answer.WAITS


def test_a_range_nobody_wrote_down_cannot_be_left():
    assert answer(rule(When(kind=Condition.ABOVE_RANGE)), facts("900", limits=Limits())) is (
        Answer.NOT_EVALUABLE
    )


def test_the_range_of_a_diluted_value_is_multiplied():
    when = When(kind=Condition.ABOVE_RANGE)
    diluted = {"basis": ValueBasis.MULTIPLIED, "factor": Decimal(10)}
    assert answer(rule(when), facts("4900", **diluted)) is Answer.NOT_MET
    assert answer(rule(when), facts("5100", **diluted)) is Answer.FIRED


# --- for whom -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "sex", "ages", "expected"),
    [
        (Who(sex=Sex.FEMALE), Sex.FEMALE, (None, None), Answer.FIRED),
        (Who(sex=Sex.FEMALE), Sex.MALE, (None, None), Answer.NOT_MET),
        (Who(sex=Sex.FEMALE), Sex.UNKNOWN, (None, None), Answer.NOT_EVALUABLE),
        (Who(age_from_h=100), Sex.UNKNOWN, (100, 100), Answer.FIRED),
        (Who(age_to_h=100), Sex.UNKNOWN, (100, 100), Answer.NOT_MET),
        (Who(age_to_h=100), Sex.UNKNOWN, (99, 101), Answer.NOT_EVALUABLE),  # S26
        (Who(age_from_h=100), Sex.UNKNOWN, (None, None), Answer.NOT_EVALUABLE),
        (Who(sex=Sex.FEMALE, age_from_h=100), Sex.MALE, (None, None), Answer.NOT_MET),
    ],
)
def test_a_person_is_never_guessed(who, sex, ages, expected):
    seen = facts("50", sex=sex, age_h=ages[0], oldest_h=ages[1])
    assert answer(rule(who=who), seen) is expected


# --- what may be acted on -------------------------------------------------------------------------


@given(st.sampled_from(Reason))
def test_a_reflex_waits_for_every_doubt_about_the_number(reason):
    acting = {Reason.CRITICAL, Reason.CENSORED, Reason.OUTSIDE_MEASURING_RANGE, Reason.DELTA}
    said = answer(rule(), facts("50", holds=(reason,)))
    if reason in acting:
        assert said is Answer.FIRED
    if reason.value.startswith("qc_") or reason in UNSETTLED:
        assert said is Answer.WAITS


def test_a_run_that_does_not_count_adds_nothing():
    assert answer(rule(), facts("50", is_chosen=False)) is Answer.WAITS


@given(st.sampled_from(sorted(UNSETTLED)))
def test_nothing_is_measured_again_on_a_tube_in_doubt(reason):
    assert answer(rule(then=DILUTE), facts("50", holds=(reason,))) is Answer.WAITS


def test_repeats_end():
    assert answer(rule(then=DILUTE), facts("50")) is Answer.FIRED
    assert answer(rule(then=DILUTE), facts("50", repeats=1)) is Answer.ENOUGH


def test_every_rule_of_the_test_speaks_with_version_and_inputs():
    rules = RepeatRules(version="v7", rules=(rule(), replace(rule(then=DILUTE), id="d")))
    spoke = ask_rules(rules, facts("50", factor=Decimal(2), basis=ValueBasis.CORRECTED))
    documents = [one.verdict().document() for one in spoke]
    assert [one["parameters"]["repeat"] for one in documents] == ["r", "d"]
    assert {one["version"] for one in documents} == {"v7"}
    assert documents[0]["parameters"]["measured_at"] == "2"
    assert [one["reason"] for one in documents] == [None, "waits_for_repeat"]


def test_a_stopped_rule_says_nothing():
    rules = RepeatRules(version="v", rules=(rule(), replace(rule(), id="s")))
    assert [one.id for one in replace(rules, stopped=frozenset({"r"})).of("TSH")] == ["s"]
    assert replace(rules, stopped=frozenset({""})).of("TSH") == ()


# --- reading --------------------------------------------------------------------------------------

CASES = [{"value": "50", "fires": True}, {"value": "5", "fires": False}]


def document(**changes):
    base = {
        "id": "tsh-high",
        "test": "TSH",
        "when": {"kind": "above", "high": "10"},
        "then": {"action": "reflex", "test": "FT4"},
        "cases": CASES,
    }
    return {"version": "v1", "rules": [base | changes]}


def test_a_version_is_read():
    (read,) = read_repeat_rules(document(who={"sex": "F", "from": "18y"})).rules
    assert (read.when.high, read.then.test, read.who.sex) == (Decimal(10), "FT4", Sex.FEMALE)
    assert [
        fires_in_case(read, replace(case, sex=Sex.FEMALE, age_h=200_000), RANGE)
        for case in read.cases
    ] == [True, False]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"when": {"kind": "above"}}, "high"),
        ({"when": {"kind": "above", "high": "1", "low": "0"}}, "low"),
        ({"when": {"kind": "abvoe", "high": "1"}}, "one of above"),
        ({"when": {"kind": "between", "low": "2", "high": "1"}}, "not below"),
        ({"when": {"kind": "above", "high": 10}}, "decimal"),
        ({"then": {"action": "reflex"}}, "test"),
        ({"then": {"action": "dilute", "factor": "1"}}, "factor above 1"),
        ({"then": {"action": "rerun", "times": 9}}, "times"),
        ({"then": {"action": "rerun", "test": "X"}}, "nothing else"),
        ({"cases": CASES[:1]}, "does not"),
        ({"id": "two words"}, "without spaces"),
        ({"extra": 1}, "only"),
        ({"then": {"action": "reflex", "test": "TSH"}}, "TSH -> TSH"),
        (
            {"when": {"kind": "below_range"}, "then": {"action": "dilute", "factor": "2"}},
            "above a limit",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(changes, named):
    with pytest.raises(Malformed, match=named):
        read_repeat_rules(document(**changes))


def _chain(*tests: str) -> RepeatRules:
    return RepeatRules(
        version="v",
        rules=tuple(
            RepeatRule(
                id=f"{a}-{b}",
                test=a,
                when=ABOVE_10,
                then=Then(action=Action.REFLEX, test=b),
            )
            for a, b in itertools.pairwise(tests)
        ),
    )


def test_a_circle_of_reflexes_is_refused():
    with pytest.raises(Malformed, match="A -> B -> C -> A"):
        check_depth(_chain("A", "B", "C", "A"))


def test_a_chain_is_bounded():
    check_depth(_chain(*"ABCDEFGH"[: REFLEX_DEPTH_MAX + 1]))
    with pytest.raises(Malformed, match="in a row"):
        check_depth(_chain(*"ABCDEFGH"[: REFLEX_DEPTH_MAX + 2]))


@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from("ABCDEF")), max_size=12))
def test_what_is_accepted_always_ends(edges):
    """Oracle: follow every path; an accepted set has none longer than the bound."""
    rules = RepeatRules(
        version="v",
        rules=tuple(
            RepeatRule(id=f"{n}", test=a, when=ABOVE_10, then=Then(action=Action.REFLEX, test=b))
            for n, (a, b) in enumerate(edges)
        ),
    )
    paths = [(a,) for a, _ in edges]
    for _ in range(REFLEX_DEPTH_MAX + 1):
        paths = [(*path, b) for path in paths for a, b in set(edges) if a == path[-1]]
    try:
        check_depth(rules)
    except Malformed:
        assert paths
    else:
        assert not paths


# --- which run counts -----------------------------------------------------------------------------


def run(key: int, text: str, factor: str | None = None, **changes) -> Run:
    value = ReportedValue.read(text)
    base = Run(
        id=key,
        number=value.number,
        comparator=value.comparator,
        basis=ValueBasis.UNDILUTED if factor is None else ValueBasis.MULTIPLIED,
        factor=None if factor is None else Decimal(factor),
        unit="u",
    )
    return replace(base, **changes)


BY_DILUTION = ChoiceRule(id="c", test="TSH", prefer=Preference.DILUTED)
BY_AGREEING = ChoiceRule(
    id="c", test="TSH", prefer=Preference.FIRST_IF_AGREEING, percent=Decimal(10)
)


def choose(one: ChoiceRule, first: Run, second: Run, indices=()):
    return choose_by_rule(one, first, second, limits=RANGE, indices=indices)


@pytest.mark.parametrize("turned", [False, True])
def test_S20_the_diluted_run_of_a_value_above_the_range_counts_whichever_came_first(turned):
    plain, diluted = run(1, ">500"), run(2, "1200", "10")
    pair = (diluted, plain) if turned else (plain, diluted)
    assert choose(BY_DILUTION, *pair).chosen == 2


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (run(1, "400"), run(2, "410", "10"), "not_above_range"),
        (run(1, ">500"), run(2, ">5000", "10"), "still_a_bound"),
        (run(1, ">500"), run(2, "5100", "10"), "outside_range_when_diluted"),
        (run(1, ">500"), run(2, "700"), "not_one_of_each"),
        (run(1, ">500"), run(2, "700", "10", unit="other"), "units_differ"),
        (run(1, ">500"), run(2, "700", "10", is_sound=False), "other_reason_stands"),
    ],
)
def test_S20_everything_else_is_a_persons_choice(first, second, why):
    said = choose(BY_DILUTION, first, second)
    assert (said.chosen, said.why) == (None, why)


@given(
    st.decimals(min_value=1, max_value=500, places=1),
    st.decimals(min_value=1, max_value=500, places=1),
)
def test_S20_a_confirmed_first_run_stays_and_no_rule_picks_the_second(first, second):
    said = choose(BY_AGREEING, run(1, f"{first}"), run(2, f"{second}"))
    agrees = abs(second - first) * 100 <= 10 * first
    assert said.chosen == (1 if agrees else None)


def test_S20_a_rerun_without_an_index_inherits_the_worst_one_of_the_tube():
    with_index = replace(BY_AGREEING, index="HI", index_max=Decimal(50))
    pair = (run(1, "100"), run(2, "101"))
    assert choose(with_index, *pair, indices=[Decimal(10)]).chosen == 1
    haemolysed = choose(with_index, *pair, indices=[Decimal(120), Decimal(10)])
    assert (haemolysed.chosen, haemolysed.why, haemolysed.index) == (
        None,
        "index_too_high",
        Decimal(120),
    )
    assert choose(with_index, *pair).why == "index_unknown"


@given(st.lists(st.decimals(min_value=0, max_value=999, places=1)), st.decimals(0, 999, places=1))
def test_S20_another_measurement_never_makes_an_index_better(indices, another):
    before, after = worst_index(indices), worst_index([*indices, another])
    assert after is not None
    assert before is None or after >= before


def test_a_bound_never_agrees():
    assert choose(BY_AGREEING, run(1, "<1"), run(2, "<1")).why == "bounds_do_not_agree"
    assert Comparator.LESS is run(1, "<1").comparator
