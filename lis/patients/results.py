"""A patient opens a result with the receipt's code and the date of birth.

The code alone opens nothing, and neither does the date. A wrong pair gets one answer in the same words
whether or not the code exists; five wrong dates lock the code for a quarter of an hour, and wrong codes are
counted per address. Every opening is audited. Nothing here is kept by the browser: the page posts
the pair each time.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lis.access.passwords import receipt_hash
from lis.access.throttle import count_failure, is_locked
from lis.domain.catalog import Catalog, Test
from lis.domain.errors import Refused
from lis.domain.quantity import Comparator, ReportedValue
from lis.patients.policy import CORRECTED_STATUSES, ReleasedFacts, Showing, may_show
from lis.results.interpretation import shown_value
from lis.store.definitions import catalog_in_force
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition
from lis.store.patient_result_queries import (
    count_open_work,
    released_of_requisition,
    replaced_of_requisition,
    specimens_by_ids,
)
from lis.store.people_queries import access_by_hash
from lis.store.people_rows import Patient, PatientAccess
from lis.store.unit import Store, Unit

FAILURES_MAX: Final = 5
LOCK_TIME: Final = timedelta(minutes=15)
ADDRESS_FAILURES_MAX: Final = 30  # families and clinics share an address


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientResult:
    """One line of the patient's page."""

    test: str
    name: str
    plain_words: str
    showing: Showing
    value: str
    unit: str
    flag: str
    interval: str
    status: str
    value_number: float | None
    low: float | None
    high: float | None
    previous_value: str  # the value a correction replaced; "" if none
    previous_unit: str
    is_corrected: bool
    released_at: datetime | None
    analysed_at: datetime | None
    collected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientResults:
    """What a patient's page shows."""

    initials: str
    birth_date: str
    ordered_at: datetime
    results: tuple[PatientResult, ...]
    waiting: int


def open_results(
    store: Store, *, code: str, birth_date: str, address: str, language: str
) -> PatientResults:
    """The results behind a receipt; raises `Refused` in the same words for every wrong pair."""
    with store.unit("patient") as unit:
        found = _check(unit, code=code, birth_date=birth_date, address=address)
        shown = _show(unit, found, language) if isinstance(found, PatientAccess) else None
    if shown is None:
        raise Refused(str(found), minutes=int(LOCK_TIME / timedelta(minutes=1)))
    return shown


def _check(unit: Unit, *, code: str, birth_date: str, address: str) -> PatientAccess | str:
    """The access row, or the code of the refusal; counts failures in this unit."""
    subject = f"receipt:{address}"
    if is_locked(unit, subject):
        return "patients.locked"
    access = access_by_hash(unit.session, receipt_hash(code))
    if access is None or access.revoked_at is not None or access.expires_at <= unit.now:
        count_failure(unit, subject, limit=ADDRESS_FAILURES_MAX, lock=LOCK_TIME)
        return "patients.wrong_pair"
    if access.locked_until is not None and access.locked_until > unit.now:
        return "patients.locked"
    requisition = unit.session.get_one(Requisition, access.requisition_id)
    patient = unit.session.get_one(Patient, requisition.patient_id)
    is_same = len(patient.birth_date) == len("YYYY-MM-DD") and hmac.compare_digest(
        patient.birth_date.encode(), birth_date.strip().encode()
    )
    if not is_same:
        access.failures += 1
        if access.failures >= FAILURES_MAX:
            access.failures = 0
            access.locked_until = unit.now + LOCK_TIME
        count_failure(unit, subject, limit=ADDRESS_FAILURES_MAX, lock=LOCK_TIME)
        unit.audit("receipt_refused", "PatientAccess", access.id, seen={"address": address})
        return "patients.wrong_pair"
    access.failures, access.last_used_at = 0, unit.now
    unit.audit("receipt_opened", "PatientAccess", access.id, seen={"address": address})
    return access


