"""Quality control shared by floors: control points, QC events, and the gate.

Theory of operation. A *run* (QC event) is every level of a test's control plan measured together on
one instrument. `lis.qc` judges runs and keeps, per gate key, the ordered history of events as a
`GateState`: a stored projection that only `lis.qc` writes. Everybody else asks one pure question,
`gate_at(state, at)`: may a result measured at `at` leave?

The answer belongs to the measurement, not to the present moment (S01). Let `before` be the last event at
or before `at`, and `after` the first event after it:

    `before` rejected (or opened only by repeating until it passed) -> REJECTED
    `after` rejected                     -> REJECTED  (the failure may have begun before `at`)
    no `before`                          -> MISSING
    `at` - `before` > window             -> OVERDUE
    else                                 -> OPEN

Rejections come first because MISSING and OVERDUE can be excused by a named person (S02), and a rejection
never. So a lucky repeat never frees what was measured between the last accepted event and the failure,
and late, repeated or reordered controls give the same verdicts, because events are ordered by analysis
time.

A run that passes after a rejection opens the gate only if somebody recorded a corrective action in
between (S11). That is a property of the whole history, so it is computed from it by `settled`: a run
that passes *needs action* while no action lies after the last rejection and at or before the run.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

GATE_WINDOW_DEFAULT = timedelta(
    hours=24
)  # S01: since the last accepted event, never a calendar day
GATE_EVENTS_KEPT = 128  # history in one projection: a month of 4 runs a day; older results wait


class QcPolicy(StrEnum):
    """What stands behind a test's results (S01); `NONE` needs a named approver in the catalog."""

    EXTERNAL = "external"
    INTERNAL = "internal"  # the cartridge carries its own control
    NONE = "none"


class RunVerdict(StrEnum):
    """What a judged control run allows."""

    ACCEPTED = "accepted"
    WARNED = "warned"  # accepted, with a warning rule
    REJECTED = "rejected"
    PENDING = "pending"  # levels still missing: neither opens nor closes


PASSING = (RunVerdict.ACCEPTED, RunVerdict.WARNED)


class GateAnswer(StrEnum):
    OPEN = "open"
    MISSING = "qc_missing"
    OVERDUE = "qc_overdue"
    REJECTED = "qc_rejected"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class GateKey:
    """What one gate stands for (S01)."""

    device_id: int
    test: str  # catalog code
    module: str = ""
    reagent_lot: str = ""
    specimen_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvent:
    """One judged control run in a gate's history."""

    at: datetime  # analysis time of the run's last level
    verdict: RunVerdict
    run_id: int  # ControlRun row
    needs_action: bool = False  # passed after a rejection without a recorded action: stays closed


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """The history of one gate, ordered by analysis time, newest last; PENDING runs are not in it."""

    key: GateKey
    events: tuple[GateEvent, ...] = ()
    window: timedelta = GATE_WINDOW_DEFAULT
    actions: tuple[datetime, ...] = ()  # when corrective actions were recorded, oldest first

    @property
    def valid_until(self) -> datetime | None:
        """When the gate falls overdue; None while it is not open."""
        if not self.events or not _opens(self.events[-1]):
            return None
        return self.events[-1].at + self.window


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """The answer, and the events it rests on (promise 5)."""

    answer: GateAnswer
    before: GateEvent | None = None
    after: GateEvent | None = None

    @property
    def is_open(self) -> bool:
        return self.answer is GateAnswer.OPEN


def _opens(event: GateEvent) -> bool:
    return event.verdict in PASSING and not event.needs_action


def gate_at(state: GateState | None, at: datetime) -> GateVerdict:
    """May a result measured at `at` leave? See the module's theory of operation."""
    if state is None or not state.events:
        return GateVerdict(answer=GateAnswer.MISSING)
    position = bisect_right(state.events, at, key=lambda event: event.at)
    before = state.events[position - 1] if position else None
    after = state.events[position] if position < len(state.events) else None
    return GateVerdict(answer=_answer(before, after, at, state.window), before=before, after=after)


