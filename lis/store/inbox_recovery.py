"""After a crash: frames that were acknowledged but whose message never ended.

An ASTM message arrives frame by frame, and each frame is in the journal before its own ACK. When the
process dies between two frames, the analyzer usually begins anew; but it may also take its part as
delivered. So at start, frames of a link that no later inbox row accounts for become an INCOMPLETE message:
evidence that a person sees, never a result (promise 1). In normal operation the session itself files a
cut message, so then there is nothing to do here; running twice adds nothing.
"""

import hashlib
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction
from lis.store.rows import Device, Inbox, InboxState, Journal, Link
from lis.store.unit import Unit

STX = b"\x02"  # an ASTM frame begins with it
RECOVERED_NOTE = "recovered after a restart"


def recover_open_sessions(unit: Unit) -> tuple[int, ...]:
    """File what unfinished sessions left behind; returns the new inbox ids. Run before links open."""
    recovered = []
    for link in unit.session.scalars(select(Link).where(Link.device_id.is_not(None))).all():
        frames = _frames_left(unit.session, link.id)
        if frames:
            recovered.append(_file(unit, link, frames))
    return tuple(recovered)


def _frames_left(session: Session, link_id: int) -> Sequence[Journal]:
    """Accepted frames after the last line that points to the inbox, in order."""
    last_kept = session.execute(
        select(func.coalesce(func.max(Journal.id), 0)).where(
            Journal.link_id == link_id, Journal.inbox_id.is_not(None)
        )
    ).scalar_one()
    lines = session.scalars(
        select(Journal)
        .where(
            Journal.link_id == link_id,
            Journal.id > last_kept,
            Journal.direction == Direction.IN.value,
            Journal.data.is_not(None),
            Journal.note == "",  # refused and repeated frames carry a note
        )
        .order_by(Journal.id)
    ).all()
    return [line for line in lines if line.data and line.data.startswith(STX)]


def _file(unit: Unit, link: Link, frames: Sequence[Journal]) -> int:
    device = unit.session.get(Device, link.device_id)
    raw = b"".join(frame.data or b"" for frame in frames)
    row = Inbox(
        link_id=link.id,
        device_id=link.device_id,
        driver=device.driver if device else "",
        received_at=frames[-1].at,
        protocol=Protocol.ASTM.value,
        lane=Lane.RESULT.value,
        raw=raw,
        sha256=hashlib.sha256(raw).digest(),
        state=InboxState.INCOMPLETE,
    )
    unit.session.add(row)
    unit.session.flush()
    unit.session.add(
        Journal(
            link_id=link.id,
            at=unit.now,
            direction=Direction.IN.value,
            inbox_id=row.id,
            note=RECOVERED_NOTE,
        )
    )
    unit.audit("recover", "inbox", row.id, after={"frames": len(frames), "link": link.name})
    unit.publish("inbox", row.id)
    return row.id
