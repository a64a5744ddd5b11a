"""Is an analyte still what it was? Pure; what is not known is said to be unknown (S35, S36).

The catalog states for each test how many hours it holds in each storage. A tube that stood in several places has used
a share of each limit (hours there / hours it may stand there); it is past its time when the shares together exceed one.
That is stricter than each limit on its own. A time or a storage that nobody knows gives two sums, the best and the
worst case:

    worst <= 1            stable, however it was
    best > 1              expired, however it was
    else                  unknown: a person decides
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from lis.domain.catalog import Stability, Storage


class Holds(StrEnum):
    """Whether an analyte is within its time."""

    NOT_STATED = "not_stated"  # the catalog sets no limit
    STABLE = "stable"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One stay of a tube, at the least and at the most this long. Storage None: nobody knows."""

    storage: Storage | None
    shortest: timedelta
    longest: timedelta | None  # None: nobody knows


def stay_since(
    earliest: datetime | None, latest: datetime | None, at: datetime, storage: Storage | None
) -> Stay:
    """The stay from a moment that is known within a period; one end missing is unknown on that side."""
    return Stay(
        storage=storage,
        shortest=max(at - latest, timedelta(0)) if latest else timedelta(0),
        longest=max(at - earliest, timedelta(0)) if earliest else None,
    )


def judge_stability(limits: Sequence[Stability], stays: Sequence[Stay]) -> Holds:
    """Whether stays of a tube are within the limits of one test."""
    if not limits:
        return Holds.NOT_STATED
    hours = {one.storage: one.hours for one in limits}
    worst: Fraction | None = Fraction(0)
    best = Fraction(0)
    for stay in stays:
        best += _share(stay.shortest, _mildest(hours, stay.storage))
        strictest = _strictest(hours, stay.storage)
        if worst is None or stay.longest is None or strictest is None:
            worst = None
        else:
            worst += _share(stay.longest, strictest)
    if best > 1:
        return Holds.EXPIRED
    return Holds.STABLE if worst is not None and worst <= 1 else Holds.UNKNOWN


def _mildest(hours: dict[Storage, int], storage: Storage | None) -> int | None:
    """The longest time it may have had; None: no limit can be shown to be passed."""
    if storage is not None:
        return hours.get(storage)
    return max(hours.values()) if len(hours) == len(Storage) else None


def _strictest(hours: dict[Storage, int], storage: Storage | None) -> int | None:
    """The shortest time it may have had; None: it cannot be shown to be kept."""
    if storage is not None:
        return hours.get(storage)
    return min(hours.values()) if len(hours) == len(Storage) else None


def _share(stood: timedelta, limit_h: int | None) -> Fraction:
    if limit_h is None or not stood:
        return Fraction(0)
    if limit_h <= 0:
        return Fraction(2)  # must be measured at once
    return Fraction(stood // timedelta(microseconds=1), limit_h * 3_600_000_000)
