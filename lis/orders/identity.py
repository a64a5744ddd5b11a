"""Who a person is: what the hospital says of them, and two identities that are one (S28).

An ADT message speaks of one identity row, found by its identifiers. What it says is kept field by field (`person_saying`), so
late and repeated messages do no harm. A merge retires one row and gives what was asked for under it to the other; the
retired row keeps its own identifiers and news, which is why a merge can be undone. Access codes given out under a retired identity
die. Flags are not this module's: whoever calls it judges the results again (`lis.results.person_changed`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.orders.entries import PatientEntry
from lis.orders.merging import Conflict, IdentityFacts, merge_conflicts
from lis.orders.patients import add_identifiers, make_patient
from lis.orders.person_saying import fields_of, hear_person
from lis.store.order_rows import Requisition
from lis.store.people_queries import patient_by_public_id
from lis.store.people_rows import Patient
from lis.store.referral_queries import (
    identity_holders,
    identity_issue,
    live_tokens,
    merge_in_force,
    merges_between,
    move_to_patient,
    requisition_ids_of,
    said_of,
    survivor_of,
    values_of_tests,
)
from lis.store.referral_rows import IdentityIssue, PatientMerge, PatientSaid
from lis.store.unit import Unit

# ABO and Rh group, ABO group, Rh group: what a person has one of for life.
BLOOD_GROUP_LOINC: Final = frozenset({"882-1", "883-9", "10331-7"})
JUDGED_BY: Final = ("birth_date", "sex")  # fields on which intervals and calculations depend


class MergeStopped(Refused):
    """Two identities contradict each other: they may be two people."""

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        self.conflicts = conflicts
        super().__init__("identitypage.merge_conflict", conflicts=[one.value for one in conflicts])


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardPerson:
    """Whom a message spoke of, or why nobody can tell; `is_judged_anew` if results depend on what changed."""

    patient: Patient | None
    issue: str = ""
    named: tuple[int, ...] = ()
    is_judged_anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge or its undoing did; nothing when it was done before."""

    retired_id: int
    surviving_id: int
    moved: tuple[int, ...] = ()  # requisitions
    stays: tuple[int, ...] = ()  # came under the surviving identity after the merge: a person looks
    is_new: bool = True


def hear_about(
    unit: Unit, entry: PatientEntry, fields: Mapping[str, str], *, stamp: str, site_id: int
) -> HeardPerson:
    """Keep what a message says of a person; make them when nobody holds an identifier of theirs."""
    if any(one.is_check_digit_wrong for one in entry.identifiers):
        return HeardPerson(patient=None, issue="wrong_check_digit")
    holders = identity_holders(
        unit.session, [(one.system, one.issuer, one.value) for one in entry.identifiers]
    )
    living = {survivor_of(unit.session, one).id for one in holders}
    if len(living) > 1:
        return HeardPerson(patient=None, issue="several_patients", named=tuple(sorted(living)))
    if holders:
        patient = next((one for one in holders if one.merged_into_id is None), holders[0])
        add_identifiers(unit, patient, entry)
    else:
        patient = make_patient(unit, entry, site_id)
    is_judged_anew = _keep(unit, patient, fields, stamp)
    return HeardPerson(
        patient=patient, is_judged_anew=is_judged_anew and patient.merged_into_id is None
    )


def merge(
    unit: Unit, catalog: Catalog, retired: Patient, surviving: Patient, *, reason: str, stamp: str
) -> Merged:
    """Make two identities one; raises `MergeStopped`. The same merge again changes nothing."""
    target = survivor_of(unit.session, surviving)
    if survivor_of(unit.session, retired).id == target.id or _was_decided(
        unit, retired, surviving, stamp
    ):
        return Merged(retired_id=retired.id, surviving_id=target.id, is_new=False)
    if retired.merged_into_id is not None:
        raise Refused("identitypage.merged_elsewhere", retired=retired.public_id)
    conflicts = merge_conflicts(facts_of(unit, catalog, retired), facts_of(unit, catalog, target))
    if conflicts:
        raise MergeStopped(conflicts)
    moved = requisition_ids_of(unit.session, retired.id)
    tokens = live_tokens(unit.session, moved)
    for token in tokens:
        token.revoked_at = unit.now
    retired.merged_into_id = surviving.id
    retired.version += 1
    row = PatientMerge(
        retired_id=retired.id,
        surviving_id=surviving.id,
        merged_at=unit.now,
        merged_by=unit.actor,
        reason=reason,
        stamp=stamp,
        moved={"requisitions": moved, "tokens": [token.id for token in tokens]},
    )
    unit.session.add(row)
    move_to_patient(unit.session, moved, target.id)
    unit.audit(
        "patient_merged",
        "Patient",
        retired.id,
        before={"requisitions": moved},
        after={"into": surviving.id, "reason": reason, "tokens_revoked": len(tokens)},
    )
    _publish(unit, retired, target)
    return Merged(retired_id=retired.id, surviving_id=target.id, moved=tuple(moved))


