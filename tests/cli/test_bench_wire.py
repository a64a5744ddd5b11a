"""The HL7 figures of `lis bench wire`: their shape, and that both sides do the same work."""

import sys

import pytest

from lis.cli.bench_wire import BenchPeerMissing, Figure, hl7_read_figures, mllp_figure


def check(figure: Figure) -> None:
    peer = figure["peer"]
    assert peer is not None
    assert peer["version"]
    assert figure["ratio"] == pytest.approx(figure["value"] / peer["value"])


def test_the_reading_figures_have_their_peer_and_lead_it_clearly():
    figures = hl7_read_figures(round_s=0.01, rounds=1)

    assert [figure["what"] for figure in figures] == [
        f"hl7_read_{name}_of_python_hl7" for name in ("1", "20", "100", "oul")
    ]
    for figure in figures:
        check(figure)
        assert figure["ratio"] > 5  # the bar is 20, measured for longer than a test may take


def test_the_mllp_figure_comes_from_two_servers_that_acknowledge():
    figure = mllp_figure(load_s=0.1)

    assert (figure["what"], figure["unit"]) == ("mllp_cpu_of_hl7_mllp", "us/message")
    check(figure)


def test_a_missing_peer_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hl7", None)
    for figures in (hl7_read_figures, mllp_figure):
        with pytest.raises(BenchPeerMissing, match=r"pip install 'lis\[bench\]'"):
            figures()
