"""What a tile of the board says of quality control."""

import pytest

from lis.app.board import locked_tests
from lis.qc.reads import Tile, TileState


def tile(name: str, state: TileState) -> Tile:
    return Tile(device_id=1, device="xp-1", test=name, name=name, state=state)


@pytest.mark.parametrize("state", TileState)
def test_a_test_is_locked_exactly_while_its_gate_is_closed(state: TileState):
    is_closed = state in {TileState.REJECTED, TileState.MISSING, TileState.OVERDUE}
    assert bool(locked_tests([tile("WBC", state)])) is is_closed


def test_locked_tests_stand_in_order_of_their_names():
    tiles = [
        tile("WBC", TileState.MISSING),
        tile("HGB", TileState.OPEN),
        tile("GLU", TileState.REJECTED),
    ]
    assert locked_tests(tiles) == ("GLU", "WBC")