def unmerge(unit: Unit, retired: Patient, *, reason: str) -> Merged:
    """Undo a merge: what came over goes back; codes that died stay dead, new receipts are printed."""
    if not reason.strip():
        raise Refused("identitypage.reason_needed")
    row = merge_in_force(unit.session, retired.id)
    if row is None or retired.merged_into_id is None:
        raise Refused("identitypage.not_merged")
    holder = survivor_of(unit.session, unit.session.get_one(Patient, row.surviving_id))
    there = requisition_ids_of(unit.session, holder.id)
    back = [one for one in row.moved["requisitions"] if one in set(there)]
    retired.merged_into_id = None
    retired.version += 1
    row.unmerged_at, row.unmerged_by, row.unmerge_reason = unit.now, unit.actor, reason.strip()
    move_to_patient(unit.session, back, retired.id)
    later = [
        one
        for one in there
        if one not in set(back)
        and unit.session.get_one(Requisition, one).created_at >= row.merged_at
    ]
    unit.audit(
        "patient_unmerged",
        "Patient",
        retired.id,
        before={"into": row.surviving_id},
        after={"requisitions": back, "stay": later, "reason": reason.strip()},
    )
    _publish(unit, retired, holder)
    return Merged(
        retired_id=retired.id, surviving_id=holder.id, moved=tuple(back), stays=tuple(later)
    )


def facts_of(unit: Unit, catalog: Catalog, patient: Patient) -> IdentityFacts:
    """What speaks for or against one person being another."""
    tests = [
        test.code
        for test in catalog.tests.values()
        if any(one.system == "LOINC" and one.value in BLOOD_GROUP_LOINC for one in test.codes)
    ]
    values = values_of_tests(unit.session, patient.id, tests)
    return IdentityFacts(sex=patient.sex, blood_groups=frozenset(values))


def wait_for_person(
    unit: Unit,
    *,
    kind: str,
    source: str,
    stamp: str,
    subject: str,
    inbox_id: int | None,
    detail: Mapping[str, Any],
) -> IdentityIssue:
    """Keep a message about a person that no rule may carry out; the same one once."""
    issue = identity_issue(unit.session, source, stamp, kind, subject)
    if issue is None:
        issue = IdentityIssue(
            kind=kind,
            source=source,
            stamp=stamp,
            subject=subject,
            opened_at=unit.now,
            inbox_id=inbox_id,
            detail=dict(detail),
        )
        unit.session.add(issue)
        unit.session.flush()
        unit.audit("identity_held", "IdentityIssue", issue.id, after={"kind": kind, **detail})
        unit.publish("identity", issue.id)
    return issue


def close_issue(unit: Unit, issue: IdentityIssue, resolution: str) -> None:
    """A person, or a later message, settled what waited."""
    if issue.resolved_at is not None:
        return
    issue.resolved_at, issue.resolved_by, issue.resolution = unit.now, unit.actor, resolution
    unit.audit("identity_settled", "IdentityIssue", issue.id, after=resolution)
    unit.publish("identity", issue.id)


def patient_named(unit: Unit, public_id: str) -> Patient:
    """A person by public id; raises `NotFound`."""
    patient = patient_by_public_id(unit.session, public_id)
    if patient is None:
        raise NotFound("Patient", public_id)
    return patient


def _was_decided(unit: Unit, retired: Patient, surviving: Patient, stamp: str) -> bool:
    """A message that is not newer than a merge that a person undid does not bring it back."""
    if not stamp:
        return False
    return any(
        row.unmerged_at is not None and stamp <= row.stamp
        for row in merges_between(unit.session, retired.id, surviving.id)
    )


def _keep(unit: Unit, patient: Patient, fields: Mapping[str, str], stamp: str) -> bool:
    row = said_of(unit.session, patient.id)
    if row is None:
        row = PatientSaid(patient_id=patient.id)
        unit.session.add(row)
    row.said = hear_person(row.said, stamp, fields)
    true = fields_of(row.said)
    before = {field: getattr(patient, field) for field in true}
    changed = {field: value for field, value in true.items() if before[field] != value}
    for field, value in changed.items():
        setattr(patient, field, value)
    if changed:
        patient.version += 1
        unit.audit(
            "patient_news",
            "Patient",
            patient.id,
            before={field: before[field] for field in changed},
            after=changed | {"stamp": stamp},
        )
        unit.publish("patient", patient.public_id)
    unit.session.flush()
    return any(field in changed for field in JUDGED_BY)


def _publish(unit: Unit, *patients: Patient) -> None:
    for patient in patients:
        unit.publish("patient", patient.public_id)
