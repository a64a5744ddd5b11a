"""Proofs of cover, against a slow oracle that asks for the interval of every age (S38)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.catalog import Interval, PatientFacts, Sex, choose_interval
from lis.domain.interval_cover import Flaw, cover_flaws

BIRTH = datetime(2020, 2, 29, tzinfo=UTC)
HOURS_MAX = 24  # small ages, so that the oracle can ask for every one of them


def band(begin, end, sex=None):
    return Interval(sex=sex, age_from_h=begin, age_to_h=end, low=Decimal(1), high=Decimal(2))


def test_one_band_for_everybody_is_proved():
    assert cover_flaws((band(0, None),)) == ()


def test_no_bands_are_nothing_to_prove():
    assert cover_flaws(()) == ()


def test_a_gap_is_named_with_its_sex_and_ages():
    (flaw,) = cover_flaws(
        (band(0, 24, Sex.FEMALE), band(48, None, Sex.FEMALE), band(0, None, Sex.MALE))
    )
    assert (flaw.flaw, flaw.sex, flaw.age_from_h, flaw.age_to_h) == (Flaw.GAP, Sex.FEMALE, 24, 48)


def test_the_other_sex_never_fills_a_gap():
    """A peer used the band of the opposite sex where the same sex had none."""
    flaws = cover_flaws((band(0, None, Sex.MALE),))
    assert [(flaw.flaw, flaw.sex, flaw.age_to_h) for flaw in flaws] == [
        (Flaw.GAP, Sex.FEMALE, None)
    ]


def test_an_overlap_names_the_bands():
    one, other = band(0, 48), band(24, None)
    flaws = cover_flaws((one, other))
    assert {(flaw.sex, flaw.age_from_h, flaw.age_to_h) for flaw in flaws} == {
        (Sex.FEMALE, 24, 48),
        (Sex.MALE, 24, 48),
    }
    assert all(flaw.bands == (one, other) for flaw in flaws)


def test_a_border_belongs_to_the_band_that_begins_there():
    bands = (band(0, 24), band(24, None))
    assert cover_flaws(bands) == ()
    person = PatientFacts(sex=Sex.FEMALE, birth=BIRTH)
    before = choose_interval(bands, person, BIRTH + timedelta(hours=24, seconds=-1))
    after = choose_interval(bands, person, BIRTH + timedelta(hours=24))
    assert (before.interval, after.interval) == bands


ENDS = st.one_of(st.none(), st.integers(1, HOURS_MAX))
BANDS = st.lists(
    st.tuples(
        st.integers(0, HOURS_MAX), ENDS, st.sampled_from([None, Sex.FEMALE, Sex.MALE])
    ).filter(lambda made: made[1] is None or made[1] > made[0]),
    min_size=1,
    max_size=5,
).map(lambda made: tuple(band(*one) for one in made))


@given(BANDS, st.sampled_from([Sex.FEMALE, Sex.MALE]), st.integers(0, HOURS_MAX + 2))
def test_the_proof_says_what_asking_every_age_says(bands, sex, age_h):
    flaws = [
        flaw
        for flaw in cover_flaws(bands)
        if flaw.sex is sex
        and flaw.age_from_h <= age_h
        and (flaw.age_to_h is None or age_h < flaw.age_to_h)
    ]
    person = PatientFacts(sex=sex, birth=BIRTH)
    choice = choose_interval(bands, person, BIRTH + timedelta(hours=age_h))
    expected = {"": [], "no_band": [Flaw.GAP], "several_bands": [Flaw.OVERLAP]}[choice.reason]
    assert [flaw.flaw for flaw in flaws] == expected


@pytest.mark.parametrize("edge", [0, 1, 24])
def test_stretches_with_the_same_flaw_are_told_as_one(edge):
    flaws = cover_flaws((band(edge, edge + 1, Sex.MALE), band(edge + 1, None, Sex.MALE)))
    assert [flaw.age_from_h for flaw in flaws if flaw.sex is Sex.FEMALE] == [0]
