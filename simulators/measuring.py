"""What an analyzer measures: values with the spread of a laboratory, a few of each kind of trouble.

A `TestPlan` says how one test behaves on one instrument. `measure` throws dice for one tube: first what kind of
result it is (`Outcome`), then the value. Most are plainly inside the interval; some are high or low; a few are
critical, flagged by the instrument, absurd, or below what it can measure. `expected` names the reason that each
kind must wait for, so that a reconciliation can ask where they went.

Controls stay well inside 1 SD and change sides often enough that no trend rule speaks by chance: a demo whose
controls fail at random teaches nothing. A failure is made on purpose, by `shift_sd`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

from lis.domain.messages import Reason
from simulators.cases import CASE_REASONS, Case
from simulators.dice import dice

__all__ = [
    "NORMAL_ONLY",
    "OUTCOME_REASONS",
    "OUTCOME_SHARES",
    "ControlTarget",
    "Measured",
    "Outcome",
    "TestPlan",
    "control_value",
    "measure",
]

REPEAT_NOISE = 0.01  # a rerun of the same tube differs by about 1 %
CONTROL_SPREAD_SD = 0.45
CONTROL_REACH_SD = 0.9  # below 1 SD: neither 4_1s nor a warning by chance
CONTROL_FLIP_EVERY = 3  # so three levels give at most 9 points on one side, and 10x is silent


class Outcome(StrEnum):
    """What kind of result a tube gives."""

    NORMAL = "normal"
    HIGH = "high"
    LOW = "low"
    CRITICAL = "critical"
    FLAGGED = "flagged"  # the instrument asks to look
    ABSURD = "absurd"  # not compatible with life, or with the method
    CENSORED = "censored"  # only a bound is known


OUTCOME_SHARES: Mapping[Outcome, float] = MappingProxyType(
    {
        Outcome.NORMAL: 0.90,
        Outcome.HIGH: 0.035,
        Outcome.LOW: 0.03,
        Outcome.CRITICAL: 0.01,
        Outcome.FLAGGED: 0.01,
        Outcome.ABSURD: 0.005,
        Outcome.CENSORED: 0.01,
    }
)
NORMAL_ONLY: Mapping[Outcome, float] = MappingProxyType({Outcome.NORMAL: 1.0})

OUTCOME_REASONS: dict[Outcome, Reason | None] = {
    Outcome.NORMAL: None,
    Outcome.HIGH: None,
    Outcome.LOW: None,
    Outcome.CRITICAL: Reason.CRITICAL,
    Outcome.FLAGGED: Reason.INSTRUMENT_FLAG,
    Outcome.ABSURD: Reason.ABSURD,
    Outcome.CENSORED: Reason.CENSORED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPlan:
    """How one test behaves on one instrument; `code` and `unit` are the instrument's own.

    `low` and `high` bound the interval that the instrument flags by. `answers` makes it a test of words: the
    first is the usual one. What a plan has no figure for (a critical limit, say) is never drawn.
    """

    __test__: ClassVar[bool] = False  # pytest takes classes named Test... for tests

    code: str
    unit: str = ""
    name: str = ""
    mean: float = 0.0
    sd: float = 0.0
    decimals: int = 1
    low: float | None = None
    high: float | None = None
    critical_low: float | None = None
    critical_high: float | None = None
    absurd: float | None = None
    limit_of_detection: float | None = None
    answers: tuple[str, ...] = ()
    critical_answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTarget:
    """What a control of one level should give for one test."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One value as the instrument shows it."""

    code: str
    text: str
    unit: str = ""
    name: str = ""
    number: str = ""  # beside a call, where the instrument gives both (GeneXpert)
    interval: str = ""
    flags: tuple[str, ...] = ()
    outcome: Outcome = Outcome.NORMAL
    cases: tuple[Case, ...] = field(default=())

    @property
    def expected(self) -> frozenset[Reason]:
        """Reasons that this value must wait for, whatever else the house finds.

        A case comes first: of a value whose specimen or unit is unknown nobody can say it is critical.
        """
        reasons = {CASE_REASONS[case] for case in self.cases} - {None}
        found = reasons or {OUTCOME_REASONS[self.outcome]}
        return frozenset(reason for reason in found if reason is not None)


