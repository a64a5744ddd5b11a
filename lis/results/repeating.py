"""What follows from one value: add a test, measure again, dilute, comment. Pure (promise 5).

Every rule about the test is asked and every answer is kept, with the version and what it looked at:

    FIRED          the condition holds and the value may be acted on
    NOT_MET        it does not hold
    WAITS          it holds, but the value is not trusted yet: another run was not chosen, the gate is closed
    NOT_EVALUABLE  nobody can tell: no number, a bound that leaves it open, sex or age unknown
    ENOUGH         it holds, and the tube was repeated as often as the rule allows

To add a test or a comment the value must stand; to measure once more it is enough that the tube is the right one.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from lis.domain.catalog import Limits, Sex
from lis.domain.messages import Reason, ValueBasis
from lis.domain.quantity import ReportedValue
from lis.domain.repeat_rules import REPEATS, Case, Condition, RepeatRule, RepeatRules, Who
from lis.results.interpretation import UNCOMPARABLE_BASES, is_surely_above, is_surely_below
from lis.results.run_choice import Run, is_above_range, is_below_range
from lis.results.verdicts import Outcome, RuleVerdict

RULE = "repeat_rule"
# Reasons that speak of how much, not of whether the number is true: a rule may act on such a value.
TRUSTED = frozenset(
    {
        Reason.CRITICAL,
        Reason.CENSORED,
        Reason.OUTSIDE_MEASURING_RANGE,
        Reason.OUTSIDE_VERIFICATION_LIMITS,
        Reason.DELTA,
        Reason.DELTA_NOT_EVALUABLE,
        Reason.NO_INTERVAL,
        Reason.NEVER_AUTOMATIC,
        Reason.AUTOMATIC_OFF,
        Reason.RULES_MISSING,
        Reason.NOT_NUMERIC,
    }
)
# Reasons that speak of the tube or the order: without them settled, nothing is measured again by a rule.
UNSETTLED = frozenset(
    {
        Reason.NOT_ORDERED,
        Reason.ORDER_CANCELLED,
        Reason.SPECIMEN_NOT_LIVE,
        Reason.SPECIMEN_SUSPECT,
        Reason.NUMBER_SEEN_TWICE,
        Reason.DEVICE_MISMATCH,
        Reason.UNIT_CHANGED,
        Reason.TEST_QUARANTINED,
        Reason.POSSIBLE_DUPLICATE,
        Reason.EDITED_ON_ANALYZER,
        Reason.PRELIMINARY_VALUE,
    }
)


class Answer(StrEnum):
    FIRED = "fired"
    NOT_MET = "not_met"
    WAITS = "waits"
    NOT_EVALUABLE = "not_evaluable"
    ENOUGH = "enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatFacts:
    """Everything the rules about repeating look at, about one value."""

    test: str
    value: ReportedValue
    basis: ValueBasis = ValueBasis.UNDILUTED
    factor: Decimal | None = None
    flags: tuple[str, ...] = ()
    is_numeric: bool = True
    limits: Limits = field(default_factory=Limits)  # the measuring range of the test
    sex: Sex = Sex.UNKNOWN
    age_h: int | None = None  # at collection, or at its beginning
    oldest_h: int | None = None  # at its end, where the collection is a period (S26)
    is_bound: bool = True
    is_chosen: bool = True
    holds: tuple[Reason, ...] = ()
    repeats: int = 0  # how often this test was repeated on this tube before this value


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """One rule's answer."""

    rule: RepeatRule
    version: str
    answer: Answer
    why: str = ""
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def asks_for_repeat(self) -> bool:
        return self.answer is Answer.FIRED and self.rule.then.action in REPEATS

    def verdict(self) -> RuleVerdict:
        """As it is kept on the result. A repeat that was asked for holds the value it doubts."""
        outcome = Outcome.PASS
        if self.answer is Answer.NOT_EVALUABLE or self.answer is Answer.WAITS:
            outcome = Outcome.NOT_EVALUABLE
        elif self.answer is Answer.NOT_MET:
            outcome = Outcome.NOT_APPLICABLE
        elif self.asks_for_repeat:
            outcome = Outcome.HOLD
        said = {
            "repeat": self.rule.id,
            "action": self.rule.then.action.value,
            "answer": self.answer.value,
            "why": self.why,
            "added": self.rule.then.test,
            "factor": f"{self.rule.then.factor}" if self.rule.then.factor is not None else "",
            **dict(self.inputs),
        }
        return RuleVerdict(
            rule=RULE,
            outcome=outcome,
            version=self.version,
            reason=Reason.WAITS_FOR_REPEAT if self.asks_for_repeat else None,
            parameters={name: text for name, text in said.items() if text},
        )


