"""A doctor's cumulative view of one patient: tests down the side, dates across, newest first.

Only what is released and past the moment of undo is here (S03, S08), also a result that was withdrawn: it says
so, without its value. A corrected value carries the one it replaced, because somebody may have acted on it.
How many ordered tests are not out yet is a number, never a value.

A column is one draw: everything collected at the same minute, or measured at it where nobody wrote down the
collection. Unit and interval stand at the row as the newest result has them; a cell that differs carries its own,
so that no value is ever read in a wrong unit. Opening this view is audited in the unit that reads it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lis.domain.catalog import Catalog, Test
from lis.domain.errors import NotFound
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.domain.quantity import Comparator, ReportedValue
from lis.orders.reads import PatientView, patient_view
from lis.patients.policy import CORRECTED_STATUSES, ReleasedFacts, Showing, may_show_doctor
from lis.results.interpretation import shown_value
from lis.results.reads import age_at
from lis.store.patient_result_queries import count_open_work_of_patient, history_of_patient
from lis.store.people_queries import patient_by_public_id
from lis.store.unit import Unit

HISTORY: Final = timedelta(days=5 * 365)
ROWS_MAX: Final = 20_000  # five years of daily profiles; beyond it the view says that it is cut
_BETWEEN: Final = re.compile(r"^(\d+(?:\.\d+)?)\s*[–-]\s*(\d+(?:\.\d+)?)$")
_ABOVE: Final = re.compile(r"^[>≥]\s*(\d+(?:\.\d+)?)$")
_BELOW: Final = re.compile(r"^[<≤]\s*(\d+(?:\.\d+)?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One result as a doctor reads it."""

    value: str
    flag: str
    unit: str  # only where it differs from the row's
    interval: str  # likewise
    comment: str
    is_withdrawn: bool
    is_corrected: bool
    previous_value: str  # what a correction replaced; "" if it is not known
    previous_unit: str
    previous_flag: str
    released_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One draw."""

    at: datetime
    is_collected: bool  # else the time of analysis: nobody wrote down the collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One test over the years; `cells` has one entry a column, with each tube's result."""

    test: str
    name: str
    unit: str
    interval: str
    cells: tuple[tuple[Cell, ...], ...]
    points: tuple[float, ...]  # oldest first, in the row's unit only
    low: float | None
    high: float | None

    @property
    def is_abnormal(self) -> bool:
        """Whether any result of it was flagged, corrected or taken back."""
        return any(
            one.flag or one.is_corrected or one.is_withdrawn for cell in self.cells for one in cell
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The tests of one part of the laboratory; "" for tests that the catalog no longer has."""

    code: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientHistory:
    """The whole page."""

    patient: PatientView
    age: dict[str, Any] | None  # count and unit
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    waiting: int
    results: int
    is_cut: bool


_Row = dict[str, Any]
_Tube = tuple[int | None, str]  # specimen and test: where one value replaces another


def read_history(
    unit: Unit,
    catalog: Catalog,
    public_id: str,
    *,
    language: str,
    only_abnormal: bool = False,
) -> PatientHistory:
    """What is out about one patient; raises `NotFound`. The reader and the patient are audited."""
    patient = patient_by_public_id(unit.session, public_id)
    if patient is None:
        raise NotFound("Patient", public_id)
    since = unit.now - HISTORY
    rows = history_of_patient(unit.session, patient.id, unit.now, since=since, limit=ROWS_MAX)
    shown = [row for row in rows if _showing(row, unit.now) is not Showing.HIDE]
    columns = _columns(shown)
    sections = _sections(shown, rows, columns, catalog, language)
    unit.audit("patient_read", "Patient", public_id, seen={"results": len(shown)})
    return PatientHistory(
        patient=patient_view(unit.session, patient),
        age=age_at(patient.birth_date, unit.now),
        columns=columns,
        sections=_abnormal(sections) if only_abnormal else sections,
        waiting=count_open_work_of_patient(unit.session, patient.id, unit.now, since=since),
        results=len(shown),
        is_cut=len(rows) == ROWS_MAX,
    )


def limits_of(interval: str) -> tuple[float | None, float | None]:
    """The limits that an interval's text names, for drawing only."""
    if between := _BETWEEN.match(interval):
        return float(between[1]), float(between[2])
    if above := _ABOVE.match(interval):
        return float(above[1]), None
    if below := _BELOW.match(interval):
        return None, float(below[1])
    return None, None


def _showing(row: _Row, at: datetime) -> Showing:
    is_visible = row["visible_from"] is not None and row["visible_from"] <= at
    facts = ReleasedFacts(
        bench_state=row["bench_state"], status=row["status"], is_visible_yet=is_visible
    )
    return may_show_doctor(facts)


def _drawn_at(row: _Row) -> datetime:
    at: datetime = row["collected_from"] or row["analysed_at"] or row["created_at"]
    return at.replace(second=0, microsecond=0)


def _columns(shown: Iterable[_Row]) -> tuple[Column, ...]:
    is_collected: dict[datetime, bool] = {}
    for row in shown:
        at = _drawn_at(row)
        is_collected[at] = is_collected.get(at, False) or row["collected_from"] is not None
    return tuple(
        Column(at=at, is_collected=is_collected[at]) for at in sorted(is_collected, reverse=True)
    )


def _sections(
    shown: Sequence[_Row],
    rows: Sequence[_Row],
    columns: Sequence[Column],
    catalog: Catalog,
    language: str,
) -> tuple[Section, ...]:
    """Sections and tests in the catalog's order, tests that it no longer has at the end."""
    replaced: dict[_Tube, list[_Row]] = {}
    for row in rows:
        if row["bench_state"] is BenchState.SUPERSEDED:
            replaced.setdefault(_tube(row), []).append(row)
    by_test: dict[str, list[_Row]] = {}
    for row in shown:
        by_test.setdefault(row["test_code"], []).append(row)
    places = {code: place for place, code in enumerate(catalog.tests)}
    sections: dict[str, list[Line]] = {}
    for code in sorted(by_test, key=lambda code: (places.get(code, len(places)), code)):
        test = catalog.tests.get(code)
        line = _line(code, test, by_test[code], replaced, columns=columns, language=language)
        sections.setdefault(test.section if test else "", []).append(line)
    return tuple(Section(code=code, lines=tuple(lines)) for code, lines in sections.items())


def _line(
    code: str,
    test: Test | None,
    rows: Sequence[_Row],
    replaced: Mapping[_Tube, Sequence[_Row]],
    *,
    columns: Sequence[Column],
    language: str,
) -> Line:
    """One row of the grid; `rows` are its results, newest first."""
    newest = rows[0]
    by_column: dict[datetime, list[Cell]] = {}
    for row in rows:
        cell = _cell(row, newest, _replaced_by(row, replaced.get(_tube(row), ())), test)
        by_column.setdefault(_drawn_at(row), []).append(cell)
    low, high = limits_of(newest["interval_text"])
    names = test.names if test else {}
    return Line(
        test=code,
        name=names.get(language) or names.get("en") or code or newest["instrument_code"],
        unit=newest["unit"],
        interval=newest["interval_text"],
        cells=tuple(tuple(by_column.get(column.at, ())) for column in columns),
        points=_points(rows, newest["unit"]),
        low=low,
        high=high,
    )


def _cell(row: _Row, newest: _Row, earlier: _Row | None, test: Test | None) -> Cell:
    is_withdrawn = row["status"] is ResultStatus.ENTERED_IN_ERROR
    is_corrected = earlier is not None or row["status"] in CORRECTED_STATUSES
    return Cell(
        value="" if is_withdrawn else _value(row, test),
        flag="" if is_withdrawn else row["flag"],
        unit=row["unit"] if row["unit"] != newest["unit"] else "",
        interval=row["interval_text"] if row["interval_text"] != newest["interval_text"] else "",
        comment=row["comment"],
        is_withdrawn=is_withdrawn,
        is_corrected=is_corrected and not is_withdrawn,
        previous_value=_value(earlier, test) if earlier else "",
        previous_unit=earlier["unit"] if earlier and earlier["unit"] != row["unit"] else "",
        previous_flag=earlier["flag"] if earlier else "",
        released_at=row["released_at"],
    )


def _replaced_by(row: _Row, candidates: Sequence[_Row]) -> _Row | None:
    """The value that was out last before this one, of the same tube and test."""
    out = [
        one
        for one in candidates
        if row["released_at"] is not None and one["visible_from"] <= row["released_at"]
    ]
    return max(out, key=lambda one: (one["released_at"], one["id"]), default=None)


def _points(rows: Sequence[_Row], unit: str) -> tuple[float, ...]:
    """Plain numbers in one unit, oldest first: bounds and other units would draw a false curve."""
    numbers = [
        float(row["value"])
        for row in rows
        if row["value"] is not None and not row["comparator"] and row["unit"] == unit
        if row["status"] is not ResultStatus.ENTERED_IN_ERROR
    ]
    return tuple(reversed(numbers))


def _value(row: _Row, test: Test | None) -> str:
    """The value as the person who verified it saw it."""
    comparator = Comparator(row["comparator"]) if row["comparator"] else None
    read = ReportedValue(text=row["reported"], comparator=comparator, number=row["value"])
    return shown_value(row["reported"], read, test.decimals if test else None).strip()


def _tube(row: _Row) -> _Tube:
    return row["specimen_id"], row["test_code"]


def _abnormal(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Only lines that a doctor must look at."""
    kept = (
        Section(code=one.code, lines=tuple(line for line in one.lines if line.is_abnormal))
        for one in sections
    )
    return tuple(one for one in kept if one.lines)
