"""What people see of quality control: the board, one chart, its table of runs, running exceptions.

Read-only, and in a fixed number of queries: the board asks for gates, targets and exceptions; a chart asks
for runs and points. A tile stands for one test on one device; where modules or reagent lots have gates of
their own, the tile shows the worst of those that were controlled lately.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog, Test
from lis.domain.control import (
    GATE_WINDOW_DEFAULT,
    GateAnswer,
    GateExcuse,
    GateKey,
    GateState,
    QcPolicy,
    RunVerdict,
    gate_at,
)
from lis.printing.levey_jennings import (
    Chart,
    ChartEvent,
    ChartLevel,
    ChartPoint,
    ChartRun,
    Labels,
    Mark,
)
from lis.qc.actions import DUE_WITHIN
from lis.qc.gate import level_order
from lis.qc.westgard import ACROSS_LABEL, RULES, RUN_LABEL, Severity
from lis.store import control_queries as queries
from lis.store.control_queries import StoredPoint, StoredRun
from lis.store.gate_reading import excuse_of, gate_key_of, gate_state_of
from lis.store.rows import GateProjection

RUNS_SHOWN = 60  # of one chart on the screen: a month of two runs a day
RUNS_SHOWN_MAX = 1_500  # a year of four runs a day

Say = Callable[..., str]  # lis.words.Words: key and parameters to a sentence


class TileState(StrEnum):
    """What a tile of the board says; the order is worst first."""

    REJECTED = "rejected"
    MISSING = "missing"
    OVERDUE = "overdue"
    EXCUSED = "excused"  # missing or overdue, and a named person answers for it
    DUE = "due"
    WARNED = "warned"
    OPEN = "open"
    NOT_NEEDED = "not_needed"  # the test's policy asks for no external control


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One test on one device on the board."""

    device_id: int
    device: str
    test: str
    name: str
    state: TileState
    valid_until: datetime | None = None
    last_at: datetime | None = None
    last_verdict: RunVerdict | None = None
    module: str = ""
    reagent_lot: str = ""
    excuse: GateExcuse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointLine:
    """One point in the table of runs."""

    point_id: int
    level: str
    reported: str
    z: float | None
    mean: Decimal
    sd: Decimal
    at: datetime
    lot: str
    mark: Mark
    rules: tuple[str, ...]
    is_flagged: bool
    is_void: bool
    void_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run in the table, newest first on the page."""

    run_id: int
    public_id: str
    version: int
    at: datetime
    verdict: RunVerdict
    violations: Mapping[str, tuple[str, ...]]
    needs_action: bool
    action: str
    action_by: str
    action_at: datetime | None
    module: str
    reagent_lot: str
    points: tuple[PointLine, ...]

    @property
    def can_be_acted_on(self) -> bool:
        """Whether a corrective action may be recorded here."""
        return not self.action and (self.verdict is RunVerdict.REJECTED or self.needs_action)


# --- the board ----------------------------------------------------------------------------------


def gate_states(session: Session, keys: Collection[GateKey]) -> dict[GateKey, GateState]:
    """The stored state of some gates; a gate that was never measured is not there."""
    rows = queries.gate_rows(session, {(key.device_id, key.test) for key in keys})
    states = {gate_key_of(row): gate_state_of(row, gate_key_of(row), _window(row)) for row in rows}
    return {key: states[key] for key in keys if key in states}


def board(session: Session, catalog: Catalog, *, at: datetime, language: str) -> list[Tile]:
    """Every controlled test on every device that measures it, the worst first."""
    states: dict[tuple[int, str], list[GateState]] = defaultdict(list)
    for row in queries.all_gate_rows(session):
        key = gate_key_of(row)
        states[key.device_id, key.test].append(gate_state_of(row, key, _window(row)))
    names = queries.device_names(session)
    wanted = set(states) | _planned(session, catalog)
    excuses = exceptions(session, at)
    tiles = [
        _tile(
            pair,
            states.get(pair, []),
            catalog=catalog,
            names=names,
            excuses=excuses,
            at=at,
            language=language,
        )
        for pair in wanted
        if pair[0] in names
    ]
    order = list(TileState)
    return sorted(tiles, key=lambda tile: (order.index(tile.state), tile.device, tile.name))


def exceptions(session: Session, at: datetime) -> list[GateExcuse]:
    """Exceptions that are running, the first to end first."""
    return [excuse_of(row) for row in queries.exceptions_running(session, at)]


def _planned(session: Session, catalog: Catalog) -> set[tuple[int, str]]:
    """Tests that have targets, on the devices whose driver measures them."""
    drivers: dict[str, set[int]] = defaultdict(set)
    for device_id, driver in queries.device_drivers(session).items():
        drivers[driver].add(device_id)
    devices_of: dict[str, set[int]] = defaultdict(set)
    for entry in catalog.instrument_tests:
        devices_of[entry.test] |= drivers[entry.driver]
    planned: set[tuple[int, str]] = set()
    for target in queries.all_targets_in_use(session):
        own = {target.device_id} if target.device_id is not None else devices_of[target.test_code]
        planned |= {(device_id, target.test_code) for device_id in own}
    return planned


def _tile(
    pair: tuple[int, str],
    states: list[GateState],
    *,
    catalog: Catalog,
    names: Mapping[int, str],
    excuses: Iterable[GateExcuse],
    at: datetime,
    language: str,
) -> Tile:
    device_id, code = pair
    test = catalog.tests.get(code)
    excuse = next((one for one in excuses if (one.device_id, one.test) == pair), None)
    lately = [state for state in states if _was_controlled_lately(state, at)] or states[:1]
    order = list(TileState)
    judged = [(_tile_state(state, test, excuse, at), state) for state in lately]
    worst, state = min(
        judged,
        key=lambda one: order.index(one[0]),
        default=(_tile_state(None, test, excuse, at), None),
    )
    last = state.events[-1] if state is not None and state.events else None
    return Tile(
        device_id=device_id,
        device=names[device_id],
        test=code,
        name=test.names.get(language, code) if test else code,
        state=worst,
        valid_until=state.valid_until if state else None,
        last_at=last.at if last else None,
        last_verdict=last.verdict if last else None,
        module=state.key.module if state else "",
        reagent_lot=state.key.reagent_lot if state else "",
        excuse=excuse,
    )


def _was_controlled_lately(state: GateState, at: datetime) -> bool:
    return bool(state.events) and at - state.events[-1].at <= 2 * state.window


def _tile_state(
    state: GateState | None, test: Test | None, excuse: GateExcuse | None, at: datetime
) -> TileState:
    answer = gate_at(state, at).answer
    if answer is GateAnswer.REJECTED:
        return TileState.REJECTED
    if test is not None and test.qc_policy is not QcPolicy.EXTERNAL:
        return TileState.NOT_NEEDED
    if answer is not GateAnswer.OPEN:
        missing = TileState.MISSING if answer is GateAnswer.MISSING else TileState.OVERDUE
        return TileState.EXCUSED if excuse is not None else missing
    assert state is not None
    until = state.valid_until
    if until is not None and until - at <= DUE_WITHIN:
        return TileState.DUE
    is_warned = state.events[-1].verdict is RunVerdict.WARNED
    return TileState.WARNED if is_warned else TileState.OPEN


def _window(row: GateProjection) -> timedelta:
    return timedelta(seconds=row.window_s) or GATE_WINDOW_DEFAULT


# --- one chart ----------------------------------------------------------------------------------


def run_lines(
    session: Session, *, device_id: int, test_code: str, runs: int = RUNS_SHOWN
) -> list[RunLine]:
    """The newest runs of a test on a device with their points, oldest first."""
    stored = queries.last_runs(session, device_id, test_code, min(runs, RUNS_SHOWN_MAX))
    points: dict[int, list[StoredPoint]] = defaultdict(list)
    for point in queries.points_of_runs(session, [run.id for run in stored]):
        points[point.run_id].append(point)
    return [_run_line(run, points[run.id]) for run in stored if points[run.id]]


def chart(
    lines: list[RunLine], *, title: str, unit: str, zone: tzinfo, say: Say, level: str = ""
) -> Chart:
    """The chart of some runs, for `levey_jennings_svg`; `level` shows one level in its own units."""
    places = tuple(
        ChartRun(
            at=line.at,
            time=line.at.astimezone(zone).strftime("%d.%m.%Y %H:%M"),
            tick=line.at.astimezone(zone).strftime("%d.%m %H:%M"),
        )
        for line in lines
    )
    names = sorted({point.level for line in lines for point in line.points}, key=level_order)
    shown = [name for name in names if level in {"", name}]
    rejected = sum(line.verdict is RunVerdict.REJECTED for line in lines)
    return Chart(
        labels=Labels(
            title=title,
            description=say("qc.chart_description", runs=len(lines), rejected=rejected),
            sd=say("qc.sd"),
            empty=say("qc.no_runs"),
        ),
        runs=places,
        levels=tuple(
            replace(_chart_level(name, lines, unit, say), place=names.index(name)) for name in shown
        ),
        events=_lot_changes(lines, say),
    )


def _run_line(run: StoredRun, points: list[StoredPoint]) -> RunLine:
    violations = {code: tuple(labels) for code, labels in run.violations.items()}
    ordered = sorted(points, key=lambda point: (level_order(point.level), point.at, point.id))
    return RunLine(
        run_id=run.id,
        public_id=run.public_id,
        version=run.version,
        at=run.at,
        verdict=run.verdict,
        violations=violations,
        needs_action=run.needs_action,
        action=run.action,
        action_by=run.action_by,
        action_at=run.action_at,
        module=run.module,
        reagent_lot=run.reagent_lot,
        points=tuple(_point_line(point, run.verdict, violations) for point in ordered),
    )


def _point_line(
    point: StoredPoint, verdict: RunVerdict, violations: Mapping[str, tuple[str, ...]]
) -> PointLine:
    z = None if point.value is None else float((point.value - point.mean) / point.sd)
    rules = tuple(
        code for code, labels in violations.items() if _takes_part(point.level, z, code, labels)
    )
    return PointLine(
        point_id=point.id,
        level=point.level,
        reported=point.reported,
        z=z,
        mean=point.mean,
        sd=point.sd,
        at=point.at,
        lot=point.lot,
        mark=_mark(point, verdict, rules),
        rules=rules,
        is_flagged=point.is_flagged,
        is_void=point.voided_at is not None,
        void_reason=point.void_reason,
    )


def _takes_part(level: str, z: float | None, code: str, labels: tuple[str, ...]) -> bool:
    """Whether a rule speaks about this point. Within a run only those beyond its limit broke it."""
    if level in labels or ACROSS_LABEL in labels:
        return True
    limit = RULES[code].limit if code in RULES else 0
    return RUN_LABEL in labels and z is not None and abs(z) >= float(limit)


def _mark(point: StoredPoint, verdict: RunVerdict, rules: tuple[str, ...]) -> Mark:
    if point.voided_at is not None:
        return Mark.VOID
    severities = {RULES[code].severity for code in rules if code in RULES}
    if Severity.REJECT in severities:
        return Mark.REJECTED
    if Severity.WARN in severities:
        return Mark.WARNED
    is_unsure = point.is_flagged or verdict is RunVerdict.PENDING
    return Mark.PENDING if is_unsure else Mark.ACCEPTED


def _chart_level(name: str, lines: list[RunLine], unit: str, say: Say) -> ChartLevel:
    points: list[ChartPoint] = []
    before: PointLine | None = None
    for number, line in enumerate(lines):
        for point in line.points:
            if point.level != name or point.z is None:
                continue
            points.append(
                ChartPoint(
                    run=number,
                    z=point.z,
                    value=f"{point.reported} {unit}".strip(),
                    mark=point.mark,
                    rules=point.rules,
                    id=point.point_id,
                    has_comment=bool(line.action or point.void_reason),
                    starts_anew=before is not None and _target(before) != _target(point),
                )
            )
            before = point
    caption, scale = name, tuple[str, ...]()
    if before is not None:
        caption = say("qc.level_caption", level=name, mean=before.mean, sd=before.sd)
        scale = tuple(f"{before.mean + k * before.sd}" for k in range(-3, 4))
    return ChartLevel(label=name, caption=caption, points=tuple(points), scale=scale)


def _target(point: PointLine) -> tuple[str, Decimal, Decimal]:
    return (point.lot, point.mean, point.sd)


def _lot_changes(lines: list[RunLine], say: Say) -> tuple[ChartEvent, ...]:
    lots = [sorted({point.lot for point in line.points}) for line in lines]
    return tuple(
        ChartEvent(run=number, label=say("qc.lot", lot=", ".join(after)))
        for number, (before, after) in enumerate(pairwise(lots), start=1)
        if not set(after) <= set(before)
    )
