"""Rows about the house itself: users, sessions, versions of definitions, the audit chain."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, BigKey, Key


class User(Base):
    """A person who works here."""

    __tablename__ = "app_user"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
    language: Mapped[str] = mapped_column(default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    must_change_password: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)


class UserRole(Base):
    """A role a user holds, at one site or at all (site_id None)."""

    __tablename__ = "user_role"
    __table_args__ = (UniqueConstraint("user_id", "role", "site_id"),)

    id: Mapped[Key] = mapped_column(init=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    role: Mapped[str]
    site_id: Mapped[int | None] = mapped_column(ForeignKey("site.id"), default=None)


class Session(Base):
    """A signed-in browser; only the hash of its token is stored."""

    __tablename__ = "session"

    id: Mapped[Key] = mapped_column(init=False)
    token_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


class LoginFailure(Base):
    """Failed attempts per account or address, so that a limit survives a restart."""

    __tablename__ = "login_failure"

    subject: Mapped[str] = mapped_column(primary_key=True)  # "login:anna" or "address:10.0.0.5"
    failures: Mapped[int]
    last_at: Mapped[datetime]
    locked_until: Mapped[datetime | None] = mapped_column(default=None)


class OneTimeToken(Base):
    """A token that works once: the first administrator, later a magic link."""

    __tablename__ = "one_time_token"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)


class DefinitionVersion(Base):
    """One version of the catalog, the intervals or the rules, as a document (promise 5)."""

    __tablename__ = "definition_version"
    __table_args__ = (UniqueConstraint("kind", "version"),)

    id: Mapped[Key] = mapped_column(init=False)
    kind: Mapped[str]  # catalog, interval, rule
    version: Mapped[str]
    effective_from: Mapped[datetime]
    created_at: Mapped[datetime]
    author: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    approver: Mapped[str] = mapped_column(default="")
    test_cases: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)


class ExternalCode(Base):
    """A code of an outside system for any entity: LOINC, UCUM, national identifiers."""

    __tablename__ = "external_code"
    __table_args__ = (UniqueConstraint("entity", "entity_key", "system", "value"),)

    id: Mapped[Key] = mapped_column(init=False)
    entity: Mapped[str]
    entity_key: Mapped[str]
    system: Mapped[str]
    value: Mapped[str]


class Audit(Base):
    """One entry of the audit chain. `text` is canonical; `hash` covers it and the hash before."""

    __tablename__ = "audit"

    id: Mapped[Key] = mapped_column(init=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    entity: Mapped[str]
    entity_key: Mapped[str]
    text: Mapped[str]  # canonical JSON: what was seen, before and after
    previous_hash: Mapped[str | None] = mapped_column(
        default=None
    )  # None until sealed (PostgreSQL)
    hash: Mapped[str | None] = mapped_column(default=None)
    position: Mapped[int | None] = mapped_column(BigKey, unique=True, default=None)  # in the chain
