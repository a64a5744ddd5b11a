"""Reception test by test (S35), tubes in the house, and pools of numbers (S17), on a real store."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from lis.domain.catalog import Stability, Storage
from lis.domain.errors import Refused, StaleVersion
from lis.domain.lifecycle import (
    LIVE_SPECIMEN_STATES,
    SPECIMEN,
    SpecimenEvent,
    SpecimenState,
    WorkOrderState,
)
from lis.domain.reception import ReceptionVerdict
from lis.domain.state import ImpossibleTransition
from lis.orders.accession_pools import issue_pool, return_pool, take_pool_number
from lis.orders.reception import receive_tests
from lis.orders.reception_rules import DecidedTest, objection
from lis.orders.stability import Holds
from lis.orders.storage import (
    collect_specimen,
    dispose_specimen,
    retrieve_specimen,
    ship_specimen,
    store_specimen,
)
from lis.store.order_queries import specimen_by_id, work_orders_of_specimens
from lis.store.rows import Audit
from lis.store.specimen_queries import decisions_of, numbers_of_pool, places_of
from tests.orders.test_placing import place, referral

V = ReceptionVerdict


@pytest.fixture
def limited(catalog):
    """ALT holds for eight hours at room temperature; nothing is said of glucose."""
    alt = replace(catalog.tests["ALT"], stability=(Stability(storage=Storage.ROOM, hours=8),))
    return replace(catalog, tests={**catalog.tests, "ALT": alt})


@pytest.fixture
def old_tube(store, limited):
    """A tube for glucose and ALT that was drawn nine hours ago."""
    with store.read():
        drawn = store.clock.now() - timedelta(hours=9)
    return place(store, limited, referral("GLU", "ALT", collected_at=drawn)).specimens[0]


def receive(store, limited, tube, *decided, version=1, **more):
    with store.unit("reception") as unit:
        return receive_tests(
            unit,
            limited,
            tube.specimen_id,
            version=version,
            decided=decided,
            storage=Storage.ROOM,
            **more,
        )


def states(store, specimen_id):
    with store.read() as session:
        rows = work_orders_of_specimens(session, [specimen_id])
        return {row.test_code: row.state for row in rows}


def tube_state(store, specimen_id):
    with store.read() as session:
        return specimen_by_id(session, specimen_id).state


def test_S35_a_test_past_its_time_needs_a_persons_word(store, limited, old_tube):
    with pytest.raises(Refused, match="decide_test"):
        receive(store, limited, old_tube)
    assert tube_state(store, old_tube.specimen_id) is SpecimenState.COLLECTED


def test_S35_past_it_that_test_is_cancelled_not_the_tube_and_a_new_one_is_asked_for(
    store, limited, old_tube
):
    word = DecidedTest(test="ALT", verdict=V.REJECT, reason="старше 8 часов")
    done = receive(store, limited, old_tube, word)
    assert states(store, old_tube.specimen_id) == {
        "GLU": WorkOrderState.PENDING,
        "ALT": WorkOrderState.CANCELLED,
    }
    assert tube_state(store, old_tube.specimen_id) is SpecimenState.RECEIVED
    assert tube_state(store, done.drawn_again.id) is SpecimenState.EXPECTED
    assert states(store, done.drawn_again.id) == {"ALT": WorkOrderState.PENDING}


def test_S35_a_deviation_says_who_and_why_and_only_of_what_cannot_be_drawn_again(
    store, limited, old_tube
):
    word = DecidedTest(test="ALT", verdict=V.DEVIATE, reason="ликвор, взят один раз")
    with pytest.raises(Refused, match="only_irreplaceable"):
        receive(store, limited, old_tube, word)
    receive(store, limited, old_tube, word, is_irreplaceable=True)
    with store.read() as session:
        rows = {row.test_code: row for row in decisions_of(session, old_tube.specimen_id)}
        said = specimen_by_id(session, old_tube.specimen_id).deviation
    assert (rows["ALT"].verdict, rows["GLU"].verdict) == (V.DEVIATE, V.ACCEPT)
    assert rows["ALT"].decided_by == "reception"
    assert said == "ALT: ликвор, взят один раз (reception)"
    assert states(store, old_tube.specimen_id)["ALT"] is WorkOrderState.PENDING


def test_S35_a_screen_that_is_behind_decides_nothing(store, limited, old_tube):
    with pytest.raises(StaleVersion):
        receive(store, limited, old_tube, version=7)


@given(st.sampled_from(Holds), st.sampled_from(V), st.sampled_from(["", " ", "why"]), st.booleans())
def test_S35_nothing_past_its_time_is_accepted_in_silence(holds, verdict, reason, irreplaceable):
    word = DecidedTest(test="K", verdict=verdict, reason=reason)
    stands = not objection(holds, word, is_irreplaceable=irreplaceable)
    is_fit = holds in {Holds.STABLE, Holds.NOT_STATED}
    has_reason = bool(reason.strip())
    assert (
        stands
        == {
            V.ACCEPT: is_fit,
            V.DEVIATE: has_reason and irreplaceable,
            V.REJECT: has_reason,
        }[verdict]
    )


def test_a_tube_goes_through_the_house_and_every_step_says_who_and_why(store, catalog):
    tube = place(store, catalog, referral("GLU")).specimens[0]
    key = tube.specimen_id
    with store.unit("nurse") as unit:
        collect_specimen(unit, key, version=1, earliest=unit.now, latest=unit.now)
        ship_specimen(unit, key, version=2, destination="main")
    receive(store, catalog, tube, version=3)
    with store.unit("keeper") as unit:
        store_specimen(unit, key, version=4, storage=Storage.FRIDGE, rack="A1", position="7")
        retrieve_specimen(unit, key, version=5, reason="дозаказ")
        store_specimen(unit, key, version=6, storage=Storage.FRIDGE, rack="A1", position="7")
        dispose_specimen(unit, key, version=7, reason="срок хранения")
    with store.read() as session:
        query = select(Audit.action, Audit.actor).where(Audit.entity_key == str(key))
        said = session.execute(query.where(Audit.entity == "Specimen").order_by(Audit.id)).all()
        assert [place.until is None for place in places_of(session, key)] == [False, False]
    assert [tuple(row) for row in said] == [
        ("specimen_collected", "nurse"),
        ("specimen_shipped", "nurse"),
        ("specimen_received", "reception"),
        ("specimen_stored", "keeper"),
        ("specimen_retrieved", "keeper"),
        ("specimen_stored", "keeper"),
        ("specimen_disposed", "keeper"),
    ]


def test_two_tubes_never_stand_at_one_position(store, catalog):
    placed = place(store, catalog, referral("GLU", "CBC", is_received=True)).specimens
    with store.unit("keeper") as unit:
        one, other = (tube.specimen_id for tube in placed)
        store_specimen(unit, one, version=1, storage=Storage.ROOM, rack="A1", position="7")
        with pytest.raises(Refused, match="place_taken"):
            store_specimen(unit, other, version=1, storage=Storage.ROOM, rack="A1", position="7")


def test_S26_a_collection_in_the_future_or_backwards_is_refused(store, catalog):
    tube = place(store, catalog, referral("GLU")).specimens[0]
    hour = timedelta(hours=1)
    with store.unit("nurse") as unit:
        for earliest, latest in ((unit.now, unit.now + hour), (unit.now, unit.now - hour)):
            with pytest.raises(Refused, match="bad_collection"):
                collect_specimen(
                    unit, tube.specimen_id, version=1, earliest=earliest, latest=latest
                )


def test_S17_a_number_of_a_pool_is_used_once_and_never_after_the_pool_came_back(store, catalog):
    tubes = [
        place(store, catalog, referral("GLU", placer=f"P{turn}")).specimens[0] for turn in range(3)
    ]
    with store.unit("branch") as unit:
        pool, numbers = issue_pool(unit, 1, size=3)
        made = take_pool_number(unit, tubes[0].specimen_id, version=1, number=numbers[0])
        assert made.accession == numbers[0]
        with pytest.raises(Refused, match="number_used"):
            take_pool_number(unit, tubes[1].specimen_id, version=1, number=numbers[0])
        assert return_pool(unit, pool.id) == 2
        assert return_pool(unit, pool.id) == 2
        with pytest.raises(Refused, match="pool_closed"):
            take_pool_number(unit, tubes[1].specimen_id, version=1, number=numbers[1])
        with pytest.raises(Refused, match="number_of_no_pool"):
            take_pool_number(unit, tubes[1].specimen_id, version=1, number=tubes[2].accession)
    again = place(store, catalog, referral("GLU", placer="later")).specimens[0].accession
    assert again not in numbers


def test_S17_numbers_of_pools_and_of_the_desk_never_meet(store, catalog):
    seen = []
    for turn, size in enumerate((1, 4, 2)):
        seen += [
            t.accession for t in place(store, catalog, referral("GLU", placer=f"D{turn}")).specimens
        ]
        with store.unit("branch") as unit:
            pool, numbers = issue_pool(unit, 1, size=size)
            assert [one.accession for one in numbers_of_pool(unit.session, pool.id)] == numbers
        seen += numbers
    assert len(seen) == len(set(seen)) == 10


walks = st.lists(st.sampled_from(list(SpecimenEvent)), max_size=40)


@given(walks)
def test_a_walk_of_a_tube_never_leaves_the_table_and_never_comes_back_from_the_bin(events):
    state, seen = SpecimenState.EXPECTED, [SpecimenState.EXPECTED]
    for event in events:
        if not SPECIMEN.allows(state, event):
            with pytest.raises(ImpossibleTransition):
                SPECIMEN.apply(state, event)
            continue
        state = SPECIMEN.apply(state, event)
        seen.append(state)
    dead = set(SpecimenState) - LIVE_SPECIMEN_STATES
    for before, after in itertools.pairwise(seen):
        assert before not in dead or after in dead
