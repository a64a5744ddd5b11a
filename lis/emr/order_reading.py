"""Reading an order message (OML^O21, ORM^O01) into values: no store, no decision.

    MSH  PID [PV1]  { ORC [TQ1] OBR [NTE] [SPM] }

One ORC with its OBR is one order. Numbers and codes are kept as sent: the placer number is copied back
byte for byte, and a code the catalog does not know is held with its text. An order control that is not
in `CONTROLS` is refused by name, never taken for a new order.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final

from lis.domain.catalog import Catalog
from lis.orders.entries import IdentifierEntry, OrderEntry, PatientEntry, RequisitionEntry
from lis.wire.hl7 import Message, Segment
from lis.wire.hl7_ack import ErrorCode, ErrorPlace, Hl7Error
from lis.wire.hl7_writer import Precision, parse_timestamp

LOINC: Final = "LN"
SEXES: Final = {"F": "F", "M": "M"}
PRIORITIES: Final = {"S": "S", "A": "A", "R": "R", "C": "C", "T": "C"}


class OrderControl(StrEnum):
    """HL7 table 0119, as far as an EMR may say it to us."""

    NEW = "NW"
    CANCEL = "CA"


CONTROLS: Final = {control.value: control for control in OrderControl}
ORDER_EVENTS: Final = {("OML", "O21"), ("ORM", "O01")}


class UnusableOrder(Exception):
    """The message cannot be taken as an order; `error` says why in the sender's own terms."""

    def __init__(self, error: Hl7Error) -> None:
        self.error = error
        super().__init__(error.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrder:
    """One ORC/OBR pair."""

    control: OrderControl
    entry: OrderEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMessage:
    """What an order message says."""

    orders: tuple[ReadOrder, ...]
    requisition: RequisitionEntry  # its orders are the new ones only


@dataclass(frozen=True, slots=True)
class _Group:
    orc: Segment
    rest: tuple[Segment, ...]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.rest if segment.name == name), None)


def read_order(
    message: Message, catalog: Catalog, *, source: str, zone: tzinfo, inbox_id: int
) -> ReadMessage:
    """Read one order message; raise `UnusableOrder` when its structure does not carry an order."""
    _check_type(message)
    patient = message.first("PID")
    if patient is None:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected a PID segment", ErrorPlace(segment="PID")
        )
    groups = tuple(_groups(message))
    if not groups:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected ORC with OBR", ErrorPlace(segment="ORC")
        )
    orders = tuple(_order(group, catalog) for group in groups)
    collected_at, certainty = _collected(groups, zone)
    visit, orc = message.first("PV1"), groups[0].orc
    requisition = RequisitionEntry(
        patient=read_patient(patient),
        orders=tuple(o.entry for o in orders if o.control is OrderControl.NEW),
        source=source,
        placer_group=orc.component(4),
        placer_authority=orc.component(4, 2),
        requester=_person(orc, 12),
        requester_code=orc.component(12, 1),
        ward=visit.component(3) if visit else "",
        priority=orders[0].entry.priority,
        collected_at=collected_at,
        collected_certainty=certainty,
        inbox_id=inbox_id,
    )
    _check_storable(requisition)
    return ReadMessage(orders=orders, requisition=requisition)


def _check_storable(requisition: RequisitionEntry) -> None:
    """A NUL cannot be stored as text on every store, and no name or code holds one."""
    parts: list[object] = list(astuple(requisition))
    while parts:
        part = parts.pop()
        if isinstance(part, list | tuple):
            parts.extend(part)
        elif isinstance(part, str) and "\x00" in part:
            raise _unusable(
                ErrorCode.DATA_TYPE, "expected text, got a NUL character", ErrorPlace(segment="MSH")
            )


def read_patient(pid: Segment) -> PatientEntry:
    """PID as values; what is empty stays empty."""
    identifiers = tuple(
        IdentifierEntry(
            system=repeat.component(5) or "MR",
            value=repeat.component(1),
            issuer=repeat.component(4, sub=1),
        )
        for repeat in pid.repeats(3)
        if repeat.component(1)
    )
    if not identifiers and not pid.component(5):
        place = ErrorPlace(segment="PID", field=3)
        raise _unusable(
            ErrorCode.REQUIRED_FIELD_MISSING, "expected a patient identifier or a name", place
        )
    return PatientEntry(
        identifiers=identifiers,
        family_name=pid.component(5, 1, sub=1) or pid.component(5, 1),
        given_name=pid.component(5, 2),
        middle_name=pid.component(5, 3),
        birth_date=_date(pid.component(7)),
        sex=SEXES.get(pid.component(8).upper(), "U"),
    )


