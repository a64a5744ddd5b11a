"""Reading an order message (ORM^O01, OML^O21, OML^O33) into values: no store, no decision.

    MSH  PID [PV1]  { ORC [TQ1] OBR [NTE] [SPM] }                  ORM^O01, OML^O21
    MSH  PID [PV1]  { SPM [SAC]  { ORC [TQ1] OBR [NTE] } }         OML^O33: orders by specimen

One ORC with its OBR is one order. Numbers and codes are kept as sent: the placer number is copied back
byte for byte, and a code the catalog does not know is held with its text. An order control that is not
in `order_controls` is refused by name, never taken for a new order. Two quotation marks say "delete"; an order has
nothing to delete, so they read as empty: only ADT messages change a person (`lis.emr.adt_reading`).
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime, tzinfo
from typing import Final

from lis.domain.catalog import Catalog
from lis.emr.order_controls import ANSWERS, CONTROLS, PRIOR, STATUSES
from lis.orders.entries import (
    IdentifierEntry,
    OrderEntry,
    OrderMessage,
    PatientEntry,
    RequisitionEntry,
    SaidOrder,
)
from lis.orders.merging import has_wrong_check_digit
from lis.orders.order_saying import Verb, stamp_of
from lis.wire.hl7 import DELETED, Message, Segment
from lis.wire.hl7_ack import ErrorCode, ErrorPlace, Hl7Error
from lis.wire.hl7_writer import Precision, parse_timestamp

LOINC: Final = "LN"
SEXES: Final = {"F": "F", "M": "M"}
PRIORITIES: Final = {"S": "S", "A": "A", "R": "R", "C": "C", "T": "C"}
ORDER_EVENTS: Final = {("OML", "O21"), ("OML", "O33"), ("ORM", "O01")}
BY_SPECIMEN: Final = "O33"


class UnusableOrder(Exception):
    """The message cannot be taken as an order; `error` says why in the sender's own terms."""

    def __init__(self, error: Hl7Error) -> None:
        self.error = error
        super().__init__(error.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrder:
    """One ORC/OBR pair."""

    control: str  # ORC-1 as sent
    said: SaidOrder

    @property
    def entry(self) -> OrderEntry:
        return self.said.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMessage:
    """What an order message says: its orders as they came, and the same as one part per specimen."""

    orders: tuple[ReadOrder, ...]
    parts: tuple[OrderMessage, ...]
    patient: Segment
    specimens: tuple[Segment | None, ...]  # of each part; only OML^O33 has one


@dataclass(frozen=True, slots=True)
class _Group:
    orc: Segment
    rest: tuple[Segment, ...]
    specimen: Segment | None = None  # of OML^O33, where it stands before its orders

    def first(self, name: str) -> Segment | None:
        if name == "SPM" and self.specimen is not None:
            return self.specimen
        return next((segment for segment in self.rest if segment.name == name), None)


def read_order(
    message: Message,
    catalog: Catalog,
    *,
    source: str,
    zone: tzinfo,
    inbox_id: int,
    received_at: datetime,
) -> ReadMessage:
    """Read one order message; raise `UnusableOrder` when its structure does not carry an order."""
    _check_type(message)
    patient = message.first("PID")
    if patient is None:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected a PID segment", ErrorPlace(segment="PID")
        )
    groups = tuple(group for group in _groups(message) if group.orc.component(1) != PRIOR)
    if not groups:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected ORC with OBR", ErrorPlace(segment="ORC")
        )
    orders = tuple(_order(group, groups, catalog) for group in groups)
    _check_once(orders)
    visit = message.first("PV1")
    person = read_patient(patient)
    stamp = stamp_of(moment_of(message, zone) or received_at, message.control_id)
    parts = []
    specimens = tuple(dict.fromkeys(group.specimen for group in groups))
    for specimen in specimens:
        mine = [one for one in zip(groups, orders, strict=True) if one[0].specimen is specimen]
        collected_at, certainty = _collected(tuple(group for group, _ in mine), zone)
        orc = mine[0][0].orc
        requisition = RequisitionEntry(
            patient=person,
            orders=(),
            source=source,
            placer_group=said(orc.component(4)),
            placer_authority=said(orc.component(4, 2)),
            requester=_person(orc, 12),
            requester_code=said(orc.component(12, 1)),
            ward=said(visit.component(3)) if visit else "",
            priority=mine[0][1].entry.priority,
            collected_at=collected_at,
            collected_certainty=certainty,
            inbox_id=inbox_id,
        )
        part = OrderMessage(
            orders=tuple(order.said for _, order in mine), requisition=requisition, stamp=stamp
        )
        _check_storable(part)
        parts.append(part)
    return ReadMessage(orders=orders, parts=tuple(parts), patient=patient, specimens=specimens)


