"""The doctor's pages: find a patient, read everything that is out about him.

Plain HTML: search is a form, the filter and the number of dates are links. The grid is as wide as its dates and
scrolls in its own box; the newest stand beside the test's name.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from lis.api.deps import InLaboratory, Language, PatientReader, Snapshot
from lis.orders.reads import search_patients
from lis.patients.history import Line, read_history
from ui.pages.drawing import SPARK_HEIGHT, SPARK_WIDTH, Sparkline, sparkline
from ui.pages.showing import show

TEXT_MAX: Final = 200
COLUMNS_SHOWN: Final = 24  # dates before somebody asks for all
COLUMNS_MAX: Final = 400  # a page that a browser still draws at once

router = APIRouter()


@router.get("/patients")
def show_search(
    request: Request,
    _actor: PatientReader,
    session: Snapshot,
    find: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """Search by the start of the name or an identifier."""
    found = search_patients(session, find)
    return show(request, "patients.html", find=find.strip(), found=found, birthday=birthday)


@router.get("/patients/{public_id}")
def show_patient(
    request: Request,
    actor: PatientReader,
    laboratory: InLaboratory,
    language: Language,
    public_id: str,
    *,
    abnormal: bool = False,
    all: bool = False,
) -> Response:
    """The cumulative results of one patient."""
    catalog = laboratory.catalog()
    with laboratory.store.unit(actor.login) as unit:
        history = read_history(unit, catalog, public_id, language=language, only_abnormal=abnormal)
    columns = history.columns[: COLUMNS_MAX if all else COLUMNS_SHOWN]
    return show(
        request,
        "patient.html",
        history=history,
        columns=columns,
        only_abnormal=abnormal,
        shows_all=all,
        spark_of=_spark,
        spark_width=SPARK_WIDTH,
        spark_height=SPARK_HEIGHT,
        birthday=birthday,
    )


def birthday(text: str) -> str:
    """A birth date (YYYY, YYYY-MM or YYYY-MM-DD) as people write it here."""
    return ".".join(reversed(text.split("-")))


def _spark(line: Line) -> Sparkline | None:
    return sparkline(line.points, line.low, line.high)
