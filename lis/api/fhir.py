"""`/fhir/R4`: referrals in. Every answer is FHIR's, errors too: an OperationOutcome with what was expected and where.

An application of its own below the API's protection, so that its errors are never problem+json. `/metadata` is public, as FHIR
asks; everything else needs a sender's token.
"""

from importlib.metadata import version
from typing import Annotated, Any, Final

import orjson
import structlog
from fastapi import Depends, FastAPI, Header, Request, Response
from starlette.exceptions import HTTPException

from lis.access.tokens import Sender
from lis.api.deps import InLaboratory, NotSignedIn
from lis.api.problems import FORESEEN, in_words, status_of
from lis.api.senders import ReferralSender
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotFound
from lis.emr.fhir_answers import (
    Answer,
    capability_statement,
    order_resource,
    outcome,
    response_bundle,
)
from lis.emr.fhir_in import Wish, take_bundle, take_one
from lis.emr.fhir_node import Issue, UnusableFhir, resource_of, unusable
from lis.emr.raw_keeping import keep_raw
from lis.emr.referrals_in import Caller
from lis.store.fhir_queries import order_of_source
from lis.store.unit import Unit
from lis.words import Words

log = structlog.get_logger("lis.api")

MOUNT: Final = "/fhir"
PREFIX: Final = f"{MOUNT}/R4"
MEDIA_TYPE: Final = "application/fhir+json"
ACCEPTED_TYPES: Final = (MEDIA_TYPE, "application/json", "application/json+fhir")
ISSUE_CODES: Final = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    413: "too-long",
    429: "throttled",
    500: "exception",
}


async def read_body(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]


def create_fhir(laboratory: Laboratory) -> FastAPI:
    """The application to mount at `MOUNT`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.laboratory = laboratory
    for kind in (*FORESEEN, UnusableFhir):
        app.add_exception_handler(kind, answer_outcome)
    app.get("/R4/metadata")(read_metadata)
    app.post("/R4")(post_bundle)
    app.post("/R4/")(post_bundle)
    app.get("/R4/ServiceRequest/{public_id}")(read_order)
    app.put("/R4/{kind}/{target_id}")(put_resource)
    app.post("/R4/{kind}")(post_resource)
    return app


def read_metadata(laboratory: InLaboratory) -> Response:
    """What this interface can do."""
    statement = capability_statement(
        at=laboratory.started_at or laboratory.clock.now(),
        name=laboratory.settings.laboratory.name,
        version=version("lis"),
    )
    return _answer(200, statement)


def post_bundle(
    request: Request, body: Body, sender: ReferralSender, laboratory: InLaboratory
) -> Response:
    """Carry out a transaction: all of it, or nothing."""
    document, catalog = _parse(request, body), laboratory.catalog()
    with laboratory.store.unit(sender.name) as unit:
        caller = _caller(unit, sender, body)
        answers = take_bundle(unit, catalog, document, caller)
        at = unit.now
    return _answer(200, response_bundle(answers, at=at))


def post_resource(
    kind: str,
    request: Request,
    body: Body,
    sender: ReferralSender,
    laboratory: InLaboratory,
    *,
    if_none_exist: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """Create an order or a person; with If-None-Exist only when it is not there."""
    wish = Wish(node=resource_of(_parse(request, body), "body"), if_none_exist=if_none_exist)
    return _one(kind, wish, body, sender, laboratory)


def put_resource(
    kind: str,
    target_id: str,
    request: Request,
    body: Body,
    sender: ReferralSender,
    *,
    laboratory: InLaboratory,
) -> Response:
    """Create or change an order under the sender's id, or under ours."""
    node = resource_of(_parse(request, body), "body")
    wish = Wish(node=node, method="PUT", target_id=target_id)
    return _one(kind, wish, body, sender, laboratory)


def read_order(public_id: str, sender: ReferralSender, laboratory: InLaboratory) -> Response:
    """How an order of this sender stands."""
    with laboratory.store.read() as session:
        found = order_of_source(session, public_id, sender.name)
    if found is None:
        raise NotFound("ServiceRequest", public_id)
    request, _, patient = found
    return _answer(200, order_resource(request, patient), version_id=request.version)


def answer_outcome(request: Request, error: Exception) -> Response:
    """Any foreseen error as an OperationOutcome."""
    if isinstance(error, UnusableFhir):
        return _answer(error.status, outcome((error.issue,)))
    status = status_of(error)
    trouble = in_words(error, Words("en"))
    if status >= 500:
        log.error("request_failed", path=request.url.path, error=type(error).__name__)
    text = trouble.detail or trouble.title
    if isinstance(error, NotSignedIn):
        text = "expected Authorization: Bearer with a living token"
    if isinstance(error, HTTPException | NotFound):
        text = f"{trouble.title}: {request.method} {request.url.path}"
    response = _answer(
        status, outcome((Issue(code=ISSUE_CODES.get(status, "invalid"), text=text),))
    )
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def _one(kind: str, wish: Wish, body: bytes, sender: Sender, laboratory: Laboratory) -> Response:
    if wish.node.kind != kind:
        raise unusable(
            f"expected a {kind[:40]} at this address, got {wish.node.kind[:40]}",
            "resourceType",
            status=400,
        )
    catalog = laboratory.catalog()
    with laboratory.store.unit(sender.name) as unit:
        answer = take_one(unit, catalog, wish, _caller(unit, sender, body))
    return _answer(
        answer.status, answer.body(), location=_location(answer), version_id=answer.version
    )


def _caller(unit: Unit, sender: Sender, body: bytes) -> Caller:
    inbox_id = keep_raw(unit, body, protocol="fhir", source=sender.name)
    return Caller(source=sender.name, site_id=sender.site_id, inbox_id=inbox_id)


def _parse(request: Request, body: bytes) -> object:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ACCEPTED_TYPES:
        raise unusable(
            f"expected Content-Type {MEDIA_TYPE}, got {media[:60]!r}",
            "Content-Type",
            code="not-supported",
            status=415,
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise unusable(f"expected JSON: {error}", "body", code="structure", status=400) from error


def _location(answer: Answer) -> str:
    return f"{PREFIX}/{answer.location}/_history/{answer.version}" if answer.location else ""


def _answer(
    status: int, resource: dict[str, Any] | None, *, location: str = "", version_id: int = 0
) -> Response:
    response = Response(
        orjson.dumps(resource) if resource is not None else b"",
        status_code=status,
        media_type=MEDIA_TYPE,
    )
    if location:
        response.headers["location"] = location
    if version_id:
        response.headers["etag"] = f'W/"{version_id}"'
    return response
