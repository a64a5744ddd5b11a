"""A person clears a quarantine, with a reason (S23).

Clearing frees nothing by itself: what came in quarantine stays held and is looked at one by one. It says that what
comes from now on may be judged again. Where another analyzer stands on the link for good, the person also says
that what its header says is right from now on.
"""

from collections.abc import Sequence

from lis.domain.errors import NotFound, Refused
from lis.results.desk import needed
from lis.results.sender import ACCEPTABLE, QuarantineKind
from lis.store.quarantine_queries import lock_quarantines
from lis.store.rows import Device, Quarantine
from lis.store.traffic_queries import close_alarm, device_by_name
from lis.store.unit import Unit


def clear_quarantine(
    unit: Unit, device_name: str, *, test: str = "", reason: str, user: str, accepts: bool = False
) -> None:
    """Let a device, or one test on it, speak again. `accepts`: its header is right from now on."""
    text = needed(reason)
    device = device_by_name(unit.session, device_name)
    if device is None:
        raise NotFound("Device", device_name)
    rows = lock_quarantines(unit.session, device.id, test)
    if not rows and (test or not device.quarantine_reason):
        raise Refused("nothing_quarantined")
    if accepts:
        _accept(device, rows)
    for row in rows:
        row.cleared_at, row.cleared_by, row.clear_reason = unit.now, user, text
        row.is_accepted = accepts
        if row.test_code:
            subject = f"{device.name}:{row.instrument_code}"
            close_alarm(unit, kind="unit_changed", subject=subject)
    if not test:
        device.quarantine_reason = ""
        close_alarm(unit, kind="device_mismatch", subject=device.name)
    unit.audit(
        "end_quarantine",
        "device",
        device.id,
        before=[{"kind": row.kind, "expected": row.expected, "got": row.got} for row in rows],
        after={"user": user, "reason": text, "test": test, "accepted": accepts},
    )
    unit.publish("device", device.id)


def _accept(device: Device, rows: Sequence[Quarantine]) -> None:
    for row in rows:
        if QuarantineKind(row.kind) not in ACCEPTABLE:
            raise Refused("mismatch_not_acceptable")
        if row.kind == QuarantineKind.SERIAL.value:
            if device.serial:
                raise Refused("serial_is_configured", serial=device.serial)
            device.seen_serial = row.got
        else:
            device.seen_name = row.got
