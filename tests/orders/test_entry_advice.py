"""What the desk is told while an order is typed: short codes, tubes, warnings, drafts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.catalog import Catalog, Interval, Panel, Sex
from lis.domain.lifecycle import WorkOrderState
from lis.orders.advising import advise, drop_draft, keep_draft, kept_draft, tubes_for
from lis.orders.desk import split_codes
from lis.orders.entry_advice import EntryFacts, PastTest, Warn, warnings_of
from lis.store.people_rows import Patient
from tests.orders.desk_story import Story, with_targets
from tests.results.conftest import make_test

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TESTS = (
    make_test("GLU", intervals=(), needs_fasting=True, short=("g", "глю")),
    make_test("TSH", intervals=(), minimum_interval=30 * DAY, short=("ttg",)),
    make_test("K", intervals=(), needs_collection_time=True),
    make_test("WBC", intervals=(), specimen_type="WB"),
    make_test("FE", intervals=(Interval(sex=Sex.FEMALE, age_from_h=10),)),
)
CATALOG = Catalog(
    version_id=1,
    version="v1",
    tests={test.code: test for test in TESTS},
    panels={
        "BIO": Panel(code="BIO", names={"en": "Chemistry"}, tests=("GLU", "K"), short=("b",)),
        "CBC": Panel(code="CBC", names={"en": "Blood count"}, tests=("WBC",), short=("оак", "g")),
    },
    instrument_tests=(),
)
past_tests = st.builds(
    PastTest,
    test=st.sampled_from(["GLU", "TSH"]),
    state=st.sampled_from(WorkOrderState),
    ordered_at=st.integers(0, 60).map(lambda days: NOON - days * DAY),
    collected_at=st.none(),
)


def warned(*codes, **known):
    typed = {"is_collection_known": True, "requester": "House"} | known
    return warnings_of(CATALOG, EntryFacts(codes=codes, **typed), at=NOON)


def names(*codes, **known):
    return [one.code for one in warned(*codes, **known)]


# --- what may be typed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "known", "unknown"),
    [
        ("bio tsh cbc", ("BIO", "TSH", "CBC"), ()),
        ("B ttg ОАК", ("BIO", "TSH", "CBC"), ()),
        ("глю, ГЛЮ glu", ("GLU",), ()),
        ("g", ("CBC",), ()),
        ("k", ("K",), ()),
        ("bio xyz", ("BIO",), ("xyz",)),
    ],
)
def test_short_forms_are_codes_and_a_panel_comes_before_a_test(typed, known, unknown):
    assert split_codes(CATALOG, typed) == (known, unknown)


def test_a_code_is_never_hidden_by_somebody_elses_short_form():
    shadow = replace(TESTS[0], short=("tsh",))
    catalog = replace(CATALOG, tests={**CATALOG.tests, "GLU": shadow})
    assert split_codes(catalog, "tsh")[0] == ("TSH",)


def test_tubes_are_counted_by_specimen_type_with_what_they_are_for():
    tubes = tubes_for(CATALOG, ("BIO", "TSH", "CBC"))
    assert [(one.specimen_type, one.count, one.tests) for one in tubes] == [
        ("SER", 1, ("GLU", "K", "TSH")),
        ("WB", 1, ("WBC",)),
    ]


# --- warnings -----------------------------------------------------------------------------------


def test_nothing_to_think_about_says_nothing():
    assert warned("TSH") == ()


def test_fasting_collection_time_and_repetition_are_said():
    assert names("BIO", "GLU", is_collection_known=False) == [
        Warn.COLLECTION_TIME,
        Warn.FASTING,
        Warn.TWICE_HERE,
    ]
    assert warned("BIO", "GLU")[-1].tests == ("GLU",)


def test_a_test_that_is_under_way_is_a_duplicate():
    past = (PastTest(test="TSH", state=WorkOrderState.SENT, ordered_at=NOON - DAY),)
    (one,) = warned("TSH", past=past)
    assert (one.code, one.tests, one.at) == (Warn.ALREADY_ORDERED, ("TSH",), NOON - DAY)


@pytest.mark.parametrize(("days", "says"), [(29, [Warn.TOO_SOON]), (30, []), (31, [])])
def test_a_test_again_before_its_minimum_interval_is_too_soon(days, says):
    past = (PastTest(test="TSH", state=WorkOrderState.RESULTED, ordered_at=NOON - days * DAY),)
    assert names("TSH", past=past) == says


@given(st.lists(past_tests, max_size=6))
def test_what_was_cancelled_or_is_another_test_warns_of_nothing(past):
    """A slow oracle: look at each earlier order by itself."""
    found = warned("TSH", past=tuple(past))
    same = [one for one in past if one.test == "TSH"]
    over = {WorkOrderState.RESULTED, WorkOrderState.FAILED, WorkOrderState.CANCELLED}
    is_open = any(one.state not in over for one in same)
    is_soon = any(
        one.state is WorkOrderState.RESULTED and NOON - one.ordered_at < 30 * DAY for one in same
    )
    expected = Warn.ALREADY_ORDERED if is_open else Warn.TOO_SOON if is_soon else None
    assert [one.code for one in found] == ([expected] if expected else [])


def test_what_an_interval_needs_is_asked_for_as_soon_as_there_is_a_patient():
    assert names("FE") == []
    assert names("FE", has_patient=True, birth_date="1990") == [Warn.NO_BIRTH_DATE, Warn.NO_SEX]
    assert names("FE", has_patient=True, birth_date="1990-01-01", sex="F") == []
    assert names("TSH", has_patient=True) == []


def test_an_urgent_order_names_somebody_to_call():
    assert names("TSH", priority="S", requester=" ") == [Warn.NO_REQUESTER]
    assert names("TSH", priority="R", requester=" ") == []


# --- with a store -------------------------------------------------------------------------------


def test_the_patients_own_orders_warn_and_nobody_elses(store, catalog, manual_clock):
    desk = Story(store, manual_clock, with_targets(catalog))
    desk.order("GLU", name="Первая")
    desk.order("K", name="Вторая")
    with store.read() as session:
        from_store = {
            name: advise(
                session,
                desk.catalog,
                codes="glu xyz",
                patient=patient,
                typed=EntryFacts(codes=(), is_collection_known=True),
                at=manual_clock.now(),
            )
            for name, patient in patients(session).items()
        }
    assert [one.code for one in from_store["Первая"].warnings] == [Warn.ALREADY_ORDERED]
    assert from_store["Вторая"].warnings == ()
    assert from_store["Первая"].unknown == ("xyz",)


def patients(session):
    return {row.family_name: row.public_id for row in session.query(Patient)}


def test_a_draft_is_one_persons_and_ends_with_the_shift(store, manual_clock):
    with store.unit("anna") as unit:
        keep_draft(unit, "anna", {"codes": "GLU"})
        keep_draft(unit, "anna", {"codes": "GLU K", "patient": "gone"})
    with store.read() as session:
        draft = kept_draft(session, "anna", manual_clock.now())
        assert draft is not None
        assert (draft.body["codes"], draft.patient) == ("GLU K", None)
        assert kept_draft(session, "boris", manual_clock.now()) is None
        assert kept_draft(session, "anna", manual_clock.now() + timedelta(hours=12)) is None
    with store.unit("anna") as unit:
        drop_draft(unit, "anna")
        drop_draft(unit, "anna")
    with store.read() as session:
        assert kept_draft(session, "anna", manual_clock.now()) is None
