"""What the page "the analyzer does not see the order" shows: one tube, or one analyzer. Nothing is changed here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound
from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent
from lis.orders.dispatching import judged_document, verdict_now
from lis.store import routing_queries as queries
from lis.store.order_queries import (
    service_requests_by_ids,
    specimens_by_accession,
    work_orders_of_specimens,
)
from lis.store.routing_rows import RoutingChoice
from lis.store.traffic_queries import all_devices, device_by_name, host_queries
from lis.store.traffic_rows import Device, HostQueryLog

QUERIES_SEARCHED: Final = 500  # of each analyzer: the questions of a day
QUERIES_SHOWN: Final = 20
LOAD_TUBES_MAX: Final = 200
RACK_SIZE: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One question in which a tube, or an analyzer, occurs."""

    at: datetime
    analyzer: str
    asked: tuple[str, ...]
    tests: tuple[str, ...]
    reason: str
    withheld: tuple[tuple[str, str], ...]  # test, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceLine:
    """One choice that was made."""

    at: datetime
    actor: str
    trigger: str
    outcome: str
    analyzer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedTest:
    """One work order of a tube: where it lies, what would be chosen now, what was chosen before."""

    public_id: str
    version: int
    test: str
    name: str
    state: str
    priority: str
    analyzer: str
    pinned: str
    can_move: bool
    outcome: str
    judged: tuple[dict[str, Any], ...]
    choices: tuple[ChoiceLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeView:
    """One tube."""

    accession: str
    specimen_type: str
    state: str
    received_at: datetime | None
    tests: tuple[RoutedTest, ...]
    asked: tuple[AskedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzerLine:
    """One analyzer in the overview."""

    name: str
    driver: str
    urgent: int
    routine: int
    stopped: str
    stopped_by: str
    is_quarantined: bool
    is_away: bool
    is_silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTube:
    """One line of a load list; rack and place are a proposal, in the order in which to load."""

    rack: int
    place: int
    accession: str
    patient: str
    birth_date: str
    priority: str
    tests: tuple[str, ...]
    is_told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzerView:
    """One analyzer with what lies before it."""

    line: AnalyzerLine
    tubes: tuple[LoadedTube, ...]
    asked: tuple[AskedLine, ...]


def analyzer_lines(session: Session) -> tuple[AnalyzerLine, ...]:
    """Every analyzer, by name."""
    return tuple(_lines(session, all_devices(session)).values())


def tube_view(
    session: Session, catalog: Catalog, accession: str, *, at: datetime, language: str
) -> TubeView:
    """One tube by its number, exactly as printed. Raises `NotFound`."""
    specimen = specimens_by_accession(session, [accession]).get(accession)
    if specimen is None:
        raise NotFound("Specimen", accession)
    orders = work_orders_of_specimens(session, [specimen.id])
    devices = {device.id: device for device in all_devices(session)}
    names = {key: device.name for key, device in devices.items()}
    verdicts = verdict_now(session, catalog, orders, at) if orders else {}
    choices = queries.choices_of(session, [one.id for one in orders])
    requests = service_requests_by_ids(session, [one.service_request_id for one in orders])
    tests = []
    for one in orders:
        known, verdict = catalog.tests.get(one.test_code), verdicts[one.id]
        tests.append(
            RoutedTest(
                public_id=one.public_id,
                version=one.version,
                test=one.test_code,
                name=known.names.get(language, one.test_code) if known else one.test_code,
                state=one.state.value,
                priority=requests[one.service_request_id].priority,
                analyzer=names.get(one.device_id or 0, ""),
                pinned=names.get(one.pinned_device_id or 0, ""),
                can_move=WORK_ORDER.allows(one.state, WorkOrderEvent.ROUTE),
                outcome=verdict.outcome.value,
                judged=tuple(judged_document(verdict)),
                choices=tuple(_choice(row, names) for row in choices.get(one.id, ())),
            )
        )
    return TubeView(
        accession=specimen.accession,
        specimen_type=specimen.specimen_type,
        state=specimen.state.value,
        received_at=specimen.received_at,
        tests=tuple(tests),
        asked=_asked_of(session, tuple(devices.values()), accession),
    )


def analyzer_view(session: Session, name: str) -> AnalyzerView:
    """One analyzer: its state, what to load in which order, what it asked. Raises `NotFound`."""
    device = device_by_name(session, name)
    if device is None:
        raise NotFound("Device", name)
    routing = queries.routings_of(session, [device.id]).get(device.id)
    size = routing.rack_size if routing else RACK_SIZE
    rows = host_queries(session, device.id, limit=QUERIES_SHOWN)
    return AnalyzerView(
        line=_lines(session, [device])[device.id],
        tubes=_load_list(session, device, size),
        asked=tuple(_asked(row, device.name, None) for row in rows),
    )


def _lines(session: Session, devices: Sequence[Device]) -> dict[int, AnalyzerLine]:
    ids = [device.id for device in devices]
    loads, routings = queries.loads_of(session, ids), queries.routings_of(session, ids)
    away = queries.devices_away(session, ids)
    silent = queries.devices_silent(session, ids, kind="silence")
    found = {}
    for device in devices:
        urgent, routine = loads.get(device.id, (0, 0))
        routing = routings.get(device.id)
        found[device.id] = AnalyzerLine(
            name=device.name,
            driver=device.driver,
            urgent=urgent,
            routine=routine,
            stopped=routing.stopped_reason if routing else "",
            stopped_by=routing.stopped_by if routing else "",
            is_quarantined=bool(device.quarantine_reason),
            is_away=device.id in away,
            is_silent=device.id in silent,
        )
    return found


def _load_list(session: Session, device: Device, rack_size: int) -> tuple[LoadedTube, ...]:
    by_tube: dict[int, list[Any]] = {}
    for row in queries.load_list(session, device.id, limit=LOAD_TUBES_MAX):
        by_tube.setdefault(row[2].id, []).append(row)
    found = []
    for position, rows in enumerate(by_tube.values()):
        _, _, specimen, patient = rows[0]
        found.append(
            LoadedTube(
                rack=position // rack_size + 1,
                place=position % rack_size + 1,
                accession=specimen.accession,
                patient=" ".join(filter(None, (patient.family_name, patient.given_name))),
                birth_date=patient.birth_date,
                priority=min((row[1].priority for row in rows), key="SAR".find),
                tests=tuple(row[0].test_code for row in rows),
                is_told=all(row[0].state.value != "queued" for row in rows),
            )
        )
    return tuple(found)


def _choice(row: RoutingChoice, names: Mapping[int, str]) -> ChoiceLine:
    return ChoiceLine(
        at=row.at,
        actor=row.actor,
        trigger=row.trigger,
        outcome=row.outcome,
        analyzer=names.get(row.device_id or 0, ""),
        reason=row.reason,
    )


def _asked_of(session: Session, devices: Sequence[Device], accession: str) -> tuple[AskedLine, ...]:
    """Who asked for this tube, newest first."""
    found = [
        _asked(row, device.name, accession)
        for device in devices
        for row in host_queries(session, device.id, limit=QUERIES_SEARCHED)
        if accession in row.asked or any(one["specimen"] == accession for one in row.answered)
    ]
    return tuple(sorted(found, key=lambda line: line.at, reverse=True)[:QUERIES_SHOWN])


def _asked(row: HostQueryLog, analyzer: str, accession: str | None) -> AskedLine:
    told = [one for one in row.answered if accession is None or one["specimen"] == accession]
    reasons = [str(one["reason"]) for one in told if one.get("reason")]
    return AskedLine(
        at=row.at,
        analyzer=analyzer,
        asked=tuple(map(str, row.asked)),
        tests=tuple(str(test) for one in told for test in one["tests"]),
        reason=reasons[0] if reasons else row.empty_reason,
        withheld=tuple(pair for one in told for pair in one.get("withheld", {}).items()),
    )
