"""Rows that stand behind a result: kept with it, off the worklist, and never a way around a doubt."""

from dataclasses import replace

from lis.domain.messages import IdReadMode, Reason, ReportedObservation, SubjectKind
from lis.domain.quantity import ReportedValue
from lis.results.observation_row import split_supplements
from lis.results.reads import row as read_row
from lis.store.observation_rows import Observation


def row(record, *, part_of="", holds=()):
    return ReportedObservation(
        record=record,
        kind=SubjectKind.PATIENT,
        specimen="S1",
        read_mode=IdReadMode.BARCODE,
        test=f"T^{record}",
        value=ReportedValue.read("1"),
        unit="",
        part_of=part_of,
        holds=holds,
    )


def test_rows_behind_a_result_go_with_it_in_order():
    own, behind = split_supplements(
        [row("R|1"), row("R|2", part_of="R|1"), row("R|3", part_of="R|1")]
    )
    assert [one.record for one in own] == ["R|1"]
    assert [one.record for one in behind["R|1"]] == ["R|2", "R|3"]


def test_a_row_behind_a_result_that_is_not_there_is_a_result_of_its_own():
    own, behind = split_supplements([row("R|1"), row("R|2", part_of="R|9")])
    assert [one.record for one in own] == ["R|1", "R|2"]
    assert behind == {}


def test_an_unreadable_flag_behind_a_result_holds_the_result():
    doubtful = row("R|2", part_of="R|1", holds=(Reason.UNKNOWN_FLAG, Reason.NO_VALUE))
    (own,), _ = split_supplements([row("R|1"), doubtful])
    assert own.holds == (Reason.UNKNOWN_FLAG,)


def test_an_empty_row_behind_a_result_does_not_hold_it():
    (own,), _ = split_supplements([row("R|1"), row("R|2", part_of="R|1", holds=(Reason.NO_VALUE,))])
    assert own.holds == ()


def test_a_verifier_sees_the_rows_behind_a_value_and_the_hash_covers_them(laboratory, observation):
    tube = laboratory.order("CREA")
    value = observation(tube, "70")
    ct = replace(value, test="iCREA^rpoB1^Ct", value=ReportedValue.read("24.7"), part_of="R|1")
    laboratory.send(value, ct)
    catalog = laboratory.catalog()

    with laboratory.store.unit("anna") as unit:
        seen = read_row(unit.session, catalog, laboratory.one().id)
        assert [(one["name"], one["value"]) for one in seen["supplements"]] == [
            ("rpoB1 Ct", "24.7")
        ]
        stored = unit.session.get_one(Observation, seen["id"])
        stored.supplements = [{**stored.supplements[0], "value": "34.7"}]
        unit.session.flush()
        assert read_row(unit.session, catalog, seen["id"])["shown_hash"] != seen["shown_hash"]
