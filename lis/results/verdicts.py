"""What one rule said about one result (promise 5).

Every rule leaves a verdict, also when it passed or had nothing to say, with the version of the rule and
the inputs it looked at. One invariant carries the rest of this package: **a verdict objects exactly when
it has a reason**. A result is released only when no verdict objects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from lis.domain.messages import Reason

HOUSE_VERSION = "1"  # version of rules that are code, not catalog data; raise it when one changes


NOTES_KEPT = 4096  # verdicts shared between results; they never change


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a password
    HOLD = "hold"
    NOT_EVALUABLE = "not_evaluable"  # something it needs is missing; not the same as passed (S10)
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """One rule's word."""

    rule: str
    outcome: Outcome
    version: str = HOUSE_VERSION
    reason: Reason | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def objects(self) -> bool:
        return self.reason is not None

    def document(self) -> dict[str, Any]:
        """The form that is stored; the store's JSON writer makes the same of the value itself."""
        return {
            "rule": self.rule,
            "version": self.version,
            "outcome": self.outcome,  # members of StrEnum are text, to JSON as well
            "reason": self.reason,
            "parameters": self.parameters,
        }


def passed(rule: str, *, version: str = HOUSE_VERSION, **parameters: object) -> RuleVerdict:
    """The rule looked and has nothing against it."""
    return RuleVerdict(
        rule=rule, outcome=Outcome.PASS, version=version, parameters=_texts(parameters)
    )


@lru_cache(maxsize=NOTES_KEPT)
def noted(rule: str, name: str = "", text: str = "") -> RuleVerdict:
    """A pass with at most one input that is text: most verdicts are the same for thousands of values.

    Only text may be an input here: equal decimals are written in different ways (5.0 and 5.00).
    """
    parameters = {name: text} if name else {}
    return RuleVerdict(rule=rule, outcome=Outcome.PASS, parameters=parameters)


@lru_cache(maxsize=NOTES_KEPT)
def silent(rule: str) -> RuleVerdict:
    """The rule has no business with this result, and there is no more to say."""
    return RuleVerdict(rule=rule, outcome=Outcome.NOT_APPLICABLE)


def held(
    rule: str, reason: Reason, *, version: str = HOUSE_VERSION, **parameters: object
) -> RuleVerdict:
    """The rule objects."""
    return RuleVerdict(
        rule=rule,
        outcome=Outcome.HOLD,
        version=version,
        reason=reason,
        parameters=_texts(parameters),
    )


def not_evaluable(
    rule: str, reason: Reason | None, *, version: str = HOUSE_VERSION, **parameters: object
) -> RuleVerdict:
    """Something is missing; with a reason it objects, without one the rule allows for that."""
    return RuleVerdict(
        rule=rule,
        outcome=Outcome.NOT_EVALUABLE,
        version=version,
        reason=reason,
        parameters=_texts(parameters),
    )


def not_applicable(rule: str, *, version: str = HOUSE_VERSION, **parameters: object) -> RuleVerdict:
    """The rule has no business with this result."""
    return RuleVerdict(
        rule=rule, outcome=Outcome.NOT_APPLICABLE, version=version, parameters=_texts(parameters)
    )


def reasons_of(verdicts: Iterable[RuleVerdict]) -> tuple[Reason, ...]:
    """Every reason that stands, once each, in the order in which the rules spoke."""
    return tuple(
        dict.fromkeys(verdict.reason for verdict in verdicts if verdict.reason is not None)
    )


def _texts(parameters: Mapping[str, object]) -> dict[str, str]:
    return {
        name: value if value.__class__ is str else str(value)
        for name, value in parameters.items()
        if value is not None
    }
