"""The page of labels: scan a tube, see its label as the printer makes it, print it again with a reason."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import laboratory_of
from lis.api.labels import SIZE_MAX, NewPrint, queue_label
from lis.api.orders import NOTES_MAX, TEXT_MAX, OrderClerk
from lis.api.problems import status_of
from lis.domain.errors import NotFound, Refused
from lis.orders.labelling import TubeLabel, show_label
from lis.printing.labels import SIZE_DEFAULT, SIZES
from ui.pages.showing import refusal_in_words, show

COPIES_LENGTH_MAX: Final = 3
Text = Annotated[str, Form(max_length=TEXT_MAX)]

router = APIRouter()


def _find(request: Request, accession: str) -> TubeLabel | None:
    laboratory = laboratory_of(request)
    if not accession.strip():
        return None
    try:
        with laboratory.store.read() as session:
            return show_label(
                session,
                laboratory.catalog(),
                accession,
                language=laboratory.settings.laboratory.language,
            )
    except NotFound:
        return None


def _show(
    request: Request,
    accession: str,
    size: str,
    *,
    queued: str = "",
    reason: str = "",
    problem: Refused | None = None,
) -> Response:
    label = _find(request, accession)
    status = 404 if accession.strip() and label is None else 200
    printers = laboratory_of(request).settings.printer
    shown = size if size in SIZES else next((one.size for one in printers), SIZE_DEFAULT)
    return show(
        request,
        "labels.html",
        status=status_of(problem) if problem else status,
        accession=accession.strip(),
        label=label,
        size=SIZES[shown],
        sizes=tuple(SIZES.values()),
        printers=printers,
        queued=queued,
        reason=reason,
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/labels")
def show_labels(
    request: Request,
    _actor: OrderClerk,
    accession: Annotated[str, Query(max_length=TEXT_MAX)] = "",
    size: Annotated[str, Query(max_length=SIZE_MAX)] = "",
) -> Response:
    """The scan field, and the label of the tube that was scanned."""
    return _show(request, accession, size)


@router.post("/labels")
def print_labels(
    request: Request,
    actor: OrderClerk,
    *,
    accession: Text = "",
    printer: Text = "",
    copies: Annotated[str, Form(max_length=COPIES_LENGTH_MAX)] = "1",
    reason: Annotated[str, Form(max_length=NOTES_MAX)] = "",
    size: Annotated[str, Form(max_length=SIZE_MAX)] = "",
) -> Response:
    """Print, then the same tube with its history: one scan a label, no way back needed."""
    count = int(copies) if copies.isascii() and copies.isdigit() else 0
    wish = NewPrint(printer=printer, copies=count, reason=reason)
    try:
        queue_label(laboratory_of(request), actor.login, accession, wish)
    except Refused as refusal:
        return _show(request, accession, size, reason=reason, problem=refusal)
    return _show(request, accession, size, queued=printer)
