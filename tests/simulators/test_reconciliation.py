"""Figures that agree are ok; each one that does not is named, in both languages."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from lis.domain.clock import ManualClock
from lis.words import LANGUAGES
from simulators.analyzer import Counts, SentRun
from simulators.cases import Case
from simulators.measuring import Measured, Outcome
from simulators.reconciliation import HouseFigures, Reconciliation, expected_reasons, reconcile
from simulators.writing import ControlIdentity, Run

COUNTS = Counts(messages=3, acknowledged=3, results=10, controls=4)
HOUSE = HouseFigures(received=14, processed=12, held={"critical": 2}, released=8, controls=4)


def judged(
    *,
    counts: Counts = COUNTS,
    house: HouseFigures = HOUSE,
    acked: int = 8,
    expected: Mapping[str, int] | None = None,
    conflicts: int = 0,
) -> Reconciliation:
    return reconcile(
        analyzers=[counts], house=house, acked=acked, expected=expected, conflicts=conflicts
    )


def test_figures_that_agree_are_ok():
    result = judged(expected={"critical": 1})
    assert result.ok
    assert result.as_json() == {
        "sent": 14,
        "received": 14,
        "processed": 12,
        "held": {"critical": 2},
        "released": 8,
        "acked": 8,
        "dead": 0,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("not_acknowledged", judged(counts=replace(COUNTS, acknowledged=2))),
        ("not_received", judged(counts=replace(COUNTS, results=11))),
        ("not_accounted", judged(house=replace(HOUSE, held={}))),
        ("not_released", judged(house=replace(HOUSE, controls=3))),
        ("not_delivered", judged(acked=7)),
        ("dead_letters", judged(house=replace(HOUSE, dead=1))),
        ("conflicts", judged(conflicts=1)),
        ("not_held", judged(expected={"unknown_test": 1})),
    ],
)
def test_each_difference_is_named_in_words(code: str, result: Reconciliation):
    assert not result.ok
    assert [difference.code for difference in result.differences] == [code]
    texts = {result.differences[0].in_words(language) for language in LANGUAGES}
    assert len(texts) == 2
    assert not any("{" in text or text.startswith("simulators.") for text in texts)


def test_results_for_nobody_outside_are_not_owed():
    assert judged(house=replace(HOUSE, not_for_emr=3), acked=5).ok


def test_every_reason_counts_where_a_value_waits_for_several():
    house = replace(HOUSE, reasons={"critical": 2, "delta": 1})
    assert judged(house=house, expected={"delta": 1}).ok


def test_expectations_come_from_the_logs_and_leave_controls_out():
    rows = (
        Measured(code="K", text="7", outcome=Outcome.CRITICAL),
        Measured(code="NA", text="1", cases=(Case.UNKNOWN_TEST,), outcome=Outcome.CRITICAL),
        Measured(code="CL", text="100"),
    )
    patient = Run(specimen="1", rows=rows, at=ManualClock().now(), number=1)
    control = replace(patient, control=ControlIdentity(level="L1"))
    logs = [SentRun(run=patient), SentRun(run=control)]
    assert expected_reasons(logs) == {"critical": 1, "unknown_test": 1}
