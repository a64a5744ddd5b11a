"""A laboratory made for one capture: everything it measures is known, ordered, collected and in control.

What the capture's instrument sends is released there, unless the message itself says otherwise. So whatever holds a
changed message is the change.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import delete, select, update

from lis.domain.catalog import AutoverificationRules, Catalog, InstrumentTest, Test, ValueType
from lis.domain.catalog_writing import documents_of
from lis.domain.clock import ManualClock
from lis.domain.lifecycle import RequestState, SpecimenState, WorkOrderState
from lis.domain.messages import (
    IdReadMode,
    Protocol,
    ReportedObservation,
    SubjectKind,
    Translation,
)
from lis.domain.quantity import ReportedValue
from lis.drivers import translate
from lis.drivers.profile import Profile
from lis.results.intake import Intake
from lis.store.definitions import DefinitionKind, put_definition
from lis.store.identity import CountingIds
from lis.store.rows import (
    Alarm,
    ControlLevel,
    ControlLot,
    ControlMaterial,
    CriticalCall,
    Device,
    DiagnosticReport,
    Inbox,
    Link,
    Observation,
    Outbox,
    Patient,
    Quarantine,
    ReportDelivery,
    Requisition,
    ServiceRequest,
    Site,
    Specimen,
    Target,
    UnreadableRecord,
    WorkOrder,
)
from lis.store.unit import Store

SPECIMEN_TYPE = "BENCH"  # no instrument's word for a material
CONTROL_IDS = {"L1": "BENCH QC L1", "L2": "BENCH QC L2"}
MEANS = {"L1": "100", "L2": "200"}
ARRIVES_AFTER = timedelta(seconds=20)
RECEIVED_FALLBACK = datetime(2026, 11, 2, 12, tzinfo=UTC)
# What one message leaves behind; the next mutant finds the bench as if it had never been.
LEFT_BEHIND = (
    CriticalCall,
    ReportDelivery,
    DiagnosticReport,
    UnreadableRecord,
    Quarantine,
    Alarm,
    Outbox,
    Observation,
)


class MutantBench:
    """One store for one capture."""

    def __init__(self, url: str, profile: Profile, units: Sequence[bytes]) -> None:
        self.profile = profile
        self._clock = ManualClock()
        self.received = [self._received(unit) for unit in units]
        self.read = [
            self.translate(unit, at) for unit, at in zip(units, self.received, strict=True)
        ]
        self._clock.at = max(self.received)
        self._fixed: dict[int, Translation] = {}
        self.store = Store.open(url, clock=self._clock, ids=CountingIds())
        self.store.create_all()
        self._intake = Intake(self.store, self._translated)
        self._codes: dict[str, str] = {}
        self._furnish()

    def translate(self, unit: bytes, at: datetime) -> Translation:
        return translate(self.profile, unit, zone=UTC, received_at=at)

    def process(self, unit: bytes, at: datetime) -> dict[str, Observation]:
        """One message through intake; its results by record. Afterwards the bench is as before."""
        self._clock.at = at
        inbox_id = self._put(unit, at)
        self._intake.run_once()
        with self.store.read() as session:
            rows = session.scalars(select(Observation).where(Observation.inbox_id == inbox_id))
            found = {row.record: row for row in rows}
        self._forget()
        return found

    # --- making the bench -----------------------------------------------------------------------

    def _received(self, unit: bytes) -> datetime:
        """Shortly after the last time the message names."""
        read = self.translate(unit, RECEIVED_FALLBACK)
        times = [one.observed_at for one in read.observations if one.observed_at is not None]
        last = read.sent_at or max(times, default=RECEIVED_FALLBACK)
        return last + ARRIVES_AFTER

    def _translated(self, inbox: Inbox, device: Device) -> Translation:
        del device
        return self._fixed.get(inbox.id) or self.translate(inbox.raw, inbox.received_at)

    def _own(self) -> list[ReportedObservation]:
        return [one for read in self.read for one in read.observations if not one.part_of]

    def _furnish(self) -> None:
        own = self._own()
        catalog = self._catalog(own)
        times = [one.observed_at for one in own if one.observed_at is not None]
        first = min([*times, *self.received])
        documents = documents_of(catalog, version="v1", interval_version="i1", rule_version="r1")
        with self.store.unit("author") as unit:
            session = unit.session
            session.add(Site(name="main", timezone="UTC"))
            for kind, body in (
                (DefinitionKind.CATALOG, documents.catalog),
                (DefinitionKind.INTERVAL, documents.interval),
                (DefinitionKind.RULE, documents.rule),
            ):
                since = first - timedelta(days=100)
                put_definition(unit, kind, body["version"], body, since, "approver")
            sender = next((read.sender for read in self.read if read.observations), None)
            device = Device(
                public_id=unit.ids.new(),
                site_id=1,
                name="bench",
                driver=self.profile.key,
                serial=sender.serial if sender else "",
                seen_name=sender.name if sender else "",
                has_reliable_barcode=True,
            )
            session.add(device)
            session.add(Link(name="bench", address="memory://bench", purpose="instrument"))
            session.flush()
            self._tubes(unit, own, first)
            self._lots(session, catalog, first - timedelta(days=50))
        self._control(own)

    def _catalog(self, own: Sequence[ReportedObservation]) -> Catalog:
        tests, entries = {}, []
        answers: dict[str, set[str]] = {}
        for one in own:
            answers.setdefault(one.test, set()).add(one.value.text.strip())
        for one in own:
            if not one.test or one.test in self._codes:
                continue
            code = self._codes[one.test] = f"T{len(tests) + 1}"
            rules = AutoverificationRules(
                version="r1", is_on=True, accepted_codes=frozenset(answers[one.test])
            )
            tests[code] = Test(
                code=code,
                names={"en": code, "ru": f"тест {code}"},
                unit=one.unit,
                value_type=ValueType.CODED,
                specimen_type=SPECIMEN_TYPE,
                section="bench",
                rules=rules,
            )
            unit = next((same.unit for same in own if same.test == one.test and same.unit), "")
            entries.append(
                InstrumentTest(driver=self.profile.key, code=one.test, test=code, unit=unit)
            )
        return Catalog(
            version_id=1, version="v1", tests=tests, panels={}, instrument_tests=tuple(entries)
        )

    def _tubes(self, unit, own: Sequence[ReportedObservation], first: datetime) -> None:
        """Every number that the capture names, as a tube with all its tests ordered."""
        patient = self._add(
            unit, Patient, site_id=1, family_name="A", given_name="B", created_at=unit.now
        )
        patients = [one for one in own if one.kind is SubjectKind.PATIENT and one.specimen]
        collected = first - timedelta(hours=2)
        for number in dict.fromkeys(one.specimen for one in patients):
            sheet = self._add(unit, Requisition, site_id=1, patient_id=patient, created_at=unit.now)
            tube = self._add(
                unit,
                Specimen,
                site_id=1,
                requisition_id=sheet,
                patient_id=patient,
                accession=number,
                created_at=unit.now,
                specimen_type=SPECIMEN_TYPE,
                collected_from=collected,
                collected_to=collected,
                collected_certainty="exact",
                received_at=collected,
                state=SpecimenState.RECEIVED,
            )
            codes = {
                self._codes[one.test] for one in patients if one.specimen == number and one.test
            }
            for code in sorted(codes):
                request = self._add(
                    unit,
                    ServiceRequest,
                    requisition_id=sheet,
                    code=code,
                    filler_number=f"F{tube}-{code}",
                    created_at=unit.now,
                )
                self._add(
                    unit,
                    WorkOrder,
                    service_request_id=request,
                    specimen_id=tube,
                    test_code=code,
                    created_at=unit.now,
                )

    def _add(self, unit, row, **values) -> int:
        made = row(public_id=unit.ids.new(), **values)
        unit.session.add(made)
        unit.session.flush()
        return made.id

    def _lots(self, session, catalog: Catalog, since: datetime) -> None:
        session.add(ControlMaterial(name="Bench control"))
        session.flush()
        session.add(ControlLot(material_id=1, lot="BENCH"))
        session.flush()
        for place, (level, number) in enumerate(CONTROL_IDS.items(), 1):
            session.add(ControlLevel(lot_id=1, level=level, specimen_ids=[number]))
            session.flush()
            session.add_all(
                Target(
                    level_id=place,
                    test_code=code,
                    mean=Decimal(MEANS[level]),
                    sd=Decimal(2),
                    effective_from=since,
                    author="author",
                )
                for code in catalog.tests
            )

    def _control(self, own: Sequence[ReportedObservation]) -> None:
        """Both levels shortly before each measurement, on its module and reagent lot."""
        wanted = {
            (one.test, one.module, one.reagent_lot, one.observed_at): one
            for one in own
            if one.observed_at is not None and one.test
        }
        values = [
            replace(
                one,
                record=f"QC|{place}|{level}",
                kind=SubjectKind.CONTROL,
                specimen=number,
                read_mode=IdReadMode.BARCODE,
                value=ReportedValue.read(MEANS[level]),
                unit=next((same.unit for same in own if same.test == one.test and same.unit), ""),
                flags=(),
                is_abnormal_flagged=False,
                status=type(one.status).FINAL,
                observed_at=one.observed_at - timedelta(minutes=30),
                dilution=None,
                basis=type(one.basis).UNDILUTED,
                control=None,
                holds=(),
                position="",
            )
            for place, one in enumerate(wanted.values())
            for level, number in CONTROL_IDS.items()
        ]
        inbox_id = self._put(b"controls", self._clock.at)
        self._fixed[inbox_id] = Translation(
            driver=self.profile.key,
            driver_version="1",
            protocol=Protocol.ASTM,
            observations=tuple(values),
        )
        self._intake.run_once()
        with self.store.read() as session:
            held = [row.holds for row in session.scalars(select(Observation))]
        assert not held, f"the bench's own controls are held: {held}"

    # --- one message ----------------------------------------------------------------------------

    def _put(self, raw: bytes, at: datetime) -> int:
        with self.store.unit("link") as unit:
            row = Inbox(
                link_id=1,
                received_at=at,
                protocol=self.profile.protocol.value,
                lane="result",
                raw=raw,
                sha256=raw[:32],
                device_id=1,
                is_session_closed=True,
            )
            unit.session.add(row)
            unit.session.flush()
            return row.id

    def _forget(self) -> None:
        with self.store.unit("author") as unit:
            session = unit.session
            for table in LEFT_BEHIND:
                session.execute(delete(table))
            session.execute(update(WorkOrder).values(state=WorkOrderState.PENDING))
            session.execute(update(ServiceRequest).values(state=RequestState.ACTIVE))
            session.execute(update(Device).values(quarantine_reason="", clock_offset_s=None))
