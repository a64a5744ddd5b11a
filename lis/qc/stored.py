"""Runs, points and gates between their rows and the values that decisions see."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from lis.domain.control import (
    ControlMeasurement,
    ControlTarget,
    GateKey,
    GateState,
)
from lis.qc.gate import RunRules, clinical_order
from lis.qc.history import Entry, GateSeries, RunState
from lis.store import control_queries as queries
from lis.store.control_queries import StoredPoint, StoredRun
from lis.store.unit import Unit


def run_state_of(run: StoredRun, points: Iterable[StoredPoint]) -> RunState:
    """A stored run with its points."""
    state = RunState(
        id=run.id,
        public_id=run.public_id,
        rules=RunRules.from_document(run.conventions),
        at=run.at,
        is_new=False,
        verdict=run.verdict,
        violations=run.violations,
        needs_action=run.needs_action,
        entries=sorted(map(entry_of, points), key=lambda one: clinical_order(one.measurement)),
    )
    state.stored = state.values()
    return state


def entry_of(point: StoredPoint) -> Entry:
    """A stored point as a measurement."""
    target = ControlTarget(
        lot_id=point.lot_id,
        level_id=point.level_id,
        level=point.level,
        mean=point.mean,
        sd=point.sd,
        target_id=point.target_id or 0,
        material_id=point.material_id,
    )
    measurement = ControlMeasurement(
        at=point.at,
        value=point.value,
        target=target,
        is_flagged=point.is_flagged,
        is_void=point.voided_at is not None,
        key=point.run_key + point.reported,
        reported=point.reported,
    )
    return Entry(
        measurement=measurement, is_new=False, stored_run_id=point.run_id, point_id=point.id
    )


def gate_values(state: GateState) -> dict[str, Any]:
    """What the projection's row holds."""
    events = [
        (event.at.isoformat(), event.verdict.value, event.run_id, event.needs_action)
        for event in state.events
    ]
    return {
        "events": orjson.dumps(events).decode(),
        "actions": orjson.dumps([at.isoformat() for at in state.actions]).decode(),
        "window_s": int(state.window.total_seconds()),
        "valid_until": state.valid_until,
    }


def write_gates(unit: Unit, written: Iterable[tuple[GateState, int | None, GateSeries]]) -> None:
    """Store what judging changed: runs, points and gates, each in one statement."""
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    gates: list[tuple[GateKey, int | None, dict[str, Any]]] = []
    for state, row_id, series in written:
        for run in series.changed_runs():
            _audit_run(unit, run)
            if run.is_new:
                new.append(_run_row(unit, state.key, run))
            else:
                changed.append({"id": run.id, **run.values()})
        for run in series.runs:
            for entry in run.entries:
                if entry.is_new:
                    points.append(_point_row(entry, run.id))
                elif entry.stored_run_id != run.id:
                    moved.append({"id": entry.point_id, "run_id": run.id})
        gates.append((state.key, row_id, gate_values(state)))
        series.mark_written()
    queries.insert_runs(unit.session, new)
    queries.update_runs(unit.session, changed)
    queries.insert_points(unit.session, points)
    queries.move_points(unit.session, moved)
    queries.write_gates(unit.session, gates)


def _audit_run(unit: Unit, run: RunState) -> None:
    unit.audit(
        "judge",
        "control_run",
        run.public_id,
        before=_audited(run.stored) if run.stored else None,
        after=_audited(run.values()),
    )


def _audited(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": values["at"].isoformat(),
        "verdict": values["verdict"].value,
        "violations": values["violations"],
        "needs_action": values["needs_action"],
    }


def _run_row(unit: Unit, key: GateKey, run: RunState) -> dict[str, Any]:
    return {
        "id": run.id,
        "public_id": run.public_id,
        "device_id": key.device_id,
        "test_code": key.test,
        "module": key.module,
        "reagent_lot": key.reagent_lot,
        "specimen_type": key.specimen_type,
        "created_at": unit.now,
        "conventions": run.rules.document(),
        "action": "",
        "action_by": "",
        "action_at": None,
        "version": 1,
        **run.values(),
    }


def _point_row(entry: Entry, run_id: int) -> dict[str, Any]:
    measurement, target = entry.measurement, entry.measurement.target
    return {
        "run_id": run_id,
        "level_id": target.level_id,
        "at": measurement.at,
        "run_key": measurement.key.removesuffix(measurement.reported),
        "reported": measurement.reported,
        "value": measurement.value,
        "mean": target.mean,
        "sd": target.sd,
        "level": target.level,
        "target_id": target.target_id,
        "is_flagged": measurement.is_flagged,
        "inbox_id": entry.inbox_id,
        "record": entry.record,
        "voided_at": None,
        "voided_by": "",
        "void_reason": "",
        "comment": "",
    }
