"""What people do about controls: act, void a point, answer for a gate, close it again.

Each is one function inside the caller's unit of work, audited, and refused with a code that `lis.words`
turns into a sentence. None of them can free a result that a failed control holds:

* a corrective action opens nothing by itself; it lets the *next* run with all levels open the gate;
* a void keeps its run from opening, and never makes a verdict milder;
* an exception covers due, overdue and missing controls, never a rejection (S02).
"""

from datetime import datetime, timedelta

from lis.domain.control import (
    GateAnswer,
    GateState,
    GateVerdict,
    RunVerdict,
    gate_at,
    strictest,
)
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.qc.recording import ControlFold
from lis.store import control_queries as queries
from lis.store.gate_reading import gate_key_of, gate_state_of
from lis.store.rows import ControlPoint, ControlRun, GateException, GateProjection
from lis.store.unit import Unit

EXCEPTION_MAX = timedelta(hours=24)  # one exception; a longer need is a decision to take again
DUE_WITHIN = timedelta(hours=2)  # before a gate falls overdue it is due: time to load controls
TEXT_LENGTH_MAX = 2_000  # characters of a reason or an action


def record_action(unit: Unit, run_id: int, version: int, text: str) -> ControlRun:
    """Record what was done about a rejected run, or about one that passed only by repeating."""
    run = queries.run_by_id(unit.session, run_id)
    if run is None:
        raise NotFound("control_run", run_id)
    if run.version != version:
        raise StaleVersion("qc.run_changed", run=run.public_id)
    if run.verdict is not RunVerdict.REJECTED and not run.needs_action:
        raise Refused("qc.no_action_needed", run=run.public_id)
    if run.action:
        raise Refused("qc.action_already_recorded", run=run.public_id, actor=run.action_by)
    run.action = _text(text)
    run.action_by, run.action_at = unit.actor, unit.now
    run.version += 1
    unit.session.flush()
    unit.audit("record_action", "control_run", run.public_id, after={"action": run.action})
    fold = ControlFold(unit, None)
    fold.act(queries.key_of_run(run), unit.now, since=run.at)
    fold.write(unit)
    return run


def void_point(unit: Unit, point_id: int, reason: str) -> ControlPoint:
    """Take a point out, with a reason. It stays visible, and frees nothing measured since (S01)."""
    point = queries.point_by_id(unit.session, point_id)
    if point is None:
        raise NotFound("control_point", point_id)
    if point.voided_at is not None:
        raise Refused("qc.already_voided", actor=point.voided_by)
    run = queries.run_by_id(unit.session, point.run_id)
    assert run is not None, "a point belongs to a run"
    fold = ControlFold(unit, None)
    fold.void(queries.key_of_run(run), run.id, point.id, since=point.at)
    point.void_reason = _text(reason)
    point.voided_by, point.voided_at = unit.actor, unit.now
    unit.session.flush()
    unit.audit(
        "void",
        "control_point",
        f"{run.public_id}:{point.level}",
        before={"reported": point.reported},
        after={"reason": point.void_reason},
    )
    fold.write(unit)
    return point


def grant_exception(
    unit: Unit, *, device_id: int, test_code: str, reason: str, ends_at: datetime
) -> GateException:
    """Let results go for a while although the control is due, overdue or missing (S02)."""
    if not unit.now < ends_at <= unit.now + EXCEPTION_MAX:
        hours = int(EXCEPTION_MAX / timedelta(hours=1))
        raise Refused("qc.exception_too_long", hours=hours)
    verdict, is_due = _gate_now(unit, device_id, test_code)
    if verdict.answer is GateAnswer.REJECTED:
        raise Refused("qc.exception_for_rejection", test=test_code)
    if verdict.is_open and not is_due:
        raise Refused("qc.exception_not_needed", test=test_code)
    row = GateException(
        device_id=device_id,
        test_code=test_code,
        reason=_text(reason),
        granted_by=unit.actor,
        granted_at=unit.now,
        ends_at=ends_at,
    )
    unit.session.add(row)
    unit.session.flush()
    after = {"test": test_code, "reason": row.reason, "ends_at": ends_at.isoformat()}
    unit.audit("grant", "gate_exception", row.id, seen=verdict.answer.value, after=after)
    unit.publish("gate", f"{device_id}:{test_code}")
    return row


def close_exception(unit: Unit, exception_id: int, reason: str) -> GateException:
    """End a running exception now."""
    row = queries.exception_by_id(unit.session, exception_id)
    if row is None:
        raise NotFound("gate_exception", exception_id)
    if row.ends_at <= unit.now:
        raise Refused("qc.exception_ended")
    before = {"ends_at": row.ends_at.isoformat()}
    row.ends_at = unit.now
    unit.session.flush()
    unit.audit("close", "gate_exception", row.id, before=before, after={"reason": _text(reason)})
    unit.publish("gate", f"{row.device_id}:{row.test_code}")
    return row


def _gate_now(unit: Unit, device_id: int, test_code: str) -> tuple[GateVerdict, bool]:
    """What the strictest of the test's gates says now, and whether a control is due soon."""
    rows = queries.gate_rows(unit.session, {(device_id, test_code)}, lock="share")
    states = [_state(row) for row in rows]
    is_due = any(
        state.valid_until is not None and state.valid_until - unit.now <= DUE_WITHIN
        for state in states
    )
    return strictest(gate_at(state, unit.now) for state in states), is_due


def _state(row: GateProjection) -> GateState:
    return gate_state_of(row, gate_key_of(row), timedelta(seconds=row.window_s))


def _text(text: str) -> str:
    """A reason a person gave; refused when there is none."""
    stripped = text.strip()
    if not stripped:
        raise Refused("qc.reason_needed")
    if len(stripped) > TEXT_LENGTH_MAX:
        raise Refused("qc.text_too_long", limit=TEXT_LENGTH_MAX)
    return stripped
