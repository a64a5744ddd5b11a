"""Is the value believable, and must a person see it?

Limits come from the test's rules in the catalog and both ends belong to the inside. A value that cannot be
compared (no number, foreign unit, unknown dilution) is not evaluable, and that objects.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lis.domain.catalog import AutoverificationRules, Limits, ValueType
from lis.domain.messages import Reason, ValueBasis
from lis.results.facts import ResultFacts
from lis.results.interpretation import may_be_outside
from lis.results.verdicts import (
    RuleVerdict,
    held,
    not_applicable,
    not_evaluable,
    noted,
    passed,
    silent,
)


def measurable(facts: ResultFacts) -> RuleVerdict:
    rule, value = "measurable", facts.reported.value
    if not value.text.strip():
        return held(rule, Reason.NO_VALUE)
    if facts.test is None or facts.test.value_type is not ValueType.NUMERIC:
        return noted(rule)
    if value.number is None:
        return held(rule, Reason.NOT_NUMERIC, value=value.text)
    if value.is_censored:
        return held(rule, Reason.CENSORED, value=value.text)
    return passed(rule, value=value.number)


def absurd(facts: ResultFacts) -> RuleVerdict:
    return _inside(facts, "absurd", Reason.ABSURD, lambda rules: rules.absurd)


def measuring_range(facts: ResultFacts) -> RuleVerdict:
    if facts.reported.basis is ValueBasis.CORRECTED:
        # the range is of the instrument's reading; this value was multiplied after it
        return not_applicable("measuring_range", basis=facts.reported.basis.value)
    factor = facts.reported.dilution if facts.reported.basis is ValueBasis.MULTIPLIED else None
    return _inside(
        facts,
        "measuring_range",
        Reason.OUTSIDE_MEASURING_RANGE,
        lambda rules: _times(rules.measuring_range, factor),
    )


def _times(limits: Limits, factor: Decimal | None) -> Limits:
    """The range in which a value lies that we multiplied after the instrument read it."""
    if factor is None:
        return limits
    low, high = limits.low, limits.high
    return Limits(
        low=None if low is None else low * factor, high=None if high is None else high * factor
    )


def interval(facts: ResultFacts) -> RuleVerdict:
    seen = facts.interpretation
    if facts.test is None or not facts.test.intervals:
        return silent("interval")
    if not seen.has_interval:
        return held("interval", Reason.NO_INTERVAL, why=seen.interval_reason)
    return passed(
        "interval", interval=seen.interval_text, band=seen.interval_reason, flag=seen.flag.value
    )


def verification_limits(facts: ResultFacts) -> RuleVerdict:
    rule, test = "verification_limits", facts.test
    if test is None or test.rules is None:
        return silent(rule)
    if test.value_type is ValueType.NUMERIC:
        return _inside(
            facts, rule, Reason.OUTSIDE_VERIFICATION_LIMITS, lambda rules: rules.verification
        )
    said = facts.reported.value.text.strip()
    version = test.rules.version
    if test.value_type is ValueType.CODED and said in test.rules.accepted_codes:
        return passed(rule, version=version, value=said)
    return held(rule, Reason.OUTSIDE_VERIFICATION_LIMITS, version=version, value=said)


def critical(facts: ResultFacts) -> RuleVerdict:
    rule, test = "critical", facts.test
    if test is None or (test.critical == Limits() and not test.critical_codes):
        return silent(rule)
    inputs: dict[str, Any] = {
        "value": facts.reported.value.text,
        "low": test.critical.low,
        "high": test.critical.high,
    }
    if facts.interpretation.is_critical:
        if test.rules is not None and test.rules.releases_critical:
            return passed(rule, version=test.rules.version, allowed="releases_critical", **inputs)
        return held(rule, Reason.CRITICAL, **inputs)
    if may_be_outside(facts.reported.value, test.critical):
        return not_evaluable(rule, Reason.CENSORED, **inputs)
    if not facts.interpretation.is_comparable:
        return not_evaluable(rule, Reason.NOT_NUMERIC, **inputs)
    return passed(rule, **inputs)


def _inside(
    facts: ResultFacts,
    rule: str,
    reason: Reason,
    choose: Callable[[AutoverificationRules], Limits],
) -> RuleVerdict:
    """Whether the number lies inside limits of the test's rules; both ends belong to the inside."""
    test = facts.test
    if test is None or test.rules is None or test.value_type is not ValueType.NUMERIC:
        return silent(rule)
    limits = choose(test.rules)
    if limits == Limits():
        return not_applicable(rule, version=test.rules.version)
    inputs = {"low": limits.low, "high": limits.high, "value": facts.reported.value.text}
    number = facts.reported.value.number
    if number is None or not facts.interpretation.is_comparable:
        return not_evaluable(rule, reason, version=test.rules.version, **inputs)
    if not limits.contains(number) or may_be_outside(facts.reported.value, limits):
        return held(rule, reason, version=test.rules.version, **inputs)
    return passed(rule, version=test.rules.version, **inputs)
