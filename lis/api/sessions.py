"""The session as a resource: sign in, who am I, sign out. Pages use the same cookie functions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from lis.access import Actor, sign_in, sign_out
from lis.access.users import change_own_password
from lis.api.deps import InLaboratory, SignedIn, cookie_name, laboratory_of, session_token
from lis.api.problems import responses
from lis.domain.roles import Permission, Role

COOKIE_LIFE_S = 12 * 3600  # as long as a session can live at most
TEXT_MAX = 256

router = APIRouter(prefix="/session", tags=["session"])


class Credentials(BaseModel):
    login: str = Field(max_length=TEXT_MAX)
    password: str = Field(max_length=TEXT_MAX)


class OwnPassword(BaseModel):
    old: str = Field(max_length=TEXT_MAX)
    new: str = Field(max_length=TEXT_MAX)


class CurrentSession(BaseModel):
    """Who is signed in, and the token that unsafe requests must carry in `X-CSRF-Token`."""

    login: str
    name: str
    roles: list[Role]
    permissions: list[Permission]
    csrf: str


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from, for counting failures."""
    return connection.client.host if connection.client else "unknown"


def get_connection(connection: HTTPConnection) -> HTTPConnection:
    return connection


Connection = Annotated[HTTPConnection, Depends(get_connection)]


def set_session_cookie(connection: HTTPConnection, response: Response, token: str) -> None:
    """Hand the browser its session; scripts never see it."""
    response.set_cookie(
        cookie_name(connection, "lis"),
        token,
        max_age=COOKIE_LIFE_S,
        secure=laboratory_of(connection).settings.web.is_https,
        httponly=True,
        samesite="lax",
        path="/",
    )


def end_session(connection: HTTPConnection, response: Response) -> None:
    """End the session in the store, then forget the cookie."""
    if token := session_token(connection):
        sign_out(laboratory_of(connection).store, token)
    response.delete_cookie(
        cookie_name(connection, "lis"),
        path="/",
        secure=laboratory_of(connection).settings.web.is_https,
        httponly=True,
        samesite="lax",
    )


def shown(actor: Actor) -> CurrentSession:
    return CurrentSession(
        login=actor.login,
        name=actor.name,
        roles=sorted(actor.roles),
        permissions=sorted(actor.permissions),
        csrf=actor.csrf,
    )


@router.post("", responses=responses(403, 422, 429))
def open_session(
    credentials: Credentials, laboratory: InLaboratory, connection: Connection, response: Response
) -> CurrentSession:
    """Sign in; the answer to a wrong login is the same whether or not the account exists."""
    signed_in = sign_in(
        laboratory.store,
        login=credentials.login,
        password=credentials.password,
        address=address_of(connection),
    )
    set_session_cookie(connection, response, signed_in.token)
    return shown(signed_in.actor)


@router.get("", responses=responses(401))
def read_session(actor: SignedIn) -> CurrentSession:
    """Who is signed in."""
    return shown(actor)


@router.delete("", status_code=204, responses=responses(401, 403))
def close_session(_actor: SignedIn, connection: Connection, response: Response) -> None:
    """Sign out; the token is worthless afterwards."""
    end_session(connection, response)


@router.put("/password", status_code=204, responses=responses(401, 403, 422))
def replace_own_password(body: OwnPassword, actor: SignedIn, laboratory: InLaboratory) -> None:
    """Change one's own password; the present one is asked again."""
    with laboratory.store.unit(actor.login) as unit:
        change_own_password(unit, actor.user_id, old=body.old, new=body.new)
