"""The product against an analyzer that shares no line of code with it, over TCP and over a serial line."""

from datetime import timedelta

import pytest

from lis.app.clock import SystemClock
from lis.store.rows import InboxState
from tests.foreign.analyzer import QUICK, Analyzer
from tests.foreign.line import Line
from tests.laboratory.conftest import wait_for

HEADER = r"H|\^&|||XP-100^00-13^^^^A7869^BS649542||||||||E1394-97"


def report(tube, values, *, minutes_ago=0):
    at = f"{SystemClock().now() - timedelta(minutes=minutes_ago):%Y%m%d%H%M%S}"
    records = [HEADER, "P|1", f"O|1||^^{tube:>15}^B|^^^^WBC|||||||N||||||||||||||F"]
    records += [
        f"R|{number}|^^^^{code}^1|{value:>5}|{unit}||N||||               ||{at}"
        for number, (code, value, unit) in enumerate(values, 1)
    ]
    return [*records, "L|1|N"]


WBC = ("WBC", "5.5", "10*3/uL")
HGB = ("HGB", "13.1", "g/dL")


@pytest.fixture(params=["tcp", "serial"])
def bench(request, laboratory):
    opened = laboratory(("xp-1", "sysmex-xp-100", request.param))
    if request.param == "tcp":
        line = Line.call(*opened.address("xp-1"))
    else:
        wait_for(lambda: opened.is_connected("xp-1"))  # pySerial empties the port when it opens it
        line = Line.on_serial(opened.cables["xp-1"].b)
    analyzer = Analyzer(line, header=HEADER, timing=QUICK)
    yield opened, analyzer
    analyzer.close()


def stored(opened):
    return [(row.test_code, row.reported.strip()) for row in opened.observations()]


def test_results_arrive_once_whole_and_on_the_right_tube(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    session = analyzer.send_results([report(tube, [WBC, HGB])])
    opened.settled(1)
    assert session.naks == 0
    assert stored(opened) == [("WBC", "5.5"), ("HGB", "13.1")]
    assert {row.specimen_text.strip() for row in opened.observations()} == {tube}
    assert all(row.specimen_id for row in opened.observations())


def test_several_messages_in_one_session_all_arrive(bench):
    opened, analyzer = bench
    tubes = [opened.order("CBC")["WB"] for _ in range(3)]
    analyzer.send_results([report(tube, [WBC]) for tube in tubes])
    opened.settled(3)
    assert [row.specimen_text.strip() for row in opened.observations()] == tubes


def test_a_bad_checksum_is_refused_and_the_repeat_is_taken(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    session = analyzer.send_with_bad_checksum_once(report(tube, [WBC, HGB]))
    opened.settled(1)
    assert session.naks == 1
    assert stored(opened) == [("WBC", "5.5"), ("HGB", "13.1")]


def test_a_lost_acknowledgement_doubles_nothing(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    analyzer.lose_ack_once(report(tube, [WBC, HGB]))
    opened.settled(1)
    assert stored(opened) == [("WBC", "5.5"), ("HGB", "13.1")]


def test_a_whole_message_repeated_after_its_last_ack_was_lost_is_stored_once(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    analyzer.lose_last_ack_and_repeat_message(report(tube, [WBC, HGB]))
    opened.settled(1)
    assert stored(opened) == [("WBC", "5.5"), ("HGB", "13.1")]


def test_a_second_true_run_with_equal_values_is_kept(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    analyzer.send_results([report(tube, [WBC], minutes_ago=5)])
    analyzer.send_results([report(tube, [WBC], minutes_ago=1)])
    opened.settled(2)
    assert stored(opened) == [("WBC", "5.5"), ("WBC", "5.5")]


def test_a_host_query_is_answered_with_the_orders_of_that_tube(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    records = analyzer.query(tube)
    (order,) = [record for record in records if record.startswith("O|")]
    assert tube in order
    assert "WBC" in order
    assert "PLT" in order
    assert records[-1].startswith("L|1")


def test_a_query_for_an_unknown_tube_is_answered_without_orders(bench):
    _, analyzer = bench
    records = analyzer.query("1900000014")
    assert not any(record.startswith("O|") and "WBC" in record for record in records)


def test_a_query_in_contention_ends_well_for_both(bench):
    opened, analyzer = bench
    first, second = opened.order("CBC")["WB"], opened.order("CBC")["WB"]
    records = analyzer.query_in_contention(first, meanwhile=report(second, [WBC]))
    assert any(first in record for record in records if record.startswith("O|"))
    messages = opened.settled(2)
    assert all(message.state is InboxState.PROCESSED for message in messages)
    assert stored(opened) == [("WBC", "5.5")]


def test_a_keep_alive_stores_nothing(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    analyzer.keep_alive()
    analyzer.send_results([report(tube, [WBC])])
    assert len(opened.settled(1)) == 1


def test_an_answer_that_the_analyzer_interrupts_comes_again_whole_after_its_session(bench):
    opened, analyzer = bench
    first, second = opened.order("CBC")["WB"], opened.order("CBC")["WB"]
    records = analyzer.query_and_interrupt(first, meanwhile=report(second, [WBC]))
    assert any(first in record for record in records if record.startswith("O|"))
    opened.settled(2)
    assert stored(opened) == [("WBC", "5.5")]


def test_a_query_that_is_taken_back_is_not_answered_and_the_next_one_is(bench):
    opened, analyzer = bench
    tube = opened.order("CBC")["WB"]
    analyzer.cancel_query(tube)
    records = analyzer.query(tube)
    assert any(tube in record for record in records if record.startswith("O|"))
