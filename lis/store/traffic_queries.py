"""Questions about devices, links, messages, host queries and alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lis.domain.messages import Lane
from lis.domain.traffic import Direction
from lis.store.key_walk import first_id_since
from lis.store.rows import Alarm, Device, HostQueryLog, Inbox, InboxState, Journal, Link
from lis.store.traffic_rows import QueryKind
from lis.store.unit import Unit

REPLAY_AGE_MAX = timedelta(days=3)  # S13: an older value is not released by a replay
MESSAGES_WINDOW = 50_000  # inbox rows walked for one page of a link: tens of milliseconds


def device_by_name(session: Session, name: str) -> Device | None:
    """The device of that name, which it keeps for life."""
    return session.scalars(select(Device).where(Device.name == name)).one_or_none()


def all_devices(session: Session) -> Sequence[Device]:
    """Every device, by name."""
    return session.scalars(select(Device).order_by(Device.name)).all()


def link_by_name(session: Session, name: str) -> Link | None:
    """The link of that name."""
    return session.scalars(select(Link).where(Link.name == name)).one_or_none()


def all_links(session: Session) -> Sequence[Link]:
    """Every link, by name."""
    return session.scalars(select(Link).order_by(Link.name)).all()


def note_link_state(unit: Unit, link_id: int, state: str, peer: str = "") -> None:
    """Remember what a link does now, and with whom."""
    unit.session.execute(
        update(Link).where(Link.id == link_id).values(state=state, peer=peer, changed_at=unit.now)
    )
    unit.publish("link", link_id)


def note_message(unit: Unit, device_id: int, at: datetime, clock_offset_s: int | None) -> None:
    """Remember when a device last spoke and how its clock stood (S24)."""
    values: dict[str, Any] = {"last_message_at": at}
    if clock_offset_s is not None:
        values["clock_offset_s"] = clock_offset_s
    unit.session.execute(update(Device).where(Device.id == device_id).values(values))
    unit.publish("device", device_id)


def set_quarantine(unit: Unit, device_id: int, reason: str) -> None:
    """Hold everything from a device (S23), or with no reason let it speak again."""
    device = unit.session.get_one(Device, device_id)
    unit.audit(
        "quarantine" if reason else "end_quarantine",
        "device",
        device_id,
        before=device.quarantine_reason,
        after=reason,
    )
    device.quarantine_reason = reason
    unit.publish("device", device_id)


# --- host queries -------------------------------------------------------------------------------


def log_host_query(
    unit: Unit,
    *,
    device_id: int,
    asked: Sequence[str],
    answered: Sequence[Any],
    empty_reason: str = "",
    inbox_id: int | None = None,
    kind: QueryKind = QueryKind.LIST,
    is_cut: bool = False,
) -> HostQueryLog:
    """Keep what an instrument asked and what it was told; `note_reply` adds how."""
    line = HostQueryLog(
        device_id=device_id,
        at=unit.now,
        asked=list(asked),
        answered=list(answered),
        empty_reason=empty_reason,
        inbox_id=inbox_id,
        kind=kind,
        is_cut=is_cut,
    )
    unit.session.add(line)
    unit.publish("device", device_id)
    return line


def note_reply(line: HostQueryLog, *, records: int, took: timedelta) -> None:
    """Add to a host query's line how long its answer is and how long the instrument waited for it."""
    line.records, line.took_ms = records, max(0, round(took / timedelta(milliseconds=1)))


def host_queries(
    session: Session,
    device_id: int,
    *,
    limit: int,
    before_id: int | None = None,
    is_empty_only: bool = False,
) -> Sequence[HostQueryLog]:
    """The latest questions of a device, newest first; or only those that got nothing."""
    query = select(HostQueryLog).where(HostQueryLog.device_id == device_id)
    if before_id is not None:
        query = query.where(HostQueryLog.id < before_id)
    if is_empty_only:
        query = query.where(HostQueryLog.empty_reason != "")
    return session.scalars(query.order_by(HostQueryLog.id.desc()).limit(limit)).all()


# --- alarms -------------------------------------------------------------------------------------


def open_alarm(
    unit: Unit, *, kind: str, subject: str, parameters: Mapping[str, Any] | None = None
) -> Alarm:
    """Open an alarm, or return the open one of the same kind and subject: one cause, one alarm."""
    alarm = _open_alarm(unit.session, kind, subject)
    if alarm is None:
        alarm = Alarm(
            kind=kind, subject=subject, opened_at=unit.now, parameters=dict(parameters or {})
        )
        unit.session.add(alarm)
        unit.session.flush()
        unit.publish("alarm", alarm.id)
    return alarm


def close_alarm(unit: Unit, *, kind: str, subject: str) -> bool:
    """Close the open alarm of this kind and subject; False when there is none."""
    alarm = _open_alarm(unit.session, kind, subject)
    if alarm is None:
        return False
    alarm.closed_at = unit.now
    unit.publish("alarm", alarm.id)
    return True


def open_alarms(session: Session, *, limit: int) -> Sequence[Alarm]:
    """What a person must look at, oldest first."""
    return session.scalars(
        select(Alarm).where(Alarm.closed_at.is_(None)).order_by(Alarm.id).limit(limit)
    ).all()


def _open_alarm(session: Session, kind: str, subject: str) -> Alarm | None:
    return session.scalars(
        select(Alarm)
        .where(Alarm.closed_at.is_(None), Alarm.kind == kind, Alarm.subject == subject)
        .order_by(Alarm.id)
        .limit(1)
    ).first()


