"""Orders: the list with reception's scan field, entry on one page, and one referral with its tubes.

The receipt's code is known only while the referral is placed, and must never stand in an address. So the
answer to the form is itself the page that shows it (nothing here is kept by a browser); reloading sends the same form
again, which places nothing and leads to the same referral without the code.
"""

import secrets
from dataclasses import asdict
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import Field

from lis.api.deps import InLaboratory, laboratory_of, language_of
from lis.api.labels import NewPrint, queue_label
from lis.api.orders import CODES_MAX, NOTES_MAX, TEXT_MAX, NewOrder, OrderClerk
from lis.api.problems import status_of
from lis.app.laboratory import Laboratory
from lis.domain.errors import Refused
from lis.domain.roles import Role
from lis.orders import Placed, reject_specimen
from lis.orders.advising import Draft, drop_draft, kept_draft
from lis.orders.desk import (
    Collection,
    OrderForm,
    ReceivedTube,
    may_be_rejected,
    place_form,
    receive_at_desk,
    split_codes,
    tubes_needed,
)
from lis.orders.reads import (
    PAGE_ROWS,
    PatientView,
    chosen_patient,
    list_requisitions,
    orderables,
    search_patients,
    show_requisition,
)
from lis.printing.qr import qr_svg
from ui.pages.showing import go, refusal_in_words, show

KEY_BYTES: Final = 12
SEARCH: Final = "search"
Text = Annotated[str, Form(max_length=TEXT_MAX)]
Notes = Annotated[str, Form(max_length=NOTES_MAX)]


class TypedOrder(NewOrder):
    """The entry form: what the API takes, the patient search of a browser without scripts, the token."""

    codes: str = Field(default="", max_length=CODES_MAX)  # an empty field is not sent
    search: str = ""
    action: str = ""
    csrf: str = ""
    printer: Annotated[str, Field(max_length=TEXT_MAX)] = ""  # of the labels; "" prints none

    def form(self) -> OrderForm:
        return OrderForm(**self.model_dump(exclude={"search", "action", "csrf", "printer"}))


router = APIRouter()


# --- the list -----------------------------------------------------------------------------------


