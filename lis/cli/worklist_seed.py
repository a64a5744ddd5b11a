"""A bench full of waiting results, for the worklist's benchmark, browser tests and pictures.

Everything goes the way it goes in life: orders are placed, controls and patients arrive as messages, intake
judges them. Only the messages are made up here, from a seeded generator, so that the same seed gives the same
bench. Automatic release is off for some tests (they wait in CLEAR), and a few tubes carry trouble: critical
potassium, a jump against last week, instrument flags, an unknown number, an unknown test, values beyond range.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from lis.cli.worklist_story import WARDS, astm_message, person_of, troubled
from lis.domain.catalog import Catalog, InstrumentTest, Test
from lis.domain.clock import ManualClock
from lis.domain.messages import (
    IdReadMode,
    Protocol,
    Reason,
    ReportedObservation,
    Sender,
    SubjectKind,
    Translation,
    Unreadable,
)
from lis.domain.quantity import ReportedValue
from lis.orders import (
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    place_requisition,
)
from lis.results import reads
from lis.results.desk import Shown
from lis.results.intake import Intake
from lis.results.validation import verify_many
from lis.store.control_rows import ControlLevel, ControlLot, ControlMaterial, Target
from lis.store.definitions import DefinitionKind, catalog_in_force, put_definition
from lis.store.rows import Device, Inbox, Link, Site
from lis.store.seed.demo_catalog import demo_documents
from lis.store.unit import Store, Unit

DRIVERS: Final = {"c111-1": "roche-cobas-c111", "xp-1": "sysmex-xp-100"}
HISTORY_DAYS: Final = (63, 35, 14, 6)  # days back: enough points for a sparkline
ORDERED_BEFORE: Final = timedelta(minutes=60)
BY_HAND: Final = frozenset({"CREA", "UREA", "ALT", "AST", "NA", "CL", "WBC", "PLT", "HGB"})
CHEMISTRY: Final = ("GLU", "UREA", "CREA", "NA", "K", "CL", "CA", "ALT", "AST", "CRP")
HAEMATOLOGY: Final = ("WBC", "RBC", "HGB", "HCT", "MCV", "PLT")


@dataclass
class Bench:
    """Writes messages and lets intake judge them; the clock moves with the story."""

    store: Store
    clock: ManualClock
    seed: int = 7
    dice: random.Random = field(init=False)
    messages: dict[int, Translation] = field(default_factory=dict)
    devices: dict[str, int] = field(default_factory=dict)
    people: list[PatientEntry] = field(default_factory=list)
    _read: Catalog | None = None

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - a story, not a secret
        self._intake = Intake(self.store, lambda inbox, _device: self.messages[inbox.id])

    def furnish(self) -> None:
        """Site, analyzers, catalog and controls, all in force since long ago."""
        with self.store.unit("seed") as unit:
            since = unit.now - timedelta(days=400)
            unit.session.add(Site(name="main", timezone="Europe/Moscow"))
            unit.session.flush()
            for kind, body in _documents():
                put_definition(unit, kind, body["version"], body, since, "demo-approver")
            for name, driver in DRIVERS.items():
                self.devices[name] = _device(unit, name, driver)
            catalog = catalog_in_force(unit.session, unit.now)
            for name, driver in DRIVERS.items():
                _controls(unit, catalog, self.devices[name], driver, since)

    def fill(self, tubes: int) -> None:
        """Some weeks of history, then today's bench with `tubes` tubes of each kind."""
        today = self.clock.now()
        self.people = [person_of(self.dice, number) for number in range(max(tubes, 1))]
        for days in HISTORY_DAYS:
            self.clock.at = today - timedelta(days=days)
            self._day(self.people[: max(1, tubes // 2)], trouble=False)
        self.clock.at = today
        self._day(self.people, trouble=True)
        self._strangers()
        self.process()

    def process(self) -> None:
        """Judge everything that waits in the inbox."""
        while self._intake.run_once().claimed:
            pass

    def arrive(self, test: str = "K", value: str = "7.1") -> str:
        """One more tube with one result, as if an analyzer had just sent it; its accession."""
        person = person_of(self.dice, self.dice.randrange(10_000))
        accession = self._order(person, (test,), "S")
        self.message("c111-1", [self.value("c111-1", accession, test, value)])
        self.process()
        return accession

    def order_only(self, *tests: str, priority: str = "R") -> str:
        """A received tube that nobody has measured yet; its accession."""
        return self._order(person_of(self.dice, self.dice.randrange(10_000)), tests, priority)

    def value(
        self, device: str, accession: str, test: str, value: str, **more: Any
    ) -> ReportedObservation:
        """One reported value of a test by our code."""
        entry = self._entry(device, test)
        return ReportedObservation(
            record="R|1",
            kind=SubjectKind.PATIENT,
            specimen=accession,
            read_mode=IdReadMode.BARCODE,
            test=entry.code if entry else test,
            value=ReportedValue.read(value),
            unit=entry.unit if entry else "",
            observed_at=self.clock.now() - timedelta(minutes=self.dice.randrange(1, 50)),
            **more,
        )

    def message(
        self,
        device: str,
        observations: Sequence[ReportedObservation],
        unreadable: tuple[Unreadable, ...] = (),
    ) -> None:
        """Put one message into the inbox as a link would."""
        numbered = tuple(
            replace(one, record=f"R|{number}") for number, one in enumerate(observations, 1)
        )
        with self.store.unit("link") as unit:
            raw = astm_message(device, numbered, unit.now)
            row = Inbox(
                link_id=self.devices[device],
                received_at=unit.now,
                protocol="astm",
                lane="result",
                raw=raw,
                sha256=raw[-32:],
                device_id=self.devices[device],
                driver=DRIVERS[device],
                driver_version="1",
                is_session_closed=True,
            )
            unit.session.add(row)
            unit.session.flush()
            self.messages[row.id] = Translation(
                driver=DRIVERS[device],
                driver_version="1",
                protocol=Protocol.ASTM,
                sender=Sender(),
                observations=numbered,
                unreadable=unreadable,
            )

    # --- a day --------------------------------------------------------------------------------

    def _day(self, people: Sequence[PatientEntry], *, trouble: bool) -> None:
        self._controls_arrive()
        for number, person in enumerate(people):
            tests = CHEMISTRY if number % 3 else (*CHEMISTRY[:5], "CRP")
            urgent = "S" if trouble and number % 9 == 4 else "R"
            self._measure("c111-1", person, tests, number if trouble else None, urgent)
            if number % 2 == 0:
                self._measure("xp-1", person, HAEMATOLOGY, None, urgent)
        self.process()
        if not trouble:
            self._verify_clear()

    def _verify_clear(self) -> None:
        """What a technician did that day, so that there is a history."""
        done = True
        while done:
            with self.store.unit("seed") as unit:
                rows = reads.worklist(unit.session, self._catalog(), lane="clear")["rows"]
                shown = [
                    Shown(
                        observation_id=row["id"], version=row["row_version"], hash=row["shown_hash"]
                    )
                    for row in rows
                ]
                verified = verify_many(unit, self._catalog(), shown, user="seed").verified
                done = bool(verified)

    def _measure(
        self,
        device: str,
        person: PatientEntry,
        tests: Sequence[str],
        trouble: int | None,
        priority: str,
    ) -> None:
        accession = self._order(person, tests, priority)
        found = [self.value(device, accession, test, self._usual(person, test)) for test in tests]
        if trouble is not None:
            found = list(troubled(found, trouble))
        self.message(device, found)

    def _order(self, person: PatientEntry, tests: Sequence[str], priority: str) -> str:
        now = self.clock.now()
        self.clock.at = now - ORDERED_BEFORE  # a tube arrives before it is measured
        with self.store.unit("seed") as unit:
            placed = place_requisition(
                unit,
                self._catalog(),
                RequisitionEntry(
                    patient=person,
                    orders=tuple(OrderEntry(code=test, priority=priority) for test in tests),
                    source="form",
                    ward=self.dice.choice(WARDS),
                    priority=priority,
                    collected_at=unit.now - timedelta(minutes=25),
                    collected_certainty="exact",
                    is_received=True,
                ),
                site_id=1,
            )
        self.clock.at = now
        return placed.specimens[0].accession

    def _usual(self, person: PatientEntry, test: str) -> str:
        """A value around the middle of the interval, near this person's own level."""
        limits = self._test(test).intervals[-1]
        low = float(limits.low or 0)
        high = float(limits.high or low * 2 or 1)
        own = random.Random(f"{person.family_name}{test}").gauss(0, 0.22)  # noqa: S311
        middle = (low + high) / 2 + (high - low) * (own + self.dice.gauss(0, 0.06))
        return self._round(test, max(middle, (low + high) * 0.12))

    def _round(self, test: str, value: float) -> str:
        step = Decimal(1).scaleb(-(self._test(test).decimals or 0))
        return str(Decimal(str(value)).quantize(step, rounding=ROUND_HALF_UP))

    def _strangers(self) -> None:
        """Results nobody can match: an unknown number, an unknown test, a typed number."""
        known = self._order(self.people[0], ("GLU",), "R")
        self.message(
            "c111-1",
            [
                self.value("c111-1", "99000017", "GLU", "5.4"),
                self.value("c111-1", "99000017", "K", "4.4"),
                replace(self.value("c111-1", known, "GLU", "6.3"), read_mode=IdReadMode.TYPED),
                self.value("c111-1", known, "XYZ", "12"),
            ],
            (
                Unreadable(
                    record="R|9", field="", raw="R|9|^^^9\u00a609", reason=Reason.UNREADABLE_RECORD
                ),
            ),
        )

    def _controls_arrive(self) -> None:
        at = self.clock.now() - timedelta(hours=2)
        for name, driver in DRIVERS.items():
            observations = [
                replace(
                    self.value(name, f"QC{level}-{self.devices[name]}", entry.test, str(mean)),
                    kind=SubjectKind.CONTROL,
                    observed_at=at,
                )
                for entry in _entries(self._catalog(), driver)
                for level, mean, _ in _levels(self._catalog().tests[entry.test])
            ]
            self.message(name, observations)
        self.process()

    def _catalog(self) -> Catalog:
        if self._read is None:
            with self.store.read() as session:
                self._read = catalog_in_force(session, self.clock.now())
        return self._read

    def _test(self, code: str) -> Test:
        return self._catalog().tests[code]

    def _entry(self, device: str, test: str) -> InstrumentTest | None:
        return self._catalog().by_instrument_test.get((DRIVERS[device], test))


def _documents() -> Iterator[tuple[DefinitionKind, dict[str, Any]]]:
    documents = demo_documents()
    rules = dict(documents.rule)
    rules["tests"] = {
        code: {**rule, "is_on": rule["is_on"] and code not in BY_HAND}
        for code, rule in rules["tests"].items()
    }
    yield DefinitionKind.CATALOG, dict(documents.catalog)
    yield DefinitionKind.INTERVAL, dict(documents.interval)
    yield DefinitionKind.RULE, rules


def _device(unit: Unit, name: str, driver: str) -> int:
    device = Device(
        public_id=unit.ids.new(), site_id=1, name=name, driver=driver, has_reliable_barcode=True
    )
    unit.session.add(device)
    unit.session.flush()
    link = Link(name=name, address=f"memory://{name}", purpose="instrument", device_id=device.id)
    unit.session.add(link)
    return device.id


def _controls(unit: Unit, catalog: Catalog, device_id: int, driver: str, since: datetime) -> None:
    material = ControlMaterial(name=f"Control {driver}")
    unit.session.add(material)
    unit.session.flush()
    lot = ControlLot(material_id=material.id, lot=f"D{device_id:03d}")
    unit.session.add(lot)
    unit.session.flush()
    rows: dict[str, ControlLevel] = {}
    for entry in _entries(catalog, driver):
        for level, mean, sd in _levels(catalog.tests[entry.test]):
            if level not in rows:
                specimen = f"QC{level}-{device_id}"
                rows[level] = ControlLevel(lot_id=lot.id, level=level, specimen_ids=[specimen])
                unit.session.add(rows[level])
                unit.session.flush()
            unit.session.add(
                Target(
                    level_id=rows[level].id,
                    test_code=entry.test,
                    mean=mean,
                    sd=sd,
                    effective_from=since,
                    author="seed",
                    device_id=device_id,
                )
            )


def _entries(catalog: Catalog, driver: str) -> list[InstrumentTest]:
    wanted = {*CHEMISTRY, *HAEMATOLOGY}
    return [
        entry
        for entry in catalog.instrument_tests
        if entry.driver == driver and entry.test in wanted
    ]


def _levels(test: Test) -> Iterator[tuple[str, Decimal, Decimal]]:
    """(level, mean, SD): a low and a high control around the adults' interval."""
    band = test.intervals[-1]
    low = band.low if band.low is not None else Decimal(0)
    high = band.high if band.high is not None else low * 2
    step = Decimal(1).scaleb(-(test.decimals or 0))
    for level, mean in (("L1", (low + high) / 2), ("L2", high * 2)):
        yield level, mean.quantize(step), max(mean / 20, step)