def ask_rules(rules: RepeatRules, facts: RepeatFacts) -> tuple[Spoke, ...]:
    """Ask every rule about this test, in the order in which they are written."""
    return tuple(ask(rule, rules.version, facts) for rule in rules.of(facts.test))


def ask(rule: RepeatRule, version: str, facts: RepeatFacts) -> Spoke:
    """Ask one rule."""
    answer, why = _answer(rule, facts)
    inputs = [("value", facts.value.text), ("basis", facts.basis.value)]
    if facts.factor is not None:
        inputs.append(("measured_at", f"{facts.factor}"))
    if facts.value.number is not None:
        inputs.append(("number", f"{facts.value.number:f}"))
    if facts.flags:
        inputs.append(("flags", " ".join(facts.flags)))
    if not rule.who.is_anyone:
        inputs.append(("sex", facts.sex.value))
        inputs.append(("age_h", "" if facts.age_h is None else str(facts.age_h)))
    if rule.then.action in REPEATS:
        inputs.append(("repeats", str(facts.repeats)))
    return Spoke(rule=rule, version=version, answer=answer, why=why, inputs=tuple(inputs))


def still_holds(rule: RepeatRule, facts: RepeatFacts) -> bool:
    """Whether a value still fulfils what the rule asks, whatever stands against acting on it (S27)."""
    return _is_met(rule, facts) is True and _concerned(rule.who, facts) is True


def fires_in_case(rule: RepeatRule, case: Case, limits: Limits) -> bool:
    """Whether a rule fires in its test case: the value alone, on a settled tube, for the first time."""
    basis = ValueBasis.UNDILUTED if case.factor is None else ValueBasis.CORRECTED
    facts = RepeatFacts(
        test=rule.test,
        value=ReportedValue.read(case.value),
        basis=basis,
        factor=case.factor,
        flags=case.flags,
        limits=limits,
        sex=case.sex,
        age_h=case.age_h,
    )
    return ask(rule, "case", facts).answer is Answer.FIRED


def _answer(rule: RepeatRule, facts: RepeatFacts) -> tuple[Answer, str]:
    if not facts.is_bound:
        return Answer.WAITS, "not_bound"
    met = _is_met(rule, facts)
    if met is False:
        return Answer.NOT_MET, ""
    concerned = _concerned(rule.who, facts)
    if concerned is False:
        return Answer.NOT_MET, "other_person"
    if met is None:
        return Answer.NOT_EVALUABLE, "value_open"
    if concerned is None:
        return Answer.NOT_EVALUABLE, "person_unknown"
    obstacle = _obstacle(rule, facts)
    if obstacle:
        return Answer.WAITS, obstacle
    if rule.then.action in REPEATS and facts.repeats >= rule.then.times:
        return Answer.ENOUGH, ""
    return Answer.FIRED, ""


def _obstacle(rule: RepeatRule, facts: RepeatFacts) -> str:
    """Why this value may not be acted on yet; "" if it may."""
    if rule.then.action in REPEATS:
        return next((reason.value for reason in facts.holds if reason in UNSETTLED), "")
    if not facts.is_chosen:
        return "run_not_chosen"
    return next(
        (
            reason.value
            for reason in facts.holds
            if reason not in TRUSTED and reason is not Reason.INSTRUMENT_FLAG
        ),
        "instrument_flag" if _doubts_flags(rule, facts) else "",
    )


