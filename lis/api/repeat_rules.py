"""Rules about repeating over HTTP: what is in force, proposals, the count over history, the stop switch, what rules made."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from lis.api.deps import InLaboratory, Snapshot, Verifier, WorklistReader
from lis.api.problems import responses
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotFound
from lis.results import repeat_versions
from lis.results.repeat_dry_run import DAYS_DEFAULT, DAYS_MAX, DryRun, dry_run
from lis.store.definitions import DefinitionKind, body_in_force, catalog_in_force
from lis.store.repeat_queries import (
    made_page,
    open_stops,
    proposals,
    repeat_rules_in_force,
)
from lis.store.repeat_rows import RepeatProposal

REASON_MAX: Final = 1_000
REFUSALS: Final = responses(400, 401, 403, 404, 409, 422)
Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]

router = APIRouter(prefix="/repeat-rules", tags=["rules"])


class StopModel(BaseModel):
    rule: str  # "": all rules
    stopped_at: datetime
    stopped_by: str
    reason: str


class ProposalModel(BaseModel):
    id: int
    version: str
    state: str
    author: str
    created_at: datetime
    effective_from: datetime
    dry_run: dict[str, Any] | None
    decided_by: str
    decided_at: datetime | None
    decision: str
    row_version: int


class RulesModel(BaseModel):
    """What is in force, and what waits for a second person."""

    version: str  # "": no rules yet
    document: dict[str, Any]
    stopped: list[StopModel]
    proposals: list[ProposalModel]


class MadeModel(BaseModel):
    """What one rule made of one value, or why it could not."""

    id: int
    at: datetime
    rule: str
    version: str
    action: str
    specimen: str
    test: str
    made_test: str
    factor: str | None
    observation: int
    work_order: int | None
    refused: str
    inputs: dict[str, Any]
    unjustified_at: datetime | None
    unjustified_why: str


class MadePage(BaseModel):
    rows: list[MadeModel]
    next: int | None  # key of the next page


class CountModel(BaseModel):
    """A dry run; nothing was changed."""

    version: str
    since: datetime
    until: datetime
    days: int
    values: int
    is_cut: bool
    extra_per_day: str
    rules: list[dict[str, Any]]


class CountBody(BaseModel):
    document: dict[str, Any]
    days: Days = DAYS_DEFAULT


class ProposeBody(BaseModel):
    document: dict[str, Any]
    effective_from: datetime | None = None


class DaysBody(BaseModel):
    days: Days = DAYS_DEFAULT


class SeenBody(BaseModel):
    row_version: int


class WithdrawBody(SeenBody):
    reason: str = Field(max_length=REASON_MAX)


class SwitchBody(BaseModel):
    rule: str = Field(default="", max_length=100)  # "": all rules
    reason: str = Field(max_length=REASON_MAX)


@router.get("", responses=responses(401, 403))
def show_rules(_actor: WorklistReader, session: Snapshot, laboratory: InLaboratory) -> RulesModel:
    """The rules in force, stop switches and the newest proposals."""
    now = laboratory.store.clock.now()
    rules = repeat_rules_in_force(session, now)
    return RulesModel(
        version=rules.version,
        document=dict(body_in_force(session, DefinitionKind.REPEAT, now)),
        stopped=[
            StopModel(
                rule=one.rule,
                stopped_at=one.stopped_at,
                stopped_by=one.stopped_by,
                reason=one.reason,
            )
            for one in open_stops(session)
        ],
        proposals=[_model(one) for one in proposals(session)],
    )


@router.get("/made", responses=responses(401, 403))
def show_made(
    _actor: WorklistReader,
    session: Snapshot,
    *,
    before: Annotated[int | None, Query(ge=1)] = None,
    needs_person: bool = False,
) -> MadePage:
    """What rules made, newest first; `needs_person`: only what could not be made or is no longer justified."""
    rows = [
        MadeModel(
            id=made.id,
            at=made.created_at,
            rule=made.rule,
            version=made.rule_version,
            action=made.action,
            specimen=accession,
            test=made.test_code,
            made_test=made.made_test,
            factor=None if made.factor is None else f"{made.factor}",
            observation=made.observation_id,
            work_order=made.work_order_id,
            refused=made.refused,
            inputs=made.inputs,
            unjustified_at=made.unjustified_at,
            unjustified_why=made.unjustified_why,
        )
        for made, accession in made_page(session, before=before, needs_person=needs_person)
    ]
    return MadePage(rows=rows, next=rows[-1].id if rows else None)


@router.post("/dry-run", responses=REFUSALS)
def count(body: CountBody, _actor: Verifier, laboratory: InLaboratory) -> CountModel:
    """Count what a document would have done to the last days; nothing is kept."""
    return CountModel(**asdict(count_document(laboratory, body.document, body.days)))


@router.post("/proposals", status_code=201, responses=REFUSALS)
def propose(body: ProposeBody, actor: Verifier, laboratory: InLaboratory) -> ProposalModel:
    """Propose a version; a second person approves it after the count."""
    row = propose_document(laboratory, body.document, body.effective_from, login=actor.login)
    return _model(row)


@router.post("/proposals/{proposal_id}/dry-run", responses=REFUSALS)
def count_proposal(
    proposal_id: int, body: DaysBody, actor: Verifier, laboratory: InLaboratory
) -> ProposalModel:
    """Count what a proposed version would have done, and keep the count beside it."""
    return _model(count_and_keep(laboratory, proposal_id, body.days, login=actor.login))


@router.post("/proposals/{proposal_id}/approve", responses=REFUSALS)
def approve(
    proposal_id: int, body: SeenBody, actor: Verifier, laboratory: InLaboratory
) -> ProposalModel:
    """Put a proposed version in force; not by its author."""
    row = approve_proposal(laboratory, proposal_id, body.row_version, login=actor.login)
    return _model(row)


@router.post("/proposals/{proposal_id}/withdraw", responses=REFUSALS)
def withdraw(
    proposal_id: int, body: WithdrawBody, actor: Verifier, laboratory: InLaboratory
) -> ProposalModel:
    """Give a proposed version up, with a reason."""
    with laboratory.store.unit(actor.login) as unit:
        row = repeat_versions.withdraw(unit, proposal_id, seen=body.row_version, reason=body.reason)
        return _model(row)


@router.post("/stop", status_code=204, responses=REFUSALS)
def stop(body: SwitchBody, actor: Verifier, laboratory: InLaboratory) -> None:
    """Stop a rule, or all of them, at once."""
    with laboratory.store.unit(actor.login) as unit:
        repeat_versions.stop(unit, rule=body.rule, reason=body.reason)


@router.post("/resume", status_code=204, responses=REFUSALS)
def resume(body: SwitchBody, actor: Verifier, laboratory: InLaboratory) -> None:
    """Let a stopped rule speak again."""
    with laboratory.store.unit(actor.login) as unit:
        repeat_versions.resume(unit, rule=body.rule, reason=body.reason)


def propose_document(
    laboratory: Laboratory,
    document: Mapping[str, Any],
    effective_from: datetime | None = None,
    *,
    login: str,
) -> RepeatProposal:
    """Propose a version, judged with the catalog in force."""
    with laboratory.store.unit(login) as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        return repeat_versions.propose(unit, catalog, document, effective_from=effective_from)


def approve_proposal(
    laboratory: Laboratory, proposal_id: int, seen: int, *, login: str
) -> RepeatProposal:
    """Put a proposal in force, judged again with the catalog in force."""
    with laboratory.store.unit(login) as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        return repeat_versions.approve(unit, catalog, proposal_id, seen=seen)


def count_document(laboratory: Laboratory, document: Mapping[str, Any], days: int) -> DryRun:
    """Count a document over a snapshot, without the write lock."""
    now = laboratory.store.clock.now()
    with laboratory.store.read() as session:
        catalog = catalog_in_force(session, now)
        rules = repeat_versions.check_rules(document, catalog)
        return dry_run(session, catalog, rules, until=now, days=days)


def count_and_keep(
    laboratory: Laboratory, proposal_id: int, days: int, *, login: str
) -> RepeatProposal:
    """Count a proposal over a snapshot, then keep the count on it."""
    with laboratory.store.read() as session:
        row = session.get(RepeatProposal, proposal_id)
        if row is None:
            raise NotFound("proposed rules", proposal_id)
        document = row.body
    counted = count_document(laboratory, document, days)
    with laboratory.store.unit(login) as unit:
        return repeat_versions.count_proposal(unit, proposal_id, counted)


def _model(row: RepeatProposal) -> ProposalModel:
    return ProposalModel(
        id=row.id,
        version=row.version,
        state=row.state.value,
        author=row.author,
        created_at=row.created_at,
        effective_from=row.effective_from,
        dry_run=row.dry_run,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision=row.decision,
        row_version=row.row_version,
    )
