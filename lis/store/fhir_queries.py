"""Queries of the FHIR interface: by the public ids that it tells."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_rows import Patient


def order_of_source(
    session: Session, public_id: str, source: str
) -> tuple[ServiceRequest, Requisition, Patient] | None:
    """An order with its referral and patient, if this sender placed it."""
    query = (
        select(ServiceRequest, Requisition, Patient)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .join(Patient, Patient.id == Requisition.patient_id)
        .where(ServiceRequest.public_id == public_id, Requisition.source == source)
    )
    row = session.execute(query).one_or_none()
    return (row[0], row[1], row[2]) if row else None


def order_with_patient(session: Session, request_id: int) -> tuple[ServiceRequest, Patient]:
    """An order and whose it is."""
    query = (
        select(ServiceRequest, Patient)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .join(Patient, Patient.id == Requisition.patient_id)
        .where(ServiceRequest.id == request_id)
    )
    row = session.execute(query).one()
    return row[0], row[1]


def is_number_of_another(session: Session, number: str, authority: str, source: str) -> bool:
    """Whether an order that another sender placed has this placer number."""
    query = (
        select(ServiceRequest.id)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .where(
            ServiceRequest.placer_number == number,
            ServiceRequest.placer_authority == authority,
            Requisition.source != source,
        )
        .limit(1)
    )
    return session.scalar(query) is not None
