"""The patient's page `/r`: a receipt's code and a date of birth open one requisition's results.

No session, no cookie, no script needed. The code travels in the URL's fragment, which no server ever sees;
`receipt.js` puts it into the form and wipes it from the address bar. The pair is posted each time, the answer is
rendered from it and kept nowhere. Language is part of the address or of the form.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import InLaboratory, language_of
from lis.api.problems import sentence, status_of
from lis.api.sessions import address_of
from lis.domain.errors import Refused
from lis.patients.results import PatientResult, open_results
from lis.words import LANGUAGES, Words
from ui.pages.drawing import BAR_WIDTH, RangeBar, range_bar
from ui.pages.showing import show

Text = Annotated[str, Form(max_length=64)]
NAMES: Final = {"ru": "Русский", "en": "English"}
BIRTH_YEAR_DIGITS: Final = 4

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What the patient typed, to show it again."""

    code: str = ""
    day: str = ""
    month: str = ""
    year: str = ""

    def birth_date(self) -> str:
        """The date as YYYY-MM-DD; "" for anything that is no date."""
        parts = (self.year.strip(), self.month.strip(), self.day.strip())
        if not all(part.isascii() and part.isdigit() for part in parts):
            return ""
        if len(parts[0]) != BIRTH_YEAR_DIGITS:
            return ""
        try:
            return date(*(int(part) for part in parts)).isoformat()
        except ValueError:
            return ""


@router.get("/r")
def show_form(request: Request, language: Annotated[str, Query(max_length=8)] = "") -> Response:
    """The form; a script fills in the code from the link."""
    return _page(request, "receipt.html", language=language, entered=Entered())


@router.post("/r")
def show_results(
    request: Request,
    laboratory: InLaboratory,
    *,
    code: Text = "",
    day: Text = "",
    month: Text = "",
    year: Text = "",
    language: Text = "",
) -> Response:
    """The results, or the form again with one sentence that says what to do."""
    entered = Entered(code=code.strip(), day=day.strip(), month=month.strip(), year=year.strip())
    language = _language(request, language)
    birth_date = entered.birth_date()
    try:
        if not birth_date or not entered.code:
            raise Refused("receipt.incomplete")
        opened = open_results(
            laboratory.store,
            code=entered.code,
            birth_date=birth_date,
            address=address_of(request),
            language=language,
        )
    except Refused as refusal:
        return _page(
            request,
            "receipt.html",
            status=status_of(refusal),
            language=language,
            entered=entered,
            problem=sentence(Words(language), refusal),
        )
    return _page(
        request,
        "receipt_results.html",
        language=language,
        entered=entered,
        opened=opened,
        bar_of=_bar,
        bar_width=BAR_WIDTH,
    )


def _bar(line: PatientResult) -> RangeBar | None:
    return range_bar(line.value_number, line.low, line.high)


def _language(request: Request, wanted: str) -> str:
    return wanted if wanted in LANGUAGES else language_of(request)


def _page(
    request: Request, template: str, *, language: str, status: int = 200, **values: Any
) -> Response:
    chosen = _language(request, language)
    response = show(
        request,
        template,
        status=status,
        has_own_form=False,
        say=Words(chosen),
        language=chosen,
        languages=NAMES,
        **values,
    )
    response.headers["x-robots-tag"] = "noindex, nofollow"
    return response
