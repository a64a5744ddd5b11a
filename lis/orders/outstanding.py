"""The outstanding list: what was received and has no result, or a result nobody has decided about.

A test is outstanding when its promised time is near or past, or when it has waited for the minutes that the
person asked for, whatever was promised. It stands under the analyzer that has it; while none has it, under
those that could measure it, or under work by hand. A panel is incomplete when some of its tests are out and
others are outstanding: the doctor has half an answer.

The decision is pure; `read_outstanding` loads and calls it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.orders.listing import TestLine, lines_of
from lis.orders.turnaround import TatState
from lis.orders.whereabouts import NO_RESULT, NOT_RELEASED
from lis.orders.workplan import codes_in
from lis.store.lookup_queries import ordered_of_tubes
from lis.store.people_queries import patients_by_ids
from lis.store.workplan_queries import (
    devices_in_use,
    tubes_with_waiting_values,
    unfinished_tests,
)

OPEN_MAX: Final = (
    4_000  # open tests that one screen looks through; a regional laboratory has fewer at a time
)
SHOWN_MAX: Final = 500
MINUTES_DEFAULT: Final = 60
MINUTES_MAX: Final = 7 * 24 * 60
BY_HAND: Final = "by-hand"  # no analyzer measures it
SHIFT_STARTS: Final = (time(8), time(20))
_PRESSING: Final = frozenset({TatState.OVERDUE, TatState.SOON})


class Shift(StrEnum):
    """When the tube was received."""

    ALL = "all"
    THIS = "this"
    BEFORE = "before"  # left over by those who went home


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompletePanel:
    """A panel of which some tests are out and others are not."""

    accession: str
    orderable: str
    done: int
    total: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstandingRow:
    """One outstanding test and the analyzers it stands under."""

    line: TestLine
    analyzers: tuple[str, ...]
    waits_minutes: int
    patient: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """The list of one moment."""

    rows: tuple[OutstandingRow, ...]
    panels: tuple[IncompletePanel, ...]
    counts: Mapping[str, int]  # outstanding tests by analyzer, before its filter
    overdue: int
    is_cut: bool


def shift_start(at: datetime, zone: tzinfo) -> datetime:
    """When the shift that works at `at` began, by the laboratory's clock on the wall."""
    local = at.astimezone(zone)
    days = (local.date(), local.date() - timedelta(days=1))
    starts = [datetime.combine(day, start, tzinfo=zone) for day in days for start in SHIFT_STARTS]
    return max(start for start in starts if start <= local)


def is_of_shift(received_at: datetime, shift: Shift, started: datetime) -> bool:
    """Whether a tube that was received then belongs to the chosen shift."""
    return shift is Shift.ALL or (received_at >= started) == (shift is Shift.THIS)


def is_outstanding(line: TestLine, *, at: datetime, after: timedelta) -> bool:
    """Whether a person should look at this test now."""
    if line.received_at is None or line.standing.place not in NO_RESULT | NOT_RELEASED:
        return False
    return line.clock.state in _PRESSING or at - line.received_at >= after


def incomplete_panels(lines: Iterable[TestLine]) -> tuple[IncompletePanel, ...]:
    """Panels with some tests out and others still open; needs all lines of their tubes."""
    by_request: dict[int, list[TestLine]] = defaultdict(list)
    for line in lines:
        by_request[line.request_id].append(line)
    found = []
    for tests in by_request.values():
        missing = [one for one in tests if one.standing.place in NO_RESULT | NOT_RELEASED]
        done = sum(one.standing.is_ready for one in tests)
        if done and missing:
            found.append(
                IncompletePanel(
                    accession=missing[0].accession,
                    orderable=missing[0].orderable,
                    done=done,
                    total=len(tests),
                    missing=tuple(one.code for one in missing),
                )
            )
    return tuple(found)


def read_outstanding(
    session: Session,
    catalog: Catalog,
    *,
    at: datetime,
    zone: tzinfo,
    minutes: int = MINUTES_DEFAULT,
    analyzer: str = "",
    shift: Shift = Shift.ALL,
    section: str = "",
    language: str = "en",
) -> Outstanding:
    """The list as it is now, most overdue first."""
    tests = codes_in(catalog, section)
    open_rows = unfinished_tests(session, tests=tests, received_before=at, limit=OPEN_MAX)
    waiting = tubes_with_waiting_values(session, tests=tests, limit=OPEN_MAX)
    tubes = {row.specimen_id for row in open_rows} | set(waiting)
    rows = ordered_of_tubes(session, tubes)
    lines = lines_of(session, catalog, rows, at=at, language=language)
    started = shift_start(at, zone)
    found = [
        line
        for line in lines
        if line.code in tests
        and is_outstanding(line, at=at, after=timedelta(minutes=minutes))
        and line.received_at is not None
        and is_of_shift(line.received_at, shift, started)
    ]
    measuring = _measuring(session, catalog)
    places = {line.work_order_id: _analyzers(line, measuring) for line in found}
    counts: dict[str, int] = defaultdict(int)
    for names in places.values():
        for name in names:
            counts[name] += 1
    chosen = sorted(
        (line for line in found if not analyzer or analyzer in places[line.work_order_id]),
        key=_pressing_first,
    )
    patients = {row.specimen_id: row.patient_id for row in rows}
    shown = chosen[:SHOWN_MAX]
    names_of = _names(session, {patients[line.specimen_id] for line in shown})
    return Outstanding(
        rows=tuple(
            OutstandingRow(
                line=line,
                analyzers=places[line.work_order_id],
                waits_minutes=_waits(line, at),
                patient=names_of.get(patients[line.specimen_id], ""),
            )
            for line in shown
        ),
        panels=incomplete_panels(lines) if not analyzer else (),
        counts=dict(sorted(counts.items())),
        overdue=sum(line.clock.state is TatState.OVERDUE for line in chosen),
        is_cut=len(chosen) > SHOWN_MAX or len(open_rows) == OPEN_MAX or len(waiting) == OPEN_MAX,
    )


def _pressing_first(line: TestLine) -> tuple[bool, float, float, int]:
    """Most overdue first; tests of one tube stay together."""
    assert line.received_at is not None, "what is outstanding was received"
    due_at = line.clock.due_at
    late = due_at.timestamp() if due_at else 0.0
    return due_at is None, late, line.received_at.timestamp(), line.specimen_id


def _waits(line: TestLine, at: datetime) -> int:
    assert line.received_at is not None, "what is outstanding was received"
    return int((at - line.received_at) / timedelta(minutes=1))


def _measuring(session: Session, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Which analyzers could measure each test."""
    drivers: dict[str, set[str]] = defaultdict(set)
    for entry in catalog.instrument_tests:
        drivers[entry.test].add(entry.driver)
    devices = devices_in_use(session)
    return {
        test: tuple(one.name for one in devices if one.driver in known)
        for test, known in drivers.items()
    }


def _analyzers(line: TestLine, measuring: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if line.device:
        return (line.device,)
    return tuple(measuring.get(line.code, ())) or (BY_HAND,)


def _names(session: Session, patient_ids: set[int]) -> dict[int, str]:
    return {
        key: " ".join(part for part in (row.family_name, row.given_name) if part)
        for key, row in patients_by_ids(session, patient_ids).items()
    }
