"""Two identities that are one person: merge, undo, and messages that wait. The page calls the same functions."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from lis.api.deps import InLaboratory, Snapshot, Verifier, WorklistReader
from lis.api.patients import PatientBody
from lis.api.problems import responses
from lis.orders.held_reads import PAGE_ROWS, issues, merges
from lis.results.person_changed import merge_by_person, settle_issue, unmerge_by_person

REASON_MAX: Final = 500

router = APIRouter(prefix="/identity", tags=["identity"])


class _Body(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class IssueBody(_Body):
    id: int
    kind: str
    source: str
    opened_at: datetime
    conflicts: list[str]
    people: list[PatientBody]
    inbox_id: int | None


class IssuesBody(BaseModel):
    issues: list[IssueBody]
    next: int | None


class MergeLineBody(_Body):
    id: int
    retired: PatientBody
    surviving: PatientBody
    merged_at: datetime
    merged_by: str
    reason: str


class MergeBody(BaseModel):
    """`retired` is given up in favour of `surviving`; both are public ids."""

    retired: str = Field(max_length=64)
    surviving: str = Field(max_length=64)
    reason: str = Field(max_length=REASON_MAX)


class UnmergeBody(BaseModel):
    retired: str = Field(max_length=64)
    reason: str = Field(max_length=REASON_MAX)


class ReasonBody(BaseModel):
    reason: str = Field(max_length=REASON_MAX)


class MergedBody(_Body):
    """`moved` came over or went back; `stays` was asked for after the merge and stays: look at it."""

    moved: list[int]
    stays: list[int]
    is_new: bool


_ACT = responses(401, 403, 404, 422)


@router.get("/issues", responses=responses(401, 403))
def read_issues(
    _actor: WorklistReader, session: Snapshot, after: Annotated[int, Query(ge=0)] = 0
) -> IssuesBody:
    """Messages about people that no rule may carry out, oldest first."""
    rows = issues(session, after=after)
    return IssuesBody(
        issues=[IssueBody.model_validate(row) for row in rows],
        next=rows[-1].id if len(rows) == PAGE_ROWS else None,
    )


@router.post("/issues/{issue_id}/settle", status_code=204, responses=_ACT)
def settle(issue_id: int, body: ReasonBody, actor: Verifier, laboratory: InLaboratory) -> None:
    """Say what was done about it."""
    with laboratory.store.unit(actor.login) as unit:
        settle_issue(unit, issue_id, reason=body.reason)


@router.get("/merges", responses=responses(401, 403))
def read_merges(_actor: WorklistReader, session: Snapshot) -> list[MergeLineBody]:
    """The newest merges in force."""
    return [MergeLineBody.model_validate(row) for row in merges(session)]


@router.post("/merge", responses=_ACT)
def merge(body: MergeBody, actor: Verifier, laboratory: InLaboratory) -> MergedBody:
    """Make two identities one; a conflict of sex or blood group stops it."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        done = merge_by_person(
            unit, catalog, retired=body.retired, surviving=body.surviving, reason=body.reason
        )
    return MergedBody.model_validate(done)


@router.post("/unmerge", responses=_ACT)
def unmerge(body: UnmergeBody, actor: Verifier, laboratory: InLaboratory) -> MergedBody:
    """Undo a merge: what came over goes back."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        done = unmerge_by_person(unit, catalog, retired=body.retired, reason=body.reason)
    return MergedBody.model_validate(done)
