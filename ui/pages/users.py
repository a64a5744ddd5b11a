"""The users page: everybody who works here, their roles, new people, new passwords."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from lis.access.users import change_user, create_user, list_users, set_password
from lis.api.deps import InLaboratory, UserManager, laboratory_of
from lis.api.problems import status_of
from lis.domain.errors import Refused
from lis.domain.roles import Role
from ui.pages.showing import go, refusal_in_words, show

Text = Annotated[str, Form(max_length=256)]
Roles = Annotated[frozenset[Role], Form(default_factory=frozenset)]

router = APIRouter()


def _show(
    request: Request, *, problem: Refused | None = None, entered: dict[str, str] | None = None
) -> Response:
    with laboratory_of(request).store.unit("system") as unit:
        users = list_users(unit)
    return show(
        request,
        "users.html",
        status=status_of(problem) if problem else 200,
        users=users,
        roles=tuple(role.value for role in Role),
        entered=entered or {"login": "", "name": ""},
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/users")
def show_users(request: Request, _actor: UserManager) -> Response:
    """All users; a laboratory has tens of them."""
    return _show(request)


@router.post("/users")
def add_user(
    request: Request,
    actor: UserManager,
    laboratory: InLaboratory,
    *,
    login: Text,
    name: Text,
    password: Text,
    roles: Roles,
) -> Response:
    """Add a user with at least one role."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            create_user(unit, login=login, name=name, password=password, roles=roles)
    except Refused as refusal:
        return _show(request, problem=refusal, entered={"login": login, "name": name})
    return go("/users")


@router.post("/users/{user_id}")
def save_user(
    request: Request,
    actor: UserManager,
    laboratory: InLaboratory,
    user_id: int,
    *,
    version: Annotated[int, Form()],
    name: Text,
    roles: Roles,
    is_active: Annotated[bool, Form()] = False,
    language: Text = "",
) -> Response:
    """Change name, roles, language or activity; refuses when somebody else saved meanwhile."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            change_user(
                unit,
                user_id,
                version=version,
                name=name,
                roles=roles,
                is_active=is_active,
                language=language,
            )
    except Refused as refusal:
        return _show(request, problem=refusal)
    return go("/users")


@router.post("/users/{user_id}/password")
def save_password(
    request: Request,
    actor: UserManager,
    laboratory: InLaboratory,
    user_id: int,
    password: Text,
) -> Response:
    """Give a user a new password; all his sessions end."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            set_password(unit, user_id, password)
    except Refused as refusal:
        return _show(request, problem=refusal)
    return go("/users")
