"""Reading the validation worklist: what waits, one result in full, the raw message behind it.

Rows are written as bytes, not through models: 500 rows go out six times faster so; `WorklistRow` describes
them for OpenAPI. Deciding is in `lis.api.decisions`.
"""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response

from lis.api.deps import InLaboratory, Language, RawReader, WorklistReader
from lis.api.problems import responses
from lis.api.raw_text import raw_lines, record_text
from lis.api.worklist_models import ROWS_MAX, RawMessage, UnreadableBody, WorklistPage, WorklistRow
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotFound
from lis.results import reads
from lis.results.lanes import WorklistLane
from lis.store.definitions import catalog_in_force
from lis.store.worklist_queries import inbox_row, results_by_id

Row = dict[str, Any]

router = APIRouter(tags=["worklist"])


def as_json(body: Any) -> Response:
    """Rows as bytes; some keys are numbers."""
    options = orjson.OPT_NON_STR_KEYS
    return Response(orjson.dumps(body, option=options), media_type="application/json")


@router.get(
    "/worklist",
    responses={200: {"model": WorklistPage}, **responses(401, 403)},
    response_class=Response,
)
def read_worklist(
    _actor: WorklistReader,
    laboratory: InLaboratory,
    language: Language,
    *,
    lane: WorklistLane = WorklistLane.NONE,
    section: str = "",
    after: Annotated[str, Query(pattern=r"^([a-z]+:\d+)?$")] = "",
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_MAX,
) -> Response:
    """A page of waiting results, in the order in which people should look; page on with `next`."""
    with laboratory.store.read() as session:
        catalog = catalog_in_force(session, laboratory.clock.now())
        page = reads.worklist(
            session,
            catalog,
            lane=lane.value,
            section=section,
            after_key=after,
            limit=limit,
            language=language,
        )
    return as_json(page)


@router.get("/worklist/counts", responses=responses(401, 403))
def read_counts(
    _actor: WorklistReader, laboratory: InLaboratory, section: str = ""
) -> dict[str, int]:
    """How many results wait in each lane."""
    with laboratory.store.read() as session:
        catalog = catalog_in_force(session, laboratory.clock.now())
        return reads.counts(session, catalog, section=section)


@router.get(
    "/observations/{observation_id}",
    responses={200: {"model": WorklistRow}, **responses(401, 403, 404)},
    response_class=Response,
)
def read_observation(
    observation_id: int, _actor: WorklistReader, laboratory: InLaboratory, language: Language
) -> Response:
    """One result with its runs, every rule that spoke, history, raw record, calls and audit."""
    with laboratory.store.read() as session:
        catalog = catalog_in_force(session, laboratory.clock.now())
        found = reads.detail(
            session, catalog, observation_id, decode=record_text, language=language
        )
    return as_json(found)


@router.get("/observations/{observation_id}/raw", responses=responses(401, 403, 404))
def read_raw(observation_id: int, _actor: RawReader, laboratory: InLaboratory) -> RawMessage:
    """The whole message behind a value, as it was received (promise 5)."""
    with laboratory.store.read() as session:
        found = results_by_id(session, [observation_id])
        inbox_id = found[0]["inbox_id"] if found else None
        inbox = inbox_row(session, inbox_id) if inbox_id is not None else None
        if inbox is None:
            raise NotFound("inbox of observation", observation_id)
        return RawMessage(
            id=inbox.id,
            driver=inbox.driver,
            driver_version=inbox.driver_version,
            received_at=inbox.received_at.isoformat(),
            lines=raw_lines(inbox),
        )


@router.get("/unreadable", responses=responses(401, 403))
def read_unreadable(
    _actor: WorklistReader, laboratory: InLaboratory, after: int = 0
) -> list[UnreadableBody]:
    """Records that nobody could read and nobody has dealt with; page on with the last id."""
    with laboratory.store.read() as session:
        found = reads.unreadable(session, after=after)
    return [UnreadableBody.model_validate(one) for one in found]


def fresh_rows(laboratory: Laboratory, keys: tuple[int, ...], language: str) -> dict[int, Row]:
    """Rows by key as they are now, for the live channel and for answers."""
    with laboratory.store.read() as session:
        catalog = catalog_in_force(session, laboratory.clock.now())
        rows = reads.rows_by_id(session, catalog, keys, language=language)
    return {row["id"]: row for row in rows}
