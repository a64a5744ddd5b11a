"""Which analyzer measures one test of one tube now: pure, from facts to a verdict that says why.

Every analyzer of the laboratory is judged, and every reason is kept, for and against, so that the choice can be
explained afterwards (promise 5). A reason has one of three weights:

    never    the analyzer must not or cannot have it
             other site, no such test, not its section, stopped by a person, instrument or test in quarantine, control
             rejected, reagent used up or expired, too little material, it refused this very order
    worse    it may have it, but any analyzer without such a reason goes before it
             control missing or overdue (what it measures will be held), silent, no connection, reagent unknown
    better   what speaks for it

    able = no `never`.  Among the able:  routed there by a person
                                         > free of the first `worse` of the list below, then of the second, ...
                                         > it was told already (moving work costs a run)
                                         > least load > name

    the order in which `worse` counts:  control missing, control overdue, no connection, silent, reagent unknown

An urgent order looks at load before it looks where work lies already, and the tubes that stand before it count by
their urgency: only urgent ones delay it. A control that is missing or overdue under a running exception of a named
person counts as open (S02); a rejected one never does (S01). A routing by a person goes before every preference and
before no `never`: nobody can send a tube to a closed gate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from lis.domain.control import GateAnswer

URGENT: Final = frozenset({"S", "A"})


class Weight(StrEnum):
    """What a reason does."""

    NEVER = "never"
    WORSE = "worse"
    BETTER = "better"


class Why(StrEnum):
    """Every reason that can speak; each is a text of `lis.words` under `routing.why`."""

    # never
    OTHER_SITE = "other_site"
    NO_SUCH_TEST = "no_such_test"
    OTHER_SECTION = "other_section"
    STOPPED = "stopped"
    QUARANTINED = "quarantined"
    TEST_QUARANTINED = "test_quarantined"
    GATE_REJECTED = "gate_rejected"
    REAGENT_OUT = "reagent_out"
    REAGENT_EXPIRED = "reagent_expired"
    TOO_LITTLE = "too_little"
    REFUSED = "refused"
    # worse, in the order in which they count
    GATE_MISSING = "gate_missing"
    GATE_OVERDUE = "gate_overdue"
    NOT_CONNECTED = "not_connected"
    SILENT = "silent"
    REAGENT_UNKNOWN = "reagent_unknown"
    # better
    CHOSEN_BY_PERSON = "chosen_by_person"
    GATE_OPEN = "gate_open"
    GATE_EXCUSED = "gate_excused"
    GATE_NOT_NEEDED = "gate_not_needed"
    REAGENT_READY = "reagent_ready"
    TOLD_ALREADY = "told_already"
    LOAD = "load"


WORSE: Final = (
    Why.GATE_MISSING,
    Why.GATE_OVERDUE,
    Why.NOT_CONNECTED,
    Why.SILENT,
    Why.REAGENT_UNKNOWN,
)
BETTER: Final = (
    Why.CHOSEN_BY_PERSON,
    Why.GATE_OPEN,
    Why.GATE_EXCUSED,
    Why.GATE_NOT_NEEDED,
    Why.REAGENT_READY,
    Why.TOLD_ALREADY,
    Why.LOAD,
)


def weight_of(why: Why) -> Weight:
    """What this reason does; whatever is in neither list excludes."""
    if why in BETTER:
        return Weight.BETTER
    return Weight.WORSE if why in WORSE else Weight.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class ReagentFacts:
    """What stock or the analyzer itself last said of the reagent of one test."""

    tests_left: int | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many work orders stand before this one."""

    urgent: int = 0
    routine: int = 0

    @property
    def all(self) -> int:
        return self.urgent + self.routine


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is known of one analyzer and one test now."""

    device_id: int
    name: str
    site_id: int
    measures: bool  # the catalog maps the test to its driver
    sections: frozenset[str] = frozenset()  # none: every section
    stopped: str = ""  # a person took it out, and why
    is_quarantined: bool = False
    is_test_quarantined: bool = False
    gate: GateAnswer | None = None  # None: the test needs no control of ours
    is_excused: bool = False
    reagent: ReagentFacts | None = None  # None: nobody says
    dead_volume_ul: int = 0
    is_connected: bool = True
    is_silent: bool = False
    has_refused: bool = False
    was_told: bool = False
    load: Load = Load()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFacts:
    """One work order, and everybody who might have it."""

    test: str
    site_id: int
    at: datetime
    candidates: tuple[Candidate, ...]
    section: str = ""
    priority: str = "R"
    volume_ul: int | None = None  # left in the tube; None: not known
    needed_ul: int | None = None  # for this test; None: not known
    pinned_device_id: int | None = None  # a person said so


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, and what it rests on."""

    why: Why
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def weight(self) -> Weight:
        return weight_of(self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One analyzer with everything that spoke for and against it."""

    device_id: int
    name: str
    reasons: tuple[Reason, ...]

    @property
    def is_able(self) -> bool:
        return all(reason.weight is not Weight.NEVER for reason in self.reasons)

    @property
    def never(self) -> tuple[Why, ...]:
        return tuple(one.why for one in self.reasons if one.weight is Weight.NEVER)

    def has(self, why: Why) -> bool:
        return any(reason.why is why for reason in self.reasons)


class Outcome(StrEnum):
    """How the choice ended; each is a text of `lis.words` under `routing.outcome`."""

    CHOSEN = "chosen"
    NOBODY_MEASURES = "nobody_measures"  # no analyzer of the site has this test: it is done by hand
    NOBODY_MAY = "nobody_may"  # some have it, and none may have it now


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingVerdict:
    """The choice, and everybody it was made among, best first."""

    outcome: Outcome
    device_id: int | None
    judged: tuple[Judged, ...]

    @property
    def able_ids(self) -> tuple[int, ...]:
        return tuple(one.device_id for one in self.judged if one.is_able)

    def of(self, device_id: int) -> Judged | None:
        return next((one for one in self.judged if one.device_id == device_id), None)


class _Rank(IntEnum):
    ABLE = 0
    NOT_ABLE = 1


def choose_instrument(facts: RoutingFacts) -> RoutingVerdict:
    """Judge every analyzer and choose the best of the able ones, if there is one."""
    pairs = [(one, judge(facts, one)) for one in facts.candidates]
    pairs.sort(key=lambda pair: _rank(facts, *pair))
    judged = tuple(one for _, one in pairs)
    if judged and judged[0].is_able:
        return RoutingVerdict(outcome=Outcome.CHOSEN, device_id=judged[0].device_id, judged=judged)
    is_known = any(one.measures and one.site_id == facts.site_id for one in facts.candidates)
    outcome = Outcome.NOBODY_MAY if is_known else Outcome.NOBODY_MEASURES
    return RoutingVerdict(outcome=outcome, device_id=None, judged=judged)


def judge(facts: RoutingFacts, candidate: Candidate) -> Judged:
    """Everything that speaks for and against one analyzer; no reason hides another."""
    reasons = (
        *_place(facts, candidate),
        *_gate(candidate),
        *_reagent(facts, candidate),
        *_material(facts, candidate),
        *_work(facts, candidate),
    )
    return Judged(device_id=candidate.device_id, name=candidate.name, reasons=tuple(reasons))


def _place(facts: RoutingFacts, one: Candidate) -> Iterable[Reason]:
    if one.site_id != facts.site_id:
        yield Reason(why=Why.OTHER_SITE)
    if not one.measures:
        yield Reason(why=Why.NO_SUCH_TEST)
    if one.sections and facts.section not in one.sections:
        yield Reason(why=Why.OTHER_SECTION, facts={"section": facts.section})
    if one.stopped:
        yield Reason(why=Why.STOPPED, facts={"reason": one.stopped})
    if one.is_quarantined:
        yield Reason(why=Why.QUARANTINED)
    if one.is_test_quarantined:
        yield Reason(why=Why.TEST_QUARANTINED)
    if not one.is_connected:
        yield Reason(why=Why.NOT_CONNECTED)
    if one.is_silent:
        yield Reason(why=Why.SILENT)


_CLOSED: Final = {GateAnswer.MISSING: Why.GATE_MISSING, GateAnswer.OVERDUE: Why.GATE_OVERDUE}


def _gate(one: Candidate) -> Iterable[Reason]:
    if one.gate is None:
        yield Reason(why=Why.GATE_NOT_NEEDED)
    elif one.gate is GateAnswer.REJECTED:
        yield Reason(why=Why.GATE_REJECTED)
    elif one.gate is GateAnswer.OPEN:
        yield Reason(why=Why.GATE_OPEN)
    elif one.is_excused:
        yield Reason(why=Why.GATE_EXCUSED)
    else:
        yield Reason(why=_CLOSED[one.gate])


def _reagent(facts: RoutingFacts, one: Candidate) -> Iterable[Reason]:
    if one.reagent is None:
        yield Reason(why=Why.REAGENT_UNKNOWN)
        return
    left, until = one.reagent.tests_left, one.reagent.valid_until
    said = {"left": "" if left is None else str(left)}
    is_out = left is not None and left <= 0
    is_expired = until is not None and until <= facts.at
    if is_out:
        yield Reason(why=Why.REAGENT_OUT)
    if is_expired:
        yield Reason(why=Why.REAGENT_EXPIRED)
    if not is_out and not is_expired:
        yield Reason(why=Why.REAGENT_READY, facts=said)


def _material(facts: RoutingFacts, one: Candidate) -> Iterable[Reason]:
    """Unknown volumes exclude nobody: the analyzer sees its level itself."""
    if facts.volume_ul is None or facts.needed_ul is None:
        return
    needed = facts.needed_ul + one.dead_volume_ul
    if facts.volume_ul < needed:
        said = {"needed": str(needed), "left": str(facts.volume_ul)}
        yield Reason(why=Why.TOO_LITTLE, facts=said)


def _work(facts: RoutingFacts, one: Candidate) -> Iterable[Reason]:
    if one.has_refused:
        yield Reason(why=Why.REFUSED)
    if facts.pinned_device_id == one.device_id:
        yield Reason(why=Why.CHOSEN_BY_PERSON)
    if one.was_told:
        yield Reason(why=Why.TOLD_ALREADY)
    yield Reason(why=Why.LOAD, facts={"count": str(_before(facts, one))})


def _before(facts: RoutingFacts, one: Candidate) -> int:
    """What stands before this order: only urgent work delays urgent work."""
    return one.load.urgent if facts.priority in URGENT else one.load.all


def _rank(facts: RoutingFacts, one: Candidate, judged: Judged) -> tuple[object, ...]:
    able = _Rank.ABLE if judged.is_able else _Rank.NOT_ABLE
    worse = tuple(judged.has(why) for why in WORSE)
    is_elsewhere = not one.was_told
    load = _before(facts, one)
    work = (load, is_elsewhere) if facts.priority in URGENT else (is_elsewhere, load)
    not_pinned = facts.pinned_device_id != one.device_id
    return (able, not_pinned, worse, work, one.name, one.device_id)
