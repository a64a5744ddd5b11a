"""What people decide on the worklist: verify, undo, reject, comment, repeat, bind, call.

Every decision carries what was on the screen: id, version and hash (S07). If the stored row differs, the answer
is 409 with the fresh row, and nothing has changed. Each endpoint is one unit of work: parse, call, answer with
the rows as they are afterwards, in the person's language.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from fastapi import APIRouter, Response

from lis.access import Actor
from lis.api.deps import InLaboratory, Language, Verifier
from lis.api.problems import responses
from lis.api.raw_text import record_text
from lis.api.worklist import as_json, fresh_rows
from lis.api.worklist_models import (
    BulkAnswer,
    ChangedRow,
    ReasonBody,
    SeenCall,
    SeenDilution,
    SeenMany,
    SeenOfSpecimen,
    SeenReason,
    SeenRejected,
    SeenText,
    SeenTube,
    SeenVerified,
)
from lis.app.laboratory import Laboratory
from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, StaleVersion
from lis.orders import reject_specimen
from lis.results import binding, limit, reads, reinstating, validation
from lis.results.desk import Shown
from lis.store.definitions import catalog_in_force
from lis.store.order_queries import specimen_by_id
from lis.store.unit import Unit
from lis.store.worklist_queries import calls_of

REFUSALS: Final = responses(401, 403, 404, 409, 422)

router = APIRouter(tags=["worklist"])


@contextmanager
def _deciding(
    laboratory: Laboratory, actor: Actor, language: str
) -> Iterator[tuple[Unit, Catalog]]:
    """One unit of work; a stale row comes back in the person's language."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            yield unit, catalog_in_force(unit.session, unit.now)
    except StaleVersion as stale:
        fresh = stale.parameters.get("fresh")
        key = fresh.get("id") if isinstance(fresh, dict) else None
        row = fresh_rows(laboratory, (key,), language).get(key) if isinstance(key, int) else None
        raise StaleVersion(stale.code, row=row) from stale


def _changed(laboratory: Laboratory, language: str, *keys: int) -> Response:
    rows = fresh_rows(laboratory, keys, language)
    return as_json({"rows": list(rows.values()), "row": rows.get(keys[0])})


@router.post(
    "/observations/verify-clear",
    responses={200: {"model": BulkAnswer}, **REFUSALS},
    response_class=Response,
)
def verify_clear(
    body: SeenMany, actor: Verifier, laboratory: InLaboratory, language: Language
) -> Response:
    """Verify rows of the CLEAR lane: exactly the listed ids and versions, each decided here (S07)."""
    shown = [one.shown() for one in body.shown]
    with _deciding(laboratory, actor, language) as (unit, catalog):
        done = validation.verify_many(unit, catalog, shown, user=actor.login)
    return _bulk(laboratory, language, shown, done)


@router.post(
    "/observations/verify-specimen",
    responses={200: {"model": BulkAnswer}, **REFUSALS},
    response_class=Response,
)
def verify_specimen(
    body: SeenOfSpecimen, actor: Verifier, laboratory: InLaboratory, language: Language
) -> Response:
    """Verify the listed rows of one tube that no rule objects to."""
    shown = [one.shown() for one in body.shown]
    with _deciding(laboratory, actor, language) as (unit, catalog):
        done = validation.verify_specimen_clear(
            unit, catalog, body.specimen, shown, user=actor.login
        )
    return _bulk(laboratory, language, shown, done)


def _bulk(
    laboratory: Laboratory, language: str, shown: Sequence[Shown], done: validation.BulkVerified
) -> Response:
    rows = fresh_rows(laboratory, tuple(one.observation_id for one in shown), language)
    answer = {"verified": done.verified, "refused": done.refused, "rows": list(rows.values())}
    return as_json(answer)


_ANSWER: Final[dict[str, Any]] = {
    "responses": {200: {"model": ChangedRow}, **REFUSALS},
    "response_class": Response,
}


