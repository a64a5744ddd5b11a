"""Who has fallen silent: one alarm when an instrument says nothing though it usually would, gone when it speaks.

What is usual is learned from the inbox (`lis.domain.silence`): at start the last six weeks are walked by key, a bounded
part a step, and after that only what is new. The alarm closes by itself when a message comes. One that a person
closed is not opened again for the same silence. The house itself may have been down: a silence counts from its
start at the earliest.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from lis.domain.silence import WEEK, WEEKS, HourProfile, alarm_due, hour_of, learn
from lis.store import traffic_queries
from lis.store.key_walk import first_id_since
from lis.store.lock import Priority
from lis.store.rows import Inbox, Link
from lis.store.traffic_queries import close_alarm, heard_after, latest_alarms, open_alarm
from lis.store.unit import Store

ACTOR: Final = "silence watch"
SILENCE: Final = "silence"  # kind of the alarm; its subject is the link's name
LEARN_ROWS: Final = 20_000  # inbox rows read in one step
RELEARN_EVERY: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Habits:
    """What is known of one link."""

    hours: set[int] = field(default_factory=set)  # in which something came
    last_at: datetime | None = None
    profile: HourProfile | None = None
    learned_at: datetime | None = None
    due_for: datetime | None = None  # the silence that `due_at` was computed for
    due_at: datetime | None = None


class SilenceWatch:
    """Watches all instrument links of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._started_at = store.clock.now()
        self._habits: dict[int, _Habits] = {}
        self._next_id: int | None = None

    def step(self) -> bool:
        """Learn what is new, then open and close alarms; True while there is more to learn."""
        now = self._store.clock.now()
        with self._store.read() as session:
            if self._learn_new(session, now):
                return True
            to_open, to_close = self._judge(session, now)
        if to_open or to_close:
            with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
                for name, parameters in to_open.items():
                    open_alarm(unit, kind=SILENCE, subject=name, parameters=parameters)
                for name in to_close:
                    close_alarm(unit, kind=SILENCE, subject=name)
                unit.publish("device", SILENCE)  # the board follows devices
        return False

    def _learn_new(self, session: Session, now: datetime) -> bool:
        if self._next_id is None:
            since = now - WEEKS * WEEK
            self._next_id = first_id_since(session, Inbox.id, Inbox.received_at, since)
        rows = heard_after(session, self._next_id, limit=LEARN_ROWS)
        for inbox_id, link_id, at in rows:
            habits = self._habits.setdefault(link_id, _Habits())
            habits.hours.add(hour_of(at))
            habits.last_at = max(at, habits.last_at or at)
            self._next_id = inbox_id + 1
        return len(rows) == LEARN_ROWS

    def _judge(
        self, session: Session, now: datetime
    ) -> tuple[dict[str, dict[str, object]], list[str]]:
        opened = latest_alarms(session, SILENCE)
        zones = {one.id: one.timezone for one in traffic_queries.all_devices(session)}
        to_open: dict[str, dict[str, object]] = {}
        to_close = []
        for link in traffic_queries.all_links(session):
            if link.device_id is None:
                continue
            habits = self._habits.get(link.id)
            last = habits.last_at if habits else None
            alarm = opened.get(link.name)
            is_open = alarm is not None and alarm.closed_at is None
            if habits is None or last is None:
                continue
            zone = ZoneInfo(zones.get(link.device_id) or "UTC")
            if not _is_silent(link, self._due_at(habits, last, zone, now), now):
                to_close += [link.name] if is_open else []
            elif not is_open and (alarm is None or alarm.opened_at <= last):
                to_open[link.name] = {"minutes": int((now - last).total_seconds()) // 60}
        return to_open, to_close

    def _due_at(
        self, habits: _Habits, last: datetime, zone: tzinfo, now: datetime
    ) -> datetime | None:
        since = max(last, self._started_at)
        is_stale = habits.learned_at is None or now - habits.learned_at >= RELEARN_EVERY
        if habits.profile is None or is_stale:
            oldest = hour_of(now - WEEKS * WEEK)
            habits.hours = {hour for hour in habits.hours if hour >= oldest}
            habits.profile = learn(habits.hours, now=now, zone=zone)
            habits.learned_at, habits.due_for = now, None
        if habits.due_for != since:
            habits.due_for, habits.due_at = since, alarm_due(habits.profile, since, zone)
        return habits.due_at


def _is_silent(link: Link, due_at: datetime | None, now: datetime) -> bool:
    """A link that nobody keeps is stopped, not silent."""
    return link.state != "stopped" and due_at is not None and now >= due_at.astimezone(UTC)
