"""Resend, repeat or edit (S19)?

Theory of operation. The identity of a run is its key: instrument, specimen, test, analysis time as the
instrument wrote it, run number. What is already stored under that key decides:

    what is stored                                     what this one is
    -----------------------------------------------    -------------------------------------------------
    the same record of the same stored message         RESEND      (intake ran twice: promise 2)
    same key, same value                               RESEND      stored once
    same key, other value                              EDITED      a candidate version; a person chooses
    no time; same value, same bytes, within 24 h:
        the earlier session ended before EOT followed
        our last ACK                                   RESEND      the instrument could not know
        otherwise                                      POSSIBLE_DUPLICATE   kept and held
    no time; same value, other bytes, within 24 h      POSSIBLE_DUPLICATE
    other time, an earlier run still counts            SECOND_RUN  kept even when equal (S20)
    nothing, or every earlier run was rejected         FIRST

A second run is never chosen because it is the latest, nor because it looks more normal: it is kept beside
the first one, and a person chooses (S20).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lis.domain.ids import bounded_key
from lis.domain.lifecycle import BenchState
from lis.domain.messages import Reason, ReportedObservation
from lis.domain.result_facts import StoredRun

DUPLICATE_WINDOW = timedelta(hours=24)  # S19

_GONE = frozenset({BenchState.REJECTED, BenchState.SUPERSEDED})


class RunKind(StrEnum):
    FIRST = "first"
    RESEND = "resend"
    EDITED = "edited"
    SECOND_RUN = "second_run"
    POSSIBLE_DUPLICATE = "possible_duplicate"


RUN_REASONS: dict[RunKind, Reason | None] = {
    RunKind.FIRST: None,
    RunKind.RESEND: None,
    RunKind.EDITED: Reason.EDITED_ON_ANALYZER,
    RunKind.SECOND_RUN: Reason.SECOND_RUN,
    RunKind.POSSIBLE_DUPLICATE: Reason.POSSIBLE_DUPLICATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDecision:
    """What an arriving value is to what is already there, and which stored run it refers to."""

    kind: RunKind
    earlier: StoredRun | None = None
    rivals: tuple[StoredRun, ...] = ()  # runs of the same tube and test that still count

    @property
    def is_chosen(self) -> bool:
        """Whether it may count without a person choosing."""
        return self.kind is RunKind.FIRST

    @property
    def reason(self) -> Reason | None:
        return RUN_REASONS[self.kind]


def run_key(device_id: int, reported: ReportedObservation) -> str:
    """The identity of a run, by the instrument's own words: our corrections must not change it."""
    at = reported.observed_at.isoformat() if reported.observed_at else ""
    return bounded_key(f"{device_id}|{reported.specimen}|{reported.test}|{at}|{reported.run}")


def decide_run(
    *,
    reported: ReportedObservation,
    inbox_id: int,
    received_at: datetime,
    raw_sha256: bytes,
    same_key: Sequence[StoredRun],
    same_test: Sequence[StoredRun],
) -> RunDecision:
    """Decide by the table above. `same_test`: other runs of the tube and test it was matched to."""
    for run in same_key:
        if run.inbox_id == inbox_id and run.record == reported.record:
            return RunDecision(kind=RunKind.RESEND, earlier=run)
    if reported.observed_at is None:
        undated = _undated(reported, received_at, raw_sha256, same_key)
        if undated is not None:
            return undated
    elif same_key:
        newest = same_key[-1]
        known = next((run for run in same_key if says_the_same(run, reported)), None)
        if known is not None:
            return RunDecision(kind=RunKind.RESEND, earlier=known)
        return RunDecision(kind=RunKind.EDITED, earlier=newest, rivals=_alive(same_key))
    rivals = _alive(same_test)
    kind = RunKind.SECOND_RUN if rivals else RunKind.FIRST
    return RunDecision(kind=kind, earlier=rivals[-1] if rivals else None, rivals=rivals)


def says_the_same(run: StoredRun, reported: ReportedObservation) -> bool:
    """Whether a stored run says the very same: text, unit, flags and status."""
    return (
        run.reported == reported.value.text
        and run.unit == reported.unit
        and run.flags == reported.flags
        and run.status == reported.status.value
    )


def _undated(
    reported: ReportedObservation,
    received_at: datetime,
    raw_sha256: bytes,
    same_key: Sequence[StoredRun],
) -> RunDecision | None:
    recent = [
        run
        for run in same_key
        if received_at - run.created_at <= DUPLICATE_WINDOW and says_the_same(run, reported)
    ]
    for run in recent:
        if run.raw_sha256 == raw_sha256 and run.is_session_closed is False:
            return RunDecision(kind=RunKind.RESEND, earlier=run)
    if recent:
        return RunDecision(
            kind=RunKind.POSSIBLE_DUPLICATE, earlier=recent[-1], rivals=_alive(recent)
        )
    return None


def _alive(runs: Sequence[StoredRun]) -> tuple[StoredRun, ...]:
    return tuple(run for run in runs if run.bench_state not in _GONE)
