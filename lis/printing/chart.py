"""What a control chart shows, as values: points, levels, runs, events, words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

GAP_DEFAULT = timedelta(days=3)  # a longer silence breaks the line


class Mark(StrEnum):
    """What happened to a point."""

    ACCEPTED = "accepted"
    WARNED = "warned"
    REJECTED = "rejected"
    PENDING = "pending"
    VOID = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """One control value; `run` counts the chart's runs from 0."""

    run: int
    z: float
    value: str  # as people read it, with unit
    mark: Mark = Mark.ACCEPTED
    rules: tuple[str, ...] = ()
    id: int = 0
    has_comment: bool = False
    starts_anew: bool = False  # another lot or target than the point before


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLevel:
    """One level, its points in run order."""

    label: str  # L1
    caption: str  # "L1: 2.80 ± 0.08"
    points: tuple[ChartPoint, ...]
    scale: tuple[str, ...] = ()  # own units at -3 ... +3 SD, drawn when it is the only level
    place: int = -1  # its colour and shape, the same whatever else is drawn; -1: by its position


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRun:
    """One place on the x axis."""

    at: datetime
    time: str  # whole, for the tooltip
    tick: str  # short, for the axis


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEvent:
    """A vertical line before a run: a new lot, a new target, a corrective action."""

    run: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The chart's words, in the reader's language."""

    title: str
    description: str
    sd: str = "SD"
    mean: str = "x\u0304"
    empty: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything one chart shows."""

    labels: Labels
    runs: tuple[ChartRun, ...]
    levels: tuple[ChartLevel, ...]
    events: tuple[ChartEvent, ...] = ()
    gap: timedelta = GAP_DEFAULT
