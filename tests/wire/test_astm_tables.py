"""The link's table: complete, and every action has its method."""

from lis.wire.astm_actions import HANDLERS
from lis.wire.astm_tables import TRANSITIONS, Action, Input, State


def test_every_pair_of_state_and_input_stands_in_the_table() -> None:
    assert set(TRANSITIONS) == {(state, what) for state in State for what in Input}


def test_every_action_is_used_and_has_a_method() -> None:
    assert {action for action, _ in TRANSITIONS.values()} == set(Action)
    assert set(HANDLERS) == set(Action)


def test_what_is_ignored_changes_no_state() -> None:
    ignored = {pair: cell for pair, cell in TRANSITIONS.items() if cell[0] is Action.IGNORE}
    assert all(cell[1] is pair[0] for pair, cell in ignored.items())


def test_data_is_only_acknowledged_from_storing_or_when_repeated() -> None:
    """The promise, read off the table."""
    acknowledging = {pair for pair, cell in TRANSITIONS.items() if cell[0] is Action.CONFIRM}
    assert acknowledging == {(State.STORING, Input.ACCEPT)}
    again = {pair for pair, cell in TRANSITIONS.items() if cell[0] is Action.ANSWER_AGAIN}
    assert again == {(State.RECEIVING, Input.FRAME_REPEATED)}


def test_losing_the_connection_leads_to_neutral_from_everywhere() -> None:
    assert {TRANSITIONS[state, Input.LOST][1] for state in State} == {State.NEUTRAL}
