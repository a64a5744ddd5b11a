"""What does the value mean for this person: flag, interval, criticality (S09, S25, S26, S38)?

* The interval is the one band that fits sex and age **at collection**. When the collection is a period,
  the band must be the same over the whole period (S26). No band = no flag, and the reason is kept.
* LL and HH come only from critical limits; L and H only from the interval.
* A censored value (`<0.1`) is flagged only where the bound proves it: `<0.1` is below 3.5, but of `<5`
  nobody can say whether it is below 3.5.
* A value in a foreign unit, or one whose dilution is unknown or not yet applied, is not compared with
  anything: the number is not a concentration in our unit.

Comparisons use the number exactly as reported; `shown_value` rounds only for the eye.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from lis.domain.catalog import (
    IntervalChoice,
    Limits,
    PatientFacts,
    Sex,
    Test,
    ValueType,
    choose_interval,
)
from lis.domain.messages import ValueBasis
from lis.domain.quantity import Comparator, ReportedValue
from lis.domain.result_facts import PersonFacts, SpecimenFacts

UNCOMPARABLE_BASES = frozenset({ValueBasis.RAW, ValueBasis.UNKNOWN})
PEOPLE_KEPT = 1024  # a batch concerns tens of people; the cache only saves time
DAY_LENGTH = len("YYYY-MM-DD")
_UPPER_BOUNDS = frozenset({Comparator.LESS, Comparator.LESS_OR_EQUAL})


class Flag(StrEnum):
    NONE = ""
    LOW = "L"
    HIGH = "H"
    CRITICAL_LOW = "LL"
    CRITICAL_HIGH = "HH"
    ABNORMAL = "A"


CRITICAL_FLAGS = frozenset({Flag.CRITICAL_LOW, Flag.CRITICAL_HIGH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """The judgement about one value; `interval_reason` says which band, or why there is none."""

    flag: Flag = Flag.NONE
    is_critical: bool = False
    interval_text: str = ""
    interval_reason: str = ""
    has_interval: bool = False
    is_comparable: bool = True


def interpret(
    *,
    test: Test,
    value: ReportedValue,
    basis: ValueBasis,
    is_unit_right: bool,
    person: PatientFacts | None,
    specimen: SpecimenFacts | None,
) -> Interpretation:
    """Judge one value. Without a bound person there is no interval, but critical limits still speak."""
    choice = _choice(test, person, specimen)
    text = choice.interval.shown() if choice.interval else ""
    reason = _band_reason(choice)
    if not is_unit_right or basis in UNCOMPARABLE_BASES:
        return Interpretation(
            interval_text=text,
            interval_reason=reason,
            has_interval=choice.interval is not None,
            is_comparable=False,
        )
    flag = _flag(test, value, choice)
    is_critical = flag in CRITICAL_FLAGS or _is_critical_code(test, value)
    return Interpretation(
        flag=flag,
        is_critical=is_critical,
        interval_text=text,
        interval_reason=reason,
        has_interval=choice.interval is not None,
    )


@lru_cache(maxsize=PEOPLE_KEPT)
def patient_facts(person: PersonFacts) -> PatientFacts:
    """Sex and start of the birth date, the latter only if known to the day; nothing is guessed."""
    sex = Sex(person.sex) if person.sex in set(Sex) else Sex.UNKNOWN
    if len(person.birth_date) != DAY_LENGTH:
        return PatientFacts(sex=sex)
    try:
        day = date.fromisoformat(person.birth_date)
    except ValueError:
        return PatientFacts(sex=sex)
    birth = datetime.combine(day, time.min, ZoneInfo(person.timezone)).astimezone(UTC)
    return PatientFacts(sex=sex, birth=birth)


def shown_value(text: str, value: ReportedValue, decimals: int | None) -> str:
    """The value as the catalog's decimals say; text that is not plainly a number stays as it is."""
    if value.number is None or decimals is None:
        return text_of(text, value)
    try:
        rounded = value.number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    except InvalidOperation:  # more digits than the context holds
        return text_of(text, value)
    return f"{value.comparator.value if value.comparator else ''}{rounded:f}"


