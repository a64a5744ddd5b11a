"""What the desk is told while an order is typed: the tubes, and what a person should think about. Pure decisions.

Nothing here refuses: a warning is shown beside the field and the person decides. A doctor may want a test again
on purpose. What is measured once anyway, because two panels share it, is said too.

    already_ordered    the same test of this patient is still under way
    too_soon           it was taken less than the test's minimum interval ago
    twice_here         two of the chosen orderables hold it
    fasting            the patient should have come fasting
    collection_time    the result depends on the time of collection, and nobody has said it
    no_birth_date, no_sex      no reference interval can be chosen
    no_requester       nobody to call for an urgent order
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from lis.domain.catalog import Catalog, Test
from lis.domain.lifecycle import WorkOrderState

_OVER: Final = frozenset({WorkOrderState.RESULTED, WorkOrderState.CANCELLED, WorkOrderState.FAILED})
URGENT: Final = "S"


class Warn(StrEnum):
    """What a person should think about, in the order in which it is shown."""

    ALREADY_ORDERED = "already_ordered"
    TOO_SOON = "too_soon"
    COLLECTION_TIME = "collection_time"
    FASTING = "fasting"
    TWICE_HERE = "twice_here"
    NO_BIRTH_DATE = "no_birth_date"
    NO_SEX = "no_sex"
    NO_REQUESTER = "no_requester"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTest:
    """One earlier order of a test for this patient."""

    test: str
    state: WorkOrderState
    ordered_at: datetime
    collected_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFacts:
    """What is typed so far."""

    codes: tuple[str, ...]  # orderables that the catalog knows
    past: tuple[PastTest, ...] = ()
    has_patient: bool = False  # somebody is chosen or a name is typed
    birth_date: str = ""
    sex: str = "U"
    is_collection_known: bool = False
    priority: str = "R"
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """One warning: about which tests, and since when."""

    code: Warn
    tests: tuple[str, ...] = ()
    at: datetime | None = None  # of the newest earlier order it is about


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeNeeded:
    """Tubes of one kind to collect."""

    specimen_type: str
    container: str = ""  # code; "": any that holds the type
    names: Mapping[str, str] = field(default_factory=dict)
    cap: str = ""
    count: int = 1
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Everything that is shown beside the form."""

    tubes: tuple[TubeNeeded, ...]
    warnings: tuple[Warned, ...]
    unknown: tuple[str, ...] = ()


def warnings_of(catalog: Catalog, facts: EntryFacts, *, at: datetime) -> tuple[Warned, ...]:
    """Every warning that applies, each once."""
    listed = [test for code in facts.codes for test in catalog.tests_of(code)]
    tests = {test.code: test for test in listed}
    counts = Counter(test.code for test in listed)
    found = [
        *_earlier(tests, facts.past, at),
        *_named(
            Warn.COLLECTION_TIME,
            (one.code for one in tests.values() if one.needs_collection_time),
            applies=not facts.is_collection_known,
        ),
        *_named(Warn.FASTING, (one.code for one in tests.values() if one.needs_fasting)),
        *_named(Warn.TWICE_HERE, (code for code, times in counts.items() if times > 1)),
        *_missing(tests.values(), facts),
    ]
    return tuple(sorted(found, key=lambda one: list(Warn).index(one.code)))


def _named(code: Warn, tests: Iterable[str], *, applies: bool = True) -> list[Warned]:
    named = tuple(tests)
    return [Warned(code=code, tests=named)] if named and applies else []


def _earlier(tests: Mapping[str, Test], past: Sequence[PastTest], at: datetime) -> Iterable[Warned]:
    """Still under way counts before too soon: one warning a test."""
    for code, test in tests.items():
        same = [
            one for one in past if one.test == code and one.state is not WorkOrderState.CANCELLED
        ]
        under_way = [one.ordered_at for one in same if one.state not in _OVER]
        taken = [
            one.collected_at or one.ordered_at
            for one in same
            if one.state is not WorkOrderState.FAILED
        ]
        if under_way:
            yield Warned(code=Warn.ALREADY_ORDERED, tests=(code,), at=max(under_way))
        elif (
            test.minimum_interval is not None and taken and at - max(taken) < test.minimum_interval
        ):
            yield Warned(code=Warn.TOO_SOON, tests=(code,), at=max(taken))


def _missing(tests: Iterable[Test], facts: EntryFacts) -> Iterable[Warned]:
    if facts.has_patient:
        bands = [(test, band) for test in tests for band in test.intervals]
        by_age = any(band.age_from_h > 0 or band.age_to_h is not None for _, band in bands)
        by_sex = any(band.sex is not None for _, band in bands)
        if by_age and len(facts.birth_date) < len("YYYY-MM-DD"):
            yield Warned(code=Warn.NO_BIRTH_DATE)
        if by_sex and facts.sex not in {"F", "M"}:
            yield Warned(code=Warn.NO_SEX)
    if facts.codes and facts.priority == URGENT and not facts.requester.strip():
        yield Warned(code=Warn.NO_REQUESTER)
