"""Waits between attempts grow, stay inside their bounds, and differ from link to link."""

from hypothesis import given
from hypothesis import strategies as st

from lis.transport.backoff import BACKOFF_HIGHEST_S, BACKOFF_LOWEST_S, wait_before_retry_s


def test_waits_double_up_to_the_highest() -> None:
    waits = [wait_before_retry_s(failures, 1.0) for failures in range(1, 9)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_the_luckiest_draw_halves_the_wait() -> None:
    waits = [wait_before_retry_s(failures, 0.0) for failures in range(1, 8)]

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


@given(failures=st.integers(0, 10**9), chance=st.floats(0, 1))
def test_every_wait_is_inside_the_bounds(failures: int, chance: float) -> None:
    assert BACKOFF_LOWEST_S <= wait_before_retry_s(failures, chance) <= BACKOFF_HIGHEST_S
