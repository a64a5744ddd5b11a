"""Westgard's multirule, exactly.

Theory of operation. A *run* holds the points of all levels of one test that are judged together. Every
point becomes a *mark*: for the limits of 0, 1, 2 and 3 SD, on which side of the limit it lies. A
rule then asks only whether enough marks lie beyond the same limit on the same side:

    rule   points  limit  looks at
    1_2s   1       2 SD   each point                       (a warning; never alone a rejection)
    1_3s   1       3 SD   each point
    2_2s   2       2 SD   one level over runs; adjacent levels within the run
    R_4s   2       2 SD   levels within the run, on opposite sides; never over runs
    4_1s   4       1 SD   one level over runs; all levels over runs
    10x    10      mean   one level over runs; all levels over runs

What the sources leave open is a convention, kept beside every verdict:

* "beyond" is strict by default. A value is compared with its limit in exact decimals: 0.3 against
  0.1 +- 0.1 lies on the 2 SD limit, where binary floats say 1.9999999999999998 SD.
* A point on the mean is on neither side, also when limits are inclusive, and ends a 10x.
* R_4s reads both limits (one level above +2 SD, another below -2 SD), or the difference of 4 SD.
* A rejected run ends every window (`BREAK`), is left out (`SKIP_REJECTED`), or counts (`ALL`).
* A run that starts anew (corrective action, calibration) ends every window. Another mean or SD ends the
  windows of that level; so does a new lot, which is another series. Both end the windows over levels.
* Fewer points than a rule needs: the rule is silent, never violated.
* Over-level windows are asked only of a run that is complete. A rule that fired on half a run could
  be taken back by its other half; all other rules can only gain violations as points of a run arrive.

A point that cannot be relied on (flagged by the instrument) may reject by itself, but enters no window.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation, Rounded
from enum import StrEnum
from itertools import combinations

from lis.domain.errors import Malformed
from lis.domain.quantity import NUMBER_LENGTH_MAX

# Digits: 40 characters with three-digit exponents (lis.domain.quantity) subtract to 2,080 digits and
# multiply to 4,160. The traps make any rounding an error instead of a wrong verdict.
_EXACT = Context(prec=5_000, traps=[Inexact, Rounded, InvalidOperation])
EXPONENT_MAX = 999
WINDOW_POINTS_MAX = 10  # the longest rule: 10x


class Compare(StrEnum):
    """Whether a point on the limit is beyond it."""

    STRICT = "strict"
    INCLUSIVE = "inclusive"


class RangeReading(StrEnum):
    """How R_4s is read."""

    LIMITS = "limits"
    DIFFERENCE = "difference"


class Mode(StrEnum):
    """What a rejected run does to later windows."""

    BREAK = "break"
    SKIP_REJECTED = "skip_rejected"
    ALL = "all"


class Pairs(StrEnum):
    """Which two levels of a run make a 2_2s."""

    ADJACENT = "adjacent"
    ANY = "any"


class Severity(StrEnum):
    WARN = "warn"
    REJECT = "reject"


class Scope(StrEnum):
    """Where a rule looks for its points."""

    LEVEL = "level"
    PAIR = "pair"
    RANGE = "range"
    ACROSS = "across"


RUN_LABEL = "run"  # violated within the run, by several levels
ACROSS_LABEL = "across"  # violated by several levels over runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table above."""

    code: str
    points: int
    limit: int  # in SD; 0 = the mean
    severity: Severity
    scopes: tuple[Scope, ...]


