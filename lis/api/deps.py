"""What every endpoint and page asks first: which laboratory, who is asking, in which language.

- `Requires(permission)` is the authorisation rule of a route and stands in its signature. A test walks
  the route tables: a route without one must be on the list of public routes.
- An unsafe method must come from our own page: `Requires` compares the token of the session (header
  `X-CSRF-Token`, or the hidden field `csrf` of a form). A public form has no session yet; it
  depends on `own_form`, which compares the hidden field with a cookie that only our page could set. The
  Origin is checked before all this, by `lis.api.protection`.
- A person's language: the cookie of the switch, else the user's, else the laboratory's.

Everything here is read from the store on each request: a session that was ended is ended now.
"""

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from lis.access import Actor, actor_of
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotAllowed, Refused
from lis.domain.roles import Permission
from lis.words import LANGUAGES, Words

CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
FORM_TOKEN_BYTES: Final = 32


class NotSignedIn(Exception):
    """The request needs a person and there is none (or the session has ended)."""


def laboratory_of(connection: HTTPConnection) -> Laboratory:
    """The laboratory this application serves."""
    laboratory = connection.app.state.laboratory
    assert isinstance(laboratory, Laboratory)
    return laboratory


def get_laboratory(connection: HTTPConnection) -> Laboratory:
    return laboratory_of(connection)


InLaboratory = Annotated[Laboratory, Depends(get_laboratory)]


# --- cookies ------------------------------------------------------------------------------------


def cookie_name(connection: HTTPConnection, name: str) -> str:
    """`__Host-` binds a cookie to this host and to HTTPS; on plain loopback there is no such thing."""
    is_https = laboratory_of(connection).settings.web.is_https
    return f"__Host-{name}" if is_https else name


def session_token(connection: HTTPConnection) -> str | None:
    """The session's token as the browser sent it."""
    return connection.cookies.get(cookie_name(connection, "lis"))


# --- who ----------------------------------------------------------------------------------------


def current_actor(request: Request) -> Actor | None:
    """Who is asking; None without a living session."""
    token = session_token(request)
    actor = actor_of(laboratory_of(request).store, token) if token else None
    request.state.actor = actor
    return actor


MaybeActor = Annotated[Actor | None, Depends(current_actor)]


async def sent_csrf(request: Request) -> str:
    """The token that came with an unsafe request, from the header or the form."""
    if request.method in SAFE_METHODS:
        return ""
    if token := request.headers.get(CSRF_HEADER):
        return token
    if request.headers.get("content-type", "").startswith(FORM_TYPES):
        value = (await request.form()).get(CSRF_FIELD)
        return value if isinstance(value, str) else ""
    return ""


SentToken = Annotated[str, Depends(sent_csrf)]


def is_same_token(sent: str, known: str) -> bool:
    """Compare in constant time; whatever letters came, `compare_digest` takes text in ASCII only."""
    return hmac.compare_digest(
        sent.encode(errors="surrogatepass"), known.encode(errors="surrogatepass")
    )


@dataclass(frozen=True, slots=True)
class Requires:
    """The authorisation rule of a route: a permission, or (None) any person who is signed in."""

    permission: Permission | None = None

    def __call__(self, request: Request, actor: MaybeActor, sent: SentToken) -> Actor:
        if actor is None:
            raise NotSignedIn
        if request.method not in SAFE_METHODS and not is_same_token(sent, actor.csrf):
            raise Refused("foreign_form")
        if self.permission is not None and not actor.may(self.permission):
            raise NotAllowed("not_allowed")
        return actor


SignedIn = Annotated[Actor, Depends(Requires())]
WorklistReader = Annotated[Actor, Depends(Requires(Permission.SEE_WORKLIST))]
Verifier = Annotated[Actor, Depends(Requires(Permission.VERIFY))]
UserManager = Annotated[Actor, Depends(Requires(Permission.MANAGE_USERS))]
PatientReader = Annotated[Actor, Depends(Requires(Permission.SEE_PATIENTS))]
RawReader = Annotated[Actor, Depends(Requires(Permission.SEE_RAW))]


def form_token(request: Request) -> str:
    """The token for forms of this page; a visitor without a session gets one in a cookie."""
    actor = getattr(request.state, "actor", None)
    if isinstance(actor, Actor):
        return actor.csrf
    known = request.cookies.get(cookie_name(request, "lis_form"))
    fresh = known or getattr(request.state, "form_token", None)
    request.state.form_token = fresh or secrets.token_urlsafe(FORM_TOKEN_BYTES)
    token = request.state.form_token
    assert isinstance(token, str)
    return token


def own_form(request: Request, actor: MaybeActor, sent: SentToken) -> None:
    """For public forms: refuse a form that our own page did not show to this browser."""
    known = actor.csrf if actor else request.cookies.get(cookie_name(request, "lis_form"), "")
    if not known or not is_same_token(sent, known):
        raise Refused("foreign_form")


OwnForm = Depends(own_form)


# --- language -----------------------------------------------------------------------------------


def language_of(connection: HTTPConnection) -> str:
    """The language to answer in."""
    chosen = connection.cookies.get("lis_language", "")
    actor = getattr(connection.state, "actor", None)
    wanted = (
        chosen,
        actor.language if isinstance(actor, Actor) else "",
        laboratory_of(connection).settings.laboratory.language,
    )
    return next((language for language in wanted if language in LANGUAGES), "en")


def get_language(request: Request, _actor: MaybeActor) -> str:
    return language_of(request)


def get_words(language: Annotated[str, Depends(get_language)]) -> Words:
    return Words(language)


Language = Annotated[str, Depends(get_language)]
InWords = Annotated[Words, Depends(get_words)]


# --- store --------------------------------------------------------------------------------------


def get_snapshot(laboratory: InLaboratory) -> Iterator[Session]:
    with laboratory.store.read() as session:
        yield session


Snapshot = Annotated[Session, Depends(get_snapshot)]