def _show_list(
    request: Request,
    *,
    text: str = "",
    before: int | None = None,
    received: ReceivedTube | None = None,
    problem: Refused | None = None,
) -> Response:
    with laboratory_of(request).store.read() as session:
        rows = list_requisitions(session, before=before, text=text)
    return show(
        request,
        "orders.html",
        status=status_of(problem) if problem else 200,
        script_areas=("orderpage",),
        rows=rows,
        text=text,
        before=before,
        older=rows[-1].key if len(rows) == PAGE_ROWS else None,
        received=received,
        scan_problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/orders")
def show_orders(
    request: Request,
    _actor: OrderClerk,
    text: Annotated[str, Query(max_length=TEXT_MAX)] = "",
    before: int | None = None,
) -> Response:
    """The newest referrals first."""
    return _show_list(request, text=text, before=before)


@router.post("/orders")
def scan_tube(
    request: Request, actor: OrderClerk, laboratory: InLaboratory, accession: Text
) -> Response:
    """Reception without scripts: the scanned tube, then the list again."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            received = receive_at_desk(unit, accession)
    except Refused as refusal:
        return _show_list(request, problem=refusal)
    return _show_list(request, received=received)


# --- entry --------------------------------------------------------------------------------------


def _show_entry(
    request: Request,
    form: OrderForm,
    *,
    login: str = "",  # whose draft is offered
    search: str = "",
    problem: Refused | None = None,
    found: tuple[PatientView, ...] | None = None,
) -> Response:
    laboratory = laboratory_of(request)
    catalog = laboratory.catalog()
    with laboratory.store.read() as session:
        patient = chosen_patient(session, form.patient)
        draft = kept_draft(session, login, laboratory.clock.now()) if login else None
    everything = orderables(catalog, language=language_of(request))
    known, _ = split_codes(catalog, form.codes)
    return show(
        request,
        "order_new.html",
        status=status_of(problem) if problem else 200,
        script_areas=("orderpage",),
        has_keys=True,
        form=form,
        patient=patient,
        search=search,
        found=found,
        orderables=everything,
        document=[
            {
                "code": one.code,
                "name": one.name,
                "types": one.specimen_types,
                "panel": one.is_panel,
                "short": one.short,
            }
            for one in everything
        ],
        draft=draft,
        drafted=_drafted(draft),
        printers=[one.name for one in laboratory.settings.printer],
        tubes=tubes_needed(catalog, known),
        collections=tuple(Collection),
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/orders/new")
def show_entry(request: Request, actor: OrderClerk) -> Response:
    """An empty form; a doctor's own name stands in it as the requester."""
    requester = actor.name if Role.DOCTOR in actor.roles else ""
    form = OrderForm(key=secrets.token_urlsafe(KEY_BYTES), requester=requester)
    return _show_entry(request, form, login=actor.login)


@router.post("/orders/new")
def enter_order(
    request: Request,
    actor: OrderClerk,
    laboratory: InLaboratory,
    typed: Annotated[TypedOrder, Form()],
) -> Response:
    """Place the referral and show its receipt, once; or search a patient without scripts."""
    form = typed.form()
    if typed.action == SEARCH:
        with laboratory.store.read() as session:
            found = search_patients(session, typed.search)
        return _show_entry(request, form, search=typed.search, found=found)
    site = laboratory.settings.site[0]
    try:
        with laboratory.store.unit(actor.login) as unit:
            placed = place_form(
                unit,
                laboratory.catalog(),
                form,
                site=site.name,
                zone=ZoneInfo(site.timezone),
            )
            drop_draft(unit, actor.login)
    except Refused as refusal:
        return _show_entry(request, form, search=typed.search, problem=refusal)
    if not placed.receipt_code:
        return go(f"/orders/{placed.public_id}")
    problem = _print_labels(laboratory, actor.login, placed, typed.printer)
    return _show_order(request, placed.public_id, placed=placed, problem=problem)


def _print_labels(
    laboratory: Laboratory, login: str, placed: Placed, printer: str
) -> Refused | None:
    """Ask for the first label of each new tube; the order stands whatever the printer says."""
    try:
        for tube in placed.specimens if printer else ():
            queue_label(laboratory, login, tube.accession, NewPrint(printer=printer))
    except Refused as refusal:
        return refusal
    return None


def _drafted(draft: Draft | None) -> dict[str, Any] | None:
    """The draft as the script fills it in; a person who is gone since is no longer chosen."""
    if draft is None:
        return None
    shown = asdict(draft.patient) if draft.patient else None
    return {**draft.body, "patient": shown["public_id"] if shown else "", "chosen": shown}


# --- one referral -------------------------------------------------------------------------------


def _show_order(
    request: Request,
    public_id: str,
    *,
    placed: Placed | None = None,
    problem: Refused | None = None,
) -> Response:
    laboratory = laboratory_of(request)
    with laboratory.store.read() as session:
        order = show_requisition(
            session, laboratory.catalog(), public_id, language=language_of(request)
        )
    return show(
        request,
        "order.html",
        status=status_of(problem) if problem else 200,
        script_areas=("orderpage",),
        order=order,
        receipt=_receipt(request, placed) if placed else None,
        may_be_rejected=may_be_rejected,
        problem=refusal_in_words(request, problem) if problem else "",
    )


def _receipt(request: Request, placed: Placed) -> dict[str, Any]:
    """The patient's receipt: the code for hands, the address for a phone's camera."""
    base = str(request.base_url).rstrip("/")
    address = f"{base}/r"
    return {
        "code": placed.receipt_code,
        "address": address,
        "qr": qr_svg(f"{address}#{placed.receipt_code}"),
    }


@router.get("/orders/{public_id}")
def show_order(request: Request, public_id: str, _actor: OrderClerk) -> Response:
    """One referral; never its receipt's code."""
    return _show_order(request, public_id)


@router.post("/orders/{public_id}/tubes/{specimen_id}/reject")
def reject_tube(
    request: Request,
    actor: OrderClerk,
    laboratory: InLaboratory,
    public_id: str,
    specimen_id: int,
    *,
    version: Annotated[int, Form()],
    reason: Notes,
) -> Response:
    """Reject a tube with a reason, at exactly the version that was shown."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            reject_specimen(unit, specimen_id, version=version, reason=reason)
    except Refused as refusal:
        return _show_order(request, public_id, problem=refusal)
    return go(f"/orders/{public_id}")
