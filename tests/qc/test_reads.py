"""What people see: the board, the chart, the table of runs."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from lis.domain import catalog as catalogs
from lis.domain.catalog import InstrumentTest, QcPolicy
from lis.domain.control import GateAnswer, GateKey, RunVerdict
from lis.printing.levey_jennings import Mark, levey_jennings_svg
from lis.qc import reads
from lis.qc.actions import grant_exception, record_action, void_point
from lis.qc.reads import TileState
from lis.qc.westgard import RULES
from lis.store.rows import ControlLot, Target
from lis.words import Words
from tests.qc.laboratory import TEST, add_lot, at, control


def tiles(laboratory, minutes):
    with laboratory.store.read() as session:
        return reads.board(session, laboratory.catalog, at=at(minutes), language="en")


def lines(laboratory, runs=60):
    with laboratory.store.read() as session:
        return reads.run_lines(session, device_id=1, test_code=TEST, runs=runs)


def state(laboratory, minutes):
    (tile,) = tiles(laboratory, minutes)
    return tile.state


def test_a_test_with_targets_is_on_the_board_before_its_first_control(laboratory):
    entry = InstrumentTest(driver="cobas-c111", code="767", test=TEST, unit="mmol/L")
    object.__setattr__(laboratory.catalog, "instrument_tests", (entry,))
    (tile,) = tiles(laboratory, 0)
    assert (tile.device, tile.name, tile.state) == ("c111", "Glucose", TileState.MISSING)


def test_the_board_follows_the_gate(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    assert state(laboratory, 5) is TileState.OPEN
    (tile,) = tiles(laboratory, 5)
    assert tile.valid_until == at(1) + timedelta(hours=24)
    assert state(laboratory, 23 * 60) is TileState.DUE
    assert state(laboratory, 25 * 60) is TileState.OVERDUE
    laboratory.take(control(2.5, 60, 1), control(0, 61, 2))
    assert state(laboratory, 65) is TileState.WARNED
    laboratory.take(control(3.5, 120, 1))
    assert state(laboratory, 125) is TileState.REJECTED


def test_an_exception_shows_who_answers(laboratory):
    laboratory.take(control(0, 0, 1))
    with laboratory.store.unit("anna") as unit:
        grant_exception(
            unit, device_id=1, test_code=TEST, reason="late", ends_at=unit.now + timedelta(hours=3)
        )
    (tile,) = tiles(laboratory, 5)
    assert tile.state is TileState.EXCUSED
    assert tile.excuse.granted_by == "anna"
    with laboratory.store.read() as session:
        assert len(reads.exceptions(session, at(5))) == 1
        assert reads.exceptions(session, at(300)) == []


def test_the_worst_comes_first(laboratory):
    tests = dict(laboratory.catalog.tests)
    tests["NA"] = catalogs.Test(code="NA", names={"en": "Sodium"}, unit="mmol/L")
    tests["K"] = catalogs.Test(
        code="K", names={"en": "Potassium"}, unit="mmol/L", qc_policy=QcPolicy.NONE
    )
    object.__setattr__(laboratory.catalog, "tests", tests)
    entries = tuple(
        InstrumentTest(driver="cobas-c111", code=code, test=code, unit="mmol/L")
        for code in ("NA", "K")
    )
    object.__setattr__(laboratory.catalog, "instrument_tests", entries)
    with laboratory.store.unit("anna") as unit:
        lot = add_lot(unit.session, 1, "24-07", levels=(1,), specimens="E")
        for code in ("NA", "K"):
            unit.session.add(
                Target(
                    level_id=1,
                    test_code=code,
                    mean=1,
                    sd=1,
                    effective_from=at(0),
                    author="anna",
                )
            )
        assert lot.id
    laboratory.take(control(4, 0, 1))
    shown = [(tile.test, tile.state) for tile in tiles(laboratory, 5)]
    assert shown == [
        (TEST, TileState.REJECTED),
        ("NA", TileState.MISSING),
        ("K", TileState.NOT_NEEDED),
    ]


def test_gate_states_are_read_by_key(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    known, unknown = GateKey(device_id=1, test=TEST), GateKey(device_id=1, test="XX")
    with laboratory.store.read() as session:
        found = reads.gate_states(session, [known, unknown])
    assert list(found) == [known]
    assert found[known].valid_until == at(1) + timedelta(hours=24)


@pytest.fixture
def story(laboratory):
    laboratory.take(control(0.5, 0, 1), control(-2.5, 1, 2))
    laboratory.take(control(3.5, 60, 1), control(1, 61, 2))
    laboratory.take(control(2.1, 120, 1), control(-2.1, 121, 2, is_abnormal_flagged=True))
    return laboratory


def test_the_table_tells_the_runs_oldest_first(story):
    table = lines(story)
    assert [line.verdict for line in table] == [
        RunVerdict.WARNED,
        RunVerdict.REJECTED,
        RunVerdict.PENDING,
    ]
    assert [point.mark for point in table[0].points] == [Mark.ACCEPTED, Mark.WARNED]
    assert [point.mark for point in table[1].points] == [Mark.REJECTED, Mark.ACCEPTED]
    assert table[1].points[0].rules == ("1_2s", "1_3s")
    assert table[1].points[0].z == pytest.approx(3.5)
    assert [line.can_be_acted_on for line in table] == [False, True, False]
    assert len(lines(story, runs=2)) == 2


def test_actions_and_voids_are_told(story):
    table = lines(story)
    with story.store.unit("anna") as unit:
        record_action(unit, table[1].run_id, table[1].version, "calibrated")
        void_point(unit, table[1].points[0].point_id, "wrong vial")
    told = lines(story)[1]
    assert (told.action, told.action_by) == ("calibrated", "anna")
    assert not told.can_be_acted_on
    assert (told.points[0].mark, told.points[0].void_reason) == (Mark.VOID, "wrong vial")
    assert told.verdict is RunVerdict.REJECTED


def draw(laboratory, language="ru", level=""):
    chart = reads.chart(
        lines(laboratory),
        title="Глюкоза",
        unit="mmol/L",
        zone=ZoneInfo("Europe/Moscow"),
        say=Words(language),
        level=level,
    )
    return chart, levey_jennings_svg(chart)


def test_the_chart_shows_levels_rules_and_site_time(story):
    chart, svg = draw(story)
    assert [level.caption for level in chart.levels] == ["L1: 10 ± 1", "L2: 20 ± 2"]
    assert chart.runs[0].tick == "02.11 09:01"
    assert chart.levels[0].points[1].value == "13.5 mmol/L"
    assert "1_2s 1_3s</text>" in svg
    single, own = draw(story, "en", level="L2")
    assert [level.label for level in single.levels] == ["L2"]
    assert "26</text>" in own


def test_each_point_is_drawn_on_its_own_target_and_a_new_lot_is_marked(story):
    with story.store.unit("anna") as unit:
        unit.session.get(ControlLot, 1).is_in_use = False
        add_lot(unit.session, 1, "24-02", levels=(1, 2))
    story.take(control(0, 240, 1), control(0, 241, 2))
    chart, svg = draw(story, "en")
    assert [(event.run, event.label) for event in chart.events] == [(3, "lot 24-02")]
    assert [point.starts_anew for point in chart.levels[0].points] == [False, False, False, True]
    assert "lot 24-02</text>" in svg


def test_felicity_fault_an_outlier_moves_neither_mean_nor_sd_of_the_chart(story):
    story.take(control(6, 300, 1))
    chart, _ = draw(story)
    assert chart.levels[0].caption == "L1: 10 ± 1"
    assert chart.levels[0].points[-1].z == pytest.approx(6)
    assert chart.levels[0].points[-1].mark is Mark.REJECTED


def test_a_chart_without_runs_says_so(laboratory):
    chart = reads.chart([], title="t", unit="", zone=UTC, say=Words("en"))
    assert "No control was measured yet</text>" in levey_jennings_svg(chart)


def test_every_code_of_this_floor_has_words():
    codes = [
        *(f"rule.{code}" for code in RULES),
        *(f"verdict.{one.value}" for one in RunVerdict),
        *(f"gate.{one.value}" for one in GateAnswer),
        *(f"tile.{one.value}" for one in TileState),
        *(f"mark.{one.value}" for one in Mark),
    ]
    for language in ("ru", "en"):
        assert not [code for code in codes if not Words(language).has(f"qc.{code}")]
