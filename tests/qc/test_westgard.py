"""Westgard's rules: published data, boundary cases, a slow oracle, and the faults of peers by name."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import Malformed
from lis.qc.series import Wishes, judge_series, read_series
from lis.qc.westgard import (
    NO_HISTORY,
    RULES,
    Compare,
    Conventions,
    Mode,
    Pairs,
    Point,
    RangeReading,
    Run,
    Severity,
    judge,
    judge_run,
)

ALL_POINTS = Conventions(mode=Mode.ALL)


def point(z, level=1, *, mean="0", sd="1", usable=True, series=""):
    return Point(
        level=f"L{level}",
        place=level - 1,
        value=Decimal(str(z)),
        mean=Decimal(mean),
        sd=Decimal(sd),
        series=series,
        is_usable=usable,
    )


def rows(*values, resets=()):
    """Runs from rows of z values; None = level missing."""
    return [
        Run(
            points=tuple(point(z, level) for level, z in enumerate(row, 1) if z is not None),
            starts_anew=number in resets,
        )
        for number, row in enumerate(values, 1)
    ]


def fired(runs, conventions=ALL_POINTS):
    """Run number -> violations, of runs that have any."""
    return {
        number: {code: list(labels) for code, labels in judgement.violations.items()}
        for number, judgement in enumerate(judge(runs, conventions), 1)
        if judgement.violations
    }


# --- the corpus ---------------------------------------------------------------------------------


def test_every_boundary_case_of_the_corpus_is_exact(corpus: Path):
    text = (corpus / "qc/rule_micro_cases.json").read_text(encoding="utf-8")
    expected = [
        {"name": case["name"], "runs": case["expected"]} for case in json.loads(text)["cases"]
    ]
    assert len(expected) == 31
    assert [judge_series(series) for series in read_series(text, name="cases")] == expected


@pytest.mark.parametrize(
    ("conventions", "wishes"),
    [
        ("default: strict, R_4s limits, break", Wishes()),
        ("strict, R_4s limits, skip_rejected", Wishes(mode=Mode.SKIP_REJECTED)),
        ("strict, R_4s limits, all points", Wishes(mode=Mode.ALL)),
        (
            "strict, R_4s difference, all points",
            Wishes(mode=Mode.ALL, r4s=RangeReading.DIFFERENCE),
        ),
        (
            "inclusive >=, R_4s limits, all points",
            Wishes(mode=Mode.ALL, compare=Compare.INCLUSIVE),
        ),
    ],
)
def test_westgards_two_levels_of_26_runs_are_exact(corpus: Path, conventions, wishes):
    text = (corpus / "qc/westgard_two_levels_26.json").read_text(encoding="utf-8")
    (series,) = read_series(text, name="westgard", wishes=wishes)
    assert judge_series(series)["runs"] == json.loads(text)["expected"][conventions]


# --- a slow, obvious oracle ---------------------------------------------------------------------


def oracle(table, conventions, resets):
    """Every rule from its sentence, over plain lists of fractions; no windows are kept."""
    results, kept = [], []  # kept: (run number, {level: z}) that later windows may see
    for number, row in enumerate(table, 1):
        z = {level: Fraction(value) for level, value in enumerate(row, 1) if value is not None}
        if number in resets:
            kept = []
        found = {}
        for code in conventions.rules:
            labels = [f"L{level}" for level in z if oracle_level(code, level, z, kept, conventions)]
            labels += ["run"] if oracle_run(code, z, conventions) else []
            labels += ["across"] if oracle_across(code, z, kept, conventions) else []
            if labels:
                found[code] = labels
        results.append(found)
        is_rejected = any(code != "1_2s" for code in found)
        if is_rejected and conventions.mode is Mode.BREAK:
            kept = []
        elif not (is_rejected and conventions.mode is Mode.SKIP_REJECTED):
            kept.append((number, z))
    return results


NEEDED = {
    "1_2s": (1, 2),
    "1_3s": (1, 3),
    "2_2s": (2, 2),
    "R_4s": (2, 2),
    "4_1s": (4, 1),
    "10x": (10, 0),
}


def beyond(z, limit, conventions):
    if z == 0:
        return 0
    is_beyond = abs(z) >= limit if conventions.compare is Compare.INCLUSIVE else abs(z) > limit
    return (1 if z > 0 else -1) if is_beyond else 0


def same_side(values, count, limit, conventions):
    sides = [beyond(z, limit, conventions) for z in values]
    return len(sides) == count and (all(s == 1 for s in sides) or all(s == -1 for s in sides))


def oracle_level(code, level, z, kept, conventions):
    if code == "R_4s":
        return False
    count, limit = NEEDED[code]
    values = [row[level] for _, row in kept if level in row] + [z[level]]
    return same_side(values[-count:], count, limit, conventions)


def oracle_run(code, z, conventions):
    pairs = [(a, b) for a in z for b in z if a < b]
    if code == "2_2s":
        near = [(a, b) for a, b in pairs if conventions.pairs is Pairs.ANY or b - a == 1]
        return any(same_side([z[a], z[b]], 2, 2, conventions) for a, b in near)
    if code != "R_4s":
        return False
    if conventions.r4s is RangeReading.LIMITS:
        return any(
            beyond(z[a], 2, conventions) * beyond(z[b], 2, conventions) < 0 for a, b in pairs
        )
    return any(beyond(abs(z[a] - z[b]), 4, conventions) for a, b in pairs)


def oracle_across(code, z, kept, conventions):
    if code not in {"4_1s", "10x"} or not z:
        return False
    count, limit = NEEDED[code]
    flat = [(level, value) for _, row in [*kept, (0, z)] for level, value in row.items()][-count:]
    return len({level for level, _ in flat}) > 1 and same_side(
        [value for _, value in flat], count, limit, conventions
    )


# tenths around the limits, with a lean to one side so that long windows fill
tenths = st.integers(-34, 34) | st.sampled_from([-40, -30, -20, -10, 0, 10, 20, 30, 40])
leaning = tenths | st.integers(1, 25)
conventions_strategy = st.builds(
    Conventions,
    compare=st.sampled_from(Compare),
    r4s=st.sampled_from(RangeReading),
    mode=st.sampled_from(Mode),
    pairs=st.sampled_from(Pairs),
)


@st.composite
def tables(draw):
    levels = draw(st.integers(1, 4))
    value = st.one_of(leaning, leaning, leaning, st.none())
    table = draw(st.lists(st.tuples(*[value] * levels), max_size=24))
    resets = draw(st.sets(st.integers(1, 24), max_size=2))
    return [[None if v is None else Decimal(v) / 10 for v in row] for row in table], resets


@given(table=tables(), conventions=conventions_strategy)
def test_every_rule_agrees_with_the_slow_oracle(table, conventions):
    values, resets = table
    judged = [dict(one.violations) for one in judge(rows(*values, resets=resets), conventions)]
    expected = oracle(values, conventions, resets)
    assert judged == [{code: tuple(labels) for code, labels in row.items()} for row in expected]


@given(table=tables(), conventions=conventions_strategy, cut=st.integers(0, 24))
def test_point_by_point_equals_batch(table, conventions, cut):
    values, resets = table
    runs, history = rows(*values, resets=resets), NO_HISTORY
    one_by_one = []
    for run in runs:
        judgement, history = judge_run(history, run, conventions)
        one_by_one.append(judgement)
    assert tuple(one_by_one) == judge(runs, conventions)
    assert judge(runs[:cut], conventions) == tuple(one_by_one[:cut])  # no verdict looks ahead


@given(table=tables(), mean=st.integers(-50, 500), sd=st.integers(1, 300))
def test_verdicts_do_not_depend_on_unit_or_target(table, mean, sd):
    values, _ = table
    m, s = Decimal(mean) / 10, Decimal(sd) / 100
    scaled = [
        Run(
            points=tuple(
                Point(level=p.level, place=p.place, value=m + p.value * s, mean=m, sd=s)
                for p in run.points
            )
        )
        for run in rows(*values)
    ]
    assert judge(scaled, Conventions()) == judge(rows(*values), Conventions())


@given(row=st.lists(leaning, min_size=2, max_size=4), conventions=conventions_strategy)
def test_more_points_of_a_run_never_take_a_violation_back(row, conventions):
    points = tuple(point(Decimal(z) / 10, level) for level, z in enumerate(row, 1))
    whole, _ = judge_run(NO_HISTORY, Run(points=points, is_complete=False), conventions)
    for missing in range(len(points)):
        part = points[:missing] + points[missing + 1 :]
        judged, _ = judge_run(NO_HISTORY, Run(points=part, is_complete=False), conventions)
        for code, labels in judged.violations.items():
            assert set(labels) <= set(whole.violations[code])


# --- single promises ----------------------------------------------------------------------------


def test_a_warning_alone_is_no_rejection():
    (judgement,) = judge(rows([2.5]), Conventions())
    assert judgement.severity is Severity.WARN
    assert not judgement.is_rejected


def test_two_levels_out_with_one_between_need_the_setting_any():
    runs = rows([2.1, 0, 2.1])
    assert "2_2s" not in fired(runs)[1]
    assert fired(runs, Conventions(pairs=Pairs.ANY))[1]["2_2s"] == ["run"]


def test_a_new_target_ends_the_windows_of_its_level_only():
    runs = [
        Run(points=(point(2.1, 1), point(2.1, 3))),
        Run(points=(point(2.2, 1, mean="0.01"), point(2.2, 3))),
    ]
    assert fired(runs)[2]["2_2s"] == ["L3"]


def test_a_new_lot_is_a_new_series():
    runs = [
        Run(points=(point(2.1, 1, series="lot A"),)),
        Run(points=(point(2.2, 1, series="lot B"),)),
        Run(points=(point(2.2, 1, series="lot A"),)),  # the lots are measured in turn
    ]
    assert "2_2s" not in fired(runs)[2]
    assert fired(runs)[3]["2_2s"] == ["L1"]


def test_a_new_lot_ends_the_windows_across_levels():
    old = Run(points=(point(1.1, 1, series="A1"), point(1.1, 2, series="A2")))
    new = Run(points=(point(1.1, 1, series="B1"), point(1.1, 2, series="B2")))
    assert fired([old, old])[2]["4_1s"] == ["across"]
    assert fired([old, new]) == {}


def test_a_flagged_value_may_reject_but_enters_no_window():
    assert "1_3s" in fired([Run(points=(point(3.5, usable=False),))])[1]
    runs = [Run(points=(point(2.1),)), Run(points=(point(2.2, usable=False),))]
    assert "2_2s" not in fired(runs)[2]
    assert "2_2s" in fired([*runs, *rows([2.3])])[3]  # with the last reliable point


def test_windows_over_levels_wait_for_the_whole_run():
    first = Run(points=(point(1.1, 1), point(1.1, 2)))
    half = Run(points=(point(1.1, 1), point(1.1, 2)), is_complete=False)
    assert fired([first, half]) == {}


def test_numbers_too_long_for_exact_arithmetic_are_refused():
    with pytest.raises(Malformed):
        point("1e5000")
    with pytest.raises(Malformed):
        point("1." + "1" * 60)
    with pytest.raises(Malformed):
        point("nan")


def test_tiny_differences_are_not_rounded_away():
    assert fired(rows(["3.000000000000000000000000000000000001"]))[1]["1_3s"] == ["L1"]
    assert "1_3s" not in fired(rows(["3.000000000000000000000000000000000000"]))[1]


def test_the_table_of_rules_is_the_default():
    assert Conventions().rules == tuple(RULES)
    assert [code for code, rule in RULES.items() if rule.severity is Severity.WARN] == ["1_2s"]


# --- faults of peers, by name (reference qc 2.1, laboratory 5.7) --------------------------------


def test_openelis_r4s_over_consecutive_points_of_one_level_does_not_fire():
    assert "R_4s" not in str(fired(rows([1.5], [-2.6])))
    assert "R_4s" not in str(fired(rows([2.3], [-2.3])))
    assert fired(rows([2.3, -2.1]))[1]["R_4s"] == ["run"]


def test_openelis_2_2s_looks_across_levels_too():
    assert fired(rows([2.1, 2.2]))[1]["2_2s"] == ["run"]


def test_openelis_a_point_on_the_limit_is_not_beyond_it():
    assert fired(rows([2], [3], [-2])) == {2: {"1_2s": ["L1"]}}


def test_openelis_ten_points_on_the_mean_reject_nothing():
    assert fired(rows(*[[0]] * 12)) == {}
    assert fired(rows(*[[0]] * 12), Conventions(compare=Compare.INCLUSIVE)) == {}


def test_openelis_an_sd_of_zero_is_refused_not_accepted():
    with pytest.raises(Malformed, match="SD above zero"):
        point("5", sd="0")


def test_openelis_a_small_sd_is_not_rounded_to_zero():
    tiny = [Run(points=(point("0.021", mean="0", sd="0.007"),))]
    assert fired(tiny) == {1: {"1_2s": ["L1"]}}  # exactly 3 SD: beyond 2, not beyond 3


def test_openelis_rejected_points_do_not_stay_in_windows():
    assert fired(rows([3.2], [2.2]), Conventions()) == {
        1: {"1_2s": ["L1"], "1_3s": ["L1"]},
        2: {"1_2s": ["L1"]},
    }


def test_openelis_a_verdict_never_sees_later_points():
    runs = rows([2.1], [2.2], [2.3])
    assert judge(runs[:1], ALL_POINTS) == judge(runs, ALL_POINTS)[:1]


def test_biovarase_a_short_history_fires_neither_4_1s_nor_10x():
    assert fired(rows([1.5], [1.5], [1.5])) == {}
    assert fired(rows(*[[0.1]] * 9)) == {}


def test_biovarase_r4s_needs_both_limits_within_the_run():
    assert fired(rows([2.8, -1.3]))[1] == {"1_2s": ["L1"]}


def test_indialabqc_2_2s_needs_the_same_side():
    assert "2_2s" not in str(fired(rows([2.5], [-2.5])))
    assert "2_2s" not in str(fired(rows([2.5, -2.5])))


def test_indialabqc_r4s_fires_in_both_directions():
    assert "R_4s" in fired(rows([2.5, -2.5]))[1]
    assert "R_4s" in fired(rows([-2.5, 2.5]))[1]


def test_indialabqc_10x_is_found_in_the_middle_of_a_series():
    assert 10 in fired(rows(*[[0.5]] * 10, [-0.5], [0.2]))


def test_lims_elisa_lab_4_1s_needs_the_same_side():
    assert fired(rows([1.5], [-1.5], [1.5], [-1.5])) == {}


def test_lims_elisa_lab_r4s_is_no_product_of_z():
    assert "R_4s" not in str(fired(rows([4.5, -1])))  # product -4.5, but one point is inside


def test_lims_elisa_lab_10x_works_below_the_mean():
    assert fired(rows(*[[-0.1]] * 10))[10] == {"10x": ["L1"]}


def test_felicity_an_outlier_does_not_widen_its_own_limits():
    quiet = [[0.5], [-0.5]] * 4
    assert "1_3s" in fired(rows(*quiet, [6]))[9]


def test_westgard_python_binary_floats_do_not_decide():
    runs = [Run(points=(point("0.3", mean="0.1", sd="0.1"),))]
    assert fired(runs) == {}
    assert fired(runs, Conventions(compare=Compare.INCLUSIVE)) == {1: {"1_2s": ["L1"]}}
