"""A patient's results by the receipt's code and the date of birth: the one read that needs no session.

It is a POST so that neither stands in an address, a log or a history. It changes nothing for whoever sends it;
failures are counted per code and per address by `lis.patients.results`.
"""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lis.api.deps import InLaboratory
from lis.api.problems import responses
from lis.api.sessions import Connection, address_of
from lis.patients.policy import Showing
from lis.patients.results import open_results

TEXT_MAX = 64
router = APIRouter(prefix="/receipts", tags=["receipts"])


class ReceiptBody(BaseModel):
    """What the receipt says and what only the patient knows."""

    code: str = Field(max_length=TEXT_MAX)
    birth_date: str = Field(max_length=TEXT_MAX, description="YYYY-MM-DD")
    language: Literal["ru", "en"] = "en"


class PatientResultBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    test: str
    name: str
    plain_words: str
    showing: Showing
    value: str
    unit: str
    flag: str
    interval: str
    is_corrected: bool
    previous_value: str
    previous_unit: str
    released_at: datetime | None
    analysed_at: datetime | None
    collected_at: datetime | None


class PatientResultsBody(BaseModel):
    """What the patient's page shows; initials instead of the name."""

    model_config = ConfigDict(from_attributes=True)

    initials: str
    birth_date: str
    ordered_at: datetime
    results: list[PatientResultBody]
    waiting: int


@router.post("", responses=responses(403, 422, 429))
def open_receipt(
    body: ReceiptBody, laboratory: InLaboratory, connection: Connection
) -> PatientResultsBody:
    """The results behind a receipt; every wrong pair gets the same answer."""
    opened = open_results(
        laboratory.store,
        code=body.code,
        birth_date=body.birth_date,
        address=address_of(connection),
        language=body.language,
    )
    return PatientResultsBody.model_validate(opened)
