"""The benches measure what they say: the shape of their figures, and that work was done."""

import os
import sys
from dataclasses import asdict, dataclass

import pytest

from lis.cli import bench_intake, bench_lists, bench_many, bench_qc
from lis.cli.bench_astm import astm_figures
from lis.cli.bench_timing import BenchPeerMissing, Figure


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure["what"]: figure for figure in figures}


def test_the_astm_figures_have_their_peer_and_both_sides_agree():
    figures = named(astm_figures(round_s=0.01, rounds=1))

    assert set(figures) == {"astm_typed_parse_of_python_astm", "astm_build_of_join_and_checksum"}
    assert figures["astm_typed_parse_of_python_astm"]["ratio"] > 0
    for figure in figures.values():
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["peer"]["value"])


def test_a_missing_astm_peer_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "astm", None)

    with pytest.raises(BenchPeerMissing, match=r"pip install 'lis\[bench\]'"):
        astm_figures(round_s=0.01, rounds=1)


def test_the_qc_figures_stand_alone():
    figures = named(bench_qc.figures(runs=120, rounds=1))

    assert set(figures) == {"points_per_s_break_mode", "points_per_s_all_mode", "judge_one_p99_ms"}
    assert all(figure["value"] > 0 and figure["peer"] is None for figure in figures.values())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_intake_figures_come_from_a_house_that_releases():
    figures = named(bench_intake.figures(rounds=1, load_s=0.5, tubes=50))

    assert set(figures) >= {
        "ingest_of_raw_writer",
        "full_path_of_raw_insert",
        "ack_p99_ms_mllp",
        "ack_p99_ms_astm",
        "fsync_p99_ms",
        "full_path_results_per_s",
    }
    assert figures["full_path_released_share"]["value"] == 1.0
    for name in ("ingest_of_raw_writer", "full_path_of_raw_insert"):
        assert 0 < figures[name]["ratio"] < 1  # the floor is the floor


@dataclass(frozen=True, kw_only=True)
class Many:
    """How much of `lis bench many`: a glance, or with LIS_MANY=1 a minute of 200 analyzers (not under coverage)."""

    seconds: float
    analyzers: int
    stored: int


MANY = (
    Many(seconds=60.0, analyzers=200, stored=500)
    if os.environ.get("LIS_MANY")
    else Many(seconds=4.0, analyzers=6, stored=60)
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bench_many_acknowledges_everything_and_keeps_the_order_of_each_analyzer():
    said: list[str] = []
    found = named(bench_many.figures(**asdict(MANY), say=said.append))
    assert found["many_unacknowledged"]["value"] == 0
    assert found["drain_out_of_order"]["value"] == 0
    assert f"mllp: {MANY.stored} messages are drained" in said
    released = {wire: found[f"drain_released_share_{wire}"]["value"] for wire in ("astm", "mllp")}
    assert released["astm"] == pytest.approx(0.95, abs=0.02)  # one tube in twenty is unknown
    assert released["mllp"] == pytest.approx(0.38, abs=0.02)  # 8 of 20 codes are in the catalog
    for wire in ("mllp", "astm"):
        assert found[f"many_messages_{wire}"]["value"] > 0
        assert found[f"many_unprocessed_{wire}"]["value"] == 0
        assert found[f"drain_5000_unprocessed_{wire}"]["value"] == 0
        assert found[f"drain_5000_processed_s_{wire}"]["value"] > 0


def test_the_lists_are_measured_over_http_and_their_plans_walk_indexes(capfd):
    found = named(bench_lists.figures(orders=1_000))
    assert found["orders"]["value"] >= 1_000
    assert {name for name in found if name.endswith("_p95_ms")} >= {
        "search_accession_p95_ms",
        "search_identifier_p95_ms",
        "search_name_prefix_p95_ms",
        "workplan_p95_ms",
        "outstanding_p95_ms",
    }
    plans = capfd.readouterr().err
    for index in (
        "ix_patient_folded_name",
        "ix_work_order_unfinished",
        "ix_requisition_placer_group",
    ):
        assert index in plans
    assert "SCAN work_order" not in plans
