"""Recording control results inside a batch of intake.

Theory of operation. A `ControlFold` is loaded once per unit with set queries: the lots in use, the gates of
every test in the batch, and for gates that get new controls the recent runs. Then messages are folded in
inbox order: `record` adds one control result, judges what it touches, and from that moment `verdict` and
`gate` answer with it, so that a failing control followed by a patient in one batch holds the patient (S12).
`write` stores everything at the end. A batch of n gives what n batches of one give.

Whose result is it? `lis.qc.recognition` says (S22).

The gate of a result is the device, module and reagent lot that measured it. Most devices never send the
reagent lot (S37): then the log of what was loaded says it, and when that is silent too, the strictest gate
among the lots controlled lately answers.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from lis.domain.catalog import Catalog
from lis.domain.control import (
    GATE_WINDOW_DEFAULT,
    GateExcuse,
    GateKey,
    GateState,
    GateVerdict,
    RunVerdict,
    excuse_for,
    gate_at,
    strictest,
)
from lis.domain.messages import Reason, ReportedObservation
from lis.qc.gate import LIVE_CONVENTIONS, RUN_WINDOW
from lis.qc.history import Entry, GateSeries, Identity
from lis.qc.recognition import LoadedControls, measurement_of, run_key
from lis.qc.stored import run_state_of, write_gates
from lis.qc.westgard import RULES, Conventions
from lis.store import control_queries as queries
from lis.store.control_queries import LoadedLevel, StoredPoint, StoredRun
from lis.store.gate_reading import excuse_of, gate_key_of, gate_state_of
from lis.store.unit import Unit

RUNS_BACK_SPARE = 2  # runs beyond the longest window, for levels that were missing
RUNS_BACK_MAX = 64  # how far back a window is looked for; a level missing longer starts anew
RUN_IDS_RESERVED = 16  # at a time; unused ones are a gap in the numbers, nothing more


class Outcome(StrEnum):
    """What became of one control result."""

    STORED = "stored"
    RESENT = "resent"  # the very same result was stored before (S19)
    HELD = "held"  # not a control we can judge: see the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One observation of the batch, for loading: patients and controls alike."""

    device_id: int
    test_code: str
    at: datetime | None  # analysis time, corrected for the clock's offset
    observation: ReportedObservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The outcome for one control result, and the run it is in."""

    outcome: Outcome
    reason: Reason | None = None  # also EDITED_ON_ANALYZER beside STORED: same run, other value
    key: GateKey | None = None
    run_id: int | None = None
    verdict: RunVerdict | None = None


@dataclass(slots=True)
class _Gate:
    """One gate as this unit sees it."""

    state: GateState
    row_id: int | None = None
    series: GateSeries | None = None
    known_since: datetime | None = None  # runs from here on are loaded


class ControlFold:
    """The controls and gates of one unit of work; see the module's theory of operation."""

    def __init__(
        self,
        unit: Unit,
        catalog: Catalog | None,
        *,
        conventions: Conventions = LIVE_CONVENTIONS,
        run_window: timedelta = RUN_WINDOW,
    ) -> None:
        self._unit = unit
        self._catalog = catalog
        self._conventions = conventions
        self._run_window = run_window
        self._controls = LoadedControls(unit.session)
        self._gates: dict[GateKey, _Gate] = {}
        self._keys_of: defaultdict[tuple[int, str], list[GateKey]] = defaultdict(list)
        self._asked: set[tuple[int, str]] = set()
        self._loads: dict[tuple[int, str], list[tuple[str, datetime, datetime | None]]] = {}
        self._excuses: list[GateExcuse] = []
        self._free_run_ids: list[int] = []
        self._last_run_id = 0

    @classmethod
    def load(
        cls,
        unit: Unit,
        catalog: Catalog,
        readings: Iterable[Reading],
        *,
        conventions: Conventions = LIVE_CONVENTIONS,
        run_window: timedelta = RUN_WINDOW,
    ) -> Self:
        """Load what a batch needs in set queries. A reading not listed here is loaded when asked."""
        fold = cls(unit, catalog, conventions=conventions, run_window=run_window)
        listed = [one for one in readings if one.test_code and one.at is not None]
        fold._load_devices(listed)
        controls: dict[GateKey, datetime] = {}
        patients: set[tuple[int, str]] = set()
        for one in listed:
            assert one.at is not None
            key = fold.key_for(one.device_id, one.test_code, one.observation, one.at)
            if isinstance(fold.is_control(one.device_id, one.observation), LoadedLevel):
                controls[key] = min(one.at, controls.get(key, one.at))
            else:
                patients.add((key.device_id, key.test))
        fold._load_series(controls)
        fold._load_gates(patients - fold._asked, lock="share")
        return fold

    # --- questions ------------------------------------------------------------------------------

    def is_control_id(self, specimen: str) -> bool:
        """Whether an id belongs to a control level in use."""
        return self._controls.is_control_id(specimen)

    def is_control(
        self, device_id: int, reported: ReportedObservation
    ) -> LoadedLevel | Reason | None:
        """The level that was measured, the reason to hold, or None for a patient's result (S22)."""
        return self._controls.is_control(device_id, reported)

    def key_for(
        self, device_id: int, test_code: str, reported: ReportedObservation, at: datetime
    ) -> GateKey:
        """The gate a result stands behind. The specimen application is the catalog's test itself."""
        lot = reported.reagent_lot or self._lot_on_board(device_id, test_code, at)
        return GateKey(device_id=device_id, test=test_code, module=reported.module, reagent_lot=lot)

    def _lot_on_board(self, device_id: int, test_code: str, at: datetime) -> str:
        lots = {
            lot
            for lot, loaded_at, unloaded_at in self._loads.get((device_id, test_code), [])
            if loaded_at <= at and (unloaded_at is None or at < unloaded_at)
        }
        return lots.pop() if len(lots) == 1 else ""

    # --- folding --------------------------------------------------------------------------------

    def record(
        self,
        *,
        device_id: int,
        inbox_id: int | None,
        observation: ReportedObservation,
        analysed_at: datetime | None,
        test_code: str,
    ) -> Recorded:
        """Fold one control result in; `gate` and `verdict` know it from here on."""
        level = self.is_control(device_id, observation)
        if not isinstance(level, LoadedLevel):
            return Recorded(outcome=Outcome.HELD, reason=level or Reason.UNKNOWN_CONTROL)
        if analysed_at is None:
            return Recorded(outcome=Outcome.HELD, reason=Reason.NO_CREDIBLE_TIME)
        target = self._controls.target(level, device_id, test_code, analysed_at)
        if target is None:
            return Recorded(outcome=Outcome.HELD, reason=Reason.UNKNOWN_CONTROL)
        key = self.key_for(device_id, test_code, observation, analysed_at)
        series = self._series(key, analysed_at)
        identity = run_key(device_id, test_code, observation, analysed_at)
        same_run = series.find(identity)
        for entry in same_run:
            if entry.measurement.reported == observation.value.text:
                return Recorded(outcome=Outcome.RESENT, key=key, run_id=entry.stored_run_id or None)
        run = series.add(
            Entry(
                measurement=measurement_of(identity, observation, analysed_at, target),
                inbox_id=inbox_id,
                record=observation.record,
            )
        )
        return Recorded(
            outcome=Outcome.STORED,
            reason=Reason.EDITED_ON_ANALYZER if same_run else None,
            key=key,
            run_id=run.id,
            verdict=run.verdict,
        )

    def gate(self, key: GateKey) -> GateState | None:
        """The gate including this batch's effects; None when nothing was ever measured there."""
        self._ensure_gates(key)
        gate = self._gates.get(key)
        if gate is None:
            return None
        return gate.series.state if gate.series else gate.state

    def verdict(self, key: GateKey, at: datetime) -> GateVerdict:
        """May a result measured at `at` leave? The strictest gate when the lot is unknown (S37)."""
        own = self.gate(key)
        if key.reagent_lot:
            return gate_at(own, at)
        lately = [
            state
            for other in self._keys_of[key.device_id, key.test]
            if _is_same_but_lot(other, key) and (state := self.gate(other)) is not None
            if any(abs(event.at - at) <= state.window for event in state.events)
        ]
        return strictest(gate_at(state, at) for state in lately) if lately else gate_at(own, at)

    def excuse(
        self, key: GateKey, verdict: GateVerdict, measured_at: datetime
    ) -> GateExcuse | None:
        """The running exception that lets a result go although its control is due or missing (S02)."""
        own = [
            one for one in self._excuses if (one.device_id, one.test) == (key.device_id, key.test)
        ]
        return excuse_for(verdict, own, measured_at=measured_at, now=self._unit.now)

    def changed_gates(self) -> frozenset[GateKey]:
        """Gates that this batch's controls changed: unreleased results behind them are asked again."""
        return frozenset(
            key for key, gate in self._gates.items() if gate.series and gate.series.is_dirty
        )

    def act(self, key: GateKey, at: datetime, *, since: datetime) -> None:
        """A corrective action was recorded at `at` after a run measured at `since`."""
        self._series(key, since).act(at)

    def void(self, key: GateKey, run_id: int, point_id: int, *, since: datetime) -> None:
        """A point was voided: its run is judged again, and never milder (S01)."""
        self._series(key, since).void(run_id, point_id)

    # --- loading --------------------------------------------------------------------------------

    def _load_devices(self, readings: Sequence[Reading]) -> None:
        devices = {one.device_id for one in readings}
        if not devices:
            return
        session = self._unit.session
        oldest = min(one.at for one in readings if one.at is not None)
        for load in queries.reagent_loads(session, devices, since=oldest):
            entry = (load.lot, load.loaded_at, load.unloaded_at)
            self._loads.setdefault((load.device_id, load.test_code), []).append(entry)
        running = queries.exceptions_running(session, self._unit.now, devices)
        self._excuses = [excuse_of(row) for row in running]

    def _put(self, key: GateKey, gate: _Gate) -> _Gate:
        if key not in self._gates:
            self._keys_of[key.device_id, key.test].append(key)
        self._gates[key] = gate
        return gate

    def _ensure_gates(self, key: GateKey) -> None:
        if (key.device_id, key.test) not in self._asked:
            self._load_gates({(key.device_id, key.test)}, lock="share")

    def _load_gates(self, gates: Collection[tuple[int, str]], *, lock: str) -> None:
        for row in queries.gate_rows(self._unit.session, gates, lock=lock):
            key = gate_key_of(row)
            window = self._window(key.test, timedelta(seconds=row.window_s))
            self._put(key, _Gate(state=gate_state_of(row, key, window), row_id=row.id))
        self._asked |= set(gates)

    def _window(self, test_code: str, stored: timedelta = timedelta()) -> timedelta:
        """As the catalog says now; as it was stored while there is no catalog at hand."""
        test = self._catalog.tests.get(test_code) if self._catalog else None
        return test.qc_window if test else stored or GATE_WINDOW_DEFAULT

    def _series(self, key: GateKey, at: datetime) -> GateSeries:
        gate = self._gates.get(key)
        if gate is None or gate.series is None:
            self._load_series({key: at})
        elif gate.known_since is not None and at < gate.known_since:
            unwritten = [entry for entry in gate.series.entries() if entry.is_new]
            self._load_series({key: at})
            for entry in unwritten:
                self._series(key, at).add(entry)
        series = self._gates[key].series
        assert series is not None
        return series

    def _load_series(self, since: Mapping[GateKey, datetime]) -> None:
        """Load the recent runs of some gates, deeper for those whose windows reach further back."""
        queries.ensure_gate_rows(self._unit.session, since)
        self._load_gates({(key.device_id, key.test) for key in since}, lock="update")
        self._controls.load_targets({(key.device_id, key.test) for key in since})
        longest = max(RULES[code].points for code in self._conventions.rules)
        count, waiting = longest + RUNS_BACK_SPARE, dict(since)
        while waiting:
            runs = queries.runs_around(self._unit.session, waiting, count)
            points = _by_run(queries.points_of_runs(self._unit.session, [run.id for run in runs]))
            grouped = _by_key(runs, waiting)
            for key, at in waiting.items():
                self._put_series(key, at, grouped[key], points)
            waiting = {
                key: at
                for key, at in waiting.items()
                if count < RUNS_BACK_MAX
                and sum(run.at < at for run in grouped[key]) >= count
                and not self._knows_enough(key, at, longest)
            }
            count = min(count * 4, RUNS_BACK_MAX)

    def _knows_enough(self, key: GateKey, at: datetime, points: int) -> bool:
        series = self._gates[key].series
        assert series is not None
        levels = self._controls.levels_of(key.device_id, key.test, at)
        return series.knows_enough(at, points=points, levels=[level.level_id for level in levels])

    def _put_series(
        self,
        key: GateKey,
        at: datetime,
        runs: Iterable[StoredRun],
        points: Mapping[int, list[StoredPoint]],
    ) -> None:
        state = GateState(key=key, window=self._window(key.test))
        gate = self._gates.get(key) or self._put(key, _Gate(state=state))
        gate.known_since = at
        gate.series = GateSeries(
            state=gate.state,
            runs=[run_state_of(run, points.get(run.id, ())) for run in runs],
            identity=Identity(
                new_ids=self._new_run_ids,
                plan_at=lambda moment: self._controls.plan(key.device_id, key.test, moment),
            ),
            conventions=self._conventions,
            run_window=self._run_window,
        )

    def _new_run_ids(self) -> tuple[int, str]:
        if not self._free_run_ids:
            self._free_run_ids = queries.reserve_run_ids(
                self._unit.session, RUN_IDS_RESERVED, above=self._last_run_id
            )
            self._last_run_id = self._free_run_ids[-1]
        return self._free_run_ids.pop(0), self._unit.ids.new()

    # --- writing --------------------------------------------------------------------------------

    def write(self, unit: Unit) -> None:
        """Store new points, runs and gates; audit every verdict that changed."""
        self._unit = unit  # intake folds over a snapshot and writes later, under the lock
        written = []
        for key in sorted(self.changed_gates()):
            gate = self._gates[key]
            assert gate.series is not None
            gate.state = gate.series.state
            written.append((gate.state, gate.row_id, gate.series))
            unit.publish("gate", f"{key.device_id}:{key.test}")
        write_gates(unit, written)
        self._learn_row_ids()

    def _learn_row_ids(self) -> None:
        new = {key for key, gate in self._gates.items() if gate.row_id is None}
        pairs = {(key.device_id, key.test) for key in new}
        for row in queries.gate_rows(self._unit.session, pairs):
            self._gates[gate_key_of(row)].row_id = row.id


def _is_same_but_lot(one: GateKey, other: GateKey) -> bool:
    """Whether two gates of one device and test differ in nothing but the reagent lot."""
    return one.module == other.module and one.specimen_type == other.specimen_type


def _by_key(runs: Iterable[StoredRun], keys: Iterable[GateKey]) -> dict[GateKey, list[StoredRun]]:
    grouped: dict[GateKey, list[StoredRun]] = {key: [] for key in keys}
    for run in runs:
        grouped[run.key].append(run)
    return grouped


def _by_run(points: Iterable[StoredPoint]) -> dict[int, list[StoredPoint]]:
    grouped: dict[int, list[StoredPoint]] = defaultdict(list)
    for point in points:
        grouped[point.run_id].append(point)
    return grouped
