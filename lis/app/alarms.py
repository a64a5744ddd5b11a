"""Open alarms as the board shows them, and a person saying that one was dealt with.

An alarm belongs to a link through its subject: a task's name, a device's name, the message or the delivery it
speaks of.
"""

from collections.abc import Iterable
from typing import Final

from lis.app.board_models import AlarmLine
from lis.app.quarantine import QUARANTINE_ALARMS
from lis.domain.errors import NotFound, Refused
from lis.store import traffic_queries
from lis.store.outbox import DEAD_LETTER
from lis.store.rows import Alarm
from lis.store.unit import Unit

DESTINATION: Final = "emr:"  # how the outbox names an EMR


def alarm_line(alarm: Alarm, links: Iterable[str]) -> AlarmLine:
    """One open alarm, with the link and the message it speaks of."""
    head, _, tail = alarm.subject.partition(":")
    names = {alarm.subject, head, tail, f"{tail}:send", f"{tail}:receive"}
    if alarm.kind == DEAD_LETTER:
        destination = str(alarm.parameters.get("destination", ""))
        names = {destination.removeprefix(DESTINATION) + ":send"}
    is_inbox = head == "inbox" and tail.isdigit()
    return AlarmLine(
        id=alarm.id,
        kind=alarm.kind,
        subject=alarm.subject,
        opened_at=alarm.opened_at,
        parameters=alarm.parameters,
        link=next((name for name in sorted(links) if name in names), ""),
        inbox_id=int(tail) if is_inbox else None,
        can_be_closed=alarm.kind != DEAD_LETTER and alarm.kind not in QUARANTINE_ALARMS,
    )


def close_alarm_by_hand(unit: Unit, alarm_id: int) -> None:
    """A person has dealt with an alarm. A dead letter's closes when it is sent again,
    a quarantine's when the quarantine is cleared.
    """
    alarm = traffic_queries.alarm_by_id(unit.session, alarm_id)
    if alarm is None:
        raise NotFound("Alarm", alarm_id)
    if alarm.kind == DEAD_LETTER:
        raise Refused("alarm_needs_replay")
    if alarm.kind in QUARANTINE_ALARMS:
        raise Refused("alarm_needs_clearing")
    if alarm.closed_at is not None:
        return  # two people pressed at once: the first one is in the audit
    alarm.closed_at = unit.now
    unit.audit("alarm_closed", "Alarm", alarm_id, before={"kind": alarm.kind})
    unit.publish("device", "alarm")  # the board follows devices
