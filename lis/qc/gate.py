"""From control measurements to runs, verdicts and gate events. Pure.

Theory of operation. The measurements of one gate stand in clinical order: analysis time, then level.
They are cut into runs from the oldest on: a measurement begins a new run when its level is already in
the run, or when the run began more than `RUN_WINDOW` before. So a repeated level is never a second
chance inside the same run, and where a run begins depends on earlier measurements only: a late
point changes its own run and later ones, never an earlier one, and any order of arrival ends in the same
runs.

A run is judged by Westgard's rules against the history before it, and then

    a rejecting rule fired                        -> REJECTED, at once, also while levels are missing
    a planned level is missing, flagged, without
    a number, or voided                           -> PENDING: neither opens nor closes
    a warning rule fired                          -> WARNED
    else                                          -> ACCEPTED

The plan, the levels that must be there, is taken from the targets of the lots in use when the run is
first judged, and kept with it. An empty plan is never complete.

A voided point keeps its say in the rules: a void takes a value out of the statistics and keeps its run
from opening the gate, it never makes another verdict milder (S01).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lis.domain.control import ControlMeasurement, ControlTarget, RunVerdict
from lis.qc.westgard import (
    Compare,
    Conventions,
    History,
    Judgement,
    Mode,
    Pairs,
    Point,
    RangeReading,
    Run,
    Severity,
    follow,
    judge_run,
)

RUN_WINDOW = timedelta(hours=1)  # first to last level of one run; loading controls takes minutes
LIVE_CONVENTIONS = Conventions(rules=("1_2s", "1_3s", "2_2s"))  # what the gate starts with

Slot = tuple[int, str]  # material and level: what a plan asks for, whatever the lot
Plan = frozenset[Slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """What one run is judged by; stored with it, so that a past day can be judged again."""

    plan: Plan
    conventions: Conventions = LIVE_CONVENTIONS

    def document(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "plan": [list(slot) for slot in sorted(self.plan)],
            "rules": list(self.conventions.rules),
            "compare": self.conventions.compare.value,
            "r4s": self.conventions.r4s.value,
            "mode": self.conventions.mode.value,
            "pairs": self.conventions.pairs.value,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "RunRules":
        """Read the stored form."""
        conventions = Conventions(
            rules=tuple(document["rules"]),
            compare=Compare(document["compare"]),
            r4s=RangeReading(document["r4s"]),
            mode=Mode(document["mode"]),
            pairs=Pairs(document["pairs"]),
        )
        plan = frozenset((material, level) for material, level in document["plan"])
        return cls(plan=plan, conventions=conventions)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """What the rules and the plan say about one run."""

    at: datetime  # analysis time of its last measurement
    verdict: RunVerdict
    judgement: Judgement


def slot_of(target: ControlTarget) -> Slot:
    """What this target's level answers for in a plan."""
    return (target.material_id, target.level)


def level_order(level: str) -> tuple[int, str]:
    """L2 before L10."""
    return (len(level), level)


def clinical_order(measurement: ControlMeasurement) -> tuple[Any, ...]:
    """Analysis time, then level; the rest only makes the order total."""
    target = measurement.target
    return (measurement.at, *level_order(target.level), target.level_id, measurement.key)


def split_runs(
    measurements: Iterable[ControlMeasurement], *, window: timedelta = RUN_WINDOW
) -> tuple[tuple[ControlMeasurement, ...], ...]:
    """Cut measurements into runs; see the theory of operation."""
    runs: list[list[ControlMeasurement]] = []
    seen: set[int] = set()
    for measurement in sorted(measurements, key=clinical_order):
        level = measurement.target.level_id
        if not runs or level in seen or measurement.at - runs[-1][0].at > window:
            runs.append([])
            seen = set()
        runs[-1].append(measurement)
        seen.add(level)
    return tuple(tuple(run) for run in runs)


def judge_measurements(
    history: History,
    measurements: Sequence[ControlMeasurement],
    rules: RunRules,
    *,
    starts_anew: bool = False,
) -> tuple[JudgedRun, History]:
    """Judge one run after `history`; returns the history for the next one too."""
    run = _run(measurements, rules.plan, starts_anew=starts_anew)
    judgement, after = judge_run(history, run, rules.conventions)
    opening = {slot_of(one.target) for one in measurements if _may_open(one)}
    is_whole = bool(rules.plan) and rules.plan <= opening
    judged = JudgedRun(
        at=max(one.at for one in measurements),
        verdict=_verdict(judgement, is_whole=is_whole),
        judgement=judgement,
    )
    return judged, after


def follow_measurements(
    history: History,
    measurements: Sequence[ControlMeasurement],
    rules: RunRules,
    *,
    is_rejected: bool,
    starts_anew: bool = False,
) -> History:
    """The history after a run that was judged before."""
    run = _run(measurements, rules.plan, starts_anew=starts_anew)
    return follow(history, run, rules.conventions, is_rejected=is_rejected)


def _verdict(judgement: Judgement, *, is_whole: bool) -> RunVerdict:
    if judgement.is_rejected:
        return RunVerdict.REJECTED
    if not is_whole:
        return RunVerdict.PENDING
    return RunVerdict.WARNED if judgement.severity is Severity.WARN else RunVerdict.ACCEPTED


def _may_open(measurement: ControlMeasurement) -> bool:
    return _is_reliable(measurement) and not measurement.is_void


def _is_reliable(measurement: ControlMeasurement) -> bool:
    return measurement.value is not None and not measurement.is_flagged


def _run(measurements: Sequence[ControlMeasurement], plan: Plan, *, starts_anew: bool) -> Run:
    names = {level for _, level in plan} | {one.target.level for one in measurements}
    places = {level: place for place, level in enumerate(sorted(names, key=level_order))}
    reliable = {slot_of(one.target) for one in measurements if _is_reliable(one)}
    points = tuple(
        Point(
            level=one.target.level,
            place=places[one.target.level],
            value=one.value,
            mean=one.target.mean,
            sd=one.target.sd,
            series=str(one.target.level_id),
            is_usable=_is_reliable(one),
        )
        for one in sorted(measurements, key=lambda one: (level_order(one.target.level), one.key))
        if one.value is not None
    )
    return Run(points=points, starts_anew=starts_anew, is_complete=bool(plan) and plan <= reliable)
