"""Signing in, and the session behind a browser's cookie.

A session is a random token in a cookie and its hash in the store; every request reads the row, so that
ending a session or disabling a user works at once and in every process. Failures are counted per
account and per address in the store: a limit survives a restart. The answer to a wrong login is the
same, and takes as long, whether or not the account exists.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lis.access.passwords import is_password, new_token, token_hash
from lis.access.throttle import count_failure, is_locked
from lis.domain.errors import Refused
from lis.domain.roles import Permission, Role, permissions_of
from lis.store.system_rows import Session, User
from lis.store.unit import Store, Unit
from lis.store.user_queries import (
    forget_failures,
    roles_of,
    session_by_hash,
    user_by_id,
    user_by_login,
)

IDLE_LIMIT: Final = timedelta(minutes=30)  # ASVS 7.3.1: bench screens lock, work is not lost
ABSOLUTE_LIMIT: Final = timedelta(hours=12)  # one long shift
SEEN_STEP: Final = timedelta(minutes=1)  # how often "seen" is written: not on every request
FAILURES_MAX: Final = 5
ADDRESS_FAILURES_MAX: Final = 20  # a ward may share one address
LOCK_TIME: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is asking."""

    user_id: int
    login: str
    name: str
    roles: frozenset[Role]
    language: str
    csrf: str

    @property
    def permissions(self) -> frozenset[Permission]:
        return permissions_of(self.roles)

    def may(self, permission: Permission) -> bool:
        """Whether the actor holds a permission."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session; `token` goes into the cookie and is never stored."""

    token: str
    actor: Actor


def sign_in(store: Store, *, login: str, password: str, address: str) -> SignedIn:
    """Check a login and open a session; raise `Refused` in the same words for every failure."""
    login = login.strip().lower()
    subjects = ((f"login:{login}", FAILURES_MAX), (f"address:{address}", ADDRESS_FAILURES_MAX))
    with store.read() as session:
        user = user_by_login(session, login)
        password_hash = user.password_hash if user is not None and user.is_active else None
    # The slow hash runs outside any transaction: nobody waits for it.
    fits = is_password(password_hash, password)
    with store.unit(f"login:{login}") as unit:
        locked = any(is_locked(unit, subject) for subject, _ in subjects)
        if locked or not fits or user is None:
            for subject, limit in subjects:
                count_failure(unit, subject, limit=limit, lock=LOCK_TIME)
            unit.audit("login_refused", "User", login, seen={"address": address, "locked": locked})
            signed_in = None
        else:
            forget_failures(unit.session, subjects[0][0])
            signed_in = _open_session(unit, user)
            unit.audit("login", "User", user.id, seen={"address": address})
    if signed_in is None:
        raise Refused(
            "login_locked" if locked else "login_refused", minutes=int(LOCK_TIME.seconds / 60)
        )
    return signed_in


def actor_of(store: Store, token: str, *, is_use: bool = True) -> Actor | None:
    """Who holds this session token; None when it is unknown, ended, idle for too long or too old.

    `is_use=False` only looks: an open live channel alone must not keep an idle session alive.
    """
    with store.read() as session:
        row = session_by_hash(session, token_hash(token))
        now = store.clock.now()
        if (
            row is None
            or row.ended_at is not None
            or now >= row.expires_at
            or now - row.seen_at > IDLE_LIMIT
        ):
            return None
        user = user_by_id(session, row.user_id)
        if user is None or not user.is_active:
            return None
        actor = _actor(user, roles_of(session, user.id), row.csrf)
        is_old_news = now - row.seen_at > SEEN_STEP
    if is_old_news and is_use:
        touch(store, token)
    return actor


def touch(store: Store, token: str) -> None:
    """Note that a session is in use."""
    with store.unit("system") as unit:
        row = session_by_hash(unit.session, token_hash(token))
        if row is not None and row.ended_at is None:
            row.seen_at = unit.now


def sign_out(store: Store, token: str) -> None:
    """End a session for good."""
    with store.unit("system") as unit:
        row = session_by_hash(unit.session, token_hash(token))
        if row is not None and row.ended_at is None:
            row.ended_at = unit.now
            unit.audit("logout", "User", row.user_id)


def _open_session(unit: Unit, user: User) -> SignedIn:
    token, csrf = new_token(), new_token()
    unit.session.add(
        Session(
            token_hash=token_hash(token),
            user_id=user.id,
            csrf=csrf,
            created_at=unit.now,
            seen_at=unit.now,
            expires_at=unit.now + ABSOLUTE_LIMIT,
        )
    )
    return SignedIn(token=token, actor=_actor(user, roles_of(unit.session, user.id), csrf))


def _actor(user: User, roles: tuple[str, ...], csrf: str) -> Actor:
    return Actor(
        user_id=user.id,
        login=user.login,
        name=user.name,
        language=user.language,
        csrf=csrf,
        roles=frozenset(Role(role) for role in roles),
    )
