"""The catalog: what the laboratory can measure, and how it judges a value. Frozen per version.

A catalog version is stored as one document with its author, approver and date of effect; a unit of work
reads the version that is in force and keeps the frozen value by its id. Nothing here is guessed: an
interval is chosen only when sex and age at collection are known and fit exactly one half-open band
(S38), else there is no interval and the reason is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from lis.domain.control import GATE_WINDOW_DEFAULT, QcPolicy


class Sex(StrEnum):
    FEMALE = "F"
    MALE = "M"
    UNKNOWN = "U"


class ValueType(StrEnum):
    NUMERIC = "numeric"
    CODED = "coded"  # a listed answer such as NOT DETECTED
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code of some system: LOINC, UCUM, national. The core knows no nation."""

    system: str
    value: str
    display: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One band of a reference interval, `[age_from_h, age_to_h)` in hours at collection."""

    sex: Sex | None  # None: the same for both sexes, and then also when sex is unknown
    age_from_h: int = 0
    age_to_h: int | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    text: str = ""  # as printed; made from the limits when empty

    def shown(self) -> str:
        """The interval as people read it."""
        if self.text:
            return self.text
        if self.low is not None and self.high is not None:
            return f"{self.low}\u2013{self.high}"
        if self.high is not None:
            return f"< {self.high}"
        return f"> {self.low}" if self.low is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A pair of limits; None = no limit on that side."""

    low: Decimal | None = None
    high: Decimal | None = None

    def is_below(self, value: Decimal) -> bool:
        return self.low is not None and value < self.low

    def is_above(self, value: Decimal) -> bool:
        return self.high is not None and value > self.high

    def contains(self, value: Decimal) -> bool:
        return not self.is_below(value) and not self.is_above(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaLimit:
    """Largest believable change against the previous verified value of the same method and unit."""

    percent: Decimal | None = None
    absolute: Decimal | None = None
    window: timedelta = timedelta(days=90)
    releases_first: bool = False  # S10: whether a value with nothing to compare with may go


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoverificationRules:
    """What may release this test without a person. `is_on=False`: every result waits."""

    version: str
    is_on: bool = False
    is_never_automatic: bool = False  # S06: blood group, first reactive markers and the like
    measuring_range: Limits = Limits()
    absurd: Limits = Limits()
    verification: Limits = Limits()  # a chosen percentile, not the reference interval
    delta: DeltaLimit | None = None
    releases_critical: bool = False  # S09: only by this named per-test rule
    accepted_codes: frozenset[str] = frozenset()  # CODED tests: answers that may go by themselves
    stop_flags: frozenset[str] = frozenset()


class Storage(StrEnum):
    """Where a tube is kept; stability differs with it."""

    ROOM = "room"
    FRIDGE = "fridge"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How long after collection an analyte can still be measured, kept this way."""

    storage: Storage
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of tube: what it holds, and what of it no analyzer can reach."""

    code: str
    names: Mapping[str, str]
    cap: str = ""  # colour of the cap, as a word of lis.words
    volume_ul: int = 0
    dead_volume_ul: int = 0
    specimen_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One thing the laboratory measures."""

    code: str
    names: Mapping[str, str]  # language -> name
    unit: str  # as shown
    ucum: str = ""
    decimals: int | None = None
    value_type: ValueType = ValueType.NUMERIC
    specimen_type: str = "SER"
    section: str = ""
    codes: tuple[Code, ...] = ()
    intervals: tuple[Interval, ...] = ()
    critical: Limits = Limits()
    critical_codes: frozenset[str] = frozenset()
    rules: AutoverificationRules | None = None
    qc_policy: QcPolicy = QcPolicy.EXTERNAL
    qc_window: timedelta = GATE_WINDOW_DEFAULT
    qc_approver: str = ""  # who answers for QcPolicy.NONE
    needs_collection_time: bool = False  # S26: stability-limited
    plain_words: Mapping[str, str] = field(default_factory=dict)  # for patients
    is_sensitive: bool = False  # never shown to patients without a doctor
    method: str = ""
    short: tuple[str, ...] = ()  # what people type at order entry
    container: str = ""  # "": any that holds the specimen type
    volume_ul: int | None = None  # for one measurement
    stability: tuple[Stability, ...] = ()  # closed tube
    open_tube_stability: tuple[Stability, ...] = ()  # after the first measurement (S36)
    minimum_interval: timedelta | None = None  # sooner again is asked about
    turnaround_min: Mapping[str, int] = field(default_factory=dict)  # priority -> minutes
    needs_fasting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """An orderable group of tests."""

    code: str
    names: Mapping[str, str]
    tests: tuple[str, ...]
    short: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentTest:
    """How one driver names one of our tests, and the unit it must report (S23)."""

    driver: str  # profile key
    code: str  # the instrument's code
    test: str
    unit: str  # unit text the instrument must send; another one is held, never converted silently
    method: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """One version of the catalog."""

    version_id: int
    version: str
    tests: Mapping[str, Test]
    panels: Mapping[str, Panel]
    instrument_tests: tuple[InstrumentTest, ...]
    containers: Mapping[str, Container] = field(default_factory=dict)
    specimen_types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # code -> names
    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # code -> names

    @cached_property
    def by_instrument_code(self) -> Mapping[tuple[str, str], InstrumentTest]:
        """(driver, instrument code) -> mapping."""
        return {(entry.driver, entry.code): entry for entry in self.instrument_tests}

    @cached_property
    def by_instrument_test(self) -> Mapping[tuple[str, str], InstrumentTest]:
        """(driver, our test code) -> mapping."""
        return {(entry.driver, entry.test): entry for entry in self.instrument_tests}

    def tests_of(self, orderable: str) -> tuple[Test, ...]:
        """The tests behind an orderable code: one test, a panel's tests, or none if unknown."""
        if orderable in self.tests:
            return (self.tests[orderable],)
        panel = self.panels.get(orderable)
        return tuple(self.tests[code] for code in panel.tests) if panel else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """What judging needs to know about a person."""

    sex: Sex = Sex.UNKNOWN
    birth: datetime | None = None  # start of the birth date, only if known to the day


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalChoice:
    """The band that applies, or the reason why none does (S38)."""

    interval: Interval | None
    reason: str = ""  # "unknown_sex", "unknown_age", "no_band", "no_intervals", "several_bands"
    age_h: int | None = None


def choose_interval(
    intervals: tuple[Interval, ...], patient: PatientFacts, collected_at: datetime | None
) -> IntervalChoice:
    """Pick the one band that fits sex and age at collection; never a neighbour's band."""
    if not intervals:
        return IntervalChoice(interval=None, reason="no_intervals")
    age_h = None
    if patient.birth is not None and collected_at is not None and collected_at >= patient.birth:
        age_h = int((collected_at - patient.birth) / timedelta(hours=1))
    if age_h is None and any(
        band.age_from_h > 0 or band.age_to_h is not None for band in intervals
    ):
        return IntervalChoice(interval=None, reason="unknown_age")
    if patient.sex is Sex.UNKNOWN and any(band.sex is not None for band in intervals):
        return IntervalChoice(interval=None, reason="unknown_sex", age_h=age_h)
    fitting = [band for band in intervals if _fits(band, patient.sex, age_h)]
    if len(fitting) == 1:
        return IntervalChoice(interval=fitting[0], age_h=age_h)
    return IntervalChoice(
        interval=None, reason="several_bands" if fitting else "no_band", age_h=age_h
    )


def _fits(band: Interval, sex: Sex, age_h: int | None) -> bool:
    if band.sex is not None and band.sex is not sex:
        return False
    if age_h is None:
        return True
    return band.age_from_h <= age_h and (band.age_to_h is None or age_h < band.age_to_h)
