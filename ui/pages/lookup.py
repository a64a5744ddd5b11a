"""The look-up: somebody telephones, a person answers, and notes who was told."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import InLaboratory, PatientReader, laboratory_of, language_of
from lis.api.orders import NOTES_MAX, TEXT_MAX
from lis.api.problems import status_of
from lis.domain.errors import Refused
from lis.orders.lookup import Found, Relation, look_up, look_up_order, look_up_patient, tell
from ui.pages.showing import go, refusal_in_words, show
from ui.pages.times import hour_of

Text = Annotated[str, Form(max_length=TEXT_MAX)]
Notes = Annotated[str, Form(max_length=NOTES_MAX)]
Typed = Annotated[str, Query(max_length=TEXT_MAX)]

router = APIRouter()


def _show(
    request: Request,
    found: Found,
    *,
    text: str = "",
    order: str = "",
    problem: Refused | None = None,
) -> Response:
    return show(
        request,
        "lookup.html",
        status=status_of(problem) if problem else 200,
        script_areas=("lookuppage",),
        has_keys=True,
        found=found,
        text=text,
        hour=hour_of(request),
        relations=tuple(Relation),
        told_order=order,
        told_problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/lookup")
def show_lookup(
    request: Request,
    _actor: PatientReader,
    laboratory: InLaboratory,
    *,
    text: Typed = "",
    patient: Typed = "",
    order: Typed = "",
) -> Response:
    """By what was typed, or the person or the order that was chosen."""
    catalog, at, language = laboratory.catalog(), laboratory.clock.now(), language_of(request)
    with laboratory.store.read() as session:
        if order:
            answer = look_up_order(session, catalog, order, at=at, language=language)
            found = Found(answers=(answer,))
        elif patient:
            found = look_up_patient(session, catalog, patient, at=at, language=language)
        else:
            found = look_up(session, catalog, text, at=at, language=language)
    return _show(request, found, text=text)


@router.post("/lookup/{public_id}/tell")
def note_telling(
    request: Request,
    actor: PatientReader,
    public_id: str,
    *,
    told_to: Text = "",
    relation: Annotated[Relation, Form()] = Relation.ANYONE,
    telephone: Text = "",
    note: Notes = "",
) -> Response:
    """Keep who was told, then show the order with the note."""
    laboratory = laboratory_of(request)
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            tell(
                unit,
                catalog,
                public_id,
                told_to=told_to,
                relation=relation,
                telephone=telephone,
                note=note,
            )
    except Refused as refusal:
        with laboratory.store.read() as session:
            answer = look_up_order(
                session,
                catalog,
                public_id,
                at=laboratory.clock.now(),
                language=language_of(request),
            )
        return _show(request, Found(answers=(answer,)), order=public_id, problem=refusal)
    return go(f"/lookup?order={public_id}")
