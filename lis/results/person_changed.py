"""A person is not who we thought: their results are judged again with what is true now (S28).

Sex and birth date decide which interval applies. When the hospital corrects one, or two identities become one or two again, each
standing result is interpreted anew, with the catalog it was made with. Where the judgement is the same, nothing moves. A result that
waits becomes a new version that waits; one that is out becomes an amended version that goes out at once to everybody who got the old one: its
value was verified and is untouched. Critical limits belong to the test, not to the person: no call opens here.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import inspect

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import BENCH, OUTWARD, BenchEvent, BenchState, OutwardEvent
from lis.domain.messages import IdReadMode, ReportedObservation
from lis.domain.result_facts import PersonFacts, SpecimenFacts
from lis.orders import identity
from lis.orders.identity import Merged
from lis.results.batch import mapping_of
from lis.results.desk import Desk, as_run, reported_of, say
from lis.results.interpretation import Interpretation, interpret, patient_facts
from lis.results.rejudging import judge_stored, next_version
from lis.results.release import ReleaseGroup, Reports
from lis.results.reporting import ReportedRun
from lis.results.verdicts import passed
from lis.store.definitions import catalog_in_force
from lis.store.observation_queries import devices_by_id, people, specimen_facts
from lis.store.people_rows import Patient
from lis.store.referral_queries import issue_by_id, open_issues, standing_observations
from lis.store.rows import Observation
from lis.store.unit import Unit
from lis.store.worklist_queries import specimens_by_ids

RULE = "person_changed"
ISSUES_TRIED = 500  # open issues looked through after a merge; more than a hospital has


def merge_people(
    unit: Unit, catalog: Catalog, retired: Patient, surviving: Patient, *, reason: str, stamp: str
) -> Merged:
    """Merge two identities and judge again what came over; raises `MergeStopped`."""
    merged = identity.merge(unit, catalog, retired, surviving, reason=reason, stamp=stamp)
    if merged.is_new:
        judge_person_again(unit, catalog, merged.surviving_id, cause="merge")
    return merged


def unmerge_people(unit: Unit, catalog: Catalog, retired: Patient, *, reason: str) -> Merged:
    """Undo a merge and judge again on both sides."""
    merged = identity.unmerge(unit, retired, reason=reason)
    for patient_id in (merged.retired_id, merged.surviving_id):
        judge_person_again(unit, catalog, patient_id, cause="unmerge")
    return merged


def merge_by_person(
    unit: Unit, catalog: Catalog, *, retired: str, surviving: str, reason: str
) -> Merged:
    """Somebody says that two identities, by public id, are one person; issues about the two end with it."""
    text = _needed(reason)
    people = [identity.patient_named(unit, one) for one in (retired, surviving)]
    merged = merge_people(unit, catalog, *people, reason=text, stamp="")
    pair = {one.id for one in people}
    for issue in open_issues(unit.session, limit=ISSUES_TRIED):
        if {issue.detail.get("retired"), issue.detail.get("surviving")} == pair:
            identity.close_issue(unit, issue, text)
    return merged


def unmerge_by_person(unit: Unit, catalog: Catalog, *, retired: str, reason: str) -> Merged:
    """Somebody says that they are two people after all."""
    text = _needed(reason)
    return unmerge_people(unit, catalog, identity.patient_named(unit, retired), reason=text)


def settle_issue(unit: Unit, issue_id: int, *, reason: str) -> None:
    """A person has dealt with a message about people."""
    text = _needed(reason)
    issue = issue_by_id(unit.session, issue_id)
    if issue is None:
        raise NotFound("IdentityIssue", issue_id)
    if issue.resolved_at is not None:
        raise Refused("identitypage.already_settled")
    identity.close_issue(unit, issue, text)


def _needed(reason: str) -> str:
    text = reason.strip()
    if not text:
        raise Refused("identitypage.reason_needed")
    return text


def judge_person_again(unit: Unit, catalog: Catalog, patient_id: int, *, cause: str) -> int:
    """Interpret every standing result of a person anew; how many came out differently."""
    unit.session.flush()
    rows = standing_observations(unit.session, patient_id)
    person = people(unit.session, [patient_id]).get(patient_id)
    tubes = specimens_by_ids(unit.session, {row.specimen_id or 0 for row in rows})
    facts = {
        one.id: one
        for one in specimen_facts(
            unit.session, [tube.accession for tube in tubes.values()]
        ).values()
    }
    different = [
        (row, meant)
        for row in rows
        if (tube := facts.get(row.specimen_id or 0)) is not None
        and (meant := _meaning(unit, catalog, row, tube, person)) is not None
        and _differs(row, meant)
    ]
    if not different:
        return 0
    desk = Desk.load(unit, catalog, [row.id for row, _ in different])
    out: dict[int, list[ReportedRun]] = {}
    for row, meant in different:
        if row.bench_state is BenchState.RELEASED:
            made = _amend(desk, row, meant, cause)
            if made.service_request_id is not None:
                out.setdefault(made.service_request_id, []).extend([as_run(row), as_run(made)])
        else:
            _wait_again(desk, row, meant, facts[row.specimen_id or 0], cause)
    _publish(unit, out)
    return len(different)


def _differs(row: Observation, meant: Interpretation) -> bool:
    """What a reader of the report would see otherwise; another age within the same band is none of it."""
    return (row.flag, row.interval_text) != (meant.flag.value, meant.interval_text)


def _meaning(
    unit: Unit, catalog: Catalog, row: Observation, tube: SpecimenFacts, person: PersonFacts | None
) -> Interpretation | None:
    """What the value means for the person as they are now; None where nobody knows the test."""
    then = _catalog_of(unit, catalog, row)
    test = then.tests.get(row.test_code)
    if test is None or person is None:
        return None
    reported = reported_of(row, IdReadMode.BARCODE)
    return interpret(
        test=test,
        value=reported.value,
        basis=reported.basis,
        is_unit_right=_is_unit_right(unit, then, row, reported),
        person=patient_facts(person),
        specimen=tube,
    )


def _catalog_of(unit: Unit, catalog: Catalog, row: Observation) -> Catalog:
    """The catalog in force when the value was judged: a person changed, not an interval."""
    if row.catalog_version_id in {None, catalog.version_id}:
        return catalog
    then: datetime = row.created_at.astimezone(UTC)
    found = catalog_in_force(unit.session, then)
    return found if found.version_id == row.catalog_version_id else catalog


def _is_unit_right(
    unit: Unit, catalog: Catalog, row: Observation, reported: ReportedObservation
) -> bool:
    device = devices_by_id(unit.session, [row.device_id or 0]).get(row.device_id or 0)
    if device is None or not row.reported_unit:
        return row.unit == catalog.tests[row.test_code].unit
    _, entry = mapping_of(catalog, device.driver, reported)
    return reported.unit == entry.unit


def _amend(desk: Desk, row: Observation, meant: Interpretation, cause: str) -> Observation:
    """A released value with its new meaning, in the place of the old one."""
    status = row.status
    if OUTWARD.allows(status, OutwardEvent.AMEND):
        status = OUTWARD.apply(status, OutwardEvent.AMEND)
    made = _copy(
        desk,
        row,
        meant,
        bench_state=BENCH.apply(BenchState.RECEIVED, BenchEvent.RELEASE),
        status=status,
        released_at=desk.unit.now,
        visible_from=desk.unit.now,
        signature="",
    )
    _supersede(desk, row, made, cause)
    return made


def _wait_again(
    desk: Desk, row: Observation, meant: Interpretation, tube: SpecimenFacts, cause: str
) -> None:
    """A waiting value, judged in full where an instrument measured it; it waits on."""
    if row.device_id is not None:
        judged, around = judge_stored(desk, row, tube, reported_of(row, IdReadMode.BARCODE))
        if judged.match.is_bound:
            made = next_version(desk, row, judged, around, read_mode=row.read_mode)
            _tell(desk, row, made, cause)
            return
    state = BENCH.apply(BenchState.RECEIVED, BenchEvent.HOLD)
    made = _copy(desk, row, meant, bench_state=state)
    _supersede(desk, row, made, cause)


def _copy(desk: Desk, row: Observation, meant: Interpretation, **other: Any) -> Observation:
    names = [attribute.key for attribute in inspect(Observation).column_attrs]
    values = {name: getattr(row, name) for name in names if name != "id"}
    values |= {
        "public_id": desk.unit.ids.new(),
        "created_at": desk.unit.now,
        "version": row.version + 1,
        "previous_id": row.id,
        "flag": meant.flag.value,
        "interval_text": meant.interval_text,
        "interval_reason": meant.interval_reason,
        "row_version": 1,
        **other,
    }
    made = Observation(**values)
    desk.unit.session.add(made)
    desk.unit.session.flush()
    return made


def _supersede(desk: Desk, row: Observation, made: Observation, cause: str) -> None:
    row.bench_state = BENCH.apply(row.bench_state, BenchEvent.SUPERSEDE)
    row.is_chosen = False
    _tell(desk, row, made, cause)


def _tell(desk: Desk, row: Observation, made: Observation, cause: str) -> None:
    user = desk.unit.actor
    say(made, passed(RULE, cause=cause, flag_before=row.flag, interval_before=row.interval_text))
    desk.moved(row, RULE, user, cause=cause, version=made.version)
    desk.moved(made, RULE, user, cause=cause, flag=made.flag)


def _publish(unit: Unit, out: dict[int, list[ReportedRun]]) -> None:
    if not out:
        return
    unit.session.flush()
    reports = Reports.load(unit, out.keys())
    for request_id, runs in out.items():
        group = ReleaseGroup(
            service_request_id=request_id, changed=tuple(runs), not_before=unit.now
        )
        reports.publish(unit, group)
    reports.write(unit)
