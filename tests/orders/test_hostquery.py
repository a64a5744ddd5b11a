"""An analyzer asks; it gets the orders of exactly that tube, or a logged reason why not."""

from pathlib import Path

import pytest
from sqlalchemy import select

from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import WorkOrderState
from lis.domain.messages import HostQuery
from lis.orders import (
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    answer_query,
    hostquery,
    place_requisition,
    reject_specimen,
)
from lis.store.order_queries import work_orders_of_specimens
from lis.store.order_rows import Specimen
from lis.store.traffic_rows import HostQueryLog
from lis.words import LANGUAGES, Words


def place(store, catalog, *codes):
    entry = RequisitionEntry(
        patient=PatientEntry(family_name="Проверкин"),
        source="form",
        orders=tuple(OrderEntry(code=code) for code in codes),
    )
    with store.unit("anna") as unit:
        return {
            tube.specimen_type: tube
            for tube in place_requisition(unit, catalog, entry, site_id=1).specimens
        }


def ask(store, catalog, device, *specimens, **more):
    with store.unit("xp-1") as unit:
        return answer_query(unit, catalog, device, HostQuery(specimens=specimens, **more))


def log(store):
    with store.read() as session:
        return list(session.scalars(select(HostQueryLog).order_by(HostQueryLog.id)))


def test_the_answer_holds_every_test_of_that_tube_in_the_instruments_codes(store, catalog, xp):
    tubes = place(store, catalog, "CBC", "GLU")
    (orders,) = ask(store, catalog, xp, tubes["WB"].accession)
    assert orders.specimen == tubes["WB"].accession
    assert {test.test for test in orders.tests} >= {"WBC", "RBC", "HGB", "PLT"}
    assert len({test.work_order for test in orders.tests}) == len(orders.tests)
    with store.read() as session:
        rows = work_orders_of_specimens(session, [tubes["WB"].specimen_id])
    assert {row.state for row in rows} == {WorkOrderState.SENT}
    assert {row.device_id for row in rows} == {xp.id}