def moment_of(message: Message, zone: tzinfo) -> datetime | None:
    """MSH-7; None when the sender left it out or wrote no time."""
    read = parse_timestamp(message.header.component(7), zone)
    return read.at if read else None


def said(text: str) -> str:
    """A part of a message that has nothing to delete."""
    return "" if text == DELETED else text


def _check_once(orders: tuple[ReadOrder, ...]) -> None:
    """One number is one order: which of two would count?"""
    seen = set()
    for order in orders:
        number = (order.entry.placer_number, order.entry.placer_authority)
        if number in seen:
            place = ErrorPlace(segment="ORC", field=2)
            text = "expected a placer number of its own for each order, got one twice"
            raise _unusable(ErrorCode.DUPLICATE_KEY, text, place)
        seen.add(number)


def _check_storable(message: OrderMessage) -> None:
    """A NUL cannot be stored as text on every store, and no name or code holds one."""
    parts: list[object] = list(astuple(message))
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
    identifiers = read_identifiers(pid, 3)
    if not identifiers and not said(pid.component(5)):
        place = ErrorPlace(segment="PID", field=3)
        raise _unusable(
            ErrorCode.REQUIRED_FIELD_MISSING, "expected a patient identifier or a name", place
        )
    return PatientEntry(
        identifiers=identifiers,
        family_name=said(pid.component(5, 1, sub=1) or pid.component(5, 1)),
        given_name=said(pid.component(5, 2)),
        middle_name=said(pid.component(5, 3)),
        birth_date=read_date(pid.component(7)),
        sex=SEXES.get(pid.component(8).upper(), "U"),
    )


def read_identifiers(segment: Segment, field: int) -> tuple[IdentifierEntry, ...]:
    """Every identifier of PID-3 or MRG-1, with its issuer, and whether its check digit fits."""
    return tuple(
        IdentifierEntry(
            system=repeat.component(5) or "MR",
            value=repeat.component(1),
            issuer=repeat.component(4, sub=1),
            is_check_digit_wrong=has_wrong_check_digit(
                repeat.component(1), repeat.component(2), repeat.component(3)
            ),
        )
        for repeat in segment.repeats(field)
        if said(repeat.component(1))
    )


def _check_type(message: Message) -> None:
    if (message.code, message.event) in ORDER_EVENTS:
        return
    is_type_known = message.code in {code for code, _ in ORDER_EVENTS}
    error = ErrorCode.UNSUPPORTED_EVENT if is_type_known else ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    raise _unusable(
        error,
        f"expected ORM^O01, OML^O21 or OML^O33, got {message.code}^{message.event}",
        ErrorPlace(segment="MSH", field=9),
    )


