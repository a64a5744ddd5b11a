"""Which codes an instrument has sent, and which of them no test stands for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState
from lis.store.definitions import DefinitionKind, body_in_force
from lis.store.observation_rows import Observation
from lis.store.traffic_rows import Device

WAITING_MAX = 500  # judged in one unit of work: some seconds
CODES_MAX = 1_000  # of one instrument: the largest menus hold some hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCode:
    """One code with one unit, as an instrument sent them."""

    code: str
    unit: str
    test: str  # as the catalog in force knows it; "" while it knows none
    count: int
    last_at: datetime


def seen_codes(session: Session, device: Device, at: datetime) -> Sequence[SeenCode]:
    """The codes this instrument sent, unknown ones first."""
    rows = session.execute(
        select(
            Observation.instrument_code,
            Observation.reported_unit,
            func.count(),
            func.max(Observation.created_at),
        )
        .where(Observation.device_id == device.id)
        .group_by(Observation.instrument_code, Observation.reported_unit)
        .order_by(Observation.instrument_code, Observation.reported_unit)
        .limit(CODES_MAX)
    ).all()
    known = _known_tests(session, device.driver, at)
    seen = [
        SeenCode(code=code, unit=unit, test=known.get(code, ""), count=count, last_at=last_at)
        for code, unit, count, last_at in rows
    ]
    return sorted(seen, key=lambda one: bool(one.test))


def _known_tests(session: Session, driver: str, at: datetime) -> dict[str, str]:
    document = body_in_force(session, DefinitionKind.CATALOG, at)
    entries = document.get("instrument_tests", ())
    return {entry["code"]: entry["test"] for entry in entries if entry["driver"] == driver}


def waiting_without_test(
    session: Session, device_id: int, codes: Collection[str]
) -> Sequence[Observation]:
    """Held values of settled tubes whose code had no test, oldest first; the rest comes with the next call."""
    return session.scalars(
        select(Observation)
        .where(
            Observation.device_id == device_id,
            Observation.test_code == "",
            Observation.instrument_code.in_(tuple(codes)),
            Observation.bench_state == BenchState.HELD,
            Observation.patient_id.is_not(None),
        )
        .order_by(Observation.id)
        .limit(WAITING_MAX)
    ).all()


def catalog_document(session: Session, at: datetime) -> Mapping[str, Any]:
    """The catalog in force as it was put in."""
    return body_in_force(session, DefinitionKind.CATALOG, at)
