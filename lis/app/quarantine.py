"""Clearing a quarantine from its alarm on the instrument board (S23).

A quarantine and its alarm open and close together: the alarm says what disagreed, and no other button ends it.
"""

from typing import Final

from lis.domain.errors import NotFound, Refused
from lis.results.quarantine import clear_quarantine
from lis.store import traffic_queries
from lis.store.unit import Unit

QUARANTINE_ALARMS: Final = frozenset({"device_mismatch", "unit_changed"})


def clear_by_alarm(
    unit: Unit, alarm_id: int, *, reason: str, user: str, accepts: bool = False
) -> None:
    """End the quarantine that this alarm speaks of. Raises `NotFound` and `Refused`."""
    alarm = traffic_queries.alarm_by_id(unit.session, alarm_id)
    if alarm is None:
        raise NotFound("Alarm", alarm_id)
    if alarm.kind not in QUARANTINE_ALARMS or alarm.closed_at is not None:
        raise Refused("nothing_quarantined")
    test = str(alarm.parameters.get("test", ""))
    device = alarm.subject.rpartition(":")[0] if test else alarm.subject
    device = str(alarm.parameters.get("device", device))
    clear_quarantine(unit, device, test=test, reason=reason, user=user, accepts=accepts)