RULES: Mapping[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule(code="1_2s", points=1, limit=2, severity=Severity.WARN, scopes=(Scope.LEVEL,)),
        Rule(code="1_3s", points=1, limit=3, severity=Severity.REJECT, scopes=(Scope.LEVEL,)),
        Rule(
            code="2_2s",
            points=2,
            limit=2,
            severity=Severity.REJECT,
            scopes=(Scope.LEVEL, Scope.PAIR),
        ),
        Rule(code="R_4s", points=2, limit=2, severity=Severity.REJECT, scopes=(Scope.RANGE,)),
        Rule(
            code="4_1s",
            points=4,
            limit=1,
            severity=Severity.REJECT,
            scopes=(Scope.LEVEL, Scope.ACROSS),
        ),
        Rule(
            code="10x",
            points=10,
            limit=0,
            severity=Severity.REJECT,
            scopes=(Scope.LEVEL, Scope.ACROSS),
        ),
    )
}
_LIMITS = tuple(Decimal(limit) for limit in range(4))  # 0 to 3 SD


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """How the rules are read; kept with every verdict so that any past day can be judged again."""

    rules: tuple[str, ...] = tuple(RULES)
    compare: Compare = Compare.STRICT
    r4s: RangeReading = RangeReading.LIMITS
    mode: Mode = Mode.BREAK
    pairs: Pairs = Pairs.ADJACENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One control value with the mean and SD in force when it was measured."""

    level: str  # as people name it: L1
    place: int  # of the level in the plan, lowest first: adjacent levels differ by one
    value: Decimal
    mean: Decimal
    sd: Decimal
    series: str = ""  # the material, lot and level it belongs to; the level's name when empty
    is_usable: bool = True

    def __post_init__(self) -> None:
        for number in (self.value, self.mean, self.sd):
            if not _is_measurement(number):
                expected = "a number of 40 digits and a three-digit exponent at most"
                raise Malformed(expected=expected, got=str(number)[:50], where=self.level)
        if self.sd <= 0:
            raise Malformed(expected="an SD above zero", got=str(self.sd), where=self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The points judged together, in level order."""

    points: tuple[Point, ...]
    starts_anew: bool = False  # windows end before this run
    is_complete: bool = True  # nothing more can come


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Every rule that spoke, with the levels it named; no violation = nothing to say."""

    violations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def severity(self) -> Severity | None:
        """The gravest severity of the rules that fired."""
        found = {RULES[code].severity for code in self.violations}
        return max(found, key=list(Severity).index, default=None)

    @property
    def is_rejected(self) -> bool:
        return self.severity is Severity.REJECT


@dataclass(frozen=True, slots=True)
class _Mark:
    """A point as the rules see it: `sides[k]` is +1, -1 or 0 against the limit of k SD."""

    point: Point
    sides: tuple[int, ...]

    @property
    def series(self) -> str:
        return self.point.series or self.point.level


_Marks = tuple[_Mark, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What earlier runs leave for later ones: the open windows, and the target of each series."""

    levels: Mapping[str, _Marks] = field(default_factory=dict)
    across: _Marks = ()
    targets: Mapping[str, tuple[str, Decimal, Decimal]] = field(default_factory=dict)


NO_HISTORY = History()


def judge(runs: Iterable[Run], conventions: Conventions) -> tuple[Judgement, ...]:
    """The verdicts of a whole series, in order."""
    history, judgements = NO_HISTORY, []
    for run in runs:
        judgement, history = judge_run(history, run, conventions)
        judgements.append(judgement)
    return tuple(judgements)


def judge_run(history: History, run: Run, conventions: Conventions) -> tuple[Judgement, History]:
    """The verdict of one run after `history`, and the history after it."""
    marks = tuple(_mark(point, conventions.compare) for point in run.points)
    before = _before(history, run, marks)
    violations: dict[str, tuple[str, ...]] = {}
    for code, rule in RULES.items():
        if code in conventions.rules:
            labels = _labels(_Asked(rule, before, marks, run.is_complete, conventions))
            if labels:
                violations[code] = labels
    judgement = Judgement(violations=violations)
    return judgement, _after(before, marks, conventions.mode, is_rejected=judgement.is_rejected)


def follow(history: History, run: Run, conventions: Conventions, *, is_rejected: bool) -> History:
    """The history after a run whose verdict is already known."""
    marks = tuple(_mark(point, conventions.compare) for point in run.points)
    before = _before(history, run, marks)
    return _after(before, marks, conventions.mode, is_rejected=is_rejected)


def _is_measurement(number: Decimal) -> bool:
    """Whether exact arithmetic on it stays inside `_EXACT`."""
    if not number.is_finite():
        return False
    digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
    return (
        isinstance(exponent, int)
        and len(digits) <= NUMBER_LENGTH_MAX
        and abs(exponent) <= EXPONENT_MAX + NUMBER_LENGTH_MAX
    )


# --- marks and windows --------------------------------------------------------------------------


def _mark(point: Point, compare: Compare) -> _Mark:
    deviation = _EXACT.subtract(point.value, point.mean)
    return _Mark(point, tuple(_side(deviation, limit, point.sd, compare) for limit in _LIMITS))


def _side(deviation: Decimal, limit: Decimal, sd: Decimal, compare: Compare) -> int:
    distance = _EXACT.multiply(limit, sd)
    side = 1 if deviation > 0 else -1
    is_on_limit = deviation.copy_abs() == distance
    if is_on_limit:
        return side if compare is Compare.INCLUSIVE and limit else 0  # the mean has no side
    return side if deviation.copy_abs() > distance else 0


