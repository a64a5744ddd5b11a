"""Errors as answers: the one table from the laboratory's errors to HTTP, as problem+json (RFC 9457).

`title` says what kind of trouble it is, `detail` what happened and what to do, both in the person's
language. `code` is for programs. A stale version is 409 and carries the fresh row, so a screen can show
what changed without asking again. An error nobody foresaw is 500 with no detail: its place is the log.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from lis.api.deps import NotSignedIn, language_of
from lis.domain.errors import LisError, Malformed, NotAllowed, NotFound, Refused, StaleVersion
from lis.words import Words

MEDIA_TYPE: Final = "application/problem+json"
log = structlog.get_logger("lis.api")

# The first class that fits counts: put the narrower one first.
STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (NotSignedIn, 401),
    (StaleVersion, 409),
    (NotAllowed, 403),
    (Refused, 422),
    (NotFound, 404),
    (Malformed, 400),
    (OverflowError, 400),  # a number that no column of the store can hold, on SQLite
    (DataError, 400),  # the same, and text, on PostgreSQL
    (LisError, 500),
)
# What a handler of the API and of pages answers; everything else is a defect.
FORESEEN: Final = (
    NotSignedIn,
    LisError,
    RequestValidationError,
    HTTPException,
    OverflowError,
    DataError,
)
# Where the words of a refusal may stand; areas are asked in this order.
AREAS: Final = (
    "ui",
    "access",
    "results",
    "worklist",
    "orders",
    "labels",
    "patients",
    "qc",
    "instruments",
    "traffic",
    "delivery",
)
CODE_STATUS: Final = {"foreign_form": 403, "login_locked": 429, "patients.locked": 429}


class Problem(BaseModel):
    """What every error answer of the API looks like."""

    title: str
    status: int
    code: str
    detail: str = ""
    row: dict[str, Any] | None = None  # the fresh row of a stale version


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in a person's words, before it becomes JSON or a page."""

    status: int
    code: str
    title: str
    detail: str


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's error answers of a route."""
    return {
        code: {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": f"Problem {code}"}
        for code in codes
    }


def status_of(error: Exception) -> int:
    """The HTTP status of an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, Refused) and error.code in CODE_STATUS:
        return CODE_STATUS[error.code]
    if isinstance(error, RequestValidationError):
        return 422
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def in_words(error: Exception, words: Words) -> Trouble:
    """The error as a person reads it."""
    status = status_of(error)
    code, detail = "error", ""
    if isinstance(error, Refused):
        code, detail = error.code, sentence(words, error)
    elif isinstance(error, NotSignedIn):
        code, detail = "not_signed_in", words("ui.problem.sign_in_again")
    elif isinstance(error, NotFound):
        code = "not_found"
    elif isinstance(error, Malformed):
        code, detail = "malformed", str(error)
    elif isinstance(error, RequestValidationError):
        code = "malformed"
        detail = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors()
        )
    return Trouble(status=status, code=code, title=title_of(status, words), detail=detail)


def title_of(status: int, words: Words) -> str:
    """What kind of trouble a status is."""
    key = f"ui.problem.title.{status}"
    return words(key) if words.has(key) else words("ui.problem.title.unknown")


def sentence(words: Words, error: Refused) -> str:
    """The sentence for a refusal's code, from the area that knows it."""
    code = error.code
    if words.has(
        f"worklist.todo.{code}"
    ):  # a reason that stands in the way: what it is, what to do
        return f"{words(f'results.reason_short.{code}')}: {words(f'worklist.todo.{code}')}"
    candidates = (code, *(f"{area}.{form}{code}" for area in AREAS for form in ("", "refused.")))
    key = next((key for key in candidates if words.has(key)), f"ui.{code}")
    return words(key, **error.parameters)


def answer(trouble: Trouble, row: dict[str, Any] | None = None) -> Response:
    """Problem as JSON."""
    body: dict[str, Any] = {
        "title": trouble.title,
        "status": trouble.status,
        "code": trouble.code,
        "detail": _as_text(trouble.detail),
    }
    if row is not None:
        body["row"] = row
    return Response(orjson.dumps(body), status_code=trouble.status, media_type=MEDIA_TYPE)


def _as_text(detail: str) -> str:
    """A sentence may quote what was sent, and that may hold half a character (a lone surrogate)."""
    return detail.encode("utf-8", "backslashreplace").decode("utf-8")


def answer_problem(request: Request, error: Exception) -> Response:
    """The handler of the API for every error that it foresees."""
    trouble = in_words(error, Words(language_of(request)))
    if trouble.status >= 500:
        log.error("request_failed", path=request.url.path, error=type(error).__name__)
    row = error.parameters.get("row") if isinstance(error, StaleVersion) else None
    return answer(trouble, row if isinstance(row, dict) else None)


def install(app: FastAPI) -> None:
    """Answer errors of this application as problems."""
    for kind in FORESEEN:
        app.add_exception_handler(kind, answer_problem)
