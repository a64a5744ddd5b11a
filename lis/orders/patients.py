"""Finding or making the patient of a referral, without ever guessing who it is.

A patient is found by identifier only, never by name; or a person at a desk chose one. What a referral leaves empty is unknown and changes
nothing (an empty HL7 field is not a deletion). If the identifier is known but birth date or sex differ
from what is stored, somebody is wrong about who this is: the orders are held until a person looks.
"""

from dataclasses import dataclass

from lis.domain.errors import NotFound
from lis.orders.entries import PatientEntry
from lis.store.people_queries import patient_by_public_id, patients_with_identifiers
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.unit import Unit

KNOWN_SEXES = frozenset({"F", "M", "U"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPatient:
    """The patient's row, and a hold reason if the referral contradicts it."""

    patient: Patient
    conflict: str = ""


def find_or_make_patient(unit: Unit, entry: PatientEntry, *, site_id: int) -> FoundPatient:
    """The patient who was chosen, or whom the referral's identifiers name, or a new one."""
    if entry.patient_public_id:
        chosen = patient_by_public_id(unit.session, entry.patient_public_id)
        if chosen is None or chosen.merged_into_id is not None:
            raise NotFound("Patient", entry.patient_public_id)
        return FoundPatient(patient=chosen)
    wanted = [
        (identifier.system, identifier.issuer, identifier.value) for identifier in entry.identifiers
    ]
    known = patients_with_identifiers(unit.session, wanted)
    if len(known) > 1:
        made = _make(unit, entry, site_id, with_identifiers=False)
        return FoundPatient(patient=made, conflict="several_patients")
    if not known:
        return FoundPatient(patient=_make(unit, entry, site_id, with_identifiers=True))
    patient = known[0]
    if _contradicts(patient, entry):
        return FoundPatient(patient=patient, conflict="patient_conflict")
    _complete(unit, patient, entry)
    return FoundPatient(patient=patient)


def _contradicts(patient: Patient, entry: PatientEntry) -> bool:
    birth_differs = (
        bool(entry.birth_date and patient.birth_date)
        and not patient.birth_date.startswith(entry.birth_date)
        and not entry.birth_date.startswith(patient.birth_date)
    )
    sex_differs = entry.sex in {"F", "M"} and patient.sex in {"F", "M"} and entry.sex != patient.sex
    return birth_differs or sex_differs


def _complete(unit: Unit, patient: Patient, entry: PatientEntry) -> None:
    before = (patient.birth_date, patient.sex, patient.given_name, patient.middle_name)
    if len(entry.birth_date) > len(patient.birth_date):
        patient.birth_date = entry.birth_date
    if patient.sex == "U" and entry.sex in KNOWN_SEXES:
        patient.sex = entry.sex
    patient.given_name = patient.given_name or entry.given_name
    patient.middle_name = patient.middle_name or entry.middle_name
    after = (patient.birth_date, patient.sex, patient.given_name, patient.middle_name)
    if before != after:
        patient.version += 1
        unit.audit("patient_completed", "Patient", patient.id, before=before, after=after)


def _make(unit: Unit, entry: PatientEntry, site_id: int, *, with_identifiers: bool) -> Patient:
    patient = Patient(
        public_id=unit.ids.new(),
        site_id=site_id,
        created_at=unit.now,
        family_name=entry.family_name,
        given_name=entry.given_name,
        middle_name=entry.middle_name,
        birth_date=entry.birth_date,
        sex=entry.sex if entry.sex in KNOWN_SEXES else "U",
        language=entry.language,
    )
    unit.session.add(patient)
    unit.session.flush()
    if with_identifiers:
        unit.session.add_all(
            PatientIdentifier(
                patient_id=patient.id, system=one.system, value=one.value, issuer=one.issuer
            )
            for one in dict.fromkeys(entry.identifiers)  # some senders repeat one
        )
    unit.audit("patient_created", "Patient", patient.id)
    return patient
