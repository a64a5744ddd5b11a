"""Queries about sites and patients."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from lis.domain.names import folded, prefix_range
from lis.store.order_rows import Requisition
from lis.store.people_rows import Patient, PatientAccess, PatientContact, PatientIdentifier, Site


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
    """Patients whose name begins so, or who hold exactly this identifier or telephone; by name.

    `ива анн` finds Иванова Анна: the first word begins the name, the others begin words of it.
    """
    wanted = text.strip()
    keys: set[int] = set()
    for held in (PatientIdentifier, PatientContact):
        keys |= set(
            session.scalars(select(held.patient_id).where(held.value == wanted).limit(limit))
        )
    by_name = name_begins(wanted)
    of_name = select(Patient).where(Patient.merged_into_id.is_(None), by_name)
    found = list(
        session.scalars(of_name.order_by(Patient.folded_name, Patient.id).limit(limit))
        if folded(wanted)
        else ()
    )
    if keys:
        known = {row.id for row in found}
        holders = select(Patient).where(Patient.merged_into_id.is_(None), Patient.id.in_(keys))
        found = [row for row in session.scalars(holders) if row.id not in known] + found
    return found[:limit]


def name_begins(text: str) -> ColumnElement[bool]:
    """Whether a name begins with the first word and has words that begin with each of the others."""
    first, _, rest = folded(text).partition(" ")
    low, high = prefix_range(first)
    condition = (Patient.folded_name >= low) & (Patient.folded_name < high)
    for word in rest.split():
        condition &= Patient.folded_name.contains(f" {word}", autoescape=True)
    return condition


def access_by_hash(session: Session, token_hash: str) -> PatientAccess | None:
    """A receipt's access row by the hash of its code."""
    return session.scalars(
        select(PatientAccess).where(PatientAccess.token_hash == token_hash)
    ).one_or_none()


def requisitions_of_patient(session: Session, patient_id: int) -> list[Requisition]:
    """All requisitions of a patient, newest first."""
    query = select(Requisition).where(Requisition.patient_id == patient_id)
    return list(session.scalars(query.order_by(Requisition.id.desc())))
