"""What a sender sent over HTTP, kept as it came: the bytes stay one click from the orders that they made."""

import hashlib
from typing import Final

from lis.domain.messages import Lane
from lis.store.rows import Inbox, InboxState
from lis.store.unit import Unit

NO_LINK: Final = 0  # HTTP is no link of lis.toml


def keep_raw(unit: Unit, raw: bytes, *, protocol: str, source: str) -> int:
    """Keep a body with what it makes, in one unit; its key."""
    row = Inbox(
        link_id=NO_LINK,
        received_at=unit.now,
        protocol=protocol,
        lane=Lane.REQUEST.value,
        raw=raw,
        sha256=hashlib.sha256(raw).digest(),
        state=InboxState.PROCESSED,
        processed_at=unit.now,
        is_session_closed=True,
        verdict={"source": source},
    )
    unit.session.add(row)
    unit.session.flush()
    return row.id
