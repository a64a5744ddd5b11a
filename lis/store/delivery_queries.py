"""What a delivery is made from: a report with everything it names, read in a few set queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.store.observation_rows import DiagnosticReport, Observation, ReportDelivery
from lis.store.order_rows import Requisition, ServiceRequest, Specimen
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.traffic_rows import Device, Outbox
from lis.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """One report version, ready to be written in any format."""

    report: DiagnosticReport
    request: ServiceRequest
    requisition: Requisition
    patient: Patient
    identifiers: tuple[PatientIdentifier, ...]
    observations: tuple[Observation, ...]
    specimens: dict[int, Specimen]
    devices: dict[int, Device]


def report_facts(session: Session, report_id: int, observation_ids: Sequence[int]) -> ReportFacts:
    """Read a report and the observation versions a delivery names, in the order named."""
    report = session.get_one(DiagnosticReport, report_id)
    request = session.get_one(ServiceRequest, report.service_request_id)
    requisition = session.get_one(Requisition, request.requisition_id)
    patient = session.get_one(Patient, requisition.patient_id)
    found = {
        row.id: row
        for row in session.scalars(
            select(Observation).where(Observation.id.in_(tuple(observation_ids)))
        )
    }
    specimens = {row.specimen_id for row in found.values() if row.specimen_id is not None}
    devices = {row.device_id for row in found.values() if row.device_id is not None}
    identifiers = select(PatientIdentifier).where(PatientIdentifier.patient_id == patient.id)
    return ReportFacts(
        report=report,
        request=request,
        requisition=requisition,
        patient=patient,
        identifiers=tuple(session.scalars(identifiers.order_by(PatientIdentifier.id))),
        observations=tuple(found[key] for key in observation_ids if key in found),
        specimens={
            row.id: row
            for row in session.scalars(select(Specimen).where(Specimen.id.in_(tuple(specimens))))
        },
        devices={
            row.id: row
            for row in session.scalars(select(Device).where(Device.id.in_(tuple(devices))))
        },
    )


def note_delivered(unit: Unit, outbox_id: int) -> None:
    """Remember which version of a report a destination has taken; twice does no harm."""
    row = unit.session.get_one(Outbox, outbox_id)
    if "report" not in row.payload:
        return  # not every delivery is a report
    query = select(ReportDelivery).where(
        ReportDelivery.report_id == row.payload["report"],
        ReportDelivery.version == row.payload["version"],
        ReportDelivery.destination == row.destination,
    )
    if unit.session.scalars(query).one_or_none() is None:
        unit.session.add(
            ReportDelivery(
                report_id=row.payload["report"],
                version=row.payload["version"],
                destination=row.destination,
                created_at=unit.now,
                outbox_id=row.id,
                delivered_at=unit.now,
            )
        )