def reopen_held(unit: Unit, inbox_ids: Sequence[int]) -> list[int]:
    """Let held messages be processed again; returns those that were. Audited.

    Only a message that was held as a whole is reopened: it made no rows, so nothing reported can change
    (S13). One that is older than `REPLAY_AGE_MAX` stays held: its values would no longer be current.
    """
    rows = unit.session.scalars(
        select(Inbox)
        .where(
            Inbox.id.in_(tuple(inbox_ids)),
            Inbox.state == InboxState.HELD,
            Inbox.lane == Lane.RESULT.value,
            Inbox.received_at > unit.now - REPLAY_AGE_MAX,
        )
        .order_by(Inbox.id)
        .with_for_update()
    ).all()
    for row in rows:
        unit.audit("reopened", "Inbox", row.id, before={"reason": row.hold_reason})
        row.state, row.hold_reason = InboxState.NEW, ""
        unit.publish("inbox", row.id)
    return [row.id for row in rows]


def alarm_by_id(session: Session, alarm_id: int) -> Alarm | None:
    """One alarm, locked for a change."""
    return session.get(Alarm, alarm_id, with_for_update=True)


# --- the instrument board -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLine:
    """One inbox row without its bytes."""

    id: int
    received_at: datetime
    lane: str
    state: InboxState
    hold_reason: str
    driver: str
    driver_version: str
    processed_at: datetime | None
    is_session_closed: bool | None
    verdict: Mapping[str, Any]


def messages_page(
    session: Session, link_id: int, *, before_id: int | None = None, limit: int
) -> tuple[list[MessageLine], int | None]:
    """Messages of a link, newest first, and where the next page begins (None: there are no older ones).

    The walk is bounded: the page of a quiet link may hold few rows, or none, and still have a next one.
    """
    top = before_id
    if top is None:
        top = 1 + (session.scalar(select(func.max(Inbox.id))) or 0)
    bottom = max(0, top - MESSAGES_WINDOW)
    rows = session.execute(
        _MESSAGE_COLUMNS.where(Inbox.link_id == link_id, Inbox.id < top, Inbox.id >= bottom)
        .order_by(Inbox.id.desc())
        .limit(limit)
    )
    lines = [MessageLine(**row) for row in rows.mappings()]
    following = lines[-1].id if len(lines) == limit else bottom
    return lines, following if following > 1 else None


def held_messages(session: Session, link_id: int, *, limit: int) -> list[MessageLine]:
    """Messages of a link that wait as a whole for a person, the oldest first."""
    rows = session.execute(
        _MESSAGE_COLUMNS.where(Inbox.link_id == link_id, Inbox.state == InboxState.HELD)
        .order_by(Inbox.id)
        .limit(limit)
    )
    return [MessageLine(**row) for row in rows.mappings()]


_MESSAGE_COLUMNS = select(
    Inbox.id,
    Inbox.received_at,
    Inbox.lane,
    Inbox.state,
    Inbox.hold_reason,
    Inbox.driver,
    Inbox.driver_version,
    Inbox.processed_at,
    Inbox.is_session_closed,
    Inbox.verdict,
)


def message_counts_since(session: Session, since: datetime) -> dict[tuple[int, InboxState], int]:
    """Messages received since then, by link and state."""
    first = first_id_since(session, Inbox.id, Inbox.received_at, since)
    rows = session.execute(
        select(Inbox.link_id, Inbox.state, func.count())
        .where(Inbox.id >= first, Inbox.received_at >= since)
        .group_by(Inbox.link_id, Inbox.state)
    )
    return {(link_id, state): count for link_id, state, count in rows}


def waiting_counts(session: Session) -> dict[tuple[int, InboxState], int]:
    """How many messages wait, by link: new ones for us, held ones for a person, whenever they came."""
    rows = session.execute(
        select(Inbox.link_id, Inbox.state, func.count())
        .where(Inbox.state.in_((InboxState.NEW, InboxState.HELD)))
        .group_by(Inbox.link_id, Inbox.state)
    )
    return {(link_id, state): count for link_id, state, count in rows}


def heard_after(session: Session, from_id: int, *, limit: int) -> list[tuple[int, int, datetime]]:
    """Id, link and time of the messages from an id on, oldest first."""
    rows = session.execute(
        select(Inbox.id, Inbox.link_id, Inbox.received_at)
        .where(Inbox.id >= from_id)
        .order_by(Inbox.id)
        .limit(limit)
    )
    return [(inbox_id, link_id, at) for inbox_id, link_id, at in rows]


def latest_alarms(session: Session, kind: str) -> dict[str, Alarm]:
    """The last alarm of a kind for each subject, open or closed."""
    newest = select(func.max(Alarm.id)).where(Alarm.kind == kind).group_by(Alarm.subject)
    return {row.subject: row for row in session.scalars(select(Alarm).where(Alarm.id.in_(newest)))}


def last_heard(session: Session) -> dict[int, datetime]:
    """When each link last brought bytes: one short walk of the journal's index per link."""
    newest = (
        select(Journal.at)
        .where(Journal.link_id == Link.id, Journal.direction == Direction.IN.value)
        .order_by(Journal.id.desc())
        .limit(1)
        .correlate(Link)
        .scalar_subquery()
    )
    rows = session.execute(select(Link.id, newest).where(newest.is_not(None)))  # those that spoke
    return {link_id: at for link_id, at in rows}  # noqa: C416 - rows are not tuples to the checker