def _doubts_flags(rule: RepeatRule, facts: RepeatFacts) -> bool:
    """A flag holds the value, and the rule does not ask about flags: first a person looks."""
    return Reason.INSTRUMENT_FLAG in facts.holds and rule.when.kind is not Condition.FLAG


def _concerned(who: Who, facts: RepeatFacts) -> bool | None:
    """The same over the whole time in which the specimen may have been collected (S26)."""
    young = concerns(who, facts.sex, facts.age_h)
    if facts.oldest_h is None or facts.oldest_h == facts.age_h:
        return young
    return young if concerns(who, facts.sex, facts.oldest_h) is young else None


def concerns(who: Who, sex: Sex, age_h: int | None) -> bool | None:
    """Whether a rule is about this person; None when sex or age is not known and it matters."""
    if who.sex is not None and sex is not Sex.UNKNOWN and sex is not who.sex:
        return False
    asks_age = who.age_from_h > 0 or who.age_to_h is not None
    if asks_age and age_h is not None:
        is_old_enough = age_h >= who.age_from_h
        is_young_enough = who.age_to_h is None or age_h < who.age_to_h
        if not (is_old_enough and is_young_enough):
            return False
    if (who.sex is not None and sex is Sex.UNKNOWN) or (asks_age and age_h is None):
        return None
    return True


def _is_met(rule: RepeatRule, facts: RepeatFacts) -> bool | None:
    """Whether the condition holds; None when nobody can tell."""
    when, value = rule.when, facts.value
    if when.kind is Condition.FLAG:
        return not when.words.isdisjoint(facts.flags)
    if when.kind is Condition.ANSWER:
        return value.text.strip() in when.words
    if not facts.is_numeric or value.number is None or facts.basis in UNCOMPARABLE_BASES:
        return None
    if when.kind in (Condition.ABOVE_RANGE, Condition.BELOW_RANGE):
        run = Run(
            id=0,
            number=value.number,
            comparator=value.comparator,
            basis=facts.basis,
            factor=facts.factor,
            unit="",
        )
        is_upper = when.kind is Condition.ABOVE_RANGE
        limit = facts.limits.high if is_upper else facts.limits.low
        if limit is None and value.comparator is None:
            return None  # nobody has said what the method can measure
        return is_above_range(run, facts.limits) if is_upper else is_below_range(run, facts.limits)
    if when.kind is Condition.ABOVE:
        return _surely(
            is_yes=is_surely_above(value, when.high), is_no=_is_surely_not_above(value, when.high)
        )
    if when.kind is Condition.BELOW:
        return _surely(
            is_yes=is_surely_below(value, when.low), is_no=_is_surely_not_below(value, when.low)
        )
    return _is_between(value, when.low, when.high)


def _surely(*, is_yes: bool, is_no: bool) -> bool | None:
    if is_yes:
        return True
    return False if is_no else None


def _is_surely_not_above(value: ReportedValue, limit: Decimal | None) -> bool:
    if value.number is None or limit is None:
        return False
    is_upper_bound = value.comparator is not None and value.comparator.value.startswith("<")
    return value.number <= limit and (value.comparator is None or is_upper_bound)


def _is_surely_not_below(value: ReportedValue, limit: Decimal | None) -> bool:
    if value.number is None or limit is None:
        return False
    is_lower_bound = value.comparator is not None and value.comparator.value.startswith(">")
    return value.number >= limit and (value.comparator is None or is_lower_bound)


def _is_between(value: ReportedValue, low: Decimal | None, high: Decimal | None) -> bool | None:
    if value.number is None or low is None or high is None:
        return None
    if value.comparator is None:
        return low <= value.number <= high
    if is_surely_below(value, low) or is_surely_above(value, high):
        return False
    return None
