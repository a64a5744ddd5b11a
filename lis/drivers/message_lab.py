"""What a capture says, message by message: for `lis message`, the page of the message lab, and expected JSON.

A message is read by the driver that is asked for, else by the one its header names. One that no driver knows is
read by the letter of its standard, with `driver` null and every observation held for `unknown_driver`: a hint for
whoever teaches us the instrument, never a result. What is no message at all is one unreadable entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from lis.domain.messages import Protocol, Reason, ReportedObservation, Translation
from lis.drivers import registry
from lis.drivers.driver import identify, translate
from lis.drivers.generic import STANDARD
from lis.drivers.law_advice import advice
from lis.drivers.profile import Profile
from lis.drivers.taking_apart import Row, rows_of
from lis.wire.astm_assembly import decode_raw
from lis.wire.capture import read_any

SHOWN_BYTES_MAX: Final = 2_000  # of what could not be read
NO_ROWS: Final[tuple[Row, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabMessage:
    """One message: what it says as JSON, and its records field by field."""

    driver: str | None
    name: str  # of the instrument, or of the standard by which it was read
    document: dict[str, Any]
    rows: tuple[Row, ...]


def read_lab(
    data: bytes,
    *,
    driver: str | None = None,
    profile: Profile | None = None,
    zone: tzinfo,
    at: datetime,
) -> tuple[LabMessage, ...]:
    """Every message of a capture. Raises `NotFound` for a driver, `RemoteProtocolError` for a bad file."""
    asked = registry.get(driver) if driver else profile
    reading = read_any(data)
    protocol = Protocol(reading.protocol) if reading.protocol else None
    return tuple(_read(protocol, unit, asked, zone=zone, at=at) for unit in reading.units)


def documents_of(messages: Sequence[LabMessage]) -> list[dict[str, Any]]:
    """The JSON of the messages, as `lis message --json` prints it."""
    return [message.document for message in messages]


def _read(
    protocol: Protocol | None, unit: bytes, asked: Profile | None, *, zone: tzinfo, at: datetime
) -> LabMessage:
    if asked is None and protocol is None:
        entry = _entry("", unit[:SHOWN_BYTES_MAX].decode("latin-1"))
        document = _document(None, None, observations=[], unreadable=[entry])
        return LabMessage(driver=None, name="", document=document, rows=NO_ROWS)
    key = asked.key if asked is not None else identify(unit)
    standard = STANDARD[protocol or Protocol.ASTM]
    profile = asked or (registry.get(key) if key else standard)
    read = translate(profile, unit, zone=zone, received_at=at)
    document = _document(
        key,
        profile.protocol.value,
        observations=[_observation(entry, zone, is_known=bool(key)) for entry in read.observations],
        unreadable=_unreadable(read, unit),
        queries=[
            {"specimens": list(query.specimens), "all": query.wants_all, "cancel": query.is_cancel}
            for query in read.queries
        ],
    )
    judged = advice(unit) if profile.protocol is Protocol.HL7 else None
    if judged is not None:
        document["law"] = judged
    is_other = protocol is not profile.protocol  # another protocol was asked for
    rows = NO_ROWS if is_other else rows_of(profile, unit)
    return LabMessage(driver=key, name=profile.name, document=document, rows=rows)


def _document(key: str | None, protocol: str | None, **rest: Any) -> dict[str, Any]:
    return {"driver": key, "protocol": protocol, "queries": [], **rest}


def _unreadable(read: Translation, unit: bytes) -> list[dict[str, str]]:
    if read.protocol is Protocol.ASTM and not decode_raw(unit):  # another protocol was asked for
        return [_entry("", unit[:SHOWN_BYTES_MAX].decode("latin-1"))]
    return [
        {
            "record": entry.record,
            "field": entry.field,
            "raw": entry.raw,
            "reason": entry.reason.value,
        }
        for entry in read.unreadable
    ]


def _entry(record: str, raw: str) -> dict[str, str]:
    return {"record": record, "field": "", "raw": raw, "reason": Reason.UNREADABLE_RECORD.value}


def _observation(entry: ReportedObservation, zone: tzinfo, *, is_known: bool) -> dict[str, Any]:
    value = entry.value
    moment = entry.observed_at
    holds = entry.holds if is_known else (*entry.holds, Reason.UNKNOWN_DRIVER)
    return {
        "record": entry.record,
        "specimen": entry.specimen,
        "test": entry.test,
        "value": value.text,
        "comparator": value.comparator.value if value.comparator is not None else None,
        "number": f"{value.number:f}" if value.number is not None else None,
        "unit": entry.unit,
        "flags": list(entry.flags),
        "status": entry.status.value,
        "observed_at": moment.astimezone(zone).isoformat() if moment is not None else None,
        "kind": entry.kind.value,
        "holds": [reason.value for reason in holds],
        "part_of": entry.part_of or None,
        "read_mode": entry.read_mode.value,
        "comment": entry.comment,
    }
