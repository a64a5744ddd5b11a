"""The recent history of one gate while a unit works on it.

Theory of operation. A `GateSeries` starts from what is stored: the projection, and enough of the last
runs to judge the next one. New measurements are put at their clinical place; everything from the run
they fall into is cut and judged again, everything before is untouched, because neither the cut nor a
verdict ever looks ahead. Stored verdicts of untouched runs are followed, not judged again: a change of
rules never reaches back.

A stored run keeps its row when a late point moves its measurements: each group takes the row of its
oldest measurement that has one left. Only after a change of the run window can a row be left without
points; it stays, pending, for rows are never deleted.

Nothing here knows the database: `lis.qc.recording` loads and writes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lis.domain.control import (
    ControlMeasurement,
    GateEvent,
    GateState,
    RunVerdict,
    settled,
)
from lis.qc.gate import (
    LIVE_CONVENTIONS,
    RUN_WINDOW,
    Plan,
    RunRules,
    clinical_order,
    follow_measurements,
    judge_measurements,
    split_runs,
)
from lis.qc.westgard import NO_HISTORY, Conventions, History, Mode

ACTIONS_KEPT = 64  # of one gate; an action only matters until the next accepted run


@dataclass(slots=True, kw_only=True)
class Entry:
    """One measurement, and where it is stored."""

    measurement: ControlMeasurement
    inbox_id: int | None = None
    record: str = ""
    is_new: bool = True
    stored_run_id: int = 0
    point_id: int = 0


@dataclass(slots=True, kw_only=True)
class RunState:
    """One run as it stands now."""

    id: int
    public_id: str
    rules: RunRules
    at: datetime
    is_new: bool
    entries: list[Entry] = field(default_factory=list)
    verdict: RunVerdict = RunVerdict.PENDING
    violations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    needs_action: bool = False
    stored: dict[str, Any] = field(default_factory=dict)  # the values that are in its row

    def values(self) -> dict[str, Any]:
        """What judging decides about the run's row."""
        return {
            "at": self.at,
            "verdict": self.verdict,
            "violations": {code: list(labels) for code, labels in self.violations.items()},
            "needs_action": self.needs_action,
        }

    @property
    def has_changed(self) -> bool:
        return self.is_new or self.values() != self.stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Where new runs get their ids from, and what they must contain."""

    new_ids: Callable[[], tuple[int, str]]
    plan_at: Callable[[datetime], Plan]


class GateSeries:
    """The runs of one gate, oldest first; see the module's theory of operation."""

    def __init__(
        self,
        *,
        state: GateState,
        runs: Sequence[RunState],
        identity: Identity,
        conventions: Conventions = LIVE_CONVENTIONS,
        run_window: timedelta = RUN_WINDOW,
    ) -> None:
        self.state = state
        self.runs = sorted(
            (run for run in runs if run.entries), key=lambda run: _order(run.entries[0])
        )
        self.emptied: list[RunState] = []
        self.is_dirty = False
        self._identity = identity
        self._conventions = conventions
        self._run_window = run_window
        self._before: list[History] = []  # before each run
        history = NO_HISTORY
        for index, run in enumerate(self.runs):
            self._before.append(history)
            history = self._follow(history, index, run)
        self._latest = history

    def find(self, key: str) -> list[Entry]:
        """The measurements stored or added under one run key."""
        return [entry for entry in self.entries() if entry.measurement.key.startswith(key)]

    def entries(self) -> Iterator[Entry]:
        """All measurements, in clinical order."""
        for run in self.runs:
            yield from run.entries

    def add(self, entry: Entry) -> RunState:
        """Put a new measurement at its clinical place; returns the run it now belongs to."""
        index = self._run_at(entry)
        self._judge_from(index, [entry])
        return next(run for run in self.runs[index:] if any(one is entry for one in run.entries))

    def void(self, run_id: int, point_id: int) -> None:
        """Mark a point as void, and judge its run and all later ones again."""
        index = next(index for index, run in enumerate(self.runs) if run.id == run_id)
        entry = next(one for one in self.runs[index].entries if one.point_id == point_id)
        entry.measurement = replace(entry.measurement, is_void=True)
        self._judge_from(index, [])

    def act(self, at: datetime) -> None:
        """A corrective action was recorded at `at`."""
        actions = tuple(sorted({*self.state.actions, at}))[-ACTIONS_KEPT:]
        self.state = replace(self.state, actions=actions)
        self._judge_from(bisect_left(self.runs, at, key=lambda run: run.at), [])

    def knows_enough(self, since: datetime, *, points: int, levels: Collection[int]) -> bool:
        """Whether the runs loaded before `since` hold every window a rule could ask for.

        The last of them may take the next measurement and is judged again, so what lies before that one
        decides: a rejection there forgets what is older, a rejection of that run itself does not.
        """
        first = max(sum(run.at < since for run in self.runs) - 1, 0)
        if self._conventions.mode is Mode.BREAK and any(
            run.verdict is RunVerdict.REJECTED for run in self.runs[:first]
        ):
            return True
        history = self._before[first] if first < len(self.runs) else self._latest
        return all(len(history.levels.get(str(level), ())) >= points for level in levels)

    def changed_runs(self) -> list[RunState]:
        """Runs whose row is missing or says something else; one emptied before it was stored is gone."""
        merged = [run for run in self.emptied if not run.is_new]
        return [run for run in (*self.runs, *merged) if run.has_changed]

    def mark_written(self) -> None:
        """Everything is stored as it stands now."""
        for run in (*self.runs, *self.emptied):
            run.is_new, run.stored = False, run.values()
            for entry in run.entries:
                entry.is_new, entry.stored_run_id = False, run.id
        self.emptied.clear()
        self.is_dirty = False

    def _run_at(self, entry: Entry) -> int:
        """The last run that begins at or before the entry; it may belong there or after it."""
        position = bisect_right(self.runs, _order(entry), key=lambda run: _order(run.entries[0]))
        return max(position - 1, 0)

    def _judge_from(self, index: int, added: list[Entry]) -> None:
        self.is_dirty = True
        history = self._before[index] if index < len(self._before) else self._latest
        old = self.runs[index:]
        entries = {one.measurement.key: one for run in old for one in run.entries}
        entries |= {one.measurement.key: one for one in added}
        measurements = [one.measurement for one in entries.values()]
        groups = [
            [entries[one.key] for one in group]
            for group in split_runs(measurements, window=self._run_window)
        ]
        del self.runs[index:], self._before[index:]
        for run in self._assign(groups, old):
            self._before.append(history)
            self.runs.append(run)
            history = self._judge(history, len(self.runs) - 1, run)
        self._latest = history
        self._settle(old, self.runs[index:])

    def _assign(self, groups: list[list[Entry]], old: list[RunState]) -> list[RunState]:
        """Give every group a row: the one its oldest measurement was in, or a new one."""
        owner = {id(entry): run for run in old for entry in run.entries}
        free = {run.id for run in old}
        assigned: list[RunState] = []
        for group in groups:
            known = [owner[id(entry)] for entry in group if id(entry) in owner]
            run = next((run for run in known if run.id in free), None) or self._new_run(group)
            free.discard(run.id)
            assigned.append(run)
        for run, group in zip(assigned, groups, strict=True):
            run.entries = group
        for run in old:
            if run.id in free:
                self._empty(run)
        return assigned

    def _new_run(self, group: list[Entry]) -> RunState:
        number, public_id = self._identity.new_ids()
        at = group[0].measurement.at
        rules = RunRules(plan=self._identity.plan_at(at), conventions=self._conventions)
        return RunState(id=number, public_id=public_id, rules=rules, at=at, is_new=True)

    def _empty(self, run: RunState) -> None:
        run.entries, run.violations, run.needs_action = [], {}, False
        run.verdict = RunVerdict.PENDING
        self.emptied.append(run)

    def _judge(self, history: History, index: int, run: RunState) -> History:
        judged, after = judge_measurements(
            history,
            [entry.measurement for entry in run.entries],
            run.rules,
            starts_anew=self._starts_anew(index, run),
        )
        run.at, run.verdict = judged.at, judged.verdict
        run.violations = judged.judgement.violations
        return after

    def _follow(self, history: History, index: int, run: RunState) -> History:
        return follow_measurements(
            history,
            [entry.measurement for entry in run.entries],
            run.rules,
            is_rejected=run.verdict is RunVerdict.REJECTED,
            starts_anew=self._starts_anew(index, run),
        )

    def _starts_anew(self, index: int, run: RunState) -> bool:
        """Whether a corrective action lies between the run before and this one."""
        if index == 0:
            return False
        since = self.runs[index - 1].at
        return any(since < action <= run.at for action in self.state.actions)

    def _settle(self, old: list[RunState], judged: list[RunState]) -> None:
        """Bring the gate's events in line with the runs that were judged."""
        touched = {run.id for run in (*old, *judged)}
        kept = [event for event in self.state.events if event.run_id not in touched]
        fresh = [GateEvent(at=run.at, verdict=run.verdict, run_id=run.id) for run in judged]
        self.state = settled(self.state, (*kept, *fresh))
        needs = {event.run_id: event.needs_action for event in self.state.events}
        for run in judged:
            run.needs_action = needs.get(run.id, False)


def _order(entry: Entry) -> tuple[Any, ...]:
    return clinical_order(entry.measurement)
