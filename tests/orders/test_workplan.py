"""The work plan: order, pages, filters, and what people keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import NotFound, Refused
from lis.orders.workplan import (
    FILTERS_MAX,
    PlanFilter,
    Shows,
    by_hand,
    drop_filter,
    keep_filter,
    kept_filters,
    read_plan,
)
from tests.orders.desk_story import Story, with_targets
from tests.results.conftest import make_test

filters = st.builds(
    PlanFilter,
    section=st.text(max_size=10),
    is_by_hand=st.booleans(),
    is_urgent=st.booleans(),
    shows=st.sampled_from(Shows),
    tests=st.lists(st.text(max_size=5), max_size=3).map(tuple),
)


@pytest.fixture
def desk(store, catalog, manual_clock):
    return Story(store, manual_clock, with_targets(catalog, ESR=make_test("ESR", section="manual")))


@pytest.fixture
def plan(desk):
    def plan(after="", limit=100, **chosen):
        with desk.store.read() as session:
            return read_plan(
                session,
                desk.catalog,
                PlanFilter(**chosen),
                at=desk.clock.now(),
                after=after,
                limit=limit,
            )

    return plan


def work(found):
    return [(tube.name.split()[0], [line.code for line in tube.lines]) for tube in found.tubes]


def test_urgent_tubes_come_first_then_the_oldest(desk, plan):
    desk.order("GLU", name="Первая")
    desk.order("GLU", name="Вторая")
    desk.order("K", name="Скорая", priority="S")
    assert [name for name, _ in work(plan())] == ["Скорая", "Первая", "Вторая"]
    assert [name for name, _ in work(plan(is_urgent=True))] == ["Скорая"]


def test_a_section_sees_its_own_tests_only(desk, plan):
    desk.order("GLU", "WBC", "ESR")
    assert work(plan(section="chemistry")) == [("Образцова", ["GLU"])]
    assert work(plan(section="manual")) == [("Образцова", ["ESR"])]
    assert work(plan(tests=("WBC",))) == [("Образцова", ["WBC"])]
    assert work(plan(is_by_hand=True)) == [("Образцова", ["ESR"])]
    assert by_hand(desk.catalog) == {"ESR"}


def test_a_tube_leaves_when_its_last_test_has_a_result(desk, plan):
    placed = desk.order("GLU", "K")
    accession = placed.specimens[0].accession
    desk.measure(accession, "GLU")
    assert work(plan()) == [("Образцова", ["K"])]
    desk.measure(accession, "K", is_out=False)
    assert work(plan()) == []


def test_tubes_on_their_way_are_shown_on_demand(desk, plan):
    desk.order("GLU", name="Едет", is_received=False)
    desk.order("GLU", name="Здесь")
    assert work(plan()) == [("Здесь", ["GLU"])]
    assert work(plan(shows=Shows.COMING)) == [("Едет", ["GLU"])]
    assert len(plan(shows=Shows.BOTH).tubes) == 2


def test_pages_follow_each_other_without_loss_or_repetition(desk, plan):
    for number in range(7):
        desk.order("GLU", name=f"Тест{number}", priority="S" if number % 3 == 0 else "R")
    whole = [tube.accession for tube in plan().tubes]
    paged, after = [], ""
    for _ in range(4):
        page = plan(after=after, limit=2)
        paged += [tube.accession for tube in page.tubes]
        after = page.next
    assert paged == whole
    assert len(set(whole)) == 7
    assert after == ""


@pytest.mark.parametrize("key", ["x", "1", "1:", ":5", "1:-5", "1:2:3"])
def test_a_page_key_that_is_not_ours_is_refused(plan, key):
    with pytest.raises(Refused, match="bad_page_key"):
        plan(after=key)


# --- what people keep ---------------------------------------------------------------------------


@given(filters)
def test_a_filter_comes_back_as_it_was_kept(chosen):
    assert PlanFilter.of_body(chosen.body()) == chosen


def test_a_filter_of_another_version_is_read_as_far_as_it_is_known():
    assert PlanFilter.of_body({"shows": "tomorrow", "colour": "red"}) == PlanFilter()


def keep(store, user, name, **chosen):
    with store.unit(user) as unit:
        keep_filter(unit, user, name, PlanFilter(**chosen))


def names(store, user):
    with store.read() as session:
        return [one.name for one in kept_filters(session, user)]


def test_each_person_keeps_his_own_filters(store):
    keep(store, "anna", "Моя", section="chemistry")
    keep(store, "boris", "Его")
    keep(store, "anna", " Моя ", section="haematology")
    assert names(store, "anna") == ["Моя"]
    with store.read() as session:
        assert kept_filters(session, "anna")[0].filter.section == "haematology"
    with store.unit("anna") as unit:
        drop_filter(unit, "anna", "Моя")
    assert (names(store, "anna"), names(store, "boris")) == ([], ["Его"])
    with pytest.raises(NotFound), store.unit("anna") as unit:
        drop_filter(unit, "anna", "Его")


def test_names_and_numbers_of_filters_are_bounded(store):
    for name in ("", " ", "n" * 61):
        with pytest.raises(Refused, match="bad_name"):
            keep(store, "anna", name)
    with store.unit("anna") as unit:
        for number in range(FILTERS_MAX):
            keep_filter(unit, "anna", f"f{number}", PlanFilter())
    with pytest.raises(Refused, match="too_many_filters"):
        keep(store, "anna", "one more")
