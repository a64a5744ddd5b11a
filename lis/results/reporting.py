"""The status of a report is a pure function of its observations; nobody sets it by hand.

The codes are FHIR's diagnostic-report-status.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus

_CHANGED = frozenset({ResultStatus.CORRECTED, ResultStatus.AMENDED, ResultStatus.ENTERED_IN_ERROR})


class ReportStatus(StrEnum):
    REGISTERED = "registered"
    PARTIAL = "partial"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """One observation of a request, as far as the report's status depends on it."""

    id: int
    test: str
    bench_state: BenchState
    status: ResultStatus
    is_chosen: bool
    visible_from: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether it is what the world is told about its test (S03)."""
        return self.is_chosen and self.bench_state is BenchState.RELEASED


def report_status(expected: frozenset[str], runs: Iterable[ReportedRun]) -> ReportStatus:
    """Derive the status from the tests that are still wanted and the runs that count."""
    counting = [run for run in runs if run.counts]
    if not counting:
        return ReportStatus.REGISTERED
    if not expected <= {run.test for run in counting}:
        return ReportStatus.PARTIAL
    if any(run.status is ResultStatus.PRELIMINARY for run in counting):
        return ReportStatus.PRELIMINARY
    if any(run.status in _CHANGED for run in counting):
        return ReportStatus.CORRECTED
    return ReportStatus.FINAL
