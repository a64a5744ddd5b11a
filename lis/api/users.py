"""Users: listing, adding, changing, passwords. The users page calls the same functions of lis.access."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lis.access.users import (
    UserView,
    change_user,
    create_user,
    list_users,
    set_password,
)
from lis.api.deps import InLaboratory, UserManager
from lis.api.problems import responses
from lis.domain.roles import Role

TEXT_MAX = 256
router = APIRouter(prefix="/users", tags=["users"])


class UserBody(BaseModel):
    """A user as programs see him."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    login: str
    name: str
    roles: list[str]
    language: str
    is_active: bool
    version: int


class NewUser(BaseModel):
    login: str = Field(max_length=TEXT_MAX)
    name: str = Field(max_length=TEXT_MAX)
    password: str = Field(max_length=TEXT_MAX)
    roles: frozenset[Role]
    language: str = Field(default="", max_length=8)


class ChangedUser(BaseModel):
    version: int
    name: str = Field(max_length=TEXT_MAX)
    roles: frozenset[Role]
    is_active: bool
    language: str = Field(default="", max_length=8)


class NewPassword(BaseModel):
    password: str = Field(max_length=TEXT_MAX)


def _body(view: UserView) -> UserBody:
    return UserBody.model_validate(view)


@router.get("", responses=responses(401, 403))
def read_users(_actor: UserManager, laboratory: InLaboratory) -> list[UserBody]:
    """All users; a laboratory has tens of them, so there is no paging."""
    with laboratory.store.unit("system") as unit:
        return [_body(view) for view in list_users(unit)]


@router.post("", status_code=201, responses=responses(401, 403, 422))
def add_user(body: NewUser, actor: UserManager, laboratory: InLaboratory) -> UserBody:
    """Add a user with at least one role."""
    with laboratory.store.unit(actor.login) as unit:
        view = create_user(
            unit,
            login=body.login,
            name=body.name,
            password=body.password,
            roles=body.roles,
            language=body.language,
        )
    return _body(view)


@router.put("/{user_id}", responses=responses(401, 403, 404, 409, 422))
def replace_user(
    user_id: int, body: ChangedUser, actor: UserManager, laboratory: InLaboratory
) -> UserBody:
    """Change name, roles, language or activity; sessions end when rights shrink."""
    with laboratory.store.unit(actor.login) as unit:
        view = change_user(
            unit,
            user_id,
            version=body.version,
            name=body.name,
            roles=body.roles,
            is_active=body.is_active,
            language=body.language,
        )
    return _body(view)


@router.put("/{user_id}/password", status_code=204, responses=responses(401, 403, 404, 422))
def replace_password(
    user_id: int, body: NewPassword, actor: UserManager, laboratory: InLaboratory
) -> None:
    """Set another user's password; all his sessions end."""
    with laboratory.store.unit(actor.login) as unit:
        set_password(unit, user_id, body.password)
