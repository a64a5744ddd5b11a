"""Stored gates and exceptions as the values that `lis.domain.control` judges.

`lis.qc` alone writes them; whoever must ask whether a gate is open (release, routing) reads them here.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.domain.control import (
    GateEvent,
    GateExcuse,
    GateKey,
    GateState,
    GateVerdict,
    RunVerdict,
    gate_at,
    strictest,
)
from lis.store.control_rows import GateException, GateProjection

GATES_REMEMBERED = 1_024  # parsed histories by their text: 100 tests on 10 devices, 20 kB each


def excuse_of(row: GateException) -> GateExcuse:
    """A stored exception as the gate question sees it."""
    return GateExcuse(
        id=row.id,
        device_id=row.device_id,
        test=row.test_code,
        reason=row.reason,
        granted_by=row.granted_by,
        granted_at=row.granted_at,
        ends_at=row.ends_at,
    )


def gate_key_of(row: GateProjection) -> GateKey:
    """The key of a stored gate."""
    return GateKey(
        device_id=row.device_id,
        test=row.test_code,
        module=row.module,
        reagent_lot=row.reagent_lot,
        specimen_type=row.specimen_type,
    )


def gate_state_of(row: GateProjection, key: GateKey, window: timedelta) -> GateState:
    """The stored history of a gate, with the window the catalog gives it now."""
    return GateState(
        key=key, events=_events(row.events), window=window, actions=_actions(row.actions)
    )


@lru_cache(maxsize=GATES_REMEMBERED)
def _events(text: str) -> tuple[GateEvent, ...]:
    return tuple(
        GateEvent(
            at=datetime.fromisoformat(at),
            verdict=RunVerdict(verdict),
            run_id=run_id,
            needs_action=needs_action,
        )
        for at, verdict, run_id, needs_action in orjson.loads(text)
    )


@lru_cache(maxsize=GATES_REMEMBERED)
def _actions(text: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(at) for at in orjson.loads(text))


def gates_now(
    session: Session, pairs: Collection[tuple[int, str]], at: datetime
) -> dict[tuple[int, str], GateVerdict]:
    """What the gates of some tests on some devices say now; a pair that was never measured is not there.

    Modules and reagent lots have gates of their own; nobody knows here which one a tube will meet, so the strictest
    counts (S37) of those in use, and of all where none is.
    """
    states: dict[tuple[int, str], list[GateState]] = defaultdict(list)
    devices, tests = {device for device, _ in pairs}, {test for _, test in pairs}
    query = select(GateProjection).where(  # two lists: SQLite finds pairs of a row by no index
        GateProjection.device_id.in_(devices), GateProjection.test_code.in_(tests)
    )
    for row in session.scalars(query.order_by(GateProjection.id)):
        if (row.device_id, row.test_code) not in pairs:
            continue
        state = gate_state_of(row, gate_key_of(row), timedelta(seconds=row.window_s))
        states[row.device_id, row.test_code].append(state)
    return {pair: _strictest_in_use(found, at) for pair, found in states.items()}


def _strictest_in_use(states: list[GateState], at: datetime) -> GateVerdict:
    in_use = [
        state for state in states if state.events and at - state.events[-1].at <= state.window
    ]
    return strictest(gate_at(state, at) for state in in_use or states)