def _before(history: History, run: Run, marks: _Marks) -> History:
    """The history this run is judged against: windows that ended before it are empty."""
    if run.starts_anew:
        return History(targets=_targets(history, marks))
    levels, across = dict(history.levels), history.across
    for mark in marks:
        known = history.targets.get(mark.series)
        if known is not None and known != _target(mark):
            levels.pop(mark.series, None)
            across = ()
        elif known is None and any(
            level == mark.point.level for level, *_ in history.targets.values()
        ):
            across = ()  # another lot of a level that was measured before
    return History(levels, across, _targets(history, marks))


def _after(history: History, marks: _Marks, mode: Mode, *, is_rejected: bool) -> History:
    if is_rejected and mode is Mode.BREAK:
        return History(targets=history.targets)
    if is_rejected and mode is Mode.SKIP_REJECTED:
        return history
    usable = tuple(mark for mark in marks if mark.point.is_usable)
    levels = dict(history.levels)
    for mark in usable:
        levels[mark.series] = (*levels.get(mark.series, ()), mark)[-WINDOW_POINTS_MAX:]
    return History(levels, (*history.across, *usable)[-WINDOW_POINTS_MAX:], history.targets)


def _target(mark: _Mark) -> tuple[str, Decimal, Decimal]:
    return (mark.point.level, mark.point.mean, mark.point.sd)


def _targets(history: History, marks: _Marks) -> Mapping[str, tuple[str, Decimal, Decimal]]:
    return {**history.targets, **{mark.series: _target(mark) for mark in marks}}


# --- rules --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """One rule, and everything it may look at."""

    rule: Rule
    history: History
    marks: _Marks
    is_complete: bool
    conventions: Conventions

    @property
    def usable(self) -> _Marks:
        return tuple(mark for mark in self.marks if mark.point.is_usable)


def _labels(asked: _Asked) -> tuple[str, ...]:
    """The levels (then `run`, then `across`) for which the rule fires; each named once."""
    found = [label for scope in asked.rule.scopes for label in _SCOPES[scope](asked)]
    return tuple(dict.fromkeys(found))


def _are_beyond(window: _Marks, rule: Rule) -> bool:
    """Whether all of enough marks lie beyond the same limit on the same side."""
    side = window[-1].sides[rule.limit]
    return (
        len(window) == rule.points
        and side != 0
        and all(mark.sides[rule.limit] == side for mark in window)
    )


def _within_level(asked: _Asked) -> tuple[str, ...]:
    rule, fired = asked.rule, []
    for mark in asked.marks if rule.points == 1 else asked.usable:
        earlier = asked.history.levels.get(mark.series, ())
        if _are_beyond((*earlier, mark)[-rule.points :], rule):
            fired.append(mark.point.level)
    return tuple(fired)


def _pair_in_run(asked: _Asked) -> tuple[str, ...]:
    adjacent_only = asked.conventions.pairs is Pairs.ADJACENT
    for pair in combinations(asked.usable, 2):
        is_near = abs(pair[0].point.place - pair[1].point.place) <= 1
        if (is_near or not adjacent_only) and _are_beyond(pair, asked.rule):
            return (RUN_LABEL,)
    return ()


def _range_in_run(asked: _Asked) -> tuple[str, ...]:
    for one, other in combinations(asked.usable, 2):
        if asked.conventions.r4s is RangeReading.LIMITS:
            sides = {one.sides[asked.rule.limit], other.sides[asked.rule.limit]}
            is_wide = sides == {1, -1}
        else:
            is_wide = _is_range_beyond(one.point, other.point, asked)
        if is_wide:
            return (RUN_LABEL,)
    return ()


def _is_range_beyond(one: Point, other: Point, asked: _Asked) -> bool:
    """|z1 - z2| against twice the limit, multiplied by both SDs so that nothing is divided."""
    scaled = _EXACT.subtract(
        _EXACT.multiply(_EXACT.subtract(one.value, one.mean), other.sd),
        _EXACT.multiply(_EXACT.subtract(other.value, other.mean), one.sd),
    ).copy_abs()
    limit = _EXACT.multiply(Decimal(2 * asked.rule.limit), _EXACT.multiply(one.sd, other.sd))
    return scaled > limit or (asked.conventions.compare is Compare.INCLUSIVE and scaled == limit)


def _across_runs(asked: _Asked) -> tuple[str, ...]:
    if not asked.is_complete or not asked.usable:
        return ()
    window = (*asked.history.across, *asked.usable)[-asked.rule.points :]
    has_several_levels = len({mark.series for mark in window}) > 1
    return (ACROSS_LABEL,) if has_several_levels and _are_beyond(window, asked.rule) else ()


_SCOPES: Mapping[Scope, Callable[[_Asked], tuple[str, ...]]] = {
    Scope.LEVEL: _within_level,
    Scope.PAIR: _pair_in_run,
    Scope.RANGE: _range_in_run,
    Scope.ACROSS: _across_runs,
}
