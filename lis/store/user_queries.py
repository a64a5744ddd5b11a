"""Queries about users, roles, sessions and failed logins."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.orm import Session as Connection

from lis.store.system_rows import LoginFailure, OneTimeToken, Session, User, UserRole

_FIRST_FAILURE = text(
    "INSERT INTO login_failure (subject, failures, last_at) VALUES (:subject, 0, :at) "
    "ON CONFLICT (subject) DO NOTHING"
).bindparams(
    bindparam("subject", type_=LoginFailure.subject.type),
    bindparam("at", type_=LoginFailure.last_at.type),
)


def user_by_login(session: Connection, login: str) -> User | None:
    """The user with this login, active or not."""
    return session.scalars(select(User).where(User.login == login)).one_or_none()


def user_by_id(session: Connection, user_id: int) -> User | None:
    """The user with this key."""
    return session.get(User, user_id)


def all_users(session: Connection) -> list[User]:
    """All users by login; a laboratory has tens of them, so there is no paging."""
    return list(session.scalars(select(User).order_by(User.login)))


def roles_by_user(session: Connection) -> dict[int, tuple[str, ...]]:
    """All roles of all users."""
    found: dict[int, list[str]] = {}
    for user_id, role in session.execute(
        select(UserRole.user_id, UserRole.role).order_by(UserRole.role)
    ):
        found.setdefault(user_id, []).append(role)
    return {user_id: tuple(roles) for user_id, roles in found.items()}


def roles_of(session: Connection, user_id: int) -> tuple[str, ...]:
    """The roles one user holds."""
    return tuple(session.scalars(select(UserRole.role).where(UserRole.user_id == user_id)))


def replace_roles(session: Connection, user_id: int, roles: frozenset[str]) -> None:
    """Give a user exactly these roles."""
    session.execute(delete(UserRole).where(UserRole.user_id == user_id))
    session.add_all(UserRole(user_id=user_id, role=role) for role in sorted(roles))


def count_active_holders(session: Connection, role: str) -> int:
    """How many active users hold a role."""
    query = select(func.count()).select_from(User).join(UserRole, UserRole.user_id == User.id)
    return session.scalar(query.where(UserRole.role == role, User.is_active)) or 0


def session_by_hash(session: Connection, token_hash: str) -> Session | None:
    """A browser session by the hash of its token."""
    return session.scalars(select(Session).where(Session.token_hash == token_hash)).one_or_none()


def end_sessions(session: Connection, user_id: int, at: datetime) -> None:
    """End every open session of a user."""
    session.execute(
        update(Session)
        .where(Session.user_id == user_id, Session.ended_at.is_(None))
        .values(ended_at=at)
    )


def login_failure(session: Connection, subject: str) -> LoginFailure | None:
    """The count of failures of an account or an address."""
    return session.get(LoginFailure, subject)


def counted_failure(session: Connection, subject: str, *, at: datetime) -> LoginFailure:
    """The count to add to, made if it is the first and locked until the unit ends.

    Several knock at once, and the first failure of each would insert the same row.
    """
    session.execute(_FIRST_FAILURE, {"subject": subject, "at": at})
    return session.scalars(
        select(LoginFailure).where(LoginFailure.subject == subject).with_for_update(),
        execution_options={"populate_existing": True},  # it may have been read before it was locked
    ).one()


def forget_failures(session: Connection, subject: str) -> None:
    """A successful login clears its count."""
    session.execute(delete(LoginFailure).where(LoginFailure.subject == subject))


def one_time_token(session: Connection, token_hash: str) -> OneTimeToken | None:
    """A one-time token by hash."""
    return session.get(OneTimeToken, token_hash)


def withdraw_tokens(session: Connection, purpose: str, at: datetime) -> None:
    """Unused tokens of a purpose stop working: only the newest one printed counts."""
    session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.purpose == purpose, OneTimeToken.used_at.is_(None))
        .values(used_at=at)
    )
