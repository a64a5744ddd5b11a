"""Who calls when it is a machine: a token in `Authorization: Bearer`, and nothing else.

`RequiresSender(scope)` is the authorisation rule of such a route and stands in its signature, as `Requires` does for people.
No cookie is looked at, so no foreign page can act with a person's session.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Depends, Request

from lis.access.throttle import count_failure, is_locked
from lis.access.tokens import Scope, Sender, sender_of
from lis.api.deps import NotSignedIn, laboratory_of
from lis.api.sessions import address_of
from lis.domain.errors import NotAllowed, Refused

BEARER: Final = "bearer"
FAILURES_MAX: Final = 30  # wrong tokens of one address
LOCK_TIME: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class RequiresSender:
    """The authorisation rule of a route for machines: a living token of this scope."""

    scope: Scope

    def __call__(self, request: Request) -> Sender:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != BEARER or not token.strip():
            raise NotSignedIn
        store = laboratory_of(request).store
        sender = sender_of(store, token.strip())
        if sender is None:
            subject = f"token:{address_of(request)}"
            with store.unit("token") as unit:
                is_too_often = is_locked(unit, subject)
                count_failure(unit, subject, limit=FAILURES_MAX, lock=LOCK_TIME)
            if is_too_often:
                raise Refused("login_locked", minutes=int(LOCK_TIME.total_seconds() // 60))
            raise NotSignedIn
        if sender.scope is not self.scope:
            raise NotAllowed("not_allowed")
        return sender


ReferralSender = Annotated[Sender, Depends(RequiresSender(Scope.REFERRALS))]
