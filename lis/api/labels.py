"""Labels of tubes and the sheet of a referral: what will be printed, and asking a printer for it."""

from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lis.api.deps import InLaboratory, Language, Snapshot
from lis.api.orders import NOTES_MAX, TEXT_MAX, OrderClerk
from lis.api.problems import responses
from lis.app.laboratory import Laboratory
from lis.domain.errors import Refused
from lis.orders.labelling import check_receipt, layout_of, print_label, show_label, size_of
from lis.orders.reads import show_requisition
from lis.printing.label_bitmap import label_bitmap, label_pdf, label_png
from lis.printing.labels import SIZE_DEFAULT, LabelLayout
from lis.printing.referral_form import ReferralForm, referral_form_pdf
from lis.printing.zpl import zpl_of
from lis.words import LANGUAGES, Words

SIZE_MAX: Final = 8
Size = Annotated[str, Query(max_length=SIZE_MAX, description="of the roll in millimetres")]
PRIVATE: Final = {"cache-control": "no-store"}

router = APIRouter(tags=["labels"])


class PrinterBody(BaseModel):
    name: str
    size: str
    site: str
    on_order: bool


class PrintBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    printer: str
    printed_at: datetime
    actor: str
    copies: int
    reason: str


class LabelBody(BaseModel):
    """A tube's label in words, and each time it was printed."""

    accession: str
    state: str
    requisition: str
    prints: list[PrintBody]


class NewPrint(BaseModel):
    """`reason` is asked for every label of a tube after its first."""

    printer: str = Field(max_length=TEXT_MAX)
    copies: int = 1
    reason: str = Field(default="", max_length=NOTES_MAX)


class QueuedPrint(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    printer: str
    copies: int


class FormWish(BaseModel):
    """With the receipt's code the sheet carries it as QR; nobody else knows it."""

    receipt_code: str = Field(default="", max_length=64)
    language: str = Field(default="", max_length=2)


@router.get("/printers", responses=responses(401, 403))
def read_printers(_actor: OrderClerk, laboratory: InLaboratory) -> list[PrinterBody]:
    """The label printers of this installation; a handful, so there is no paging."""
    settings = laboratory.settings
    return [
        PrinterBody(
            name=one.name, size=one.size, site=settings.site_of(one.site), on_order=one.on_order
        )
        for one in settings.printer
    ]


@router.get("/specimens/{accession}/label", responses=responses(401, 403, 404))
def read_label(
    accession: str, _actor: OrderClerk, laboratory: InLaboratory, session: Snapshot
) -> LabelBody:
    """Where and why the labels of a tube were printed."""
    label = show_label(session, laboratory.catalog(), accession, language=_language(laboratory))
    return LabelBody(
        accession=label.accession,
        state=label.state,
        requisition=label.requisition,
        prints=[PrintBody.model_validate(one) for one in label.prints],
    )


@router.get(
    "/specimens/{accession}/label.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, **responses(401, 403, 404, 422)},
)
def draw_preview(
    accession: str,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    size: Size = SIZE_DEFAULT,
) -> Response:
    """The label as the printer makes it, dot for dot."""
    layout = _layout(laboratory, session, accession, size)
    return Response(label_png(label_bitmap(layout)), media_type="image/png", headers=PRIVATE)


@router.get(
    "/specimens/{accession}/label.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, **responses(401, 403, 404, 422)},
)
def draw_pdf(
    accession: str,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    size: Size = SIZE_DEFAULT,
) -> Response:
    """The label as a page of its own size, for a printer of the office."""
    layout = _layout(laboratory, session, accession, size)
    pdf = label_pdf(layout, at=laboratory.clock.now())
    return Response(pdf, media_type="application/pdf", headers=PRIVATE)


@router.get(
    "/specimens/{accession}/label.zpl",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **responses(401, 403, 404, 422)},
)
def draw_zpl(
    accession: str,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    size: Size = SIZE_DEFAULT,
) -> Response:
    """What a label printer would be sent."""
    layout = _layout(laboratory, session, accession, size)
    return Response(zpl_of(label_bitmap(layout)), media_type="text/plain", headers=PRIVATE)


@router.post(
    "/specimens/{accession}/label", status_code=202, responses=responses(401, 403, 404, 422)
)
def ask_for_label(
    accession: str, body: NewPrint, actor: OrderClerk, laboratory: InLaboratory
) -> QueuedPrint:
    """Queue a label for a printer; it prints when the printer can."""
    return queue_label(laboratory, actor.login, accession, body)


def queue_label(laboratory: Laboratory, login: str, accession: str, wish: NewPrint) -> QueuedPrint:
    """What endpoint and page do."""
    known = [printer.name for printer in laboratory.settings.printer]
    if wish.printer not in known:
        raise Refused("labels.unknown_printer", printer=wish.printer, known=", ".join(known) or "-")
    with laboratory.store.unit(login) as unit:
        row = print_label(
            unit, accession, printer=wish.printer, copies=wish.copies, reason=wish.reason
        )
        return QueuedPrint.model_validate(row)


@router.post(
    "/orders/{public_id}/form.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, **responses(401, 403, 404, 422)},
)
def draw_form(
    public_id: str,
    body: FormWish,
    *,
    request: Request,
    _actor: OrderClerk,
    laboratory: InLaboratory,
    session: Snapshot,
    language: Language,
) -> Response:
    """The referral's sheet; a POST, because the receipt's code must not stand in an address."""
    spoken = body.language if body.language in LANGUAGES else language
    words = Words(spoken)
    view = show_requisition(session, laboratory.catalog(), public_id, language=spoken)
    if body.receipt_code:
        check_receipt(session, public_id, body.receipt_code)
    zone = ZoneInfo(laboratory.settings.site[0].timezone)
    address = f"{request.url.scheme}://{request.url.netloc}/r"
    form = ReferralForm(
        laboratory=laboratory.settings.laboratory.name,
        name=view.line.patient.name,
        birth_date=view.line.patient.birth_date,
        sex=view.line.patient.sex,
        ordered_at=view.line.created_at.astimezone(zone).strftime("%d.%m.%Y %H:%M"),
        identifiers=view.line.patient.identifiers,
        requester=view.line.requester,
        ward=view.ward,
        priority=view.line.priority,
        tests=tuple((one.code, one.name) for one in view.orders),
        tubes=tuple(
            (tube.accession, _material(words, tube.specimen_type)) for tube in view.specimens
        ),
        code=body.receipt_code.strip(),
        address=address,
        link=f"{address}#{body.receipt_code.strip()}",
    )
    pdf = referral_form_pdf(form, language=spoken, at=laboratory.clock.now())
    return Response(pdf, media_type="application/pdf", headers=PRIVATE)


def _language(laboratory: Laboratory) -> str:
    """Labels speak the laboratory's language, whoever prints them."""
    return laboratory.settings.laboratory.language


def _layout(laboratory: Laboratory, session: Snapshot, accession: str, size: str) -> LabelLayout:
    label = show_label(session, laboratory.catalog(), accession, language=_language(laboratory))
    return layout_of(label.facts, size_of(size))


def _material(words: Words, code: str) -> str:
    key = f"orderpage.material.{code}"
    return words(key) if words.has(key) else code
