"""What people do at a desk: enter a referral from paper, receive tubes, reject one.

A form arrives as text. Here it becomes a referral or a refusal in words; nothing typed is dropped silently:

- A code the catalog does not know refuses the whole form. (An EMR's unknown code is held instead:
  nobody stands beside it who could be asked.)
- A patient is either chosen from the search, by public id, or new. A new patient under an identifier that
  somebody holds already is refused; so is one with the name and birth date of a stored patient, until the
  person at the desk says that it is somebody else.
- The form carries a key. The same form sent twice (a double press, a reload of the answer) places nothing
  new: key and content together are the orders' placer number. The same key with other content is a new form.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import Malformed, NotFound, Refused
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import SPECIMEN, SpecimenEvent, SpecimenState
from lis.orders.entries import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    Placed,
    RequisitionEntry,
)
from lis.orders.patients import KNOWN_SEXES
from lis.orders.placing import place_requisition, receive_specimen
from lis.orders.reads import PatientView, patient_view, search_patients
from lis.orders.routing import plan_orders
from lis.store.order_queries import (
    requisitions_by_ids,
    service_requests_by_placer,
    specimens_by_accession,
    work_orders_of_specimens,
)
from lis.store.people_queries import patients_by_ids, site_by_name
from lis.store.unit import Unit

SOURCE: Final = "form"
PLACER_AUTHORITY: Final = "LIS-FORM"
IDENTIFIER_SYSTEM: Final = "MR"  # HL7 table 0203: medical record number
PRIORITIES: Final = frozenset({"R", "S"})  # routine, stat
CLOCK_SLACK: Final = timedelta(minutes=5)  # a desk's clock may be ahead of ours by that much
DIGEST_LENGTH: Final = 16
ALIKE_MAX: Final = 500  # people of one name
_BIRTH_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
_BETWEEN_CODES: Final = re.compile(r"[\s,;]+")


class Collection(StrEnum):
    """What the desk knows about the moment of collection (S26)."""

    NOW = "now"
    EXACT = "exact"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderForm:
    """A referral as it was typed."""

    key: str  # of this sheet: the same key and content place nothing twice
    codes: str = ""
    patient: str = ""  # public id of a known patient, or "" for a new one
    family_name: str = ""
    given_name: str = ""
    middle_name: str = ""
    birth_date: str = ""
    sex: str = "U"
    identifier: str = ""
    is_another_person: bool = False
    collection: Collection = Collection.UNKNOWN
    collected_at: str = ""  # local time of the site, as a browser writes it
    collector: str = ""
    is_received: bool = False
    ward: str = ""
    requester: str = ""
    priority: str = "R"
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedTube:
    """What reception is told about a scanned tube."""

    accession: str
    specimen_type: str
    patient: PatientView
    requisition: str  # public id
    tests: int
    was_here: bool  # scanned before
    received_at: datetime


def split_codes(catalog: Catalog, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Typed codes and short forms, whatever their case, as (known to the catalog, unknown), each once and in order."""
    by_folded = typed_codes(catalog)
    words = [word for word in _BETWEEN_CODES.split(text) if word]
    known = (by_folded.get(word.casefold()) for word in words)
    unknown = (word for word in words if word.casefold() not in by_folded)
    return tuple(dict.fromkeys(code for code in known if code)), tuple(dict.fromkeys(unknown))


def typed_codes(catalog: Catalog) -> dict[str, str]:
    """What people may type, folded -> code: the codes themselves before any short form, panels before tests."""
    shorts: list[tuple[str, tuple[str, ...]]] = [
        *((panel.code, panel.short) for panel in catalog.panels.values()),
        *((test.code, test.short) for test in catalog.tests.values()),
    ]
    known: dict[str, str] = {}
    for code, _ in shorts:
        known.setdefault(code.casefold(), code)
    for code, typed in shorts:
        for short in typed:
            known.setdefault(short.casefold(), code)
    return known


def tubes_needed(catalog: Catalog, codes: tuple[str, ...]) -> tuple[str, ...]:
    """The specimen types to collect, one tube each."""
    return plan_orders(catalog, codes).specimen_types


