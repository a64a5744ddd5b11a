"""Login, logout, the language switch, and the first start with the one-time token."""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response

from lis.access import sign_in
from lis.access.users import create_first_administrator, has_administrator
from lis.api.deps import InLaboratory, MaybeActor, OwnForm
from lis.api.problems import status_of
from lis.api.sessions import address_of, end_session, set_session_cookie
from lis.app.laboratory import Laboratory
from lis.domain.errors import Refused
from lis.words import LANGUAGES
from ui.pages.navigation import home_of
from ui.pages.showing import go, local_path, refusal_in_words, show

YEAR_S: Final = 31_536_000
Text = Annotated[str, Form(max_length=256)]

router = APIRouter()


def login_address(after: str) -> str:
    """The login page that leads back to `after`."""
    return "/login" if after == "/" else f"/login?next={quote(after, safe='/')}"


def _needs_start(laboratory: Laboratory) -> bool:
    with laboratory.store.unit("system") as unit:
        return not has_administrator(unit)


@router.get("/")
def show_home(actor: MaybeActor, laboratory: InLaboratory) -> Response:
    """To the first page this person may open."""
    if actor is not None:
        return go(home_of(actor))
    return go("/start" if _needs_start(laboratory) else "/login")


@router.get("/login")
def show_login(
    request: Request, actor: MaybeActor, laboratory: InLaboratory, next: str = ""
) -> Response:
    """The login form; who is signed in already goes on."""
    if actor is not None:
        return go(local_path(next) or home_of(actor))
    if _needs_start(laboratory):
        return go("/start")
    return show(request, "login.html", next=local_path(next), login="")


@router.post("/login", dependencies=[OwnForm])
def log_in(
    request: Request, laboratory: InLaboratory, login: Text, password: Text, next: Text = ""
) -> Response:
    """Open a session and go where the person was going."""
    try:
        signed_in = sign_in(
            laboratory.store, login=login, password=password, address=address_of(request)
        )
    except Refused as refusal:
        return show(
            request,
            "login.html",
            status=status_of(refusal),
            next=local_path(next),
            login=login,
            problem=refusal_in_words(request, refusal),
        )
    response = go(local_path(next) or home_of(signed_in.actor))
    set_session_cookie(request, response, signed_in.token)
    return response


@router.post("/logout", dependencies=[OwnForm])
def log_out(request: Request) -> Response:
    """End the session for good."""
    response = go("/login")
    end_session(request, response)
    return response


@router.post("/language", dependencies=[OwnForm])
def choose_language(language: Text, next: Text = "/") -> Response:
    """Remember the language of this browser and show the page again."""
    response = go(local_path(next) or "/")
    if language in LANGUAGES:
        response.set_cookie("lis_language", language, max_age=YEAR_S, samesite="lax", path="/")
    return response


@router.get("/start")
def show_start(request: Request, laboratory: InLaboratory, _actor: MaybeActor) -> Response:
    """The first start: make the first administrator with the token that the server printed."""
    if not _needs_start(laboratory):
        return go("/login")
    return show(request, "start.html", login="", name="")


@router.post("/start", dependencies=[OwnForm])
def make_first_administrator(
    request: Request,
    laboratory: InLaboratory,
    *,
    token: Text,
    login: Text,
    name: Text,
    password: Text,
) -> Response:
    """Redeem the token and sign the new administrator in."""
    try:
        with laboratory.store.unit("first-start") as unit:
            create_first_administrator(
                unit, token=token.strip(), login=login, name=name, password=password
            )
        signed_in = sign_in(
            laboratory.store, login=login, password=password, address=address_of(request)
        )
    except Refused as refusal:
        problem = refusal_in_words(request, refusal)
        return show(request, "start.html", status=422, login=login, name=name, problem=problem)
    response = go(home_of(signed_in.actor))
    set_session_cookie(request, response, signed_in.token)
    return response
