"""Write what a batch did: bulk inserts in one order, releases, audit, and the verdict on each message."""

from typing import Any

from lis.results.effects import Effects, Outcome
from lis.results.release import Reports
from lis.store.observation_queries import insert_rows, mark_inbox, update_rows
from lis.store.observation_rows import CriticalCall, Observation, UnreadableRecord
from lis.store.order_rows import WorkOrder
from lis.store.rows import Alarm, Device, InboxState, Quarantine
from lis.store.step_queries import note_progress
from lis.store.unit import Unit


def write_effects(unit: Unit, effects: Effects) -> None:
    """Write everything a batch did: bulk inserts, then releases, then the inbox verdicts."""
    session = unit.session
    reports = Reports.load(unit, {group.service_request_id for group in effects.groups})
    insert_rows(
        session,
        Observation,
        [row | effects.standings[key].values() for key, row in effects.rows.items()],
    )
    update_rows(
        session,
        Observation,
        [
            {"id": standing.id} | standing.values()
            for standing in effects.standings.values()
            if standing.is_changed
        ],
    )
    insert_rows(session, UnreadableRecord, effects.unreadable)
    insert_rows(session, CriticalCall, effects.calls)
    insert_rows(session, Alarm, effects.alarms)
    insert_rows(session, Quarantine, effects.quarantines)
    for device_id, news in effects.progress:
        note_progress(session, device_id, (news,), unit.now)
    if effects.progress:
        session.flush()  # the results below say more of a work order than the news
    update_rows(
        session,
        WorkOrder,
        [{"id": key, "state": state} for key, state in effects.work_orders.items()],
    )
    for device_id, changes in effects.devices.items():
        update_rows(session, Device, [{"id": device_id} | changes])
    for group in effects.groups:
        reports.publish(unit, group)
    reports.write(unit)
    _note_changes(unit, effects)
    mark_inbox(unit.session, [_inbox_row(unit, outcome) for outcome in effects.outcomes])
    for outcome in effects.outcomes:
        _note_message(unit, outcome, effects)


def _note_changes(unit: Unit, effects: Effects) -> None:
    """Audit results that were stored earlier and moved now; tell the screens about all."""
    for standing in effects.standings.values():
        if standing.is_changed:
            unit.audit(
                "rejudge",
                "observation",
                standing.id,
                after={
                    "bench_state": standing.bench_state.value,
                    "holds": [reason.value for reason in standing.holds],
                },
            )
        if standing.is_changed or standing.is_new:
            unit.publish("observation", standing.id)
    for device_id in effects.devices:
        unit.publish("device", device_id)
    for row in effects.quarantines:
        facts = {name: row[name] for name in ("kind", "expected", "got", "test_code", "inbox_id")}
        unit.audit("quarantine", "device", row["device_id"], after=facts)
    if effects.alarms:
        unit.publish("alarm", "new")


def _inbox_row(unit: Unit, outcome: Outcome) -> dict[str, Any]:
    reason = outcome.hold_reason
    return {
        "id": outcome.inbox_id,
        "state": InboxState.PROCESSED if reason is None else InboxState.HELD,
        "processed_at": unit.now,
        "hold_reason": reason.value if reason else "",
        "verdict": outcome.document(),
    }


def _note_message(unit: Unit, outcome: Outcome, effects: Effects) -> None:
    results: list[dict[str, Any]] = [
        {
            "id": key,
            "state": effects.standings[key].bench_state.value,
            "holds": [hold.value for hold in effects.standings[key].holds],
        }
        for key in outcome.ids
    ]
    unit.audit(
        "process",
        "inbox",
        outcome.inbox_id,
        after={"reason": outcome.hold_reason, "results": results},
    )
    unit.publish("inbox", outcome.inbox_id)
