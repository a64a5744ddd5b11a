"""Users: creating, changing, and the first administrator.

There are no default accounts. The first start prints a one-time token; whoever has it creates the
first administrator. A laboratory can never lose its last administrator by a click.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lis.access.passwords import hash_password, is_password, new_token, token_hash
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.roles import Role
from lis.store.system_rows import OneTimeToken, User
from lis.store.unit import Unit
from lis.store.user_queries import (
    all_users,
    count_active_holders,
    end_sessions,
    one_time_token,
    replace_roles,
    roles_by_user,
    roles_of,
    user_by_id,
    user_by_login,
    withdraw_tokens,
)

FIRST_ADMINISTRATOR: Final = "first_administrator"
FIRST_TOKEN_LIFE: Final = timedelta(hours=24)
LOGIN_LENGTH_MAX: Final = 64
NAME_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """A user as the users page shows him."""

    id: int
    login: str
    name: str
    roles: tuple[str, ...]
    language: str
    is_active: bool
    version: int


def list_users(unit: Unit) -> tuple[UserView, ...]:
    """All users with their roles."""
    roles = roles_by_user(unit.session)
    return tuple(_view(user, roles.get(user.id, ())) for user in all_users(unit.session))


def create_user(
    unit: Unit, *, login: str, name: str, password: str, roles: frozenset[Role], language: str = ""
) -> UserView:
    """Add a user; the login is lower case, unique, and never reused for another person."""
    login = _clean_login(login)
    if not roles:
        raise Refused("user_without_role")
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        raise Refused("user_name_needed")
    if user_by_login(unit.session, login) is not None:
        raise Refused("login_taken", login=login)
    user = User(
        public_id=unit.ids.new(),
        login=login,
        name=name.strip(),
        language=language,
        password_hash=hash_password(password, login=login),
        created_at=unit.now,
    )
    unit.session.add(user)
    unit.session.flush()
    replace_roles(unit.session, user.id, frozenset(role.value for role in roles))
    unit.audit("user_created", "User", user.id, after={"login": login, "roles": sorted(roles)})
    return _view(user, tuple(sorted(roles)))


def change_user(
    unit: Unit,
    user_id: int,
    *,
    version: int,
    name: str,
    roles: frozenset[Role],
    is_active: bool,
    language: str,
) -> UserView:
    """Change name, roles, language or activity; ends the user's sessions when rights shrink."""
    user = _existing(unit, user_id)
    if user.version != version:
        raise StaleVersion("stale_user", login=user.login)
    before = frozenset(roles_of(unit.session, user_id))
    after = frozenset(role.value for role in roles)
    if not after:
        raise Refused("user_without_role")
    administrator = Role.ADMINISTRATOR.value
    loses = (
        user.is_active and administrator in before and (administrator not in after or not is_active)
    )
    if loses and count_active_holders(unit.session, administrator) <= 1:
        raise Refused("last_administrator")
    unit.audit(
        "user_changed",
        "User",
        user_id,
        before={"name": user.name, "roles": sorted(before), "is_active": user.is_active},
        after={"name": name, "roles": sorted(after), "is_active": is_active},
    )
    user.name, user.language, user.is_active = name.strip() or user.name, language, is_active
    user.version += 1
    replace_roles(unit.session, user_id, after)
    if not is_active or before - after:
        end_sessions(unit.session, user_id, unit.now)
    return _view(user, tuple(sorted(after)))


def set_password(unit: Unit, user_id: int, password: str, *, keep_sessions: bool = False) -> None:
    """Set a password (by an administrator, or by the user after `change_own_password`)."""
    user = _existing(unit, user_id)
    user.password_hash = hash_password(password, login=user.login)
    user.must_change_password = False
    user.version += 1
    if not keep_sessions:
        end_sessions(unit.session, user_id, unit.now)
    unit.audit("password_set", "User", user_id)


def change_own_password(unit: Unit, user_id: int, *, old: str, new: str) -> None:
    """A user changes his own password; the old one is asked again."""
    user = _existing(unit, user_id)
    if not is_password(user.password_hash, old):
        raise Refused("wrong_password")
    set_password(unit, user_id, new, keep_sessions=True)


def has_administrator(unit: Unit) -> bool:
    """Whether anybody can manage this installation."""
    return count_active_holders(unit.session, Role.ADMINISTRATOR.value) > 0


def offer_first_token(unit: Unit) -> str | None:
    """A one-time token for creating the first administrator; None when there is one already."""
    if has_administrator(unit):
        return None
    withdraw_tokens(unit.session, FIRST_ADMINISTRATOR, unit.now)
    token = new_token()
    unit.session.add(
        OneTimeToken(
            token_hash=token_hash(token),
            purpose=FIRST_ADMINISTRATOR,
            created_at=unit.now,
            expires_at=unit.now + FIRST_TOKEN_LIFE,
        )
    )
    return token


def create_first_administrator(
    unit: Unit, *, token: str, login: str, name: str, password: str
) -> UserView:
    """Redeem the one-time token of the first start."""
    row = one_time_token(unit.session, token_hash(token))
    is_good = (
        row is not None
        and row.purpose == FIRST_ADMINISTRATOR
        and row.used_at is None
        and row.expires_at > unit.now
    )
    if row is None or not is_good or has_administrator(unit):
        raise Refused("token_not_valid")
    row.used_at = unit.now
    return create_user(
        unit, login=login, name=name, password=password, roles=frozenset({Role.ADMINISTRATOR})
    )


def _clean_login(login: str) -> str:
    cleaned = login.strip().lower()
    is_plain = cleaned.replace(".", "").replace("-", "").replace("_", "").replace("@", "").isalnum()
    if not cleaned or len(cleaned) > LOGIN_LENGTH_MAX or not is_plain:
        raise Refused("login_form", longest=LOGIN_LENGTH_MAX)
    return cleaned


def _existing(unit: Unit, user_id: int) -> User:
    user = user_by_id(unit.session, user_id)
    if user is None:
        raise NotFound("User", user_id)
    return user


def _view(user: User, roles: tuple[str, ...]) -> UserView:
    return UserView(
        id=user.id,
        login=user.login,
        name=user.name,
        roles=roles,
        language=user.language,
        is_active=user.is_active,
        version=user.version,
    )
