"""What the rules about repeating look at, made from a value that was just judged or from a stored one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from lis.domain.catalog import Limits, Sex, Test, ValueType
from lis.domain.lifecycle import WorkOrderState
from lis.domain.messages import Reason, ReportedObservation, ValueBasis
from lis.domain.quantity import Comparator, ReportedValue
from lis.domain.repeat_rules import RepeatRules
from lis.domain.result_facts import OrderFacts, PersonFacts, SpecimenFacts
from lis.results.autoverification import Autoverification
from lis.results.interpretation import patient_facts
from lis.results.judging import Judgement, Surroundings
from lis.results.repeating import RepeatFacts, Spoke, ask_rules
from lis.results.verdicts import reasons_of

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """A stored value as far as rules about repeating ask."""

    test: str
    reported: str
    comparator: str
    value: Decimal | None
    basis: str
    dilution: Decimal | None
    flags: Sequence[Any]
    holds: Sequence[str]
    is_chosen: bool


def with_repeats(
    rules: RepeatRules, judged: Judgement, reported: ReportedObservation, around: Surroundings
) -> tuple[Judgement, tuple[Spoke, ...]]:
    """The judgement with what the rules about repeating said; a repeat they ask for holds the value."""
    test = around.test
    if test is None or not rules.of(test.code):
        return judged, ()
    young, old = ages_h(around.person, judged.match.specimen)
    facts = RepeatFacts(
        test=test.code,
        value=reported.value,
        basis=reported.basis,
        factor=reported.dilution,
        flags=reported.flags,
        is_numeric=test.value_type is ValueType.NUMERIC,
        limits=range_of(test),
        sex=sex_of(around.person),
        age_h=young,
        oldest_h=old,
        is_bound=judged.match.is_bound,
        is_chosen=judged.run.is_chosen,
        holds=judged.rules.holds,
        repeats=repeats_of(around.orders, test.code),
    )
    spoke = ask_rules(rules, facts)
    verdicts = (*judged.rules.verdicts, *(one.verdict() for one in spoke))
    said = Autoverification(verdicts=verdicts, holds=reasons_of(verdicts))
    return replace(judged, rules=said), spoke


def facts_of_stored(
    stored: StoredValue,
    test: Test | None,
    *,
    person: PersonFacts | None,
    ages: tuple[int | None, int | None],
    repeats: int = 0,
) -> RepeatFacts:
    """The same facts of a value that is stored."""
    comparator = Comparator(stored.comparator) if stored.comparator else None
    value = ReportedValue(text=stored.reported, comparator=comparator, number=stored.value)
    return RepeatFacts(
        test=stored.test,
        value=value,
        basis=ValueBasis(stored.basis),
        factor=stored.dilution,
        flags=tuple(str(flag) for flag in stored.flags),
        is_numeric=test is not None and test.value_type is ValueType.NUMERIC,
        limits=range_of(test),
        sex=sex_of(person),
        age_h=ages[0],
        oldest_h=ages[1],
        is_chosen=stored.is_chosen,
        holds=tuple(Reason(code) for code in stored.holds),
        repeats=repeats,
    )


def range_of(test: Test | None) -> Limits:
    """The measuring range of a test, as its rules say."""
    return test.rules.measuring_range if test is not None and test.rules is not None else Limits()


def sex_of(person: PersonFacts | None) -> Sex:
    return patient_facts(person).sex if person is not None else Sex.UNKNOWN


def ages_h(
    person: PersonFacts | None, specimen: SpecimenFacts | None
) -> tuple[int | None, int | None]:
    """Age in hours at the beginning and the end of the collection; unknown where either is."""
    if person is None or specimen is None or specimen.collected_certainty == "unknown":
        return None, None
    start = specimen.collected_from
    return age_h(person, start), age_h(person, specimen.collected_to or start)


def age_h(person: PersonFacts, at: datetime | None) -> int | None:
    """Age in whole hours at a moment."""
    birth = patient_facts(person).birth
    if birth is None or at is None or at < birth:
        return None
    return int((at - birth) / _HOUR)


def repeats_of(orders: Sequence[OrderFacts], test: str) -> int:
    """How often a test was ordered again on one tube, by people and by rules."""
    return sum(
        order.test == test and order.rerun > 0 and order.state is not WorkOrderState.CANCELLED
        for order in orders
    )