def _groups(message: Message) -> Iterator[_Group]:
    is_by_specimen = message.event == BY_SPECIMEN
    orc: Segment | None = None
    specimen: Segment | None = None
    rest: list[Segment] = []
    for segment in message.segments:
        begins_specimen = is_by_specimen and segment.name == "SPM"
        if segment.name == "ORC" or begins_specimen:
            if orc is not None:
                yield _Group(orc, tuple(rest), specimen)
            orc, rest = (None if begins_specimen else segment), []
            specimen = segment if begins_specimen else specimen
            if is_by_specimen and specimen is None:
                place = ErrorPlace(segment="SPM")
                raise _unusable(ErrorCode.SEGMENT_SEQUENCE, "expected SPM before ORC", place)
        elif orc is not None:
            rest.append(segment)
    if orc is not None:
        yield _Group(orc, tuple(rest), specimen)


def _verb(group: _Group, groups: tuple[_Group, ...]) -> Verb:
    code = group.orc.component(1)
    control = CONTROLS.get(code)
    if control is None:
        meaning = f", which says that {ANSWERS[code]}" if code in ANSWERS else ""
        text = f"expected ORC-1 {', '.join(CONTROLS)}, got {code!r}{meaning}"
        raise _unusable(ErrorCode.TABLE_VALUE_NOT_FOUND, text, ErrorPlace(segment="ORC", field=1))
    if code == "SC":
        return STATUSES.get(group.orc.component(5), Verb.NOTE)
    if control.verb is Verb.REPLACE and not any(
        CONTROLS[other.orc.component(1)].verb is Verb.PLACE
        for other in groups
        if other.orc.component(1) in CONTROLS
    ):
        return Verb.CHANGE  # nothing takes its place: the order itself is said anew
    return control.verb


def _order(group: _Group, groups: tuple[_Group, ...], catalog: Catalog) -> ReadOrder:
    verb = _verb(group, groups)
    obr = group.first("OBR")
    placer = group.orc if group.orc.component(2) or obr is None else obr
    if not placer.component(2):
        raise _unusable(
            ErrorCode.REQUIRED_FIELD_MISSING,
            "expected a placer number",
            ErrorPlace(segment="ORC", field=2),
        )
    if obr is None and verb in {Verb.PLACE, Verb.CHANGE}:
        raise _unusable(
            ErrorCode.SEGMENT_SEQUENCE, "expected OBR after ORC", ErrorPlace(segment="OBR")
        )
    entry = OrderEntry(
        code=_code(obr, catalog) if obr else "",
        placer_number=placer.component(2),
        placer_authority=placer.component(2, 2),
        placer_code=obr.raw_field(4) if obr else "",
        priority=_priority(group, obr),
        notes=" ".join(said(note.field(3)) for note in group.rest if note.name == "NTE").strip(),
    )
    has_content = obr is not None and (verb is Verb.PLACE or obr.component(4) != "")
    order = SaidOrder(verb=verb, entry=entry, has_content=has_content)
    return ReadOrder(control=group.orc.component(1), said=order)


def _priority(group: _Group, obr: Segment | None) -> str:
    """TQ1-9 from 2.5 on; before it ORC-7.6, OBR-27.6 or OBR-5."""
    timing = group.first("TQ1")
    places = [timing.component(9) if timing else "", group.orc.component(7, 6)]
    places += [obr.component(27, 6), obr.component(5)] if obr else []
    return PRIORITIES.get(next((text[:1] for text in places if text), ""), "R")


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


def read_date(text: str) -> str:
    """YYYY, YYYY-MM or YYYY-MM-DD from an HL7 date, as precise as it was sent."""
    digits = text[:8] if text[:8].isascii() and text[:8].isdigit() else ""
    parts = [digits[:4], digits[4:6], digits[6:8]]
    return "-".join(part for part in parts if part) if len(digits) in {4, 6, 8} else ""


def _person(segment: Segment, field: int) -> str:
    parts = (said(segment.component(field, 2)), said(segment.component(field, 3)))
    return " ".join(part for part in parts if part) or said(segment.component(field, 1))


def _unusable(code: ErrorCode, text: str, place: ErrorPlace) -> UnusableOrder:
    return UnusableOrder(Hl7Error(code=code, text=text, place=place))