def _answer(
    before: GateEvent | None, after: GateEvent | None, at: datetime, window: timedelta
) -> GateAnswer:
    if before is not None and not _opens(before):
        return GateAnswer.REJECTED
    if after is not None and after.verdict is RunVerdict.REJECTED:
        return GateAnswer.REJECTED
    if before is None:
        return GateAnswer.MISSING
    return GateAnswer.OVERDUE if at - before.at > window else GateAnswer.OPEN


_STRICTNESS = (GateAnswer.OPEN, GateAnswer.OVERDUE, GateAnswer.MISSING, GateAnswer.REJECTED)


def strictest(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """The verdict that holds most: for a result that several gates may stand for (S37)."""
    return max(
        verdicts,
        key=lambda verdict: _STRICTNESS.index(verdict.answer),
        default=GateVerdict(answer=GateAnswer.MISSING),
    )


def settled(state: GateState, events: Iterable[GateEvent]) -> GateState:
    """`state` with these events in clinical order, each knowing whether it needs an action.

    At equal times a rejection comes last, so it decides. Only the newest events are kept; a
    measurement older than all of them finds no event before it and waits.
    """
    ordered = sorted(
        (event for event in events if event.verdict is not RunVerdict.PENDING),
        key=lambda event: (event.at, event.verdict is RunVerdict.REJECTED, event.run_id),
    )
    kept = _with_needs(ordered, state.actions)[-GATE_EVENTS_KEPT:]
    return replace(state, events=kept)


def _with_needs(
    events: Iterable[GateEvent], actions: tuple[datetime, ...]
) -> tuple[GateEvent, ...]:
    rejected_at: datetime | None = None  # of the last rejection that nobody has acted on
    done: list[GateEvent] = []
    for event in events:
        if event.verdict is RunVerdict.REJECTED:
            rejected_at, needs_action = event.at, False
        elif not done and event.needs_action:  # its rejection was forgotten: still unresolved
            rejected_at, needs_action = event.at, True
        else:
            if rejected_at is not None and _acted(actions, after=rejected_at, until=event.at):
                rejected_at = None
            needs_action = rejected_at is not None
        is_same = event.needs_action is needs_action
        done.append(event if is_same else replace(event, needs_action=needs_action))
    return tuple(done)


def _acted(actions: tuple[datetime, ...], *, after: datetime, until: datetime) -> bool:
    return any(after < action <= until for action in actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateExcuse:
    """A named person answers for a gate whose control is due, overdue or missing (S02)."""

    id: int
    device_id: int
    test: str
    reason: str
    granted_by: str
    granted_at: datetime
    ends_at: datetime


def excuse_for(
    verdict: GateVerdict, excuses: Iterable[GateExcuse], *, measured_at: datetime, now: datetime
) -> GateExcuse | None:
    """The exception that lets this result go now, if any; never for a rejection (S02).

    It covers what was measured before it ends, and only while it runs. Whoever releases by it puts
    its comment on the report.
    """
    if verdict.answer not in (GateAnswer.MISSING, GateAnswer.OVERDUE):
        return None
    running = (
        excuse
        for excuse in excuses
        if excuse.granted_at <= now < excuse.ends_at and measured_at < excuse.ends_at
    )
    return max(running, key=lambda excuse: excuse.ends_at, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTarget:
    """Target and SD of one level in force when a point is measured; never recomputed later."""

    lot_id: int
    level_id: int
    level: str  # "L1"
    mean: Decimal
    sd: Decimal
    target_id: int
    material_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMeasurement:
    """One control result, ready to be judged: exact decimals, its own target."""

    at: datetime
    value: Decimal | None  # None: censored or not numeric; never opens a gate (S11)
    target: ControlTarget
    is_flagged: bool = False  # may close a gate, never opens one
    is_void: bool = False  # taken out by a person; its run no longer opens (S01)
    key: str = ""  # S19: tells a resend from a second measurement
    reported: str = ""
