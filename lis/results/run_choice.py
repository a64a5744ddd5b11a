"""Which of two runs counts, when a versioned rule may say so (S20). Pure.

A rule never asks which run is the latest, nor which lies nearer to the interval: those questions cannot be
written down. It may say only

    diluted             the undiluted run lies above the measuring range and the other was diluted,
                        with a known factor: the diluted one is the measurement
    first_if_agreeing   the second run confirms the first within a limit: the first one stays

Everything else is a person's choice. The state of the tube is no run's property: a rerun of a haemolysed tube that
comes without an index inherits the worst index measured on that tube, and only a new tube clears it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from lis.domain.catalog import Limits
from lis.domain.messages import ValueBasis
from lis.domain.quantity import Comparator
from lis.domain.repeat_rules import ChoiceRule, Preference

MULTIPLIED_BASES = frozenset({ValueBasis.CORRECTED, ValueBasis.MULTIPLIED})
_ABOVE = frozenset({Comparator.GREATER, Comparator.GREATER_OR_EQUAL})
_PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as far as choosing needs it. `is_sound`: nothing but the wait for a choice stands against it."""

    id: int
    number: Decimal | None
    comparator: Comparator | None
    basis: ValueBasis
    factor: Decimal | None
    unit: str
    is_sound: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a rule said about two runs; `chosen` is None when a person has to choose."""

    rule: str
    chosen: int | None
    why: str
    index: Decimal | None = None


def choose_by_rule(
    rule: ChoiceRule, first: Run, second: Run, *, limits: Limits, indices: Iterable[Decimal]
) -> Choice:
    """Ask one rule about the first run of a tube and one after it."""
    worst = worst_index(indices)
    why = _obstacle(rule, first, second, worst)
    if why:
        return Choice(rule=rule.id, chosen=None, why=why, index=worst)
    if rule.prefer is Preference.DILUTED:
        chosen, why = _diluted(first, second, limits)
    else:
        chosen, why = _agreeing(rule, first, second)
    return Choice(rule=rule.id, chosen=chosen, why=why, index=worst)


def worst_index(indices: Iterable[Decimal]) -> Decimal | None:
    """The worst index ever measured on the tube: a rerun without one inherits it (S20)."""
    return max(indices, default=None)


def is_above_range(run: Run, limits: Limits) -> bool:
    """Whether the instrument could not measure so much: a bound above, or a reading above the range."""
    if run.comparator in _ABOVE:
        return True
    if run.number is None or run.comparator is not None or limits.high is None:
        return False
    factor = run.factor if run.basis in MULTIPLIED_BASES and run.factor is not None else Decimal(1)
    return run.number > limits.high * factor


def is_below_range(run: Run, limits: Limits) -> bool:
    """Whether the instrument could not measure so little."""
    if run.comparator in (Comparator.LESS, Comparator.LESS_OR_EQUAL):
        return True
    if run.number is None or run.comparator is not None or limits.low is None:
        return False
    factor = run.factor if run.basis in MULTIPLIED_BASES and run.factor is not None else Decimal(1)
    return run.number < limits.low * factor


def _obstacle(rule: ChoiceRule, first: Run, second: Run, worst: Decimal | None) -> str:
    if not first.is_sound or not second.is_sound:
        return "other_reason_stands"
    if first.unit != second.unit:
        return "units_differ"
    if rule.index and worst is None:
        return "index_unknown"
    if rule.index_max is not None and worst is not None and worst > rule.index_max:
        return "index_too_high"
    return ""


def _diluted(first: Run, second: Run, limits: Limits) -> tuple[int | None, str]:
    undiluted = [run for run in (first, second) if run.basis is ValueBasis.UNDILUTED]
    diluted = [run for run in (first, second) if run.basis in MULTIPLIED_BASES]
    if len(undiluted) != 1 or len(diluted) != 1:
        return None, "not_one_of_each"
    (plain,), (other,) = undiluted, diluted
    if other.factor is None or other.factor <= 1:
        return None, "factor_unknown"
    if not is_above_range(plain, limits):
        return None, "not_above_range"
    if other.number is None or other.comparator is not None:
        return None, "still_a_bound"
    if is_above_range(other, limits) or is_below_range(other, limits):
        return None, "outside_range_when_diluted"
    return other.id, "above_range_then_diluted"


def _agreeing(rule: ChoiceRule, first: Run, second: Run) -> tuple[int | None, str]:
    if first.comparator is not None or second.comparator is not None:
        return None, "bounds_do_not_agree"
    if first.number is None or second.number is None:
        return None, "not_numbers"
    difference = abs(second.number - first.number)
    if rule.absolute is not None and difference > rule.absolute:
        return None, "runs_differ"
    if rule.percent is not None and difference * _PERCENT > rule.percent * abs(first.number):
        return None, "runs_differ"
    return first.id, "runs_agree"
