"""Ordered tests as the desk's lists show them: rows become standings and clocks, in set queries.

One line is one test of one order on one tube. A repeat is the same line: its newest work order that was not
cancelled tells where the test is, and the value that is out stays out while a repeat runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState
from lis.orders.reads import name_of
from lis.orders.turnaround import TatFacts, Turnaround, turnaround
from lis.orders.whereabouts import Place, RunFacts, Standing, StandingFacts, standing
from lis.store.lookup_queries import values_of_tubes
from lis.store.order_rows import ServiceRequest

CANCELLED_REQUESTS = frozenset({RequestState.REVOKED, RequestState.ENTERED_IN_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLine:
    """One test of an order, as a person reads it."""

    __test__ = False  # not a class of tests

    requisition_id: int
    request_id: int
    orderable: str
    code: str
    name: str
    section: str
    priority: str
    standing: Standing
    clock: Turnaround
    work_order_id: int = 0  # 0: no tube was made for it
    specimen_id: int = 0
    accession: str = ""
    specimen_type: str = ""
    location: str = ""
    device: str = ""
    received_at: datetime | None = None
    value: str = ""  # only once it is out
    unit: str = ""
    flag: str = ""
    interval: str = ""
    is_sensitive: bool = False
    observation_id: int = 0  # the value that counts, out or not


def lines_of(
    session: Session, catalog: Catalog, rows: Sequence[Any], *, at: datetime, language: str
) -> tuple[TestLine, ...]:
    """Lines for rows of `lis.store.lookup_queries.ordered_tests`, in their order."""
    values = _values(session, {row.specimen_id for row in rows})
    newest: dict[tuple[int, int, str], Any] = {}
    for row in rows:
        key = (row.service_request_id, row.specimen_id, row.test_code)
        if key not in newest or row.work_state is not WorkOrderState.CANCELLED:
            newest[key] = row
    return tuple(
        _line(catalog, row, values.get((row.specimen_id, row.test_code)), at, language)
        for row in newest.values()
    )


def lines_without_tube(
    catalog: Catalog, requests: Iterable[ServiceRequest], *, at: datetime, language: str
) -> tuple[TestLine, ...]:
    """Lines for orders that no tube was made for: they wait for a person, or were cancelled."""
    lines = []
    for request in requests:
        is_cancelled = request.state in CANCELLED_REQUESTS
        place = Place.CANCELLED if is_cancelled else Place.ORDER_HELD
        facts = TatFacts(
            targets={}, priority=request.priority, received_at=None, is_cancelled=is_cancelled
        )
        lines.append(
            TestLine(
                requisition_id=request.requisition_id,
                request_id=request.id,
                orderable=request.code,
                code=request.code,
                name=name_of(catalog, request.code, language),
                section="",
                priority=request.priority,
                standing=Standing(
                    place=place, detail=(request.hold_reason,) if request.hold_reason else ()
                ),
                clock=turnaround(facts, at),
            )
        )
    return tuple(lines)


def _values(session: Session, specimen_ids: set[int]) -> dict[tuple[int, str], Any]:
    """The value that counts of each tube and test: a released one, else the newest chosen one."""
    found: dict[tuple[int, str], Any] = {}
    for row in values_of_tubes(session, specimen_ids):
        key = (row.specimen_id, row.test_code)
        if key not in found or _weight(row) >= _weight(found[key]):
            found[key] = row
    return found


def _weight(row: Any) -> tuple[bool, bool, bool]:
    is_out = row.bench_state is BenchState.RELEASED
    return is_out, row.is_chosen, row.bench_state is not BenchState.REJECTED


def _line(catalog: Catalog, row: Any, value: Any | None, at: datetime, language: str) -> TestLine:
    test = catalog.tests.get(row.test_code)
    released_at = value.released_at if value and value.bench_state is BenchState.RELEASED else None
    clock = turnaround(
        TatFacts(
            targets=test.turnaround_min if test else {},
            priority=row.priority,
            received_at=row.received_at,
            done_at=released_at,
            is_cancelled=_is_off(row),
        ),
        at,
    )
    stands = standing(_facts(row, value), clock, at)
    is_told = value is not None and stands.is_ready
    return TestLine(
        requisition_id=row.requisition_id,
        request_id=row.service_request_id,
        orderable=row.orderable,
        code=row.test_code,
        name=name_of(catalog, row.test_code, language),
        section=test.section if test else "",
        priority=row.priority,
        standing=stands,
        clock=clock,
        work_order_id=row.work_order_id,
        specimen_id=row.specimen_id,
        accession=row.accession,
        specimen_type=row.specimen_type,
        location=row.location,
        device=row.device or "",
        received_at=row.received_at,
        value=_shown(value, test.decimals if test else None) if is_told else "",
        unit=value.unit if value is not None and is_told else "",
        flag=value.flag if value is not None and is_told else "",
        interval=value.interval_text if value is not None and is_told else "",
        is_sensitive=bool(test and test.is_sensitive),
        observation_id=value.id if value is not None else 0,
    )


def _facts(row: Any, value: Any | None) -> StandingFacts:
    return StandingFacts(
        request_state=row.request_state,
        work_state=row.work_state,
        specimen_state=row.specimen_state,
        hold_reason=row.hold_reason,
        reject_reason=row.reject_reason,
        device=row.device or "",
        run=None
        if value is None
        else RunFacts(
            bench_state=value.bench_state,
            holds=tuple(value.holds),
            lane=value.lane,
            visible_from=value.visible_from,
        ),
    )


def _is_off(row: Any) -> bool:
    return (
        row.request_state in CANCELLED_REQUESTS
        or row.work_state is WorkOrderState.CANCELLED
        or row.specimen_state is SpecimenState.REJECTED
    )


def _shown(value: Any, decimals: int | None) -> str:
    """The value with the catalog's decimals; text that is no number stays as it was reported."""
    if value.value is None or decimals is None:
        return str(value.reported)
    return f"{value.comparator}{value.value:.{decimals}f}"
