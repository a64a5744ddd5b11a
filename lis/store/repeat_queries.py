"""Queries about the rules of repeating: which are in force, what they made, what history holds for a dry run."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.repeat_document import read_repeat_rules
from lis.domain.repeat_rules import NO_RULES, ProposalState, RepeatRules
from lis.store.definition_cache import DefinitionCache
from lis.store.definitions import DefinitionKind
from lis.store.observation_rows import Observation
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient, Site
from lis.store.repeat_rows import RepeatMade, RepeatProposal, RepeatStop
from lis.store.system_rows import DefinitionVersion
from lis.store.unit import DEFINITIONS

HISTORY_PART = 2_000  # values read at once in a dry run: bounds its memory
MADE_PAGE = 100
PROPOSALS_MAX = 50


def repeat_rules_in_force(session: Session, at: datetime) -> RepeatRules:
    """The rules that hold at `at`, with the stop switches as they are now; no rules while there are none."""
    found = session.execute(
        select(DefinitionVersion.id)
        .where(
            DefinitionVersion.kind == DefinitionKind.REPEAT.value,
            DefinitionVersion.effective_from <= at,
        )
        .order_by(DefinitionVersion.effective_from.desc(), DefinitionVersion.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    if found is None:
        return NO_RULES
    kept = _rules(session, found)
    stopped = frozenset(one.rule for one in open_stops(session))
    if not stopped:
        return kept
    return RepeatRules(
        version=kept.version,
        definition_id=kept.definition_id,
        rules=kept.rules,
        choices=kept.choices,
        stopped=stopped,
    )


def repeat_rules_of_version(session: Session, version: str) -> RepeatRules:
    """The rules of one version, in force or not; no rules for a name that nobody gave."""
    found = session.execute(
        select(DefinitionVersion.id).where(
            DefinitionVersion.kind == DefinitionKind.REPEAT.value,
            DefinitionVersion.version == version,
        )
    ).scalar_one_or_none()
    return NO_RULES if found is None else _rules(session, found)


def _rules(session: Session, definition_id: int) -> RepeatRules:
    """The frozen value of a version, which never changes."""
    cache = session.info.get(DEFINITIONS)
    assert isinstance(cache, DefinitionCache), "the session was not opened by a Store"
    key = (DefinitionKind.REPEAT.value, definition_id)
    kept = cache.get(key)
    if isinstance(kept, RepeatRules):
        return kept
    body = session.execute(
        select(DefinitionVersion.body).where(DefinitionVersion.id == definition_id)
    ).scalar_one()
    rules = read_repeat_rules(body, definition_id=definition_id)
    cache.put(key, rules)
    return rules


def open_stops(session: Session) -> list[RepeatStop]:
    """The pressed switches, oldest first."""
    query = select(RepeatStop).where(RepeatStop.resumed_at.is_(None)).order_by(RepeatStop.id)
    return list(session.scalars(query))


def stop_of(session: Session, rule: str) -> RepeatStop | None:
    """The pressed switch of a rule, locked for a change."""
    return session.scalars(
        select(RepeatStop)
        .where(RepeatStop.rule == rule, RepeatStop.resumed_at.is_(None))
        .with_for_update()
    ).first()


def proposals(session: Session) -> list[RepeatProposal]:
    """The newest versions that somebody proposed."""
    query = select(RepeatProposal).order_by(RepeatProposal.id.desc()).limit(PROPOSALS_MAX)
    return list(session.scalars(query))


def proposal_by_id(session: Session, key: int) -> RepeatProposal | None:
    """One proposal, locked for a change."""
    query = select(RepeatProposal).where(RepeatProposal.id == key).with_for_update()
    return session.scalars(query).one_or_none()


def is_version_taken(session: Session, version: str) -> bool:
    """Whether a version of that name was ever proposed or put in force."""
    proposed = select(RepeatProposal.id).where(RepeatProposal.version == version)
    stored = select(DefinitionVersion.id).where(
        DefinitionVersion.kind == DefinitionKind.REPEAT.value, DefinitionVersion.version == version
    )
    return (
        session.execute(proposed).first() is not None or session.execute(stored).first() is not None
    )


def has_open_proposal(session: Session) -> bool:
    query = select(RepeatProposal.id).where(RepeatProposal.state == ProposalState.PROPOSED)
    return session.execute(query.limit(1)).first() is not None


# --- what was made --------------------------------------------------------------------------------


def made_by_keys(session: Session, keys: Collection[str]) -> set[str]:
    """Which of these were made, or refused, before."""
    if not keys:
        return set()
    return set(session.scalars(select(RepeatMade.key).where(RepeatMade.key.in_(tuple(keys)))))


def made_of_specimens(session: Session, specimen_ids: Collection[int]) -> list[RepeatMade]:
    """Everything that rules made on some tubes, oldest first."""
    if not specimen_ids:
        return []
    query = select(RepeatMade).where(RepeatMade.specimen_id.in_(tuple(set(specimen_ids))))
    return list(session.scalars(query.order_by(RepeatMade.id)))


def made_page(
    session: Session, *, before: int | None = None, needs_person: bool = False
) -> list[tuple[RepeatMade, str]]:
    """What rules made, newest first, with the number of the tube; page on with the last key."""
    query = select(RepeatMade, Specimen.accession).join(
        Specimen, Specimen.id == RepeatMade.specimen_id
    )
    if before is not None:
        query = query.where(RepeatMade.id < before)
    if needs_person:
        query = query.where((RepeatMade.refused != "") | RepeatMade.unjustified_at.is_not(None))
    rows = session.execute(query.order_by(RepeatMade.id.desc()).limit(MADE_PAGE))
    return [(made, accession) for made, accession in rows]


def observations_of_tubes(session: Session, specimen_ids: Collection[int]) -> list[Observation]:
    """All runs of some tubes, oldest first."""
    if not specimen_ids:
        return []
    query = select(Observation).where(Observation.specimen_id.in_(tuple(set(specimen_ids))))
    return list(session.scalars(query.order_by(Observation.id)))


def tests_on_tubes(session: Session, specimen_ids: Collection[int]) -> set[tuple[int, str]]:
    """(tube, test) that somebody ordered and nobody cancelled."""
    query = select(WorkOrder.specimen_id, WorkOrder.test_code).where(
        WorkOrder.specimen_id.in_(tuple(set(specimen_ids))),
        WorkOrder.state != WorkOrderState.CANCELLED,
    )
    return {(row.specimen_id, row.test_code) for row in session.execute(query)}


def request_of_order(session: Session, work_order_id: int) -> ServiceRequest | None:
    """The service request behind a work order."""
    return session.scalars(
        select(ServiceRequest)
        .join(WorkOrder, WorkOrder.service_request_id == ServiceRequest.id)
        .where(WorkOrder.id == work_order_id)
    ).one_or_none()


# --- history for a dry run ------------------------------------------------------------------------


def history_part(
    session: Session, *, tests: Collection[str], since: datetime, until: datetime, after: int
) -> list[Row[Any]]:
    """One part of the first versions of bound values in a time, by key, with what rules ask about people."""
    query = (
        select(
            Observation.id,
            Observation.created_at,
            Observation.test_code,
            Observation.specimen_id,
            Observation.run_key,
            Observation.reported,
            Observation.comparator,
            Observation.value,
            Observation.reported_unit,
            Observation.unit,
            Observation.reported_flags,
            Observation.dilution,
            Observation.basis,
            Observation.holds,
            Observation.bench_state,
            Observation.is_chosen,
            Specimen.accession,
            Specimen.collected_from,
            Specimen.collected_certainty,
            Patient.sex,
            Patient.birth_date,
            Site.timezone,
        )
        .join(Specimen, Specimen.id == Observation.specimen_id)
        .join(Patient, Patient.id == Specimen.patient_id)
        .join(Site, Site.id == Patient.site_id)
        .where(
            Observation.id > after,
            Observation.test_code.in_(tuple(tests)),
            Observation.created_at >= since,
            Observation.created_at < until,
            Observation.version == 1,
            Observation.bench_state != BenchState.REJECTED,
        )
    )
    return list(session.execute(query.order_by(Observation.id).limit(HISTORY_PART)))
