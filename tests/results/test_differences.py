"""What a message says today, held against what is stored of it: differences, and no consequence."""

from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import HostQuery
from lis.results.differences import (
    Candidate,
    Change,
    ReadingKind,
    StoredReading,
    asked_text,
    compare,
)

READING = {"specimen": "26", "code": "WBC", "value": "7.2", "unit": "10*9/L"}


def result(record: str = "R|1", run: str = "", **values: str) -> Candidate:
    return Candidate(kind=ReadingKind.RESULT, record=record, values=READING | values, run_key=run)


def stored(
    record: str = "R|1", kind: ReadingKind = ReadingKind.RESULT, **values: str
) -> StoredReading:
    return StoredReading(kind=kind, record=record, values=READING | values)


def test_equal_readings_have_nothing_to_say():
    assert compare([result()], [stored()]) == ()


def test_each_field_that_reads_otherwise_is_told():
    found = compare([result(unit="G/L", value="7.20")], [stored()])
    assert [(one.field, one.before, one.now) for one in found] == [
        ("value", "7.2", "7.20"),
        ("unit", "10*9/L", "G/L"),
    ]


def test_a_control_is_compared_by_what_its_row_keeps():
    row = StoredReading(kind=ReadingKind.CONTROL, record="R|1", values={"value": "7.2"})
    assert compare([result()], [row]) == ()
    (found,) = compare([result(value="8")], [row])
    assert (found.kind, found.field) == (ReadingKind.CONTROL, "value")


def test_what_is_read_only_now_is_a_candidate_and_what_is_not_read_any_more_is_told():
    found = compare([result("R|2")], [stored("R|1")])
    assert [(one.change, one.record) for one in found] == [
        (Change.ADDED, "R|2"),
        (Change.GONE, "R|1"),
    ]


def test_a_run_that_came_with_another_message_is_no_candidate():
    (found,) = compare([result(run="k")], [], known_runs={"k"})
    assert found.change is Change.RESENT


def test_an_unreadable_record_that_is_read_now_is_told_from_both_sides():
    was = StoredReading(
        kind=ReadingKind.UNREADABLE,
        record="R|1",
        values={"field": "3", "reason": "unknown_flag", "raw": "Z"},
    )
    assert [one.change for one in compare([result()], [was])] == [Change.ADDED, Change.GONE]


def test_a_query_is_known_by_what_it_asks():
    asked = asked_text(HostQuery(specimens=("1",), range_end="9"))
    query = Candidate(kind=ReadingKind.QUERY, record="Q|1", values={"asked": asked})
    row = StoredReading(kind=ReadingKind.QUERY, record="", values={"asked": "1, 9"})
    assert compare([query], [row]) == ()


READINGS = st.dictionaries(
    st.sampled_from(["R|1", "R|2", "R|3", "R|4"]), st.sampled_from(["1", "2"])
)


@given(READINGS, READINGS)
def test_every_record_is_told_once_or_equal(now: dict[str, str], then: dict[str, str]):
    candidates = [result(record, value=value) for record, value in now.items()]
    rows = [stored(record, value=value) for record, value in then.items()]
    told = {one.record: one.change for one in compare(candidates, rows)}
    assert told == {
        **dict.fromkeys(now.keys() - then.keys(), Change.ADDED),
        **dict.fromkeys(then.keys() - now.keys(), Change.GONE),
        **{
            record: Change.CHANGED
            for record in now.keys() & then.keys()
            if now[record] != then[record]
        },
    }
