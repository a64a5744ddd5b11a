"""A link that is shouted at says so, and does not shout back."""

from lis.app.complaints import COMPLAINTS_MAX, PERIOD_S, Complaints


def test_the_first_complaints_of_a_minute_are_said_and_the_rest_counted_for_the_next():
    now = [0.0]
    complaints = Complaints(lambda: now[0])
    assert [complaints.admit() for _ in range(COMPLAINTS_MAX)] == [0] * COMPLAINTS_MAX
    assert [complaints.admit() for _ in range(7)] == [None] * 7
    now[0] = PERIOD_S
    assert complaints.admit() == 7
    assert complaints.admit() == 0


def test_a_minute_begins_with_its_first_complaint_not_with_the_clock():
    now = [1_000.0]
    complaints = Complaints(lambda: now[0])
    for _ in range(COMPLAINTS_MAX):
        complaints.admit()
    now[0] += PERIOD_S - 0.001
    assert complaints.admit() is None
    now[0] += 0.001
    assert complaints.admit() == 1
