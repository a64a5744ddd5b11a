"""A laboratory with one analyzer, one control in two levels, and a real store."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from lis.domain.catalog import Catalog, Test
from lis.domain.clock import ManualClock
from lis.domain.control import GateKey, GateState
from lis.domain.messages import (
    IdReadMode,
    ReportedControl,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
)
from lis.domain.quantity import ReportedValue
from lis.qc.gate import LIVE_CONVENTIONS, RUN_WINDOW
from lis.qc.recording import ControlFold, Reading, Recorded
from lis.qc.westgard import Conventions
from lis.store.identity import CountingIds
from lis.store.rows import ControlLevel, ControlLot, ControlMaterial, Device, Site, Target
from lis.store.unit import Store

T0 = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
TEST = "GLU"


def at(minutes: float) -> datetime:
    """Minutes after the laboratory opened."""
    return T0 + timedelta(minutes=minutes)


def control(
    z: str | float | None,
    minutes: float,
    level: int = 1,
    *,
    specimen: str | None = None,
    kind: SubjectKind = SubjectKind.CONTROL,
    text: str | None = None,
    lot: str = "",
    **more: object,
) -> Reading:
    """A control of level 1 (10 +- 1) or 2 (20 +- 2), `z` SDs from its mean."""
    value = Decimal(10 * level) + Decimal(str(z)) * level if z is not None else None
    shown = text if text is not None else str(value)
    fields: dict[str, object] = {"status": ResultStatus.FINAL, **more}
    observation = ReportedObservation(
        record=f"R|{level}",
        kind=kind,
        specimen=specimen if specimen is not None else f"QC{level}",
        read_mode=IdReadMode.BARCODE,
        test="GLU-code",
        value=ReportedValue.read(shown),
        unit="mmol/L",
        observed_at=at(minutes),
        control=ReportedControl(lot=lot) if lot else None,
        **fields,
    )
    return Reading(device_id=1, test_code=TEST, at=at(minutes), observation=observation)


@dataclass
class Laboratory:
    """The store, and short ways to do what intake does."""

    store: Store
    clock: ManualClock
    catalog: Catalog
    conventions: Conventions = LIVE_CONVENTIONS
    run_window: timedelta = RUN_WINDOW

    def take(self, *readings: Reading) -> list[Recorded]:
        """One batch of controls."""
        with self.store.unit("intake") as unit:
            fold = ControlFold.load(
                unit,
                self.catalog,
                readings,
                conventions=self.conventions,
                run_window=self.run_window,
            )
            done = [
                fold.record(
                    device_id=one.device_id,
                    inbox_id=None,
                    observation=one.observation,
                    analysed_at=one.at,
                    test_code=one.test_code,
                )
                for one in readings
            ]
            fold.write(unit)
        return done

    def gate(self, key: GateKey | None = None) -> GateState | None:
        with self.store.unit("reader") as unit:
            fold = ControlFold.load(unit, self.catalog, ())
            return fold.gate(key or GateKey(device_id=1, test=TEST))


def open_laboratory(url: str) -> Iterator[Laboratory]:
    clock = ManualClock(T0)
    store = Store.open(url, clock=clock, ids=CountingIds())
    try:
        store.create_all()
        seed(store)
        tests = {TEST: Test(code=TEST, names={"en": "Glucose"}, unit="mmol/L")}
        catalog = Catalog(version_id=1, version="1", tests=tests, panels={}, instrument_tests=())
        yield Laboratory(store=store, clock=clock, catalog=catalog)
    finally:
        store.close()


def seed(store: Store) -> None:
    with store.unit("seed") as unit:
        session = unit.session
        site = Site(name="main", timezone="Europe/Moscow")
        material = ControlMaterial(name="Control")
        session.add_all([site, material])
        session.flush()
        session.add(Device(public_id="d1", site_id=site.id, name="c111", driver="cobas-c111"))
        add_lot(session, material.id, "24-01", levels=(1, 2))


def add_lot(session, material_id, lot, *, levels, specimens="QC", since=-10_000):
    """One lot with a level each, and its targets from a moment on."""
    row = ControlLot(material_id=material_id, lot=lot)
    session.add(row)
    session.flush()
    for number in levels:
        level = ControlLevel(
            lot_id=row.id, level=f"L{number}", specimen_ids=[f"{specimens}{number}"]
        )
        session.add(level)
        session.flush()
        session.add(
            Target(
                level_id=level.id,
                test_code=TEST,
                mean=Decimal(10 * number),
                sd=Decimal(number),
                effective_from=at(since),
                author="anna",
            )
        )
    session.flush()
    return row