def test_asking_again_gives_the_same_orders(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    assert ask(store, catalog, xp, tube.accession) == ask(store, catalog, xp, tube.accession)


def test_an_unknown_tube_gets_nothing_and_the_reason_is_logged(store, catalog, xp):
    place(store, catalog, "CBC")
    (orders,) = ask(store, catalog, xp, "99999999")
    assert orders.tests == ()
    assert log(store)[-1].empty_reason == "not_our_number"
    ask(store, catalog, xp, str(AccessionNumber.from_serial(prefix="99", serial=7)))
    assert log(store)[-1].empty_reason == "unknown_specimen"


def test_a_number_is_never_matched_by_likeness(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    for near in (
        "0" + tube.accession,
        tube.accession[:-1],
        tube.accession + "0",
        tube.accession[1:],
    ):
        (orders,) = ask(store, catalog, xp, near)
        assert orders.tests == (), near


def test_a_tube_without_tests_for_this_instrument_says_so(store, catalog, xp):
    tube = place(store, catalog, "GLU")["SER"]
    ask(store, catalog, xp, tube.accession)
    assert log(store)[-1].empty_reason == "no_test_for_this_instrument"


def test_a_rejected_tube_gets_no_orders(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    with store.unit("anna") as unit:
        reject_specimen(unit, tube.specimen_id, version=1, reason="clotted")
    (orders,) = ask(store, catalog, xp, tube.accession)
    assert orders.tests == ()
    assert log(store)[-1].empty_reason == "specimen_not_live"


def test_all_means_every_open_tube_for_this_instrument(store, catalog, xp):
    first, second = place(store, catalog, "CBC")["WB"], place(store, catalog, "CBC")["WB"]
    place(store, catalog, "GLU")
    answer = ask(store, catalog, xp, wants_all=True)
    assert [orders.specimen for orders in answer] == [first.accession, second.accession]


def test_several_tubes_are_answered_in_the_order_asked(store, catalog, xp):
    first, second = place(store, catalog, "CBC")["WB"], place(store, catalog, "CBC")["WB"]
    answer = ask(store, catalog, xp, second.accession, "99999999", first.accession)
    assert [orders.specimen for orders in answer] == [second.accession, "99999999", first.accession]
    assert [bool(orders.tests) for orders in answer] == [True, False, True]


def test_a_withdrawn_question_is_logged_and_answered_with_silence(store, catalog, xp):
    assert ask(store, catalog, xp, "1", is_cancel=True) == ()
    assert log(store)[-1].empty_reason == "query_cancelled"


# --- why an answer is empty, and what the log says of it ----------------------------------------


def change(store, model, key, **values):
    with store.unit("anna") as unit:
        row = unit.session.get_one(model, key)
        for name, value in values.items():
            setattr(row, name, value)


def test_a_number_with_a_wrong_check_digit_is_told_apart_from_an_unknown_tube(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    wrong = tube.accession[:-1] + str((int(tube.accession[-1]) + 1) % 10)
    ask(store, catalog, xp, wrong)
    assert log(store)[-1].empty_reason == "not_our_number"


def test_a_tube_whose_orders_are_all_done_says_so(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    move_orders(store, tube, WorkOrderState.RESULTED)
    ask(store, catalog, xp, tube.accession)
    assert log(store)[-1].empty_reason == "nothing_open"


def test_a_tube_whose_orders_were_all_cancelled_says_so(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    move_orders(store, tube, WorkOrderState.CANCELLED)
    ask(store, catalog, xp, tube.accession)
    assert log(store)[-1].empty_reason == "all_cancelled"


def move_orders(store, tube, state):
    with store.unit("test") as unit:
        for row in work_orders_of_specimens(unit.session, [tube.specimen_id]):
            row.state = state


def test_a_tube_that_reception_has_not_seen_is_told_only_where_the_laboratory_allows_it(
    store, catalog, xp
):
    tube = place(store, catalog, "CBC")["WB"]
    with store.unit("xp-1") as unit:
        query = HostQuery(specimens=(tube.accession,))
        (orders,) = answer_query(unit, catalog, xp, query, needs_reception=True)
    assert orders.tests == ()
    assert log(store)[-1].empty_reason == "not_received"
    (orders,) = ask(store, catalog, xp, tube.accession)
    assert orders.tests


def test_a_received_tube_is_told(store, catalog, xp, manual_clock):
    tube = place(store, catalog, "CBC")["WB"]
    change(store, Specimen, tube.specimen_id, received_at=manual_clock.now())
    with store.unit("xp-1") as unit:
        (orders,) = answer_query(
            unit, catalog, xp, HostQuery(specimens=(), wants_all=True), needs_reception=True
        )
    assert orders.specimen == tube.accession


def test_S23_an_analyzer_in_quarantine_is_told_nothing(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    xp.quarantine_reason = "serial X9"
    for query in (HostQuery(specimens=(tube.accession,)), HostQuery(specimens=(), wants_all=True)):
        with store.unit("xp-1") as unit:
            answer = answer_query(unit, catalog, xp, query)
        assert not any(orders.tests for orders in answer)
        assert log(store)[-1].empty_reason == "device_quarantined"


def test_S23_a_question_with_a_foreign_serial_number_is_told_nothing(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    xp.serial = "A7869"
    with store.unit("xp-1") as unit:
        query = HostQuery(specimens=(tube.accession,))
        (orders,) = answer_query(unit, catalog, xp, query, serial="B1")
        assert orders.tests == ()
        (orders,) = answer_query(unit, catalog, xp, query, serial="A7869")
        assert orders.tests
    assert [line.empty_reason for line in log(store)] == ["other_device", ""]


def test_an_analyzer_without_a_test_in_the_catalog_says_so(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"]
    xp.driver = "abbott-none"
    ask(store, catalog, xp, tube.accession)
    assert log(store)[-1].empty_reason == "no_test_mapped"


def test_nothing_open_at_all_is_said_of_everything(store, catalog, xp):
    assert ask(store, catalog, xp, wants_all=True) == ()
    assert (log(store)[-1].kind, log(store)[-1].empty_reason) == ("all", "nothing_open_here")


def test_a_range_is_answered_with_its_tubes_ends_included(store, catalog, xp):
    tubes = [place(store, catalog, "CBC")["WB"].accession for _ in range(5)]
    answer = ask(store, catalog, xp, tubes[1], range_end=tubes[3])
    assert [orders.specimen for orders in answer] == tubes[1:4]
    assert (log(store)[-1].kind, log(store)[-1].asked) == ("range", [tubes[1], tubes[3]])


def test_a_range_without_open_orders_says_so(store, catalog, xp):
    tube = place(store, catalog, "GLU")["SER"].accession
    assert ask(store, catalog, xp, tube, range_end=tube) == ()
    assert log(store)[-1].empty_reason == "nothing_in_range"


@pytest.mark.parametrize(
    ("first", "last"),
    [("26000018", "260000190"), ("26000199", "26000018"), ("A1", "A9"), ("", "26000018")],
)
def test_a_range_that_is_none_is_never_stretched(store, catalog, xp, first, last):
    place(store, catalog, "CBC")
    assert ask(store, catalog, xp, first, range_end=last) == ()
    assert log(store)[-1].empty_reason == "range_not_understood"


def test_everything_begins_with_what_was_never_sent(store, catalog, xp):
    first, second = place(store, catalog, "CBC")["WB"], place(store, catalog, "CBC")["WB"]
    ask(store, catalog, xp, first.accession)
    answer = ask(store, catalog, xp, wants_all=True)
    assert [orders.specimen for orders in answer] == [second.accession, first.accession]


def test_an_answer_that_had_to_be_cut_says_so(store, catalog, xp, monkeypatch):
    monkeypatch.setattr("lis.orders.hostquery.ASKED_MAX", 2)
    tubes = [place(store, catalog, "CBC")["WB"].accession for _ in range(3)]
    assert len(ask(store, catalog, xp, *tubes)) == 2
    assert len(ask(store, catalog, xp, wants_all=True)) == 2
    assert len(ask(store, catalog, xp, *tubes[:2])) == 2
    assert [line.is_cut for line in log(store)] == [True, True, False]


def test_the_log_says_what_each_tube_was_told_and_why_not(store, catalog, xp):
    tube = place(store, catalog, "CBC")["WB"].accession
    ask(store, catalog, xp, tube, "12")
    line = log(store)[-1]
    assert line.empty_reason == ""
    assert [(one["specimen"], one["reason"]) for one in line.answered] == [
        (tube, ""),
        ("12", "not_our_number"),
    ]
    assert "WBC" in line.answered[0]["tests"]


REASONS = (
    *("query_cancelled", "device_quarantined", "other_device", "no_test_mapped"),
    *("nothing_open_here", "nothing_in_range", "range_not_understood", "unknown_specimen"),
    *("not_our_number", "specimen_not_live", "other_site", "not_received", "nothing_ordered"),
    *("all_cancelled", "nothing_open", "no_test_for_this_instrument"),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_for_an_empty_answer_has_its_sentence(language, reason):
    assert Words(language).has(f"orders.{reason}")
    assert f'"{reason}"' in (Path(hostquery.__file__).read_text(encoding="utf-8"))
