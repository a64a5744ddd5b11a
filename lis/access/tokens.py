"""Keys of machines: another system presents one with each request and is known by its name.

A token is 256 random bits, told once and stored as a hash. It opens one scope at one site, can end by itself and can be
revoked at once: every request reads the row. It never opens what people may do, and a session never opens what machines may.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from lis.access.passwords import new_token, token_hash
from lis.domain.errors import NotFound, Refused
from lis.store.people_queries import site_by_name
from lis.store.token_queries import (
    all_machine_tokens,
    machine_token_by_hash,
    machine_token_by_id,
)
from lis.store.token_rows import MachineToken
from lis.store.unit import Store, Unit

NAME_LENGTH_MAX: Final = 64
TOKEN_LENGTH_MAX: Final = 200
USED_STEP: Final = timedelta(minutes=1)  # how often "last used" is written


class Scope(StrEnum):
    """What a token opens."""

    REFERRALS = "referrals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A machine that is known."""

    token_id: int
    name: str
    scope: Scope
    site_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token as lists show it; never the token itself."""

    id: int
    name: str
    scope: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def issue_token(
    unit: Unit, *, name: str, scope: Scope, site: str, life: timedelta | None = None
) -> str:
    """Make a token for a sender; the text is told only now."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH_MAX:
        raise Refused("senders.token_name_needed", limit=NAME_LENGTH_MAX)
    home = site_by_name(unit.session, site)
    if home is None:
        raise NotFound("Site", site)
    token = new_token()
    row = MachineToken(
        token_hash=token_hash(token),
        name=name,
        scope=scope.value,
        site_id=home.id,
        created_at=unit.now,
        created_by=unit.actor,
        expires_at=unit.now + life if life else None,
    )
    unit.session.add(row)
    unit.session.flush()
    unit.audit(
        "token_issued", "MachineToken", row.id, after={"name": name, "scope": scope, "site": site}
    )
    return token


def revoke_token(unit: Unit, token_id: int) -> None:
    """End a token now; doing it again changes nothing."""
    row = machine_token_by_id(unit.session, token_id)
    if row is None:
        raise NotFound("MachineToken", token_id)
    if row.revoked_at is None:
        row.revoked_at = unit.now
        unit.audit("token_revoked", "MachineToken", row.id, before=row.name)


def list_tokens(unit: Unit) -> tuple[TokenView, ...]:
    """All tokens, also those that ended."""
    return tuple(
        TokenView(
            id=row.id,
            name=row.name,
            scope=row.scope,
            created_at=row.created_at,
            created_by=row.created_by,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )
        for row in all_machine_tokens(unit.session)
    )


def sender_of(store: Store, token: str) -> Sender | None:
    """Who presents this token; None for anything that is not a living one."""
    if not token or len(token) > TOKEN_LENGTH_MAX:
        return None
    now = store.clock.now()
    with store.read() as session:
        row = machine_token_by_hash(session, token_hash(token))
    if row is None or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= now:
        return None
    if row.last_used_at is None or now - row.last_used_at >= USED_STEP:
        with store.unit(row.name) as unit:
            used = machine_token_by_id(unit.session, row.id)
            if used is not None:
                used.last_used_at = now
    return Sender(token_id=row.id, name=row.name, scope=Scope(row.scope), site_id=row.site_id)
