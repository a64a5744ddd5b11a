"""The life of a step on an analyzer, event by event, and what the work order hears of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.awos import AWOS, OPEN_AWOS_STATES, AwosEvent, AwosState, work_order_event
from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent, WorkOrderState
from lis.domain.state import ImpossibleTransition

S, E = AwosState, AwosEvent


def after(*events: AwosEvent, start: AwosState = S.CREATED) -> AwosState:
    state = start
    for event in events:
        state = AWOS.apply(state, event)
    return state


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((E.SEND, E.ACCEPT, E.START, E.COMPLETE), S.COMPLETED),
        ((E.SEND, E.REFUSE), S.REFUSED),
        ((E.SEND, E.ACCEPT, E.WITHDRAW, E.CONFIRM), S.CANCELLED),
        ((E.SEND, E.WITHDRAW, E.CONFIRM), S.CANCELLED),
        ((E.SEND, E.ACCEPT, E.WITHDRAW, E.CANNOT), S.RUNNING),
        ((E.SEND, E.ACCEPT, E.WITHDRAW, E.CANNOT, E.WITHDRAW, E.CANNOT), S.RUNNING),
        ((E.SEND, E.ACCEPT, E.WITHDRAW, E.CANNOT, E.STOP), S.CANCELLED),
        ((E.SEND, E.ACCEPT, E.WITHDRAW, E.CANNOT, E.COMPLETE), S.COMPLETED),
        ((E.SEND, E.ACCEPT, E.STOP), S.CANCELLED),
        ((E.WITHDRAW,), S.CANCELLED),
    ],
)
def test_a_step_goes_through_its_life(events: tuple[AwosEvent, ...], state: AwosState) -> None:
    assert after(*events) is state


def test_sending_the_same_bytes_again_changes_nothing() -> None:
    assert after(E.SEND, E.SEND) is S.SENT
    assert after(E.SEND, E.ACCEPT, E.SEND) is S.ACCEPTED


def test_LAW_R06_ua_to_a_step_that_was_taken_is_no_refusal() -> None:
    assert after(E.SEND, E.ACCEPT, E.REFUSE) is S.ACCEPTED
    assert after(E.SEND, E.ACCEPT, E.START, E.REFUSE) is S.IN_PROGRESS


def test_LAW_R09_results_of_one_step_come_over_time() -> None:
    assert after(E.SEND, E.ACCEPT, E.START, E.COMPLETE, E.COMPLETE, E.COMPLETE) is S.COMPLETED


@pytest.mark.parametrize("state", S)
def test_a_result_completes_a_step_in_any_state(state: AwosState) -> None:
    assert AWOS.apply(state, E.COMPLETE) is S.COMPLETED


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", [E.START, E.COMPLETE])
def test_what_an_analyzer_reports_is_never_impossible(state: AwosState, event: AwosEvent) -> None:
    assert AWOS.allows(state, event)


def test_an_event_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ImpossibleTransition):
        AWOS.apply(S.CREATED, E.CONFIRM)


@pytest.mark.parametrize(
    ("before", "state", "event"),
    [
        (S.CREATED, S.SENT, WorkOrderEvent.SEND),
        (S.SENT, S.ACCEPTED, WorkOrderEvent.ACKNOWLEDGE),
        (S.SENT, S.REFUSED, WorkOrderEvent.FAIL),
        (S.ACCEPTED, S.IN_PROGRESS, WorkOrderEvent.START),
        (S.ACCEPTED, S.CANCELLED, WorkOrderEvent.FAIL),
        (S.ACCEPTED, S.ACCEPTED, None),
        (S.ACCEPTED, S.CANCEL_SENT, None),
        (S.CANCEL_SENT, S.CANCELLED, None),
        (S.CANCEL_SENT, S.RUNNING, None),
        (S.RUNNING, S.CANCELLED, None),
        (S.IN_PROGRESS, S.COMPLETED, None),
        (S.CREATED, S.CANCELLED, None),
    ],
)
def test_the_work_order_hears_what_concerns_it(
    before: AwosState, state: AwosState, event: WorkOrderEvent | None
) -> None:
    assert work_order_event(before, state) is event


@given(events=st.lists(st.sampled_from(AwosEvent), max_size=12))
def test_no_row_of_events_leaves_the_tables(events: list[AwosEvent]) -> None:
    state, order = S.CREATED, WorkOrderState.PENDING
    for event in events:
        if not AWOS.allows(state, event):
            continue
        moved = AWOS.apply(state, event)
        said = work_order_event(state, moved)
        if said is not None and WORK_ORDER.allows(order, said):
            order = WORK_ORDER.apply(order, said)
        state = moved
    assert order is not WorkOrderState.CANCELLED
    assert order is not WorkOrderState.RESULTED
    assert (state in OPEN_AWOS_STATES) is (state in {S.CREATED, S.SENT, S.ACCEPTED, S.IN_PROGRESS})
