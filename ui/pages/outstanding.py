"""The outstanding list: received and no result, by analyzer and shift."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from lis.api.deps import InLaboratory, WorklistReader, language_of
from lis.api.orders import TEXT_MAX
from lis.api.workplan import Minutes
from lis.orders.outstanding import MINUTES_DEFAULT, Shift, read_outstanding
from ui.pages.sections import sections_shown
from ui.pages.showing import show
from ui.pages.times import hour_of

Typed = Annotated[str, Query(max_length=TEXT_MAX)]

router = APIRouter()


@router.get("/outstanding")
def show_outstanding(
    request: Request,
    _actor: WorklistReader,
    laboratory: InLaboratory,
    *,
    minutes: Minutes = MINUTES_DEFAULT,
    analyzer: Typed = "",
    shift: Shift = Shift.ALL,
    section: Typed = "",
) -> Response:
    """Most overdue first."""
    catalog, language = laboratory.catalog(), language_of(request)
    with laboratory.store.read() as session:
        found = read_outstanding(
            session,
            catalog,
            at=laboratory.clock.now(),
            zone=ZoneInfo(laboratory.settings.site[0].timezone),
            minutes=minutes,
            analyzer=analyzer,
            shift=shift,
            section=section,
            language=language,
        )
    return show(
        request,
        "outstanding.html",
        script_areas=("workplanpage",),
        has_keys=True,
        found=found,
        minutes=minutes,
        analyzer=analyzer,
        shift=shift,
        shifts=tuple(Shift),
        section=section,
        sections=sections_shown(catalog, language),
        hour=hour_of(request),
    )