def place_form(unit: Unit, catalog: Catalog, form: OrderForm, *, site: str, zone: tzinfo) -> Placed:
    """Place what the form says; raise `Refused` with what is wrong, in the order of the form.

    A form that was placed before comes back without a receipt code.
    """
    place = site_by_name(unit.session, site)
    if place is None:
        raise NotFound("Site", site)
    codes, unknown = split_codes(catalog, form.codes)
    number = _placer_number(form)
    is_again = any(
        service_requests_by_placer(unit.session, f"{number}:{code}", PLACER_AUTHORITY)
        for code in codes
    )
    # by now a newcomer is stored: placed again, nobody is looked for and nothing new is made
    patient = PatientEntry(family_name="") if is_again else _patient(unit.session, form)
    if unknown:
        raise Refused("orders.unknown_codes", codes=", ".join(unknown))
    collected_at = _collected_at(form, now=unit.now, zone=zone)
    priority = form.priority if form.priority in PRIORITIES else "R"
    entry = RequisitionEntry(
        patient=patient,
        orders=tuple(
            OrderEntry(
                code=code,
                placer_number=f"{number}:{code}",
                placer_authority=PLACER_AUTHORITY,
                priority=priority,
            )
            for code in codes
        ),
        source=SOURCE,
        requester=form.requester.strip(),
        ward=form.ward.strip(),
        priority=priority,
        notes=form.notes.strip(),
        collected_at=collected_at,
        collected_certainty=_CERTAINTY[form.collection],
        collector=form.collector.strip(),
        is_received=form.is_received,
    )
    return place_requisition(unit, catalog, entry, site_id=place.id)


def receive_at_desk(unit: Unit, text: str) -> ReceivedTube:
    """Receive a scanned tube; says in words why not."""
    number = text.strip()
    try:
        AccessionNumber.parse(number)
    except Malformed as error:
        raise Refused("orders.not_a_tube_number", text=number) from error
    known = specimens_by_accession(unit.session, [number]).get(number)
    if known is None:
        raise Refused("orders.unknown_specimen")
    if not SPECIMEN.allows(known.state, SpecimenEvent.RECEIVE):
        raise Refused("orders.specimen_not_live")
    was_here = known.state is SpecimenState.RECEIVED
    tube = receive_specimen(unit, number)
    patient = patients_by_ids(unit.session, [tube.patient_id])[tube.patient_id]
    requisition = requisitions_by_ids(unit.session, [tube.requisition_id])[tube.requisition_id]
    return ReceivedTube(
        accession=tube.accession,
        specimen_type=tube.specimen_type,
        patient=patient_view(unit.session, patient),
        requisition=requisition.public_id,
        tests=len(work_orders_of_specimens(unit.session, [tube.id])),
        was_here=was_here,
        received_at=tube.received_at or unit.now,
    )


def may_be_rejected(state: str) -> bool:
    """Whether a tube in this state can still be rejected."""
    known = SpecimenState(state)
    return known is not SpecimenState.REJECTED and SPECIMEN.allows(known, SpecimenEvent.REJECT)


_CERTAINTY: Final = {
    Collection.NOW: "exact",
    Collection.EXACT: "exact",
    Collection.ESTIMATED: "estimated",
    Collection.UNKNOWN: "unknown",
}


def _patient(session: Session, form: OrderForm) -> PatientEntry:
    if form.patient:
        return PatientEntry(family_name="", patient_public_id=form.patient)
    family, identifier = form.family_name.strip(), form.identifier.strip()
    if not family:
        raise Refused("orders.no_patient")
    birth_date = _birth_date(form.birth_date)
    if identifier and any(
        identifier in other.identifiers for other in search_patients(session, identifier)
    ):
        raise Refused("orders.identifier_in_use", identifier=identifier)
    given = form.given_name.strip()
    alike = search_patients(session, f"{family} {given}".strip(), limit=ALIKE_MAX)
    if not form.is_another_person and any(
        birth_date and other.birth_date == birth_date for other in alike
    ):
        raise Refused("orders.same_person", name=f"{family} {given}".strip(), birth_date=birth_date)
    return PatientEntry(
        family_name=family,
        given_name=given,
        middle_name=form.middle_name.strip(),
        birth_date=birth_date,
        sex=form.sex if form.sex in KNOWN_SEXES else "U",
        identifiers=(IdentifierEntry(system=IDENTIFIER_SYSTEM, value=identifier),)
        if identifier
        else (),
    )


def _birth_date(text: str) -> str:
    """YYYY, YYYY-MM or YYYY-MM-DD of a real day; "" if unknown."""
    found = _BIRTH_DATE.fullmatch(text.strip())
    if not text.strip():
        return ""
    if found is None:
        raise Refused("orders.birth_date_unreadable", text=text.strip())
    year, month, day = (int(part) if part else 1 for part in found.groups())
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise Refused("orders.birth_date_unreadable", text=text.strip()) from error
    return text.strip()


def _collected_at(form: OrderForm, *, now: datetime, zone: tzinfo) -> datetime | None:
    if form.collection is Collection.NOW:
        return now
    if form.collection is Collection.UNKNOWN:
        return None
    try:
        local = datetime.fromisoformat(form.collected_at.strip())
    except ValueError as error:
        raise Refused("orders.collected_unreadable") from error
    at = (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)
    if at > now + CLOCK_SLACK:
        raise Refused("orders.collected_in_future")
    return at


def _placer_number(form: OrderForm) -> str:
    content = "\n".join(f"{name}={value}" for name, value in sorted(asdict(form).items()))
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:DIGEST_LENGTH]
