"""Patients for doctors: search, and the cumulative results of one patient. The pages call the same functions."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from lis.api.deps import InLaboratory, Language, PatientReader, Snapshot
from lis.api.problems import responses
from lis.orders.reads import search_patients
from lis.patients.history import read_history

TEXT_MAX = 200
router = APIRouter(prefix="/patients", tags=["patients"])


class _Body(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PatientBody(_Body):
    """Who somebody is."""

    public_id: str
    name: str
    birth_date: str
    sex: str
    identifiers: list[str]


class CellBody(_Body):
    """One result; a withdrawn one has no value, a corrected one names what it replaced."""

    value: str
    flag: str
    unit: str
    interval: str
    comment: str
    is_withdrawn: bool
    is_corrected: bool
    previous_value: str
    previous_unit: str
    previous_flag: str
    released_at: datetime | None


class ColumnBody(_Body):
    at: datetime
    is_collected: bool


class LineBody(_Body):
    test: str
    name: str
    unit: str
    interval: str
    cells: list[list[CellBody]]
    points: list[float]
    low: float | None
    high: float | None


class SectionBody(_Body):
    code: str
    lines: list[LineBody]


class HistoryBody(_Body):
    """Released results only (S03, S08); `waiting` counts ordered tests that are not out yet."""

    patient: PatientBody
    age: dict[str, Any] | None
    columns: list[ColumnBody]
    sections: list[SectionBody]
    waiting: int
    results: int
    is_cut: bool


@router.get("", responses=responses(401, 403, 422))
def find_patients(
    _actor: PatientReader,
    session: Snapshot,
    text: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> list[PatientBody]:
    """Patients by the start of the name or an exact identifier."""
    return [PatientBody.model_validate(one) for one in search_patients(session, text)]


@router.get("/{public_id}/results", responses=responses(401, 403, 404))
def read_results(
    actor: PatientReader,
    laboratory: InLaboratory,
    language: Language,
    public_id: str,
    *,
    only_abnormal: bool = False,
) -> HistoryBody:
    """The cumulative results of one patient; who opened them is audited."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        history = read_history(
            unit, catalog, public_id, language=language, only_abnormal=only_abnormal
        )
    return HistoryBody.model_validate(history)
