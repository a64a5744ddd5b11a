"""Did the value change more than is believable (S10)?

Compared are released values of the same patient, test, method and unit, collected earlier; nothing is
converted. Without one the rule is *not evaluable*, which blocks unless the test's rule says that a first
value may go (`DeltaLimit.releases_first`). Park 2012 and the laboratory's own history give the limits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from lis.domain.catalog import DeltaLimit, Test
from lis.domain.messages import Reason
from lis.domain.result_facts import PastValue
from lis.results.facts import ResultFacts
from lis.results.verdicts import RuleVerdict, held, not_evaluable, passed, silent

_HUNDRED = Decimal(100)


def delta(facts: ResultFacts) -> RuleVerdict:
    rule, test = "delta", facts.test
    rules = test.rules if test is not None else None
    if test is None or rules is None or rules.delta is None:
        return silent(rule)
    limit = rules.delta
    value = facts.reported.value.number
    if value is None or facts.reported.value.is_censored or not facts.interpretation.is_comparable:
        return not_evaluable(
            rule, Reason.DELTA_NOT_EVALUABLE, version=rules.version, why="value_not_comparable"
        )
    comparison = choose_previous(facts, test, limit)
    if comparison.previous is None or comparison.previous.value is None:
        blocks = None if limit.releases_first else Reason.DELTA_NOT_EVALUABLE
        return not_evaluable(rule, blocks, version=rules.version, why=comparison.why)
    return _compare(rule, rules.version, limit, value, comparison.previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The value to compare with, or why there is none."""

    previous: PastValue | None
    why: str = ""


def choose_previous(facts: ResultFacts, test: Test, limit: DeltaLimit) -> Comparison:
    """The newest released value of the same method and unit, collected earlier, in the window (S10)."""
    collected = facts.specimen.collected_from if facts.specimen else None
    if collected is None:
        return Comparison(previous=None, why="collection_unknown")
    earlier = [
        past
        for past in facts.past
        if past.collected_at is not None and past.collected_at < collected
    ]
    if not earlier:
        return Comparison(previous=None, why="no_previous")
    recent = [past for past in earlier if _within(past, collected, limit.window)]
    if not recent:
        return Comparison(previous=None, why="outside_window")
    alike = [past for past in recent if past.method == facts.method and past.unit == test.unit]
    if not alike:
        return Comparison(previous=None, why="other_method_or_unit")
    newest = max(alike, key=lambda past: (past.collected_at or collected, past.observation_id))
    if newest.value is None or newest.is_censored:
        return Comparison(previous=None, why="previous_not_comparable")
    return Comparison(previous=newest)


def _within(past: PastValue, collected: datetime, window: timedelta) -> bool:
    return past.collected_at is not None and collected - past.collected_at <= window


def _compare(
    rule: str, version: str, limit: DeltaLimit, value: Decimal, previous: PastValue
) -> RuleVerdict:
    assert previous.value is not None
    change = value - previous.value
    percent = _HUNDRED * change / previous.value if previous.value != 0 else None
    inputs: dict[str, Any] = {
        "previous": previous.text,
        "previous_id": previous.observation_id,
        "change": change,
        "percent": f"{percent:.1f}" if percent is not None else None,
        "limit": limit.absolute,
        "limit_percent": limit.percent,
    }
    if limit.absolute is not None and abs(change) > limit.absolute:
        return held(rule, Reason.DELTA, version=version, **inputs)
    if limit.percent is not None:
        if percent is None and change != 0:
            return not_evaluable(
                rule, Reason.DELTA_NOT_EVALUABLE, version=version, why="previous_is_zero", **inputs
            )
        if percent is not None and abs(percent) > limit.percent:
            return held(rule, Reason.DELTA, version=version, **inputs)
    return passed(rule, version=version, **inputs)