def _check_type(message: Message) -> None:
    if (message.code, message.event) in ORDER_EVENTS:
        return
    is_type_known = message.code in {code for code, _ in ORDER_EVENTS}
    error = ErrorCode.UNSUPPORTED_EVENT if is_type_known else ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    raise _unusable(
        error,
        f"expected OML^O21 or ORM^O01, got {message.code}^{message.event}",
        ErrorPlace(segment="MSH", field=9),
    )


def _groups(message: Message) -> Iterator[_Group]:
    orc: Segment | None = None
    rest: list[Segment] = []
    for segment in message.segments:
        if segment.name == "ORC":
            if orc is not None:
                yield _Group(orc, tuple(rest))
            orc, rest = segment, []
        elif orc is not None:
            rest.append(segment)
    if orc is not None:
        yield _Group(orc, tuple(rest))


def _order(group: _Group, catalog: Catalog) -> ReadOrder:
    control = CONTROLS.get(group.orc.component(1))
    if control is None:
        text = f"expected ORC-1 {' or '.join(CONTROLS)}, got {group.orc.component(1)!r}"
        raise _unusable(ErrorCode.TABLE_VALUE_NOT_FOUND, text, ErrorPlace(segment="ORC", field=1))
    obr = group.first("OBR")
    placer = group.orc if group.orc.component(2) or obr is None else obr
    if not placer.component(2):
        raise _unusable(
            ErrorCode.REQUIRED_FIELD_MISSING,
            "expected a placer number",
            ErrorPlace(segment="ORC", field=2),
        )
    if obr is None and control is OrderControl.NEW:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected OBR after ORC", ErrorPlace(segment="OBR")
        )
    timing = group.first("TQ1")
    priority = timing.component(9) if timing else ""
    entry = OrderEntry(
        code=_code(obr, catalog) if obr else "",
        placer_number=placer.component(2),
        placer_authority=placer.component(2, 2),
        placer_code=obr.raw_field(4) if obr else "",
        priority=PRIORITIES.get(priority or (obr.component(5) if obr else ""), "R"),
        notes=" ".join(note.field(3) for note in group.rest if note.name == "NTE"),
    )
    return ReadOrder(control=control, entry=entry)


def _code(obr: Segment, catalog: Catalog) -> str:
    """Our orderable code: as sent, as the alternate, or by LOINC; else the sent code, to be held."""
    sent, alternate = obr.component(4, 1), obr.component(4, 4)
    for candidate in (sent, alternate):
        if candidate and catalog.tests_of(candidate):
            return candidate
    systems = {obr.component(4, 3): sent, obr.component(4, 6): alternate}
    loinc = systems.get(LOINC)
    by_loinc = [
        test.code
        for test in catalog.tests.values()
        if loinc and any(code.system == "LOINC" and code.value == loinc for code in test.codes)
    ]
    return by_loinc[0] if len(by_loinc) == 1 else sent or alternate


def _collected(groups: tuple[_Group, ...], zone: tzinfo) -> tuple[datetime | None, str]:
    for group in groups:
        specimen, obr = group.first("SPM"), group.first("OBR")
        text = (specimen.component(17) if specimen else "") or (obr.component(7) if obr else "")
        read = parse_timestamp(text, zone) if text else None
        if read is not None:
            is_exact = read.precision not in {Precision.YEAR, Precision.MONTH, Precision.DAY}
            return read.at, "exact" if is_exact else "estimated"
    return None, "unknown"


def _date(text: str) -> str:
    """YYYY, YYYY-MM or YYYY-MM-DD from an HL7 date, as precise as it was sent."""
    digits = text[:8] if text[:8].isascii() and text[:8].isdigit() else ""
    parts = [digits[:4], digits[4:6], digits[6:8]]
    return "-".join(part for part in parts if part) if len(digits) in {4, 6, 8} else ""


def _person(segment: Segment, field: int) -> str:
    parts = (segment.component(field, 2), segment.component(field, 3))
    return " ".join(part for part in parts if part) or segment.component(field, 1)


def _unusable(code: ErrorCode, text: str, place: ErrorPlace) -> UnusableOrder:
    return UnusableOrder(Hl7Error(code=code, text=text, place=place))