def text_of(text: str, value: ReportedValue) -> str:
    """The text as sent; the number beside it where we multiplied what was sent (S25)."""
    sent = (ReportedValue.read(text), ReportedValue.read(text, decimal_comma=True))
    if value.number is None or any(one.number == value.number for one in sent):
        return text
    return f"{value.comparator.value if value.comparator else ''}{value.number:f}"


def is_surely_below(value: ReportedValue, limit: Decimal | None) -> bool:
    """Whether the true value is certainly below `limit`."""
    if limit is None or value.number is None:
        return False
    if value.comparator is None:
        return value.number < limit
    if value.comparator is Comparator.LESS:
        return value.number <= limit
    return value.comparator is Comparator.LESS_OR_EQUAL and value.number < limit


def is_surely_above(value: ReportedValue, limit: Decimal | None) -> bool:
    """Whether the true value is certainly above `limit`."""
    if limit is None or value.number is None:
        return False
    if value.comparator is None:
        return value.number > limit
    if value.comparator is Comparator.GREATER:
        return value.number >= limit
    return value.comparator is Comparator.GREATER_OR_EQUAL and value.number > limit


def may_be_outside(value: ReportedValue, limits: Limits) -> bool:
    """Whether a censored value leaves it open if the true value lies outside `limits`."""
    if value.number is None or value.comparator is None:
        return False
    if value.comparator in _UPPER_BOUNDS:
        return limits.low is not None or limits.is_above(value.number)
    return limits.high is not None or limits.is_below(value.number)


def _choice(
    test: Test, person: PatientFacts | None, specimen: SpecimenFacts | None
) -> IntervalChoice:
    if not test.intervals:
        return IntervalChoice(interval=None, reason="no_intervals")
    if person is None or specimen is None:
        return IntervalChoice(interval=None, reason="no_patient")
    is_known = specimen.collected_certainty != "unknown"
    start = specimen.collected_from if is_known else None
    end = (specimen.collected_to or start) if is_known else None
    first = choose_interval(test.intervals, person, start)
    if start is None or end is None or end <= start or first.interval is None:
        return first
    for moment in _borders(test, person, start, end):
        if choose_interval(test.intervals, person, moment).interval != first.interval:
            return IntervalChoice(interval=None, reason="uncertain_age", age_h=first.age_h)
    return first


def _borders(
    test: Test, person: PatientFacts, start: datetime, end: datetime
) -> tuple[datetime, ...]:
    """The end of the period, and every age border inside it: only there can the band change."""
    if person.birth is None:
        return (end,)
    ages = {
        age
        for band in test.intervals
        for age in (band.age_from_h, band.age_to_h)
        if age is not None
    }
    inside = (person.birth + timedelta(hours=age) for age in sorted(ages))
    return (*(moment for moment in inside if start < moment < end), end)


def _band_reason(choice: IntervalChoice) -> str:
    if choice.interval is None:
        return choice.reason
    band = choice.interval
    sex = band.sex.value if band.sex else "any"
    upper = band.age_to_h if band.age_to_h is not None else ""
    age = choice.age_h if choice.age_h is not None else ""
    return f"sex={sex};age_h={age};band={band.age_from_h}-{upper}"


def _flag(test: Test, value: ReportedValue, choice: IntervalChoice) -> Flag:
    if test.value_type is not ValueType.NUMERIC:
        return Flag.ABNORMAL if _is_critical_code(test, value) else Flag.NONE
    if is_surely_below(value, test.critical.low):
        return Flag.CRITICAL_LOW
    if is_surely_above(value, test.critical.high):
        return Flag.CRITICAL_HIGH
    band = choice.interval
    if band is not None and is_surely_below(value, band.low):
        return Flag.LOW
    if band is not None and is_surely_above(value, band.high):
        return Flag.HIGH
    return Flag.NONE


def _is_critical_code(test: Test, value: ReportedValue) -> bool:
    return test.value_type is not ValueType.NUMERIC and value.text.strip() in test.critical_codes
