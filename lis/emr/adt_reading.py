"""Reading ADT messages into values: who is spoken of, what is said, and which identities are one. No store.

    A01-A08, A11-A13, A28, A31     what PID says of one person
    A40, A34, A18                  MRG-1 names an identity that is retired in favour of the PID above it
    A24                            two PIDs: the second is the same person as the first

A visit is not kept: which ward a patient lies in stands on each referral.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum, auto
from typing import Final

from lis.emr.order_reading import (
    SEXES,
    UnusableOrder,
    moment_of,
    read_date,
    read_identifiers,
    said,
)
from lis.orders.entries import IdentifierEntry, PatientEntry
from lis.orders.order_saying import stamp_of
from lis.wire.hl7 import Message, Segment
from lis.wire.hl7_ack import ErrorCode, ErrorPlace, Hl7Error


class News(Enum):
    PERSON = auto()
    MERGE = auto()
    LINK = auto()


EVENTS: Final = {
    **dict.fromkeys(("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08"), News.PERSON),
    **dict.fromkeys(("A11", "A12", "A13", "A28", "A31"), News.PERSON),
    **dict.fromkeys(("A18", "A34", "A40"), News.MERGE),
    "A24": News.LINK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonNews:
    """One PID: whom it names, and the fields it speaks of; "" deletes."""

    entry: PatientEntry
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeNews:
    """One identity that is retired, and the one that survives."""

    retired: PersonNews
    surviving: PersonNews


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAdt:
    stamp: str
    people: tuple[PersonNews, ...]
    merges: tuple[MergeNews, ...]


def read_adt(message: Message, *, zone: tzinfo, received_at: datetime) -> ReadAdt:
    """Read one ADT message; raise `UnusableOrder` when it is none we know or names nobody."""
    news = EVENTS.get(message.event)
    if news is None:
        text = f"expected ADT^{', '.join(sorted(EVENTS))}, got ADT^{message.event}"
        raise _unusable(ErrorCode.UNSUPPORTED_EVENT, text, ErrorPlace(segment="MSH", field=9))
    segments = [one for one in message.segments if one.name in {"PID", "MRG"}]
    if not any(one.name == "PID" for one in segments):
        place = ErrorPlace(segment="PID")
        raise _unusable(ErrorCode.SEGMENT_SEQUENCE, "expected a PID segment", place)
    people = tuple(_person(one) for one in segments if one.name == "PID")
    merges: tuple[MergeNews, ...] = ()
    if news is News.MERGE:
        merges = _merges(segments)
    elif news is News.LINK:
        merges = tuple(MergeNews(retired=one, surviving=people[0]) for one in people[1:])
    if news is not News.PERSON and not merges:
        name = "MRG" if news is News.MERGE else "PID"
        text = f"expected {name} with the other identity of ADT^{message.event}"
        raise _unusable(ErrorCode.SEGMENT_SEQUENCE, text, ErrorPlace(segment=name))
    stamp = stamp_of(moment_of(message, zone) or received_at, message.control_id)
    return ReadAdt(stamp=stamp, people=people, merges=merges)


def _merges(segments: list[Segment]) -> tuple[MergeNews, ...]:
    merges = []
    surviving: PersonNews | None = None
    for segment in segments:
        if segment.name == "PID":
            surviving = _person(segment)
        elif surviving is not None:
            identifiers = read_identifiers(segment, 1)
            _check_named(identifiers, "MRG", 1)
            entry = PatientEntry(
                identifiers=identifiers, family_name=said(segment.component(7, 1, sub=1))
            )
            merges.append(
                MergeNews(retired=PersonNews(entry=entry, fields=()), surviving=surviving)
            )
    return tuple(merges)


def _person(pid: Segment) -> PersonNews:
    identifiers = read_identifiers(pid, 3)
    _check_named(identifiers, "PID", 3)
    fields = _fields(pid)
    entry = PatientEntry(
        identifiers=identifiers,
        family_name=fields.get("family_name", ""),
        given_name=fields.get("given_name", ""),
        middle_name=fields.get("middle_name", ""),
        birth_date=fields.get("birth_date", ""),
        sex=fields.get("sex", "") or "U",
    )
    return PersonNews(entry=entry, fields=tuple(sorted(fields.items())))


def _check_named(identifiers: tuple[IdentifierEntry, ...], name: str, field: int) -> None:
    if not identifiers:
        place = ErrorPlace(segment=name, field=field)
        text = "expected a patient identifier"
        raise _unusable(ErrorCode.REQUIRED_FIELD_MISSING, text, place)
    if any("\x00" in part for one in identifiers for part in (one.system, one.value, one.issuer)):
        place = ErrorPlace(segment=name, field=field)
        raise _unusable(ErrorCode.DATA_TYPE, "expected text, got a NUL character", place)


def _fields(pid: Segment) -> dict[str, str]:
    """What is said; an empty field says nothing, two quotation marks delete."""
    fields = {}
    if pid.is_deleted(5):
        fields = {"family_name": "", "given_name": "", "middle_name": ""}
    else:
        parts = (pid.component(5, 1, sub=1), pid.component(5, 2), pid.component(5, 3))
        for name, part in zip(("family_name", "given_name", "middle_name"), parts, strict=True):
            if part:
                fields[name] = said(part)
    if pid.is_deleted(7):
        fields["birth_date"] = ""
    elif read_date(pid.component(7)):
        fields["birth_date"] = read_date(pid.component(7))
    if pid.is_deleted(8):
        fields["sex"] = ""
    elif pid.component(8).upper() in SEXES:
        fields["sex"] = SEXES[pid.component(8).upper()]
    if any("\x00" in value for value in fields.values()):
        place = ErrorPlace(segment="PID", field=5)
        raise _unusable(ErrorCode.DATA_TYPE, "expected text, got a NUL character", place)
    return fields


def _unusable(code: ErrorCode, text: str, place: ErrorPlace) -> UnusableOrder:
    return UnusableOrder(Hl7Error(code=code, text=text, place=place))
