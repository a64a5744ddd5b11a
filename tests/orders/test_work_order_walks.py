"""Random walks over the work order: no way outside the table, and none back from the end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent, WorkOrderState
from lis.domain.state import ImpossibleTransition

W, E = WorkOrderState, WorkOrderEvent
ENDS = frozenset({W.RESULTED, W.CANCELLED})
walks = st.lists(st.sampled_from(list(E)), max_size=40)


@given(walks)
def test_a_walk_never_leaves_the_table_and_never_leaves_an_end(events):
    state, seen = W.PENDING, [W.PENDING]
    for event in events:
        if not WORK_ORDER.allows(state, event):
            with pytest.raises(ImpossibleTransition):
                WORK_ORDER.apply(state, event)
            continue
        state = WORK_ORDER.apply(state, event)
        seen.append(state)
    for before, after in itertools.pairwise(seen):
        assert before not in ENDS or after is before


@given(walks)
def test_what_runs_is_never_routed_away(events):
    state = W.PENDING
    for event in events:
        if state is W.IN_PROCESS:
            assert not WORK_ORDER.allows(state, E.ROUTE)
            assert not WORK_ORDER.allows(state, E.UNROUTE)
        if WORK_ORDER.allows(state, event):
            state = WORK_ORDER.apply(state, event)


def test_every_state_is_reached_and_a_value_is_taken_in_every_one():
    reached, new = {W.PENDING}, {W.PENDING}
    while new:
        new = {
            WORK_ORDER.apply(state, event)
            for state in new
            for event in E
            if WORK_ORDER.allows(state, event)
        } - reached
        reached |= new
    assert reached == set(W)
    assert all(WORK_ORDER.allows(state, E.RESULT) for state in W)