@router.post("/observations/{observation_id}/verify", **_ANSWER)
def verify(
    observation_id: int,
    body: SeenVerified,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Release one result; nobody outside sees it for five seconds (S08)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        validation.verify(
            unit,
            catalog,
            body.shown(),
            user=actor.login,
            acknowledged=frozenset(body.acknowledged),
        )
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/undo", **_ANSWER)
def undo(
    observation_id: int, actor: Verifier, laboratory: InLaboratory, language: Language
) -> Response:
    """Take back a verification that nobody outside can have seen, or a rejection."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        validation.undo(unit, catalog, observation_id, user=actor.login)
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/reject", **_ANSWER)
def reject(
    observation_id: int,
    body: SeenRejected,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Reject the tube with a reason, this result and the other listed results of it."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        row = reads.row(unit.session, catalog, observation_id)
        for one in (body, *body.others):
            validation.reject(unit, catalog, one.shown(), reason=body.reason, user=actor.login)
        specimen = specimen_by_id(unit.session, row["specimen"]["id"] or 0)
        if specimen is not None:
            reject_specimen(unit, specimen.id, version=specimen.version, reason=body.reason)
    return _changed(laboratory, language, observation_id, *(one.id for one in body.others))


@router.post("/observations/{observation_id}/comment", **_ANSWER)
def comment(
    observation_id: int,
    body: SeenText,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Add a comment that goes out with the value."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        validation.comment(unit, catalog, body.shown(), text=body.text, user=actor.login)
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/choose-run", **_ANSWER)
def choose_run(
    observation_id: int,
    body: SeenReason,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Say which run counts, and why (S20)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        validation.choose_run(unit, catalog, body.shown(), reason=body.reason, user=actor.login)
        runs = reads.detail(unit.session, catalog, observation_id, decode=record_text)["runs"]
    return _changed(laboratory, language, observation_id, *(run["id"] for run in runs))


@router.post("/observations/{observation_id}/rerun", **_ANSWER)
def rerun(
    observation_id: int,
    body: SeenReason,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Order the test once more on the same tube."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        binding.request_rerun(unit, catalog, body.shown(), reason=body.reason, user=actor.login)
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/dilute", **_ANSWER)
def dilute(
    observation_id: int,
    body: SeenDilution,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Order the test once more, diluted by a factor."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        binding.request_rerun(
            unit,
            catalog,
            body.shown(),
            reason=body.reason,
            user=actor.login,
            dilution=body.factor,
        )
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/report-limit", **_ANSWER)
def report_limit(
    observation_id: int,
    body: SeenReason,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Too little volume to dilute: report the value as above the limit (S25)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        made = limit.report_as_limit(
            unit, catalog, body.shown(), reason=body.reason, user=actor.login
        )
    return _changed(laboratory, language, observation_id, made["id"])


@router.post("/observations/{observation_id}/reinstate", **_ANSWER)
def reinstate(
    observation_id: int,
    body: SeenReason,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Make the cancelled order of this result active again (S21)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        reinstating.reinstate(unit, catalog, body.shown(), reason=body.reason, user=actor.login)
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/reject-result", **_ANSWER)
def reject_result(
    observation_id: int,
    body: SeenReason,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Reject this result with a reason; its tube and its other results stay (S21)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        validation.reject(unit, catalog, body.shown(), reason=body.reason, user=actor.login)
    return _changed(laboratory, language, observation_id)


@router.post("/observations/{observation_id}/bind", **_ANSWER)
def bind(
    observation_id: int,
    body: SeenTube,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Bind an unmatched result to a tube, with a second identifier of the patient (S15)."""
    with _deciding(laboratory, actor, language) as (unit, catalog):
        made = binding.confirm_match(
            unit,
            catalog,
            body.shown(),
            accession=body.accession.strip(),
            second_identifier=iso_date(body.identifier.strip()),
            user=actor.login,
        )
    return _changed(laboratory, language, observation_id, made["id"])


@router.post("/observations/{observation_id}/call", **_ANSWER)
def call(
    observation_id: int,
    body: SeenCall,
    actor: Verifier,
    laboratory: InLaboratory,
    language: Language,
) -> Response:
    """Log one attempt to call a critical value; the call closes only by read-back (S09)."""
    with _deciding(laboratory, actor, language) as (unit, _catalog):
        open_calls = [
            one for one in calls_of(unit.session, observation_id) if one.state != "closed"
        ]
        if not open_calls:
            raise NotFound("critical call of observation", observation_id)
        binding.log_call(
            unit,
            open_calls[0].id,
            user=actor.login,
            spoke_with=body.person,
            is_read_back=body.read_back,
            note=body.note,
        )
    return _changed(laboratory, language, observation_id)


def iso_date(text: str) -> str:
    """A birth date as people write it here (31.12.1980) in the form that is stored; else the text."""
    parts = text.split(".")
    is_date = len(parts) == 3 and all(part.isdigit() for part in parts) and len(parts[2]) == 4
    return f"{parts[2]}-{parts[1]:0>2}-{parts[0]:0>2}" if is_date else text


@router.post("/unreadable/{record_id}/resolve", status_code=204, responses=REFUSALS)
def resolve_unreadable(
    record_id: int, body: ReasonBody, actor: Verifier, laboratory: InLaboratory
) -> None:
    """Say what was done about a record that could not be read."""
    with laboratory.store.unit(actor.login) as unit:
        binding.resolve_unreadable(unit, record_id, reason=body.reason, user=actor.login)