def measure(
    plan: TestPlan, *, seed: object, specimen: str, run: int, shares: Mapping[Outcome, float]
) -> Measured:
    """The value of one tube. The first run draws it; later runs of the same tube come close to it."""
    throw = dice(seed, specimen, plan.code)
    possible = {kind: share for kind, share in shares.items() if _is_possible(kind, plan)}
    outcome = throw.choices(list(possible), weights=list(possible.values()))[0]
    blank = Measured(code=plan.code, text="", unit=plan.unit, name=plan.name, outcome=outcome)
    if plan.answers:
        return replace(blank, text=_answer(plan, outcome, throw))
    number = _number(plan, outcome, throw)
    if run > 1:
        number *= 1 + dice(seed, specimen, plan.code, run).gauss(0, REPEAT_NOISE)
    text = f"{number:.{plan.decimals}f}"
    if outcome is Outcome.CENSORED:
        text = f"<{plan.limit_of_detection:.{plan.decimals}f}"
    return replace(blank, text=text, interval=_interval(plan), flags=_flags(plan, number, outcome))


def control_value(
    plan: TestPlan,
    target: ControlTarget,
    *,
    seed: object,
    level: str,
    run: int,
    shift_sd: float = 0.0,
) -> Measured:
    """The value of one control level; `shift_sd` moves it, for a failure on purpose."""
    offset = _control_offset(run, seed, plan.code, level) + shift_sd
    text = f"{target.mean + offset * target.sd:.{plan.decimals}f}"
    return Measured(code=plan.code, text=text, unit=plan.unit, name=plan.name)


def _control_offset(run: int, *words: object) -> float:
    is_flipped = run % CONTROL_FLIP_EVERY == CONTROL_FLIP_EVERY - 1
    offset = dice(*words, run - 1 if is_flipped else run).gauss(0, CONTROL_SPREAD_SD)
    offset = max(-CONTROL_REACH_SD, min(CONTROL_REACH_SD, offset))
    return -offset if is_flipped else offset


def _is_possible(outcome: Outcome, plan: TestPlan) -> bool:
    if plan.answers:
        needs: object = plan.critical_answers if outcome is Outcome.CRITICAL else ()
        return outcome is Outcome.NORMAL or bool(needs)
    if outcome is Outcome.CRITICAL:
        return plan.critical_low is not None or plan.critical_high is not None
    figure = {
        Outcome.HIGH: plan.high,
        Outcome.LOW: plan.low,
        Outcome.ABSURD: plan.absurd,
        Outcome.CENSORED: plan.limit_of_detection,
    }
    return outcome not in figure or figure[outcome] is not None


def _answer(plan: TestPlan, outcome: Outcome, throw: random.Random) -> str:
    return throw.choice(plan.critical_answers) if outcome is Outcome.CRITICAL else plan.answers[0]


def _number(plan: TestPlan, outcome: Outcome, throw: random.Random) -> float:
    """A number of that kind; how far beyond a limit is thrown as well."""
    usual = _inside(plan, throw.gauss(plan.mean, plan.sd))
    beyond = throw.uniform(0.2, 1.0)  # in SD of the test
    match outcome:
        case Outcome.HIGH:
            return (plan.high or 0.0) + beyond * plan.sd
        case Outcome.LOW:
            return max((plan.low or 0.0) - beyond * plan.sd, 0.0)
        case Outcome.CRITICAL:
            return _critical(plan, beyond, throw)
        case Outcome.ABSURD:
            return plan.absurd or 0.0
        case Outcome.CENSORED:
            return plan.limit_of_detection or 0.0
        case Outcome.NORMAL | Outcome.FLAGGED:
            return usual


def _inside(plan: TestPlan, number: float) -> float:
    """Inside the interval by half a digit, so that rounding does not carry it out."""
    edge = 0.5 * 10**-plan.decimals
    low = plan.low + edge if plan.low is not None else max(plan.mean - 3 * plan.sd, 0.0)
    high = plan.high - edge if plan.high is not None else plan.mean + 3 * plan.sd
    return min(max(number, low), high)


def _critical(plan: TestPlan, beyond: float, throw: random.Random) -> float:
    low, high = plan.critical_low, plan.critical_high
    is_high = low is None or (high is not None and throw.random() < 0.5)
    if is_high:
        assert high is not None
        return high + beyond * plan.sd
    assert low is not None
    return low * throw.uniform(0.80, 0.97)  # a share of the limit, so it never falls below zero


def _flags(plan: TestPlan, number: float, outcome: Outcome) -> tuple[str, ...]:
    if outcome is Outcome.FLAGGED:
        return ("A",)
    if plan.low is not None and number < plan.low:
        return ("L",)
    if plan.high is not None and number > plan.high:
        return ("H",)
    return ("N",)


def _interval(plan: TestPlan) -> str:
    if plan.low is None or plan.high is None:
        return ""
    return f"{plan.low:.{plan.decimals}f}-{plan.high:.{plan.decimals}f}"
