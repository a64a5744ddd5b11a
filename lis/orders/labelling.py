"""What stands on a tube's label, and asking a printer for one.

A label goes out through the outbox (destination `printer:NAME`): a printer that is off gets it when it is back, and
nobody waits for it. Each print is a row of its own with who, when and where; every one after the first also says
why, because two tubes with one number are how results change places (S16).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.access.passwords import receipt_hash
from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import WorkOrderState
from lis.printing.label_bitmap import Bitmap, label_bitmap
from lis.printing.labels import (
    SIZES,
    LabelFacts,
    LabelLayout,
    LabelSize,
    LabelTooSmall,
    lay_out,
    shown_date,
)
from lis.printing.zpl import COPIES_MAX
from lis.store.label_queries import prints_of
from lis.store.label_rows import LabelPrint
from lis.store.order_queries import (
    requisition_by_public_id,
    requisitions_by_ids,
    service_requests_by_ids,
    service_requests_of_requisition,
    specimen_by_id,
    specimens_by_accession,
    work_orders_of_specimens,
)
from lis.store.order_rows import Specimen
from lis.store.people_queries import access_by_hash, all_sites, patients_by_ids
from lis.store.unit import Unit
from lis.words import Words

ACCESSION_LENGTH_MAX: Final = 64
MARKS: Final = ("S", "A")  # urgent first; routine has no mark


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedLabel:
    """One print of a tube's label."""

    number: int
    printer: str
    printed_at: datetime
    actor: str
    copies: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeLabel:
    """A tube's label as a page shows it."""

    specimen_id: int
    accession: str
    facts: LabelFacts
    state: str
    requisition: str  # public id
    prints: tuple[PrintedLabel, ...]


def printer_destination(name: str) -> str:
    """Where labels for a printer wait in the outbox."""
    return f"printer:{name}"


def size_of(code: str) -> LabelSize:
    """A roll by its name; raises `Refused`."""
    size = SIZES.get(code)
    if size is None:
        raise Refused("labels.unknown_size", size=code, known=", ".join(SIZES))
    return size


def show_label(session: Session, catalog: Catalog, accession: str, *, language: str) -> TubeLabel:
    """The label of the tube with this number and what was printed; raises `NotFound`."""
    tube = _tube(session, accession)
    requisition = requisitions_by_ids(session, (tube.requisition_id,))[tube.requisition_id]
    return TubeLabel(
        specimen_id=tube.id,
        accession=tube.accession,
        facts=label_facts(session, catalog, tube, language=language),
        state=tube.state.value,
        requisition=requisition.public_id,
        prints=tuple(
            PrintedLabel(
                number=row.number,
                printer=row.printer,
                printed_at=row.created_at,
                actor=row.actor,
                copies=row.copies,
                reason=row.reason,
            )
            for row in prints_of(session, tube.id)
        ),
    )


def label_facts(session: Session, catalog: Catalog, tube: Specimen, *, language: str) -> LabelFacts:
    """What the label of a tube says, in a language."""
    words = Words(language)
    patient = patients_by_ids(session, (tube.patient_id,))[tube.patient_id]
    rows = work_orders_of_specimens(session, (tube.id,))
    live = [row for row in rows if row.state is not WorkOrderState.CANCELLED]
    requests = service_requests_by_ids(session, (row.service_request_id for row in live))
    tests = dict.fromkeys(requests[row.service_request_id].code for row in live)
    sites = {site.id: site.name for site in all_sites(session)}
    return LabelFacts(
        accession=tube.accession,
        family_name=patient.family_name,
        given_name=patient.given_name,
        middle_name=patient.middle_name,
        born=_born(words, patient.birth_date),
        container=_container(catalog, tube, words),
        site=sites[tube.site_id] if len(sites) > 1 else "",
        mark=_mark(session, tube, words),
        tests=tuple(tests),
    )


def check_receipt(session: Session, public_id: str, code: str) -> None:
    """Refuse a receipt's code that is not of this referral: the sheet would open another person's results."""
    access = access_by_hash(session, receipt_hash(code))
    referral = requisition_by_public_id(session, public_id)
    if access is None or referral is None or access.requisition_id != referral.id:
        raise Refused("labels.wrong_receipt")


