"""Finding or making the patient of a referral, without ever guessing who it is.

A patient is found by identifier only, never by name; or a person at a desk chose one. An identifier of an identity that was
merged finds the one that survived. What a referral leaves empty is unknown and changes nothing (an empty HL7 field is
not a deletion), and what the hospital said in an ADT message is not changed by a referral. If the identifier is known but birth date or sex differ
from what is stored, somebody is wrong about who this is: the orders are held until a person looks. So they are when an
identifier contradicts its own check digit: it may be anybody's.
"""

from dataclasses import dataclass

from lis.domain.errors import NotFound
from lis.orders.entries import IdentifierEntry, PatientEntry
from lis.store.one_at_a_time import hold_names
from lis.store.people_queries import identifiers_of, patient_by_public_id
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.referral_queries import identity_holders, said_of, survivor_of
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
    names = [(one.system, one.issuer, one.value) for one in _usable(entry)]
    hold_names(unit.session, "patient", names)
    holders = identity_holders(unit.session, names)
    living = {one.id: one for one in (survivor_of(unit.session, holder) for holder in holders)}
    conflict = "wrong_check_digit" if _is_miswritten(entry) else ""
    if len(living) > 1 or (conflict and not living):
        made = make_patient(unit, entry, site_id, with_identifiers=False)
        return FoundPatient(patient=made, conflict=conflict or "several_patients")
    if not living:
        return FoundPatient(patient=make_patient(unit, entry, site_id))
    (patient,) = living.values()
    if conflict or _contradicts(patient, entry):
        return FoundPatient(patient=patient, conflict=conflict or "patient_conflict")
    named = patient if patient in holders else holders[0]  # a retired identity keeps its own news
    _complete(unit, named, entry)
    add_identifiers(unit, named, entry)
    return FoundPatient(patient=patient)


def add_identifiers(unit: Unit, patient: Patient, entry: PatientEntry) -> None:
    """Keep the identifiers that were not known of this person; nobody holds them yet."""
    wanted = {(one.system, one.issuer, one.value): one for one in _usable(entry)}
    for holder in identity_holders(unit.session, list(wanted)):
        for row in identifiers_of(unit.session, holder.id):
            wanted.pop((row.system, row.issuer, row.value), None)
    for one in wanted.values():
        unit.session.add(
            PatientIdentifier(
                patient_id=patient.id, system=one.system, value=one.value, issuer=one.issuer
            )
        )
        unit.audit(
            "identifier_added",
            "Patient",
            patient.id,
            after={"system": one.system, "issuer": one.issuer, "value": one.value},
        )
    unit.session.flush()


def _usable(entry: PatientEntry) -> list[IdentifierEntry]:
    return [one for one in entry.identifiers if not one.is_check_digit_wrong]


def _is_miswritten(entry: PatientEntry) -> bool:
    return any(one.is_check_digit_wrong for one in entry.identifiers)


def _contradicts(patient: Patient, entry: PatientEntry) -> bool:
    birth_differs = (
        bool(entry.birth_date and patient.birth_date)
        and not patient.birth_date.startswith(entry.birth_date)
        and not entry.birth_date.startswith(patient.birth_date)
    )
    sex_differs = entry.sex in {"F", "M"} and patient.sex in {"F", "M"} and entry.sex != patient.sex
    return birth_differs or sex_differs


def _complete(unit: Unit, patient: Patient, entry: PatientEntry) -> None:
    before = _known_of(patient)
    row = said_of(unit.session, patient.id)
    said = frozenset(row.said) if row else frozenset()  # fields of which the hospital spoke
    is_more_exact = len(entry.birth_date) > len(patient.birth_date)
    if "birth_date" not in said and is_more_exact:
        patient.birth_date = entry.birth_date
    if "sex" not in said and patient.sex == "U" and entry.sex in KNOWN_SEXES:
        patient.sex = entry.sex
    if "family_name" not in said:
        patient.family_name = patient.family_name or entry.family_name
    if "given_name" not in said:
        patient.given_name = patient.given_name or entry.given_name
    if "middle_name" not in said:
        patient.middle_name = patient.middle_name or entry.middle_name
    after = _known_of(patient)
    if before != after:
        patient.version += 1
        unit.audit("patient_completed", "Patient", patient.id, before=before, after=after)


def _known_of(patient: Patient) -> tuple[str, ...]:
    names = (patient.family_name, patient.given_name, patient.middle_name)
    return (*names, patient.birth_date, patient.sex)


def make_patient(
    unit: Unit, entry: PatientEntry, site_id: int, *, with_identifiers: bool = True
) -> Patient:
    """A new person as the referral states them; audited."""
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
            for one in dict.fromkeys(_usable(entry))  # some senders repeat one
        )
    unit.audit("patient_created", "Patient", patient.id)
    return patient
