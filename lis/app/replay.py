"""A kept message read again by the driver its device has now: candidates and differences (S13).

Reads only, in one snapshot. What may be processed again is another matter: a message that was held as a whole
and made no rows, see `lis.app.link_page.reopen_message`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from lis.domain.errors import NotFound, Refused
from lis.domain.messages import BY_HAND
from lis.drivers import registry, translate
from lis.results.differences import (
    ReadingKind,
    Replayed,
    StoredReading,
    candidates_of,
    compare,
)
from lis.store.control_rows import ControlPoint
from lis.store.definitions import catalog_in_force
from lis.store.observation_rows import Observation
from lis.store.reading_queries import StoredOf, runs_known, stored_of
from lis.store.rows import Device, Link
from lis.store.worklist_queries import inbox_row


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """A message, who read it then, who reads it now, and what differs."""

    inbox_id: int
    link: str
    state: str
    received_at: datetime
    driver_then: str
    version_then: str
    driver_now: str
    version_now: str
    replayed: Replayed

    @property
    def is_equal(self) -> bool:
        """Whether today's driver says the same."""
        return not self.replayed.differences


def replay_message(session: Session, inbox_id: int, *, at: datetime) -> ReplayReport:
    """Read one message again; changes nothing. Raises `NotFound`, `Refused` where no driver reads."""
    row = inbox_row(session, inbox_id)
    if row is None:
        raise NotFound("Inbox", inbox_id)
    device = session.get(Device, row.device_id) if row.device_id is not None else None
    if device is None or device.driver == BY_HAND:
        raise Refused("replay_no_device")
    translation = translate(
        registry.get(device.driver),
        row.raw,
        zone=ZoneInfo(device.timezone or "UTC"),
        charset=device.charset,
        received_at=row.received_at,
    )
    try:
        catalog = catalog_in_force(session, at)
    except NotFound:  # a laboratory that is being set up: no code has a meaning yet
        catalog = None
    candidates = candidates_of(translation, catalog, driver=device.driver, device_id=device.id)
    stored = tuple(_readings(stored_of(session, row.id, device.id)))
    known = runs_known(session, [one.run_key for one in candidates if one.run_key])
    link = session.get(Link, row.link_id)
    return ReplayReport(
        inbox_id=row.id,
        link=link.name if link else "",
        state=row.state.value,
        received_at=row.received_at,
        driver_then=row.driver,
        version_then=row.driver_version,
        driver_now=translation.driver,
        version_now=translation.driver_version,
        replayed=Replayed(
            candidates=candidates,
            differences=compare(candidates, stored, known_runs=known),
        ),
    )


def _readings(stored: StoredOf) -> Iterator[StoredReading]:
    yield from (_observation(row) for row in stored.observations)
    yield from (_control(row) for row in stored.controls)
    for line in stored.unreadable:
        values = {"field": line.field, "reason": line.reason, "raw": line.raw}
        yield StoredReading(kind=ReadingKind.UNREADABLE, record=line.record, values=values)
    for query in stored.queries:
        if query.empty_reason == "not_understood":
            continue  # nothing was read in it then
        asked = ", ".join(str(one) for one in query.asked)
        yield StoredReading(kind=ReadingKind.QUERY, record="", values={"asked": asked})


def _observation(row: Observation) -> StoredReading:
    return StoredReading(
        kind=ReadingKind.RESULT,
        record=row.record,
        values={
            "specimen": row.specimen_text,
            "code": row.instrument_code,
            "test": row.test_code,
            "value": row.reported,
            "comparator": row.comparator,
            "number": f"{row.value}" if row.value is not None else "",
            "unit": row.reported_unit,
            "flags": " ".join(str(flag) for flag in row.reported_flags),
            "status": row.reported_status,
            "dilution": f"{row.dilution}" if row.dilution is not None else "",
            "basis": row.basis,
            "read_mode": row.read_mode,
            "run": row.run,
            "identity": row.run_key,
        },
    )


def _control(row: ControlPoint) -> StoredReading:
    values = {"value": row.reported, "identity": row.run_key}
    return StoredReading(kind=ReadingKind.CONTROL, record=row.record, values=values)
