"""Forty runs of a control on one analyzer, and tests in every other state of the board.

Glucose has three levels, a rejection that was acted on, a warning, a void point and a new lot. Everything goes
through `lis.qc.recording` and `lis.qc.actions`, with the clock standing where it stood in the story.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from lis.domain.clock import ManualClock
from lis.domain.messages import IdReadMode, ReportedObservation, ResultStatus, SubjectKind
from lis.domain.quantity import ReportedValue
from lis.qc import actions
from lis.qc.reads import run_lines
from lis.qc.recording import ControlFold, Reading
from lis.store.definitions import catalog_in_force
from lis.store.rows import ControlLevel, ControlLot, ControlMaterial, Device, Site, Target
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store, Unit

DRIVER = "roche-cobas-c111"
RUNS = 40
EVERY = timedelta(hours=12)
LOT_CHANGE = 26
GLUCOSE = {"L1": ("2.80", "0.08"), "L2": ("5.60", "0.14"), "L3": ("15.20", "0.35")}
OTHERS = {
    code: {"L1": (low, sd), "L2": (high, sd)}
    for code, low, high, sd in (
        ("K", "3.2", "6.4", "0.1"),
        ("NA", "128", "152", "1.6"),
        ("CREA", "82", "340", "4"),
        ("UREA", "5.1", "17.2", "0.3"),
        ("ALT", "31", "112", "3"),
        ("AST", "36", "140", "3"),
    )
}
# (run, level) -> z; everything else is scatter
PLANNED = {
    (11, "L2"): "2.3",
    (17, "L3"): "3.4",
    (29, "L1"): "-2.6",
    (33, "L2"): "2.4",
    (33, "L1"): "2.2",
    (39, "L2"): "2.2",
}


@dataclass
class Story:
    """Writes controls the way intake does."""

    store: Store
    clock: ManualClock
    device: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(5))

    def furnish(self) -> None:
        """Site, two analyzers, catalog; a control lot with targets for the first of them."""
        with self.store.unit("seed") as unit:
            since = unit.now - timedelta(days=60)
            put_demo_catalog(unit, effective_from=since)
            site = Site(name="main", timezone="Europe/Moscow")
            unit.session.add(site)
            unit.session.flush()
            row = Device(public_id="story-1", site_id=site.id, name="c111-1", driver=DRIVER)
            unit.session.add(row)
            unit.session.flush()
            self.device = row.id
            unit.session.add(ControlMaterial(name="Multicontrol"))
            unit.session.flush()
            self._lot(unit, "24-01", {"GLU": GLUCOSE, **OTHERS}, since=since)

    def tell(self) -> None:
        """All runs of glucose, one run of each other test but K (rejected) and AST (never measured)."""
        end = self.clock.now()
        first = end - timedelta(hours=1) - (RUNS - 1) * EVERY
        for number in range(RUNS):
            self.clock.at = first + number * EVERY
            if number == LOT_CHANGE:
                self._change_lot()
            self.run("GLU", {level: self._z(number, level) for level in GLUCOSE})
            if number == 17:
                self.clock.advance(minutes=20)
                self._act("Reagent was at its end: new cassette, calibrated.")
                self.clock.advance(minutes=20)
                self.run("GLU", {"L1": "0.2", "L2": "-0.4", "L3": "0.6"})
            if number == 33:
                self.clock.advance(minutes=20)
                self._void("L1", "Vial stood open over night.")
                self._act("Fresh vials of all levels.")
                self.clock.advance(minutes=20)
                self.run("GLU", {"L1": "0.3", "L2": "0.1", "L3": "-0.6"})
        self.clock.at = end - timedelta(hours=30)
        self.run("UREA", {"L1": "0.1", "L2": "0.5"})
        self.clock.at = end - timedelta(hours=23)
        self.run("ALT", {"L1": "0.4", "L2": "-0.5"})
        self.clock.at = end - timedelta(minutes=40)
        for code in ("NA", "CREA"):
            self.run(code, {"L1": "0.4", "L2": "-0.5"})
        self.run("K", {"L1": "3.6", "L2": "1.1"})
        self.clock.at = end

    def run(self, test: str, deviations: dict[str, str]) -> None:
        """One run now, its levels a minute apart."""
        targets = {"GLU": GLUCOSE, **OTHERS}[test]
        now = self.clock.now()
        readings = [
            self._reading(test, level, targets[level], z, now + timedelta(minutes=place))
            for place, (level, z) in enumerate(deviations.items())
        ]
        with self.store.unit("intake") as unit:
            catalog = catalog_in_force(unit.session, unit.now)
            fold = ControlFold.load(unit, catalog, readings)
            for one in readings:
                fold.record(
                    device_id=one.device_id,
                    inbox_id=None,
                    observation=one.observation,
                    analysed_at=one.at,
                    test_code=one.test_code,
                )
            fold.write(unit)

    def last_run(self, test: str):
        with self.store.read() as session:
            return run_lines(session, device_id=self.device, test_code=test)[-1]

    def _z(self, number: int, level: str) -> str:
        drawn = max(-1.9, min(1.9, self.dice.gauss(0, 0.9)))
        return PLANNED.get((number, level), f"{drawn:.2f}")

    def _reading(
        self, test: str, level: str, target: tuple[str, str], z: str, at: datetime
    ) -> Reading:
        mean, sd = (Decimal(text) for text in target)
        value = (mean + Decimal(z) * sd).quantize(sd / 10 if sd < 1 else Decimal("0.1"))
        observation = ReportedObservation(
            record=f"R|{test}{level}",
            kind=SubjectKind.CONTROL,
            specimen=f"QC{level}",
            read_mode=IdReadMode.BARCODE,
            test=test,
            value=ReportedValue.read(str(value)),
            unit="",
            observed_at=at,
            status=ResultStatus.FINAL,
        )
        return Reading(device_id=self.device, test_code=test, at=at, observation=observation)

    def _act(self, text: str) -> None:
        run = self.last_run("GLU")
        with self.store.unit("quality") as unit:
            actions.record_action(unit, run.run_id, run.version, text)

    def _void(self, level: str, reason: str) -> None:
        point = next(one for one in self.last_run("GLU").points if one.level == level)
        with self.store.unit("quality") as unit:
            actions.void_point(unit, point.point_id, reason)

    def _change_lot(self) -> None:
        with self.store.unit("seed") as unit:
            unit.session.get_one(ControlLot, 1).is_in_use = False
            tests = {"GLU": GLUCOSE, **OTHERS}
            self._lot(unit, "24-03", tests, since=unit.now - timedelta(hours=1))

    def _lot(
        self,
        unit: Unit,
        name: str,
        tests: dict[str, dict[str, tuple[str, str]]],
        *,
        since: datetime,
    ) -> None:
        lot = ControlLot(material_id=1, lot=name)
        unit.session.add(lot)
        unit.session.flush()
        for level in GLUCOSE:
            row = ControlLevel(lot_id=lot.id, level=level, specimen_ids=[f"QC{level}"])
            unit.session.add(row)
            unit.session.flush()
            for code, levels in tests.items():
                if level in levels:
                    mean, sd = (Decimal(text) for text in levels[level])
                    unit.session.add(
                        Target(
                            level_id=row.id,
                            test_code=code,
                            mean=mean,
                            sd=sd,
                            effective_from=since,
                            author="seed",
                            device_id=self.device,
                        )
                    )
        unit.session.flush()
