"""The bench inside one batch: every result that waits, old or new, and what moves it.

* a result is released by the rules, in the fold or when its gate is asked again;
* a second run or an edit makes the earlier run wait as well (S20);
* a control that arrived changes a gate: every unreleased result behind it is asked again (S01, S11);
* what was released goes out in groups, one report version per message and request.
"""

from datetime import datetime

from lis.domain.messages import Reason
from lis.qc.recording import ControlFold
from lis.results.autoverification import judge_gate, regate
from lis.results.batch import BatchFacts
from lis.results.judging import Judgement
from lis.results.lanes import WAITING
from lis.results.release import ReleaseGroup
from lis.results.runs import RunKind
from lis.results.standing import Standing, stored_standing
from lis.results.verdicts import held

RIVAL_KINDS = frozenset({RunKind.SECOND_RUN, RunKind.EDITED})


class Bench:
    """Standings by key and by gate."""

    def __init__(self, facts: BatchFacts, controls: ControlFold, now: datetime) -> None:
        self.standings: dict[int, Standing] = {}
        self._facts = facts
        self._controls = controls
        self._now = now
        self._by_gate: dict[tuple[int, str], list[Standing]] = {}
        for result in facts.waiting:
            self._track(stored_standing(result))

    def place(self, standing: Standing, judged: Judgement) -> None:
        """Put a new result on the bench: released if no rule objects, else held."""
        if judged.rules.is_released:
            self._release(standing)
        else:
            standing.keep_waiting()
        self._track(standing)
        self._hold_rivals(judged, standing)

    def ask_gate_again(self, pair: tuple[int, str]) -> list[Standing]:
        """Every unreleased result behind a gate that changed; returns those that go now."""
        return [standing for standing in self._by_gate.get(pair, ()) if self._is_freed(standing)]

    def doubt(self, specimen_id: int, reason: Reason, *, rule: str) -> None:
        """Something is doubtful about a whole tube: whatever of it waits gets this reason too."""
        for standing in self.standings.values():
            if standing.specimen_id != specimen_id or standing.bench_state not in WAITING:
                continue
            if reason not in standing.holds:
                standing.hold((*standing.holds, reason), held(rule, reason))

    def groups(self, released: list[Standing]) -> list[ReleaseGroup]:
        """One group, and so one report version, per request."""
        groups: dict[int, list[Standing]] = {}
        for standing in released:
            if standing.service_request_id is not None:
                groups.setdefault(standing.service_request_id, []).append(standing)
        return [
            ReleaseGroup(
                service_request_id=request_id,
                changed=tuple(standing.as_run() for standing in standings),
                not_before=self._now,
            )
            for request_id, standings in groups.items()
        ]

    def _track(self, standing: Standing) -> None:
        self.standings[standing.id] = standing
        key = standing.gate_key
        if key is not None:
            self._by_gate.setdefault((key.device_id, key.test), []).append(standing)

    def _release(self, standing: Standing) -> None:
        rules = self._facts.catalog.tests[standing.test].rules
        standing.release(at=self._now, validator=f"rule:{rules.version if rules else ''}")
        if standing.patient_id is not None:
            past = self._facts.past.setdefault((standing.patient_id, standing.test), [])
            past.append(standing.as_past())

    def _hold_rivals(self, judged: Judgement, standing: Standing) -> None:
        reason: Reason | None = judged.run.reason
        if judged.run.kind not in RIVAL_KINDS or reason is None:
            return
        for rival in judged.run.rivals:
            earlier = self.standings.get(rival.id)
            if earlier is None or earlier.bench_state not in WAITING or reason in earlier.holds:
                continue
            earlier.hold((*earlier.holds, reason), held("run", reason, later=standing.id))

    def _is_freed(self, standing: Standing) -> bool:
        key, at = standing.gate_key, standing.analysed_at
        test = self._facts.catalog.tests.get(standing.test)
        if key is None or at is None or test is None or standing.bench_state not in WAITING:
            return False
        gate = self._controls.verdict(key, at)
        excuse = self._controls.excuse(key, gate, at)
        verdict = judge_gate(test=test, gate=gate, excuse=excuse)
        holds = regate(standing.holds, verdict)
        if holds == standing.holds:
            return False
        standing.hold(holds, verdict)
        if holds or not standing.is_chosen or standing.service_request_id is None:
            return False
        self._release(standing)
        return True
