"""The work plan: what a section has to do now, tube by tube, urgent ones first; and the filters people keep.

One list for every section and both kinds of work, by analyzer and by hand: peers that had four screens for it
heard complaints. A filter says what to show; each person keeps filters under names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import SpecimenState
from lis.orders.listing import TestLine, lines_of
from lis.orders.turnaround import Turnaround, of_order
from lis.orders.whereabouts import NO_RESULT, Place
from lis.store.list_rows import SavedFilter
from lis.store.lookup_queries import ordered_of_tubes
from lis.store.order_queries import requisitions_by_ids
from lis.store.people_queries import patients_by_ids
from lis.store.unit import Unit
from lis.store.workplan_queries import filter_by_name, filters_of, tubes_with_work

PAGE_TUBES: Final = 100
NAME_MAX: Final = 60
FILTERS_MAX: Final = 30  # of one person
TESTS_MAX: Final = 200


class Shows(StrEnum):
    """Which tubes."""

    HERE = "here"
    COMING = "coming"  # collected or on their way
    BOTH = "both"


_STATES: Final = {
    Shows.HERE: frozenset({SpecimenState.RECEIVED, SpecimenState.STORED}),
    Shows.COMING: frozenset(SpecimenState)
    - {
        SpecimenState.RECEIVED,
        SpecimenState.STORED,
        SpecimenState.REJECTED,
        SpecimenState.EXHAUSTED,
        SpecimenState.DISPOSED,
    },
}
_TO_DO: Final = NO_RESULT | {Place.NOT_COLLECTED, Place.ON_ITS_WAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFilter:
    """What a work plan shows."""

    section: str = ""
    is_by_hand: bool = False  # only tests that no analyzer measures
    is_urgent: bool = False
    shows: Shows = Shows.HERE
    tests: tuple[str, ...] = ()  # only these, if any

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Self:
        """A stored filter; what a newer version wrote and we do not know is left out."""
        shows = body.get("shows", Shows.HERE)
        return cls(
            section=str(body.get("section", "")),
            is_by_hand=bool(body.get("is_by_hand", False)),
            is_urgent=bool(body.get("is_urgent", False)),
            shows=Shows(shows) if shows in set(Shows) else Shows.HERE,
            tests=tuple(str(one) for one in body.get("tests", ())),
        )

    def body(self) -> dict[str, Any]:
        return asdict(self) | {"shows": self.shows.value, "tests": list(self.tests)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTube:
    """One tube of the plan with the tests that the filter names and that are still to be done."""

    specimen_id: int
    accession: str
    specimen_type: str
    location: str
    received_at: datetime | None
    requisition: str  # public id
    ward: str
    name: str
    birth_date: str
    sex: str
    is_urgent: bool
    lines: tuple[TestLine, ...]
    clock: Turnaround


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One page of the plan; `next` is the key to page on with, "" at the end."""

    tubes: tuple[PlanTube, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFilter:
    """A filter under its name."""

    name: str
    filter: PlanFilter


def sections_of(catalog: Catalog) -> tuple[str, ...]:
    """The sections that tests name, in alphabetical order."""
    return tuple(sorted({test.section for test in catalog.tests.values() if test.section}))


def codes_in(catalog: Catalog, section: str) -> frozenset[str]:
    """The tests of a section, or all."""
    tests = catalog.tests.values()
    return frozenset(test.code for test in tests if not section or test.section == section)


def by_hand(catalog: Catalog) -> frozenset[str]:
    """The tests that no analyzer measures."""
    return frozenset(catalog.tests) - {entry.test for entry in catalog.instrument_tests}


def codes_of_filter(catalog: Catalog, chosen: PlanFilter) -> frozenset[str]:
    """The tests that a filter lets through."""
    tests = codes_in(catalog, chosen.section)
    if chosen.is_by_hand:
        tests &= by_hand(catalog)
    return tests & frozenset(chosen.tests) if chosen.tests else tests


def read_plan(
    session: Session,
    catalog: Catalog,
    chosen: PlanFilter,
    *,
    at: datetime,
    after: str = "",
    limit: int = PAGE_TUBES,
    language: str = "en",
) -> Plan:
    """One page of what is to be done."""
    tests = codes_of_filter(catalog, chosen)
    keys = tubes_with_work(
        session,
        tests=tests,
        states=_states(chosen.shows),
        priorities=("S", "A") if chosen.is_urgent else (),
        after=_after(after),
        limit=limit,
    )
    urgency = {key: rank for rank, key in keys}
    rows = ordered_of_tubes(session, urgency)
    lines = lines_of(session, catalog, rows, at=at, language=language)
    tubes = _tubes(session, urgency, rows, [one for one in lines if one.code in tests])
    return Plan(tubes=tubes, next=f"{keys[-1][0]}:{keys[-1][1]}" if len(keys) == limit else "")


def keep_filter(unit: Unit, user: str, name: str, chosen: PlanFilter) -> KeptFilter:
    """Keep a filter under a name; one of that name is replaced."""
    title = name.strip()
    if not title or len(title) > NAME_MAX:
        raise Refused("workplanpage.bad_name", limit=NAME_MAX)
    if len(chosen.tests) > TESTS_MAX:
        raise Refused("workplanpage.too_many_tests", limit=TESTS_MAX)
    known = filter_by_name(unit.session, user, title)
    before = known.body if known else None
    if known is None:
        if len(filters_of(unit.session, user)) >= FILTERS_MAX:
            raise Refused("workplanpage.too_many_filters", limit=FILTERS_MAX)
        known = SavedFilter(user=user, name=title, changed_at=unit.now, body=chosen.body())
        unit.session.add(known)
        unit.session.flush()
    known.body, known.changed_at = chosen.body(), unit.now
    unit.audit("filter_kept", "SavedFilter", known.id, before=before, after=known.body)
    return KeptFilter(name=title, filter=chosen)


def drop_filter(unit: Unit, user: str, name: str) -> None:
    """Forget a filter; raises `NotFound`."""
    known = filter_by_name(unit.session, user, name)
    if known is None:
        raise NotFound("SavedFilter", name)
    unit.audit("filter_dropped", "SavedFilter", known.id, before=known.body)
    unit.session.delete(known)


def kept_filters(session: Session, user: str) -> tuple[KeptFilter, ...]:
    """The filters that a person keeps."""
    return tuple(
        KeptFilter(name=one.name, filter=PlanFilter.of_body(one.body))
        for one in filters_of(session, user)
    )


def _states(shows: Shows) -> frozenset[SpecimenState]:
    return _STATES[Shows.HERE] | _STATES[Shows.COMING] if shows is Shows.BOTH else _STATES[shows]


def _after(key: str) -> tuple[int, int] | None:
    if not key:
        return None
    rank, _, specimen = key.partition(":")
    if not (rank.isdecimal() and specimen.isdecimal()):
        raise Refused("workplanpage.bad_page_key")
    return int(rank), int(specimen)


def _tubes(
    session: Session, urgency: Mapping[int, int], rows: Sequence[Any], lines: Iterable[TestLine]
) -> tuple[PlanTube, ...]:
    by_tube: dict[int, list[TestLine]] = {key: [] for key in urgency}
    for line in lines:
        if line.standing.place in _TO_DO:
            by_tube[line.specimen_id].append(line)
    row_of = {row.specimen_id: row for row in rows}
    people = patients_by_ids(session, {row.patient_id for row in rows})
    orders = requisitions_by_ids(session, {row.requisition_id for row in rows})
    made = []
    for key, own in by_tube.items():
        if not own:
            continue
        row = row_of[key]
        person, order = people[row.patient_id], orders[row.requisition_id]
        made.append(
            PlanTube(
                specimen_id=key,
                accession=row.accession,
                specimen_type=row.specimen_type,
                location=row.location,
                received_at=row.received_at,
                requisition=order.public_id,
                ward=order.ward,
                name=" ".join(one for one in (person.family_name, person.given_name) if one),
                birth_date=person.birth_date,
                sex=person.sex,
                is_urgent=urgency[key] == 0,
                lines=tuple(own),
                clock=of_order(line.clock for line in own),
            )
        )
    return tuple(made)