def layout_of(facts: LabelFacts, size: LabelSize) -> LabelLayout:
    """The layout; a roll that cannot hold the number is refused in words."""
    try:
        return lay_out(facts, size)
    except LabelTooSmall as error:
        raise Refused("labels.too_small", size=size.code, accession=facts.accession) from error


def draw_tube_label(
    session: Session, catalog: Catalog, specimen_id: int, *, size: LabelSize, language: str
) -> Bitmap:
    """The dots of a tube's label as it is now."""
    tube = specimen_by_id(session, specimen_id)
    if tube is None:
        raise NotFound("Specimen", specimen_id)
    return label_bitmap(layout_of(label_facts(session, catalog, tube, language=language), size))


def print_label(
    unit: Unit, accession: str, *, printer: str, copies: int = 1, reason: str = ""
) -> LabelPrint:
    """Ask a printer for the label of a tube; a second label of the same tube needs a reason."""
    tube = _tube(unit.session, accession)
    if not 1 <= copies <= COPIES_MAX:
        raise Refused("labels.copies_limit", limit=COPIES_MAX)
    before = prints_of(unit.session, tube.id)
    if before and not reason.strip():
        raise Refused("labels.reason_needed", accession=tube.accession)
    return queue_print(
        unit, tube, number=len(before) + 1, printer=printer, copies=copies, reason=reason.strip()
    )


def queue_print(
    unit: Unit, tube: Specimen, *, number: int, printer: str, copies: int = 1, reason: str = ""
) -> LabelPrint:
    """Write one print with its delivery and its audit entry."""
    row = LabelPrint(
        specimen_id=tube.id,
        number=number,
        printer=printer,
        created_at=unit.now,
        actor=unit.actor,
        copies=copies,
        reason=reason,
    )
    unit.session.add(row)
    unit.session.flush()
    unit.send(
        destination=printer_destination(printer),
        key=f"label:{tube.public_id}:{number}",
        order_key=f"label:{tube.accession}",
        payload={"specimen": tube.id, "copies": copies},
        not_before=unit.now,
    )
    unit.audit(
        "label_printed" if number == 1 else "label_reprinted",
        "Specimen",
        tube.id,
        after={"number": number, "printer": printer, "copies": copies, "reason": reason},
    )
    return row


def _tube(session: Session, accession: str) -> Specimen:
    wanted = accession.strip()[:ACCESSION_LENGTH_MAX]
    tube = specimens_by_accession(session, [wanted]).get(wanted)
    if tube is None:
        raise NotFound("Specimen", wanted)
    return tube


def _born(words: Words, birth_date: str) -> str:
    if not birth_date:
        return words("labels.born_unknown")
    return words("labels.born", date=shown_date(birth_date, words.language))


def _container(catalog: Catalog, tube: Specimen, words: Words) -> str:
    """The tube's name and the colour of its cap; of an unknown one its material."""
    known = catalog.containers.get(tube.container)
    if known is None:
        return tube.container or _said(words, f"orderpage.material.{tube.specimen_type}")
    name = known.names.get(words.language) or known.names.get("en") or known.code
    cap = _said(words, f"orderpage.cap.{known.cap}") if known.cap else ""
    return ", ".join(part for part in (name, cap) if part)


def _said(words: Words, key: str) -> str:
    """A word, or the code at the end of its key where nobody has said it yet."""
    return words(key) if words.has(key) else key.rpartition(".")[2]


def _mark(session: Session, tube: Specimen, words: Words) -> str:
    """The most urgent of the referral and its orders."""
    referral = requisitions_by_ids(session, (tube.requisition_id,))[tube.requisition_id]
    priorities = {referral.priority} | {
        request.priority for request in service_requests_of_requisition(session, referral.id)
    }
    found = next((mark for mark in MARKS if mark in priorities), "")
    return words(f"labels.mark.{found}") if found else ""
