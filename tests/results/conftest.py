"""A small laboratory on a real store: one analyzer, controls, a patient's tube, and messages to hand in.

The clock starts at 2026-11-02 08:00 UTC. Controls are at 07:00 unless a test says otherwise; tubes are
collected at 07:30 and received at 07:40.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from sqlalchemy import select

from lis.domain.catalog import (
    AutoverificationRules,
    Catalog,
    DeltaLimit,
    InstrumentTest,
    Interval,
    Limits,
    Sex,
    Test,
    ValueType,
)
from lis.domain.catalog_writing import documents_of
from lis.domain.clock import ManualClock
from lis.domain.control import QcPolicy
from lis.domain.lifecycle import SpecimenState
from lis.domain.messages import (
    IdReadMode,
    Protocol,
    Reason,
    ReportedObservation,
    Sender,
    SubjectKind,
    Translation,
    Unreadable,
    ValueBasis,
)
from lis.domain.quantity import ReportedValue
from lis.results.intake import Intake, IntakeReport
from lis.store.control_rows import ControlLevel, ControlLot, ControlMaterial, Target
from lis.store.definitions import DefinitionKind, catalog_in_force, put_definition
from lis.store.identity import CountingIds
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient, Site
from lis.store.traffic_rows import Device, Inbox, InboxState, Link, Outbox
from lis.store.unit import Store

T0 = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LEVELS = {"L1": "100", "L2": "200"}
SD = "2"
DRIVER = "bench-analyzer"


def number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def limits(low: str | None = None, high: str | None = None) -> Limits:
    return Limits(low=number(low), high=number(high))


RULES = AutoverificationRules(
    version="r1",
    is_on=True,
    measuring_range=limits("1", "500"),
    absurd=limits("0", "1000"),
    verification=limits("20", "300"),
)
ADULT = (
    Interval(sex=Sex.FEMALE, low=Decimal(40), high=Decimal(90)),
    Interval(sex=Sex.MALE, low=Decimal(50), high=Decimal(110)),
)


def make_test(code: str, **changes) -> Test:
    base = Test(
        code=code,
        names={"en": f"{code} test", "ru": f"тест {code}"},
        unit="umol/L",
        ucum="umol/L",
        decimals=0,
        specimen_type="SER",
        section="chemistry",
        intervals=ADULT,
        critical=limits("25", "250"),
        rules=RULES,
    )
    return replace(base, **changes)


def make_catalog(*extra: Test) -> Catalog:
    tests = {
        test.code: test
        for test in (
            make_test("CREA"),
            make_test("UREA", critical=Limits(), rules=replace(RULES, is_on=False)),
            make_test("ALB", rules=None),
            make_test("DLT", rules=replace(RULES, delta=DeltaLimit(percent=Decimal(20)))),
            make_test("ABO", rules=replace(RULES, is_never_automatic=True)),
            make_test(
                "HIV",
                value_type=ValueType.CODED,
                intervals=(),
                critical=Limits(),
                critical_codes=frozenset({"REACTIVE"}),
                rules=replace(RULES, accepted_codes=frozenset({"NEGATIVE"})),
                qc_policy=QcPolicy.INTERNAL,
            ),
            make_test("GLU", needs_collection_time=True),
            *extra,
        )
    }
    return Catalog(
        version_id=1,
        version="v1",
        tests=tests,
        panels={},
        instrument_tests=tuple(
            InstrumentTest(driver=DRIVER, code=f"i{code}", test=code, unit="umol/L", method="m")
            for code in tests
        ),
    )


def observation(specimen: str, value: str, test: str = "CREA", **changes) -> ReportedObservation:
    base = ReportedObservation(
        record="R|1",
        kind=SubjectKind.PATIENT,
        specimen=specimen,
        read_mode=IdReadMode.BARCODE,
        test=f"i{test}",
        value=ReportedValue.read(value),
        unit="umol/L",
        observed_at=T0 - timedelta(minutes=5),
    )
    return replace(base, **changes)


@dataclass
class Laboratory:
    """Things a test does to the laboratory, each in the words of the bench."""

    store: Store
    clock: ManualClock
    intake: Intake = field(init=False)
    messages: dict[int, Translation] = field(default_factory=dict)
    numbers: count = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.intake = Intake(self.store, self._translate)

    def _translate(self, inbox: Inbox, device: Device) -> Translation:
        return self.messages[inbox.id]

    # --- setting up ---------------------------------------------------------------------------

    def furnish(self, catalog: Catalog) -> None:
        documents = documents_of(catalog, version="v1", interval_version="i1", rule_version="r1")
        with self.store.unit("author") as unit:
            session = unit.session
            session.add(Site(name="main", timezone="Europe/Moscow"))
            since = unit.now - timedelta(days=30)
            for kind, body in (
                (DefinitionKind.CATALOG, documents.catalog),
                (DefinitionKind.INTERVAL, documents.interval),
                (DefinitionKind.RULE, documents.rule),
            ):
                put_definition(unit, kind, body["version"], body, since, "approver")
            self.device_id = self._add(unit, Device, site_id=1, name="a-1", driver=DRIVER)
            session.add(Link(name="a-1", address="memory://a-1", purpose="instrument"))
            material = ControlMaterial(name="Control")
            session.add(material)
            session.flush()
            lot = ControlLot(material_id=material.id, lot="LOT1")
            session.add(lot)
            session.flush()
            for level, mean in LEVELS.items():
                row = ControlLevel(lot_id=lot.id, level=level, specimen_ids=[f"QC{level}"])
                session.add(row)
                session.flush()
                for code in catalog.tests:
                    session.add(
                        Target(
                            level_id=row.id,
                            test_code=code,
                            mean=Decimal(mean),
                            sd=Decimal(SD),
                            effective_from=since,
                            author="author",
                        )
                    )

    def _add(self, unit, row, **values) -> int:
        made = row(public_id=unit.ids.new(), **values)
        unit.session.add(made)
        unit.session.flush()
        return made.id

    def patient(self, *, sex: str = "F", birth_date: str = "1980-05-01") -> int:
        with self.store.unit("author") as unit:
            return self._add(
                unit,
                Patient,
                site_id=1,
                family_name="Ivanova",
                given_name="Anna",
                created_at=unit.now,
                sex=sex,
                birth_date=birth_date,
            )

    def order(
        self,
        *tests: str,
        patient: int | None = None,
        accession: str = "",
        source: str = "his",
        together: bool = False,
        **specimen,
    ) -> str:
        """A collected and received tube with these tests ordered; returns its accession."""
        patient_id = patient if patient is not None else self.patient()
        place = next(self.numbers)
        label = accession or f"T{place:06d}"
        values = {
            "specimen_type": "SER",
            "collected_from": T0 - timedelta(minutes=30),
            "collected_to": T0 - timedelta(minutes=30),
            "collected_certainty": "exact",
            "received_at": T0 - timedelta(minutes=20),
            "state": SpecimenState.RECEIVED,
        } | specimen
        with self.store.unit("author") as unit:
            requisition = self._add(
                unit,
                Requisition,
                site_id=1,
                patient_id=patient_id,
                created_at=unit.now,
                source=source,
            )
            specimen_id = self._add(
                unit,
                Specimen,
                site_id=1,
                requisition_id=requisition,
                patient_id=patient_id,
                accession=label,
                created_at=unit.now,
                **values,
            )
            request = 0
            for position, test in enumerate(tests):
                if not together or position == 0:
                    request = self._add(
                        unit,
                        ServiceRequest,
                        requisition_id=requisition,
                        code=test,
                        filler_number=f"F{place}-{position}",
                        created_at=unit.now,
                    )
                self._add(
                    unit,
                    WorkOrder,
                    service_request_id=request,
                    specimen_id=specimen_id,
                    test_code=test,
                    created_at=unit.now,
                )
        return label

    # --- traffic ------------------------------------------------------------------------------

    def message(
        self,
        *observations: ReportedObservation,
        raw: bytes | None = None,
        is_session_closed: bool | None = True,
        serial: str = "",
        **changes,
    ) -> int:
        """Put one message into the inbox as a link would; returns its inbox id."""
        place = next(self.numbers)
        bytes_ = raw if raw is not None else f"message {place}".encode()
        numbered = tuple(
            replace(one, record=f"R|{index}") for index, one in enumerate(observations, 1)
        )
        with self.store.unit("link") as unit:
            row = Inbox(
                link_id=1,
                received_at=unit.now,
                protocol="astm",
                lane="result",
                raw=bytes_,
                sha256=bytes_[:32],
                device_id=self.device_id,
                is_session_closed=is_session_closed,
            )
            unit.session.add(row)
            unit.session.flush()
            inbox_id = row.id
        self.messages[inbox_id] = Translation(
            driver=DRIVER,
            driver_version="1",
            protocol=Protocol.ASTM,
            sender=Sender(serial=serial),
            observations=numbered,
            **changes,
        )
        return inbox_id

    def process(self) -> IntakeReport:
        """Process everything that waits."""
        total = IntakeReport()
        while (report := self.intake.run_once()).claimed:
            total = total.plus(report)
        return total

    def controls(
        self,
        *tests: str,
        at: datetime = T0 - timedelta(hours=1),
        shift: str = "0",
        device: int | None = None,
    ) -> None:
        """Hand in both levels of these tests; `shift` moves them by so many SD."""
        self.message(*self.control_values(*tests, at=at, shift=shift))
        self.process()

    def control_values(
        self, *tests: str, at: datetime = T0 - timedelta(hours=1), shift: str = "0"
    ) -> list[ReportedObservation]:
        return [
            observation(
                f"QC{level}",
                str(Decimal(mean) + Decimal(shift) * Decimal(SD)),
                test,
                kind=SubjectKind.CONTROL,
                observed_at=at,
            )
            for test in tests
            for level, mean in LEVELS.items()
        ]

    def send(self, *observations: ReportedObservation, **changes) -> IntakeReport:
        """One message, processed at once."""
        self.message(*observations, **changes)
        return self.process()

    # --- looking ------------------------------------------------------------------------------

    def rows(self, **where) -> list[Observation]:
        with self.store.read() as session:
            query = select(Observation).filter_by(**where).order_by(Observation.id)
            return list(session.scalars(query))

    def one(self, **where) -> Observation:
        (row,) = self.rows(**where)
        return row

    def all(self, row_type, **where):
        with self.store.read() as session:
            return list(session.scalars(select(row_type).filter_by(**where).order_by(row_type.id)))

    def outbox(self) -> list[Outbox]:
        return self.all(Outbox)

    def inbox_states(self) -> dict[InboxState, int]:
        states: dict[InboxState, int] = {}
        for row in self.all(Inbox):
            states[row.state] = states.get(row.state, 0) + 1
        return states

    def catalog(self) -> Catalog:
        with self.store.read() as session:
            return catalog_in_force(session, self.clock.now())


@pytest.fixture
def laboratory(store_url, manual_clock):
    store = Store.open(store_url, clock=manual_clock, ids=CountingIds())
    store.create_all()
    made = Laboratory(store, manual_clock)
    made.furnish(make_catalog())
    yield made
    store.close()


@pytest.fixture(name="observation")
def _observation():
    return observation


@pytest.fixture
def t0():
    return T0


@pytest.fixture
def read():
    return ReportedValue.read


@pytest.fixture
def basis():
    return ValueBasis


@pytest.fixture
def unreadable():
    return Unreadable(record="R|1", field="value", raw="??", reason=Reason.UNREADABLE_RECORD)


@pytest.fixture(scope="session")
def furnished():
    """What a property test needs to open its own laboratories."""

    def make(store, clock):
        made = Laboratory(store, clock)
        made.device_id = 1
        return made

    return make, observation, T0, make_catalog()
