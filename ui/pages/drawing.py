"""Small pictures of numbers as plain geometry: the templates turn them into SVG attributes, never into styles.

A sparkline shows the last values on the band of the reference interval; a range bar shows where one value lies.
Both are pictures beside words that say the same: nothing is told by them alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SPARK_POINTS: Final = 12  # more are not told apart at this width
SPARK_WIDTH: Final = 84.0
SPARK_HEIGHT: Final = 22.0
SPARK_MARGIN: Final = 3.5
BAR_WIDTH: Final = 320.0
BAR_MARGIN: Final = 8.0
BAR_OUTSIDE: Final = 0.6  # of the interval's width, shown on either side of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """The last values, oldest on the left; `band` is y and height of the interval, if there is one."""

    points: tuple[tuple[float, float], ...]
    band: tuple[float, float] | None

    @property
    def path(self) -> str:
        """The line as an SVG path."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


def sparkline(values: Sequence[float], low: float | None, high: float | None) -> Sparkline | None:
    """The picture of at least two values, else None."""
    shown = tuple(values[-SPARK_POINTS:])
    if len(shown) < 2:
        return None
    known = [*shown, *(limit for limit in (low, high) if limit is not None)]
    bottom, span = min(known), (max(known) - min(known)) or 1.0
    inner = SPARK_HEIGHT - 2 * SPARK_MARGIN
    step = (SPARK_WIDTH - 2 * SPARK_MARGIN) / (len(shown) - 1)

    def y(value: float) -> float:
        return round(SPARK_MARGIN + inner * (1 - (value - bottom) / span), 1)

    points = tuple(
        (round(SPARK_MARGIN + place * step, 1), y(value)) for place, value in enumerate(shown)
    )
    if low is None and high is None:
        return Sparkline(points=points, band=None)
    top = 0.0 if high is None else y(high)
    end = SPARK_HEIGHT if low is None else y(low)
    return Sparkline(points=points, band=(top, max(round(end - top, 1), 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeBar:
    """Where the value lies: x of the value, and of the interval's ends (None: open on that side)."""

    value: float
    start: float
    end: float
    low: float | None
    high: float | None


def range_bar(value: float | None, low: float | None, high: float | None) -> RangeBar | None:
    """The picture of one value on its interval, else None."""
    if value is None or (low is None and high is None):
        return None
    floor = low if low is not None else 0.0
    ceiling = high if high is not None else max(floor * 2, value)
    width = (ceiling - floor) or 1.0
    left = floor - (width * BAR_OUTSIDE if low is not None else 0.0)
    right = ceiling + (width * BAR_OUTSIDE if high is not None else 0.0)

    def x(at: float) -> float:
        share = (at - left) / (right - left)
        return round(min(max(share * BAR_WIDTH, BAR_MARGIN), BAR_WIDTH - BAR_MARGIN), 1)

    return RangeBar(
        value=x(value),
        start=0.0 if low is None else x(low),
        end=BAR_WIDTH if high is None else x(high),
        low=None if low is None else x(low),
        high=None if high is None else x(high),
    )
