"""Queries about sites and patients."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session

from lis.store.order_rows import Requisition
from lis.store.people_rows import Patient, PatientAccess, PatientIdentifier, Site


def site_by_name(session: Session, name: str) -> Site | None:
    """The site with this name."""
    return session.scalars(select(Site).where(Site.name == name)).one_or_none()


def all_sites(session: Session) -> list[Site]:
    """All sites in the order they were made."""
    return list(session.scalars(select(Site).order_by(Site.id)))


def patients_by_ids(session: Session, patient_ids: Iterable[int]) -> dict[int, Patient]:
    """Patients by key."""
    keys = tuple(set(patient_ids))
    return (
        {row.id: row for row in session.scalars(select(Patient).where(Patient.id.in_(keys)))}
        if keys
        else {}
    )


def patient_by_public_id(session: Session, public_id: str) -> Patient | None:
    """A patient by public id."""
    return session.scalars(select(Patient).where(Patient.public_id == public_id)).one_or_none()


def patients_with_identifiers(
    session: Session, identifiers: Sequence[tuple[str, str, str]]
) -> list[Patient]:
    """All patients who hold any of these (system, issuer, value), merged ones left out."""
    if not identifiers:
        return []
    holders = select(PatientIdentifier.patient_id).where(
        tuple_(PatientIdentifier.system, PatientIdentifier.issuer, PatientIdentifier.value).in_(
            identifiers
        )
    )
    query = select(Patient).where(Patient.id.in_(holders), Patient.merged_into_id.is_(None))
    return list(session.scalars(query.order_by(Patient.id)))


def identifiers_of(session: Session, patient_id: int) -> list[PatientIdentifier]:
    """The identifiers of one patient."""
    query = select(PatientIdentifier).where(PatientIdentifier.patient_id == patient_id)
    return list(session.scalars(query.order_by(PatientIdentifier.id)))


def find_patients(session: Session, text: str, *, limit: int) -> list[Patient]:
    """Patients whose family name begins so, or who hold exactly this identifier; by name."""
    wanted = text.strip()
    holders = select(PatientIdentifier.patient_id).where(PatientIdentifier.value == wanted)
    family, _, given = wanted.partition(" ")
    by_name = func.lower(Patient.family_name).startswith(family.lower(), autoescape=True)
    if given:
        by_name = by_name & func.lower(Patient.given_name).startswith(
            given.strip().lower(), autoescape=True
        )
    # SQLite's lower() knows ASCII only: the name as typed, and capitalised, is tried beside it.
    plain = Patient.family_name.startswith(family.capitalize(), autoescape=True)
    query = select(Patient).where(
        Patient.merged_into_id.is_(None), or_(by_name, plain, Patient.id.in_(holders))
    )
    return list(
        session.scalars(
            query.order_by(Patient.family_name, Patient.given_name, Patient.id).limit(limit)
        )
    )


def access_by_hash(session: Session, token_hash: str) -> PatientAccess | None:
    """A receipt's access row by the hash of its code."""
    return session.scalars(
        select(PatientAccess).where(PatientAccess.token_hash == token_hash)
    ).one_or_none()


def requisitions_of_patient(session: Session, patient_id: int) -> list[Requisition]:
    """All requisitions of a patient, newest first."""
    query = select(Requisition).where(Requisition.patient_id == patient_id)
    return list(session.scalars(query.order_by(Requisition.id.desc())))
