"""The Levey-Jennings renderer: what is drawn, what is never drawn, and how fast."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.printing.levey_jennings import (
    Chart,
    ChartEvent,
    ChartLevel,
    ChartPoint,
    ChartRun,
    Labels,
    Mark,
    levey_jennings_svg,
)

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 1, 10, tzinfo=UTC)


def chart(*levels, runs=None, events=(), hours=6, gap_before=None):
    """A chart from rows of points; `gap_before`: a silence of a week before that run."""
    count = runs or max((point.run for level in levels for point in level), default=0) + 1
    places, at = [], START
    for number in range(count):
        at += timedelta(days=7) if number == gap_before else timedelta(hours=hours)
        places.append(ChartRun(at=at, time=at.isoformat(), tick=f"{at:%d.%m %H:%M}"))
    return Chart(
        labels=Labels(title="Глюкоза & AU680", description="L1 <2>", empty="Нет данных"),
        runs=tuple(places),
        levels=tuple(
            ChartLevel(
                label=f"L{number}",
                caption=f"L{number}: {number}0.0 ± 1.0",
                points=tuple(points),
                scale=("7", "8", "9", "10", "11", "12", "13"),
            )
            for number, points in enumerate(levels, 1)
        ),
        events=tuple(events),
    )


def points(*zs, **more):
    return [
        ChartPoint(run=run, z=z, value=str(10 + z), **more)
        for run, z in enumerate(zs)
        if z is not None
    ]


def draw(*args, width=1120, height=420, **more):
    return levey_jennings_svg(chart(*args, **more), width=width, height=height)


def tree(svg):
    return ElementTree.fromstring(svg)


def classes(svg):
    return {one.get("class") for one in tree(svg).iter() if one.get("class")}


def test_it_is_well_formed_named_and_described():
    root = tree(draw(points(0, 1)))
    assert root.get("role") == "img"
    titles = [root.find(f"{SVG}title"), root.find(f"{SVG}desc")]
    assert [one.text for one in titles] == ["Глюкоза & AU680", "L1 <2>"]
    assert root.get("aria-labelledby").split() == [one.get("id") for one in titles]


def test_strict_csp_no_style_no_script_no_handler():
    svg = draw(points(0, 3.5, mark=Mark.REJECTED, rules=("1_3s",)), points(1, -5))
    assert "style" not in svg
    assert "<script" not in svg
    assert not re.search(r"\son\w+=", svg)


def test_the_same_chart_is_the_same_bytes():
    assert draw(points(0.123, -0.04, 2)) == draw(points(0.123, -0.04, 2))
    assert "-0 " not in draw(points(0, -0.0, 0))


def test_levels_differ_by_colour_and_by_shape():
    root = tree(draw(points(0, 1), points(0, 1), points(0, 1)))
    marks = [
        one
        for group in root.iter(f"{SVG}g")
        if "lj-level" in group.get("class", "")
        for one in group
        if one.get("class") == "lj-accepted"
    ]
    assert len({one.get("fill") for one in marks}) == 3
    assert len({re.sub(r"[\d. -]+", "", one.get("d")) for one in marks}) == 3


def test_a_rejected_point_is_hollow_ringed_and_named():
    svg = draw([ChartPoint(run=0, z=3.4, value="13.4", mark=Mark.REJECTED, rules=("1_3s", "R_4s"))])
    assert {"lj-rejected", "lj-ring-rejected", "lj-rule"} <= classes(svg)
    assert "1_3s R_4s</text>" in svg
    mark = next(one for one in tree(svg).iter() if one.get("class") == "lj-rejected")
    assert mark.get("fill") == "#fff"


def test_a_voided_point_stays_visible_dashed():
    svg = draw(points(0, 1, mark=Mark.VOID))
    mark = next(one for one in tree(svg).iter() if one.get("class") == "lj-void")
    assert mark.get("stroke-dasharray")


@pytest.mark.parametrize("z", [4.1, 12, -7, 1e9])
def test_a_far_point_is_clipped_to_the_edge_with_an_arrow_inside_the_frame(z):
    svg = draw(points(0, z))
    assert "lj-clipped" in classes(svg)
    root = tree(svg)
    arrow = next(one for one in root.iter() if one.get("class") == "lj-clipped")
    y = float(arrow.get("d").split()[1].split("l")[0])
    assert float(root.get("data-top")) <= y <= float(root.get("data-bottom"))


def line_of(svg):
    return next(one.get("d") for one in tree(svg).iter() if one.get("class") == "lj-line")


def test_lines_break_at_missing_levels_silence_and_new_targets():
    assert line_of(draw(points(0, 1, 0))).count("M") == 1
    assert line_of(draw(points(0, 1, None, 0))).count("M") == 2
    assert line_of(draw(points(0, 1, 0), gap_before=2)).count("M") == 2
    fresh = [*points(0, 1), ChartPoint(run=2, z=0, value="10", starts_anew=True)]
    assert line_of(draw(fresh)).count("M") == 2


def test_a_lot_change_is_a_dashed_line_with_its_label():
    svg = draw(points(0, 1, 0), events=[ChartEvent(run=1, label="лот 24-03")])
    assert "лот 24-03</text>" in svg
    line = next(one for one in tree(svg).iter() if one.get("class") == "lj-event")
    assert line.get("stroke-dasharray")


def test_data_for_the_hover_module_has_one_entry_a_point():
    root = tree(draw(points(0, 1.25, None, -2.5, rules=("1_2s",)), points(1, 1, 1, 1)))
    first = next(one for one in root.iter(f"{SVG}g") if one.get("class") == "lj-level lj-1")
    assert first.get("data-level") == "L1"
    assert first.get("data-index") == "0|1|3"
    assert first.get("data-z") == "+0.00|+1.25|-2.50"
    assert first.get("data-value") == "10|11.25|7.5"
    assert first.get("data-rule") == "1_2s|1_2s|1_2s"
    assert len(root.get("data-times").split("|")) == 4
    left, step = float(root.get("data-left")), float(root.get("data-step"))
    xs = [float(x) for x in first.get("data-x").split("|")]
    assert xs == pytest.approx([left, left + step, left + 3 * step], abs=0.3)


def test_own_units_are_shown_for_one_level_only():
    assert "13</text>" in draw(points(0, 1))
    assert "13</text>" not in draw(points(0, 1), points(0, 1))


def test_words_are_escaped():
    hostile = ChartPoint(run=0, z=3.5, value='"><script>', mark=Mark.REJECTED, rules=("<b>",))
    svg = draw([hostile])
    assert "<script>" not in svg
    assert tree(svg) is not None


def test_an_empty_chart_says_so():
    assert "Нет данных</text>" in levey_jennings_svg(chart([], runs=1))
    nothing = Chart(labels=Labels(title="t", description="d", empty="none"), runs=(), levels=())
    assert "none</text>" in levey_jennings_svg(nothing)


@given(
    zs=st.lists(st.floats(-9, 9) | st.none(), min_size=1, max_size=80),
    width=st.integers(360, 1600),
    rejected=st.sets(st.integers(0, 79)),
)
def test_no_text_is_cut_and_no_labels_of_the_axis_touch(zs, width, rejected):
    rows = [
        ChartPoint(
            run=run,
            z=z,
            value="1",
            mark=Mark.REJECTED if run in rejected else Mark.ACCEPTED,
            rules=("1_3s", "2_2s") if run in rejected else (),
        )
        for run, z in enumerate(zs)
        if z is not None
    ]
    root = tree(draw(rows, rows, runs=len(zs), width=width))
    spans = {}
    for text in root.iter(f"{SVG}text"):
        long = len(text.text or "") * 6.0
        x = float(text.get("x"))
        left = {"start": x, "middle": x - long / 2, "end": x - long}[text.get("text-anchor")]
        assert left >= 0, text.text
        assert left + long <= width, text.text
        spans.setdefault((text.get("class"), text.get("y")), []).append((left, left + long))
    for row in spans.values():
        ordered = sorted(row)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))


def test_three_levels_of_a_thousand_points_make_few_nodes():
    levels = [
        [
            ChartPoint(
                run=run,
                z=((run * 7919 + level * 13) % 600 - 300) / 100,
                value="5.61 ммоль/л",
                mark=Mark.WARNED if run % 20 == 0 else Mark.ACCEPTED,
            )
            for run in range(1000)
        ]
        for level in range(3)
    ]
    full = chart(*levels)
    svg = levey_jennings_svg(full)
    assert sum(1 for _ in tree(svg).iter()) <= 100
