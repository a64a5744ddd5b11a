"""One tube: its way, reception test by test, and the steps through the house. The page calls the same functions.

Each step names the version that the person saw; if the tube changed since, nothing is done and the answer is 409 with
the tube as it is now.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, PatientReader, Snapshot, WorklistReader
from lis.api.lookup import StandingBody
from lis.api.orders import NOTES_MAX, TEXT_MAX, OrderClerk, PatientBody, ViewBody
from lis.api.problems import responses
from lis.app.laboratory import Laboratory
from lis.domain.catalog import Storage
from lis.domain.errors import StaleVersion
from lis.domain.reception import ReceptionVerdict
from lis.orders.reception import receive_tests
from lis.orders.reception_rules import DecidedTest
from lis.orders.storage import (
    collect_specimen,
    dispose_specimen,
    retrieve_specimen,
    ship_specimen,
    store_specimen,
)
from lis.orders.tube_view import show_tube, show_tube_by_key
from lis.store.unit import Unit

TESTS_MAX: Final = 500  # on one tube
REFUSALS: Final = responses(401, 403, 404, 409, 422)

router = APIRouter(tags=["specimens"])


class StepBody(ViewBody):
    """A step of the tube's way; `at` is null while it is still to come."""

    step: str
    at: datetime | None
    until: datetime | None
    who: str
    detail: str


class TubeLineBody(ViewBody):
    work_order_id: int
    orderable: str
    code: str
    name: str
    device: str
    standing: StandingBody
    value: str
    unit: str
    flag: str


class DecisionBody(ViewBody):
    verdict: ReceptionVerdict
    decided_at: datetime
    decided_by: str
    reason: str
    drawn_again: str


class TubeTestBody(ViewBody):
    """`advice` is null where a person must decide."""

    line: TubeLineBody
    is_open: bool
    is_begun: bool
    holds: str
    advice: ReceptionVerdict | None
    decision: DecisionBody | None


class TubeBody(ViewBody):
    specimen_id: int
    accession: str
    version: int
    specimen_type: str
    container: str
    container_name: str
    state: str
    patient: PatientBody
    requisition: str
    priority: str
    collected_from: datetime | None
    collected_to: datetime | None
    certainty: str
    collector: str
    deviation: str
    reject_reason: str
    suspicion: str
    location: str
    received_again_at: datetime | None
    steps: list[StepBody]
    tests: list[TubeTestBody]
    actions: list[str]


class Seen(BaseModel):
    """The version that the person saw."""

    version: int


class Collected(Seen):
    """One moment twice: exact; a period: estimated."""

    earliest: AwareDatetime
    latest: AwareDatetime


class Shipped(Seen):
    destination: str = Field(max_length=TEXT_MAX)


class Placed(Seen):
    storage: Storage
    rack: str = Field(max_length=TEXT_MAX)
    position: str = Field(max_length=TEXT_MAX)


class Because(Seen):
    reason: str = Field(max_length=NOTES_MAX)


class TestWord(BaseModel):
    """What a person decides of one test."""

    __test__ = False

    test: str = Field(max_length=TEXT_MAX)
    verdict: ReceptionVerdict
    reason: str = Field(default="", max_length=NOTES_MAX)


class Reception(Seen):
    """Tests that are not named are accepted, if they are within their time."""

    decided: list[TestWord] = Field(default=[], max_length=TESTS_MAX)
    storage: Storage | None = None
    is_irreplaceable: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One request about one tube."""

    laboratory: Laboratory
    language: str
    specimen_id: int

    @contextmanager
    def by(self, actor: Actor) -> Iterator[Unit]:
        """One unit of work; a stale version is answered with the fresh tube."""
        try:
            with self.laboratory.store.unit(actor.login) as unit:
                yield unit
        except StaleVersion as stale:
            row = self.fresh().model_dump(mode="json")
            raise StaleVersion(stale.code, **{**stale.parameters, "row": row}) from stale

    def fresh(self) -> TubeBody:
        catalog, at = self.laboratory.catalog(), self.laboratory.clock.now()
        with self.laboratory.store.read() as session:
            view = show_tube_by_key(
                session, catalog, self.specimen_id, at=at, language=self.language
            )
            return TubeBody.model_validate(view)


@router.get("/specimens/{accession}", responses=responses(401, 403, 404, 422))
def read_tube(
    accession: str,
    _actor: PatientReader,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
    storage: Storage | None = None,
) -> TubeBody:
    """One tube. What is advised for its tests is for `storage`: how it was kept since collection."""
    catalog, at = laboratory.catalog(), laboratory.clock.now()
    view = show_tube(session, catalog, accession, at=at, language=language, storage=storage)
    return TubeBody.model_validate(view)


@router.post("/specimens/{specimen_id}/collect", responses=REFUSALS)
def collect(
    specimen_id: int,
    body: Collected,
    actor: OrderClerk,
    laboratory: InLaboratory,
    language: Language,
) -> TubeBody:
    """Note when the tube was drawn."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        collect_specimen(unit, specimen_id, **body.model_dump())
    return step.fresh()


@router.post("/specimens/{specimen_id}/ship", responses=REFUSALS)
def ship(
    specimen_id: int, body: Shipped, actor: OrderClerk, laboratory: InLaboratory, language: Language
) -> TubeBody:
    """Send the tube off."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        ship_specimen(unit, specimen_id, **body.model_dump())
    return step.fresh()


@router.post("/specimens/{specimen_id}/reception", responses=REFUSALS)
def receive_by_test(
    specimen_id: int,
    body: Reception,
    actor: WorklistReader,
    laboratory: InLaboratory,
    language: Language,
) -> TubeBody:
    """Receive the tube with a decision for each test; nothing is received if one cannot stand."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        receive_tests(
            unit,
            laboratory.catalog(),
            specimen_id,
            version=body.version,
            decided=[DecidedTest(**one.model_dump()) for one in body.decided],
            storage=body.storage,
            is_irreplaceable=body.is_irreplaceable,
        )
    return step.fresh()


@router.post("/specimens/{specimen_id}/store", responses=REFUSALS)
def put_away(
    specimen_id: int,
    body: Placed,
    actor: WorklistReader,
    laboratory: InLaboratory,
    language: Language,
) -> TubeBody:
    """Put the tube on a free position of a rack."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        store_specimen(unit, specimen_id, **body.model_dump())
    return step.fresh()


@router.post("/specimens/{specimen_id}/retrieve", responses=REFUSALS)
def take_out(
    specimen_id: int,
    body: Because,
    actor: WorklistReader,
    laboratory: InLaboratory,
    language: Language,
) -> TubeBody:
    """Take the tube out of its rack."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        retrieve_specimen(unit, specimen_id, **body.model_dump())
    return step.fresh()


@router.post("/specimens/{specimen_id}/dispose", responses=REFUSALS)
def throw_away(
    specimen_id: int,
    body: Because,
    actor: WorklistReader,
    laboratory: InLaboratory,
    language: Language,
) -> TubeBody:
    """Throw the tube away."""
    step = Step(laboratory, language, specimen_id)
    with step.by(actor) as unit:
        dispose_specimen(unit, specimen_id, **body.model_dump())
    return step.fresh()
