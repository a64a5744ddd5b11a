"""What every message says about its analyzer: alive, its clock, and whether it is itself (S23, S24).

A header unlike the device's puts the whole device into quarantine, another unit puts one test of it there: from
then on everything of it waits, also what looks right again, until a person clears it
(`lis.results.quarantine`). Nothing is converted.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from lis.domain.messages import Reason
from lis.domain.result_facts import DeviceFacts
from lis.results.batch import BatchFacts, Message
from lis.results.effects import Effects, alarm, quarantine
from lis.results.sender import Mismatch, QuarantineKind, learned, mismatch
from lis.results.timing import MeasuredAt, judge_time


class DeviceWatch:
    """The devices of one batch, as messages of it are folded."""

    def __init__(self, facts: BatchFacts, effects: Effects, now: datetime) -> None:
        self._facts = facts
        self._effects = effects
        self._now = now

    def note(self, message: Message, device: DeviceFacts) -> None:
        """Remember what the head of a message says; later messages of the batch see it."""
        changes = self._effects.devices.setdefault(device.id, {})
        changes["last_message_at"] = message.received_at
        self._note_clock(message, device)
        translation = message.translation
        found = mismatch(device, translation.sender, translation.foreign_driver)
        if found is not None:
            self._quarantine_device(message, device, found)
        elif not device.quarantine_reason:
            self._change(device.id, **learned(device, translation.sender))

    def is_quarantined(self, device_id: int, test_code: str) -> bool:
        """Whether a test of a device waits for a person."""
        return (device_id, test_code) in self._facts.quarantined

    def note_unit(
        self,
        message: Message,
        device: DeviceFacts,
        *,
        test: str,
        code: str,
        expected: str,
        got: str,
    ) -> None:
        """Another unit than the catalog expects: this test of this device is closed."""
        if self.is_quarantined(device.id, test):
            return
        facts = {"expected": expected, "got": got, "device": device.name, "test": test}
        self.alarm("unit_changed", f"{device.name}:{code}", facts)
        self._facts.quarantined.add((device.id, test))
        found = Mismatch(kind=QuarantineKind.UNIT, expected=expected, got=got)
        self._effects.quarantines.append(
            quarantine(device.id, found, message.inbox_id, self._now, test=test, code=code)
        )

    def alarm(self, kind: str, subject: str, parameters: Mapping[str, object]) -> None:
        """Open an alarm unless the same one is open."""
        if (kind, subject) not in self._facts.alarms:
            self._facts.alarms.add((kind, subject))
            self._effects.alarms.append(alarm(kind, subject, parameters, self._now))

    def _note_clock(self, message: Message, device: DeviceFacts) -> None:
        clock = clock_of(message, device)
        if clock.offset_s is None:
            return
        self._change(device.id, clock_offset_s=clock.offset_s)
        if clock.reason is Reason.CLOCK_ZONE or clock.zone_hours is not None:
            self.alarm("device_zone", device.name, {"hours": clock.zone_hours})
        elif clock.is_alarming:
            self.alarm("device_clock", device.name, {"offset_s": clock.offset_s})

    def _quarantine_device(self, message: Message, device: DeviceFacts, found: Mismatch) -> None:
        facts = {"kind": found.kind.value, "expected": found.expected, "got": found.got}
        self.alarm("device_mismatch", device.name, facts)
        if not device.quarantine_reason:
            self._effects.quarantines.append(
                quarantine(device.id, found, message.inbox_id, self._now)
            )
        self._change(device.id, quarantine_reason=found.reason)

    def _change(self, device_id: int, **changes: object) -> None:
        """For this batch and for the store alike."""
        if changes:
            self._effects.devices.setdefault(device_id, {}).update(changes)
            device = self._facts.devices[device_id]
            self._facts.devices[device_id] = replace(device, **changes)  # type: ignore[arg-type]


def clock_of(message: Message, device: DeviceFacts) -> MeasuredAt:
    """The clock as the head of this message shows it."""
    return judge_time(
        observed_at=None,
        sent_at=message.translation.sent_at,
        received_at=message.received_at,
        offset_before_s=device.clock_offset_s,
    )
