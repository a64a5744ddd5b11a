"""Lines that wait: in order, bounded, and never gone without a word."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lis.domain.traffic import Direction
from lis.drivers.journal import FLUSH_AFTER_S, LINE_BYTES_MAX, LINES_MAX, JournalBuffer

AT = datetime(2026, 11, 22, tzinfo=UTC)


def filled(count: int) -> JournalBuffer:
    buffer = JournalBuffer()
    for number in range(count):
        buffer.add(AT, Direction.IN, b"%d" % number, 10.0)
    return buffer


def test_lines_come_back_in_order_and_once() -> None:
    buffer = filled(3)

    assert buffer.flush_at == 10.0 + FLUSH_AFTER_S
    assert [line.data for line in buffer.take()] == [b"0", b"1", b"2"]
    assert buffer.take() == ()
    assert buffer.flush_at is None


@given(count=st.integers(LINES_MAX + 1, LINES_MAX + 50))
def test_a_store_that_is_away_costs_the_oldest_lines_and_says_how_many(count: int) -> None:
    first, *rest = filled(count).take()

    assert first.note.endswith(f" {count - LINES_MAX}")
    assert (first.direction, first.data) == (Direction.OUT, b"")  # never taken for a unit
    assert [line.data for line in rest] == [
        b"%d" % number for number in range(count - LINES_MAX, count)
    ]


def test_lines_that_could_not_be_written_wait_before_the_newer_ones() -> None:
    buffer = filled(2)
    taken = buffer.take()
    buffer.add(AT, Direction.OUT, b"newer", 11.0)

    buffer.put_back(taken, 12.0)

    assert buffer.flush_at == 12.0 + FLUSH_AFTER_S
    assert [line.data for line in buffer.take()] == [b"0", b"1", b"newer"]


def test_putting_back_stays_inside_the_bound() -> None:
    buffer = filled(LINES_MAX)
    taken = buffer.take()
    buffer.add(AT, Direction.OUT, b"newer", 11.0)

    buffer.put_back(taken, 12.0)

    lines = buffer.take()
    assert len(lines) == LINES_MAX + 1
    assert lines[0].note.endswith(" 1")
    assert lines[-1].data == b"newer"


def test_one_line_is_bounded_too() -> None:
    buffer = JournalBuffer()
    buffer.add(AT, Direction.IN, b"x" * (LINE_BYTES_MAX + 1), 0.0)

    assert len(buffer.take()[0].data) == LINE_BYTES_MAX
    buffer.put_back((), 1.0)
    assert buffer.flush_at is None
