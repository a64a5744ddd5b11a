"""Do the bands of a reference interval cover every person, exactly once? A proof, or the places where it fails.

A band is `[from, to)` in hours at collection, for one sex or for both. The age axis of each sex is cut at every edge
of a band; between two edges nothing changes, so one look at each piece proves all of it: no band is a gap, more than one
an overlap. That is the whole proof: `choose_interval` gives a person one band exactly where this finds none of both.
A band of one sex is never counted for the other. Ages start at birth and have no end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lis.domain.catalog import Interval, Sex


class Flaw(StrEnum):
    GAP = "gap"  # nobody of this sex and age gets an interval, and so no flag
    OVERLAP = "overlap"  # two bands contradict each other


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverFlaw:
    """One stretch of one sex's ages where not exactly one band applies."""

    flaw: Flaw
    sex: Sex
    age_from_h: int
    age_to_h: int | None  # None: without end
    bands: tuple[Interval, ...] = ()  # those that overlap


def cover_flaws(bands: tuple[Interval, ...]) -> tuple[CoverFlaw, ...]:
    """Every stretch that is not covered exactly once; none at all means it is proved.

    A test without bands has nothing to prove: it flags nobody, and says so.
    """
    if not bands:
        return ()
    return tuple(flaw for sex in (Sex.FEMALE, Sex.MALE) for flaw in _joined(_flaws(bands, sex)))


def _flaws(bands: tuple[Interval, ...], sex: Sex) -> Iterator[CoverFlaw]:
    mine = tuple(band for band in bands if band.sex in (None, sex))
    edges = {0, *(band.age_from_h for band in mine)}
    edges |= {band.age_to_h for band in mine if band.age_to_h is not None}
    starts = sorted(edges)
    for begin, end in zip(starts, (*starts[1:], None), strict=True):
        here = tuple(band for band in mine if _covers(band, begin))
        if len(here) != 1:
            yield CoverFlaw(
                flaw=Flaw.OVERLAP if here else Flaw.GAP,
                sex=sex,
                age_from_h=begin,
                age_to_h=end,
                bands=here,
            )


def _covers(band: Interval, age_h: int) -> bool:
    return band.age_from_h <= age_h and (band.age_to_h is None or age_h < band.age_to_h)


def _joined(flaws: Iterator[CoverFlaw]) -> Iterator[CoverFlaw]:
    """Neighbouring pieces with the same flaw, as one stretch."""
    waiting: CoverFlaw | None = None
    for flaw in flaws:
        if (
            waiting is not None
            and (waiting.flaw, waiting.bands) == (flaw.flaw, flaw.bands)
            and waiting.age_to_h == flaw.age_from_h
        ):
            flaw = CoverFlaw(  # noqa: PLW2901 - the longer stretch takes the place of both
                flaw=flaw.flaw,
                sex=flaw.sex,
                age_from_h=waiting.age_from_h,
                age_to_h=flaw.age_to_h,
                bands=flaw.bands,
            )
        elif waiting is not None:
            yield waiting
        waiting = flaw
    if waiting is not None:
        yield waiting
