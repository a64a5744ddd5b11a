"""What goes into and comes out of the worklist's endpoints, for checking input and for OpenAPI."""

from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from lis.domain.messages import Reason
from lis.results.desk import Shown

ROWS_MAX: Final = 500  # of one page and of one bulk decision: one screen
TEXT_MAX: Final = 1_000


class Seen(BaseModel):
    """What the person saw: without all three nothing is decided."""

    id: int
    version: int
    hash: str = Field(max_length=64)

    def shown(self) -> Shown:
        return Shown(observation_id=self.id, version=self.version, hash=self.hash)


class SeenVerified(Seen):
    acknowledged: list[Reason] = []  # reasons that must be named to be passed over


class SeenReason(Seen):
    reason: str = Field(max_length=TEXT_MAX)


class SeenDilution(SeenReason):
    factor: Decimal


class SeenText(Seen):
    text: str = Field(max_length=TEXT_MAX)


class SeenTube(Seen):
    accession: str = Field(max_length=32)
    identifier: str = Field(max_length=64)


class SeenCall(Seen):
    person: str = Field(max_length=200)
    note: str = Field(default="", max_length=TEXT_MAX)
    read_back: bool = False


class SeenMany(BaseModel):
    shown: list[Seen] = Field(max_length=ROWS_MAX)


class SeenOfSpecimen(SeenMany):
    specimen: int


class SeenRejected(SeenReason):
    others: list[Seen] = Field(default=[], max_length=ROWS_MAX)  # waiting rows of the same tube


class ReasonBody(BaseModel):
    reason: str = Field(max_length=TEXT_MAX)


class UnreadableBody(BaseModel):
    """A record or field of a message that no driver could read."""

    id: int
    inbox: int
    record: str
    field: str
    raw: str
    reason: str
    created_at: str


class WorklistRow(BaseModel):
    """One result as `lis.results.reads` makes it; more fields than named here."""

    model_config = ConfigDict(extra="allow")

    id: int
    row_version: int
    shown_hash: str
    lane: str
    bench_state: str
    value: str
    flag: str
    holds: list[dict[str, Any]]


class WorklistPage(BaseModel):
    rows: list[WorklistRow]
    next: str  # key of the next page, "" at the end


class ChangedRow(BaseModel):
    row: WorklistRow


class ChangedRows(BaseModel):
    rows: list[WorklistRow]


class BulkAnswer(ChangedRows):
    verified: list[int]
    refused: dict[int, str]  # id -> code


class RawMessage(BaseModel):
    id: int
    driver: str
    driver_version: str
    received_at: str
    lines: list[str]
