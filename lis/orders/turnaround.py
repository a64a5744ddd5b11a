"""The turnaround clock of one test, and of an order: pure.

The clock starts when the tube is received: before that the laboratory cannot work, and the list says what it
waits for instead. The target is the catalog's, by priority class. A class that the catalog does not name takes
the target of the next less urgent one that it names, never that of a more urgent one: nothing is promised that
nobody wrote down. A test without any target has a clock that shows its age and is never late.

The clock stops when the result may be seen outside. A cancelled test has no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

URGENCY: Final = (
    "S",
    "A",
    "T",
    "C",
    "R",
)  # HL7 0027 and 0485: stat, asap, timed, callback, routine
ROUTINE: Final = "R"
SOON_SHARE: Final = 0.75  # of the target: from here on a person can still make it


class TatState(StrEnum):
    """How an order stands against its promised time."""

    OVERDUE = "overdue"
    SOON = "soon"
    RUNNING = "running"
    NO_TARGET = "no_target"
    WAITING = "waiting"  # the tube is not here yet
    MISSED = "missed"  # done, but late
    MET = "met"
    CANCELLED = "cancelled"


_WORST_FIRST: Final = tuple(TatState)
OPEN: Final = frozenset({TatState.OVERDUE, TatState.SOON, TatState.RUNNING, TatState.NO_TARGET})


@dataclass(frozen=True, slots=True, kw_only=True)
class TatFacts:
    """What the clock needs to know of one test on one tube."""

    targets: Mapping[str, int]  # priority class -> minutes
    priority: str
    received_at: datetime | None
    done_at: datetime | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnaround:
    """What the clock says at a moment."""

    state: TatState
    target: timedelta | None = None
    due_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


def target_minutes(targets: Mapping[str, int], priority: str) -> int | None:
    """The minutes for a class, or for the next less urgent one that is named."""
    known = priority if priority in URGENCY else ROUTINE
    less_urgent = URGENCY[URGENCY.index(known) :]
    return next((targets[one] for one in less_urgent if one in targets), None)


def turnaround(facts: TatFacts, at: datetime) -> Turnaround:
    """What the clock of one test says at `at`."""
    if facts.is_cancelled:
        return Turnaround(state=TatState.CANCELLED)
    minutes = target_minutes(facts.targets, facts.priority)
    target = None if minutes is None else timedelta(minutes=minutes)
    if facts.received_at is None:
        state = TatState.WAITING if facts.done_at is None else TatState.NO_TARGET
        return Turnaround(state=state, target=target)
    if target is None:
        state = TatState.NO_TARGET if facts.done_at is None else TatState.MET
        return Turnaround(state=state)
    due_at = facts.received_at + target
    return Turnaround(state=_state(facts, target, due_at, at), target=target, due_at=due_at)


def _state(facts: TatFacts, target: timedelta, due_at: datetime, at: datetime) -> TatState:
    if facts.done_at is not None:
        return TatState.MET if facts.done_at <= due_at else TatState.MISSED
    if at > due_at:
        return TatState.OVERDUE
    assert facts.received_at is not None, "a due time has a beginning"
    return TatState.SOON if at - facts.received_at >= target * SOON_SHARE else TatState.RUNNING


def of_order(clocks: Iterable[Turnaround]) -> Turnaround:
    """The clock of a whole order: its worst test, and of equally bad ones the earliest due."""
    return min(
        clocks,
        key=lambda one: (
            _WORST_FIRST.index(one.state),
            one.due_at is None,
            one.due_at.timestamp() if one.due_at else 0.0,
        ),
        default=Turnaround(state=TatState.CANCELLED),
    )