def _show(unit: Unit, access: PatientAccess, language: str) -> PatientResults:
    requisition = unit.session.get_one(Requisition, access.requisition_id)
    patient = unit.session.get_one(Patient, requisition.patient_id)
    catalog = catalog_in_force(unit.session, unit.now)
    rows = released_of_requisition(unit.session, requisition.id, unit.now)
    replaced = replaced_of_requisition(unit.session, requisition.id, unit.now)
    specimens = specimens_by_ids(unit.session, (row.specimen_id for row in rows if row.specimen_id))
    results = []
    for row in rows:
        specimen = specimens.get(row.specimen_id or 0)
        line = _line(
            row,
            catalog,
            language,
            at=unit.now,
            earlier=_replaced_by(row, replaced),
            collected_at=specimen.collected_from if specimen else None,
        )
        if line is not None:
            results.append(line)
    names = (patient.family_name, patient.given_name, patient.middle_name)
    return PatientResults(
        initials=" ".join(f"{name[0]}." for name in names if name),
        birth_date=patient.birth_date,
        ordered_at=requisition.created_at,
        results=_in_reading_order(results, catalog),
        waiting=count_open_work(unit.session, requisition.id, unit.now),
    )


def _line(
    row: Observation,
    catalog: Catalog,
    language: str,
    *,
    at: datetime,
    earlier: Observation | None,
    collected_at: datetime | None,
) -> PatientResult | None:
    test = catalog.tests.get(row.test_code)
    is_visible = row.visible_from is not None and row.visible_from <= at
    facts = ReleasedFacts(bench_state=row.bench_state, status=row.status, is_visible_yet=is_visible)
    showing = may_show(facts, test)
    if showing is Showing.HIDE or test is None:
        return None
    is_shown = showing is Showing.SHOW
    low, high = _bounds(row, test) if is_shown else (None, None)
    return PatientResult(
        test=test.code,
        name=test.names.get(language) or test.code,
        plain_words=test.plain_words.get(language, ""),
        showing=showing,
        value=_value(row, test) if is_shown else "",
        unit=row.unit if is_shown else "",
        flag=row.flag if is_shown else "",
        interval=row.interval_text if is_shown else "",
        status=row.status.value,
        value_number=float(row.value) if is_shown and row.value is not None else None,
        low=low,
        high=high,
        previous_value=_value(earlier, test) if is_shown and earlier is not None else "",
        previous_unit=earlier.unit if is_shown and earlier is not None else "",
        is_corrected=is_shown and (earlier is not None or row.status in CORRECTED_STATUSES),
        released_at=row.released_at,
        analysed_at=row.analysed_at,
        collected_at=collected_at,
    )


def _in_reading_order(
    results: Iterable[PatientResult], catalog: Catalog
) -> tuple[PatientResult, ...]:
    """What needs attention first, then as the catalog groups tests."""
    places = {code: place for place, code in enumerate(catalog.tests)}

    def place(line: PatientResult) -> tuple[bool, int]:
        is_plain = line.showing is Showing.SHOW and not line.flag and not line.is_corrected
        return is_plain, places[line.test]

    return tuple(sorted(results, key=place))


def _replaced_by(row: Observation, replaced: Sequence[Observation]) -> Observation | None:
    """The value of the same test and tube that was out last before this one."""
    released_at = row.released_at
    earlier = [
        one
        for one in replaced
        if (one.service_request_id, one.specimen_id, one.test_code)
        == (row.service_request_id, row.specimen_id, row.test_code)
        and released_at is not None
        and one.visible_from is not None
        and one.visible_from <= released_at
    ]
    return earlier[-1] if earlier else None


def _value(row: Observation, test: Test) -> str:
    """The value as the person who verified it saw it."""
    comparator = Comparator(row.comparator) if row.comparator else None
    read = ReportedValue(text=row.reported, comparator=comparator, number=row.value)
    return shown_value(row.reported, read, test.decimals).strip()


def _bounds(row: Observation, test: Test) -> tuple[float | None, float | None]:
    """Limits of the band whose text is stored with the result, for drawing the bar only."""
    for band in test.intervals:
        if band.shown() == row.interval_text:
            low = float(band.low) if band.low is not None else None
            high = float(band.high) if band.high is not None else None
            return low, high
    return None, None
