"""Stability as a sum of shares, against every world that could have been; add-ons on a tube that is here (S36)."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain import catalog
from lis.domain.catalog import Stability, Storage
from lis.domain.lifecycle import SpecimenState
from lis.orders.add_on import AgainstTube, TubeHere, judge_add_on
from lis.orders.stability import Holds, Stay, judge_stability, stay_since

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVER = 10**6
hours = st.integers(0, 30)
limits = st.dictionaries(st.sampled_from(Storage), st.integers(1, 40), max_size=3)


@st.composite
def stays(draw):
    shortest = draw(hours)
    longest = draw(st.none() | hours.map(lambda more: shortest + more))
    return Stay(
        storage=draw(st.none() | st.sampled_from(Storage)),
        shortest=timedelta(hours=shortest),
        longest=None if longest is None else timedelta(hours=longest),
    )


def shares_of(stay, stated):
    """Every share this stay may have used."""
    ends = {hours_of(stay.shortest), EVER if stay.longest is None else hours_of(stay.longest)}
    kept = Storage if stay.storage is None else (stay.storage,)
    allowed = {
        limit for one in kept for limit in ([stated[one]] if one in stated else [1, EVER**2])
    }
    return [Fraction(stood, limit) for stood, limit in product(ends, allowed)]


def hours_of(time):
    return int(time / timedelta(hours=1))


@given(limits, st.lists(stays(), max_size=3))
def test_a_verdict_holds_in_every_world_that_could_have_been(stated, kept):
    said = judge_stability([Stability(storage=s, hours=h) for s, h in stated.items()], kept)
    worlds = [sum(world) > 1 for world in product(*(shares_of(one, stated) for one in kept))]
    if not stated:
        assert said is Holds.NOT_STATED
    elif said is Holds.STABLE:
        assert not any(worlds)
    elif said is Holds.EXPIRED:
        assert any(worlds)
        assert all(
            sum(world) >= 1
            for world in product(*(shares_of(one, stated) for one in kept))
            if stated.keys() == set(Storage)
        )


@pytest.mark.parametrize(
    ("stood_h", "holds"), [(8, Holds.STABLE), (9, Holds.EXPIRED), (0, Holds.STABLE)]
)
def test_S35_the_border_hour_is_within(stood_h, holds):
    since = AT - timedelta(hours=stood_h)
    stay = stay_since(since, since, AT, Storage.ROOM)
    assert judge_stability((Stability(storage=Storage.ROOM, hours=8),), (stay,)) is holds


def test_S35_time_in_two_storages_adds_up():
    stated = (
        Stability(storage=Storage.ROOM, hours=8),
        Stability(storage=Storage.FRIDGE, hours=24),
    )
    six, twelve = timedelta(hours=6), timedelta(hours=12)
    room = Stay(storage=Storage.ROOM, shortest=six, longest=six)
    fridge = Stay(storage=Storage.FRIDGE, shortest=twelve, longest=twelve)
    assert judge_stability(stated, (room,)) is Holds.STABLE
    assert judge_stability(stated, (fridge,)) is Holds.STABLE
    assert judge_stability(stated, (room, fridge)) is Holds.EXPIRED


def test_S26_a_period_of_collection_is_unknown_between_its_ends():
    stay = stay_since(AT - timedelta(hours=10), AT - timedelta(hours=6), AT, Storage.ROOM)
    assert judge_stability((Stability(storage=Storage.ROOM, hours=8),), (stay,)) is Holds.UNKNOWN
    unknown = stay_since(None, None, AT, Storage.ROOM)
    assert judge_stability((Stability(storage=Storage.ROOM, hours=8),), (unknown,)) is Holds.UNKNOWN


TEST = catalog.Test(
    code="K",
    names={},
    unit="mmol/L",
    volume_ul=50,
    stability=(Stability(storage=Storage.FRIDGE, hours=48),),
    open_tube_stability=(Stability(storage=Storage.FRIDGE, hours=6),),
)


def tube(**more):
    since = AT - timedelta(hours=10)
    facts = {
        "state": SpecimenState.STORED,
        "specimen_type": "SER",
        "storage": Storage.FRIDGE,
        "stays": (stay_since(since, since, AT, Storage.FRIDGE),),
        "opened_at": AT - timedelta(hours=2),
        "remaining_ul": 400,
        **more,
    }
    return TubeHere(**facts)


def test_S36_a_fit_tube_takes_the_test():
    assert not judge_add_on(TEST, tube(), at=AT).needs_new_tube


@pytest.mark.parametrize(
    ("more", "against"),
    [
        ({"state": SpecimenState.DISPOSED}, AgainstTube.NOT_HERE),
        ({"state": SpecimenState.REJECTED}, AgainstTube.NOT_HERE),
        ({"specimen_type": "WB"}, AgainstTube.OTHER_MATERIAL),
        ({"suspicion": "clot"}, AgainstTube.SUSPECT),
        ({"remaining_ul": None}, AgainstTube.VOLUME_UNKNOWN),
        ({"remaining_ul": 49}, AgainstTube.TOO_LITTLE),
        ({"opened_at": AT - timedelta(hours=7)}, AgainstTube.OPEN_EXPIRED),
        ({"stays": (stay_since(None, None, AT, Storage.FRIDGE),)}, AgainstTube.TIME_UNKNOWN),
    ],
)
def test_S36_anything_against_the_tube_means_a_new_one(more, against):
    assert judge_add_on(TEST, tube(**more), at=AT).against == (against,)


def test_S36_unknown_storage_means_a_new_tube():
    verdict = judge_add_on(TEST, tube(storage=None), at=AT)
    assert AgainstTube.STORAGE_UNKNOWN in verdict.against
