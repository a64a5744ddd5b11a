"""The work plan of a section: what to do, filters that a person keeps, values of work by hand."""

from typing import Annotated, Final
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Form, Query, Request, Response

from lis.api.deps import InLaboratory, Verifier, WorklistReader, laboratory_of, language_of
from lis.api.orders import TEXT_MAX
from lis.api.problems import status_of
from lis.domain.catalog import Catalog, ValueType
from lis.domain.errors import Refused
from lis.orders.desk import split_codes
from lis.orders.workplan import (
    PlanFilter,
    Shows,
    by_hand,
    drop_filter,
    keep_filter,
    kept_filters,
    read_plan,
)
from lis.results.hand_entry import enter_value
from ui.pages.sections import sections_shown
from ui.pages.showing import go, refusal_in_words, show
from ui.pages.times import hour_of

QUERY_MAX: Final = 2_000
Text = Annotated[str, Form(max_length=TEXT_MAX)]
Address = Annotated[str, Form(max_length=QUERY_MAX)]

router = APIRouter()


def address_of(chosen: PlanFilter) -> str:
    """A filter as the query of an address."""
    fields = {
        "section": chosen.section,
        "shows": chosen.shows.value if chosen.shows is not Shows.HERE else "",
        "is_by_hand": "true" if chosen.is_by_hand else "",
        "is_urgent": "true" if chosen.is_urgent else "",
        "tests": " ".join(chosen.tests),
    }
    return urlencode({name: value for name, value in fields.items() if value})


def filter_of(catalog: Catalog, query: str) -> PlanFilter:
    """The filter that the query of an address means; unknown tests are left out."""
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    tests, _ = split_codes(catalog, fields.get("tests", ""))
    return PlanFilter.of_body(
        {
            "section": fields.get("section", ""),
            "shows": fields.get("shows", Shows.HERE),
            "is_by_hand": fields.get("is_by_hand") == "true",
            "is_urgent": fields.get("is_urgent") == "true",
            "tests": [test.code for code in tests for test in catalog.tests_of(code)],
        }
    )


def _answers(catalog: Catalog, codes: frozenset[str]) -> dict[str, list[str]]:
    """The listed answers of tests that are answered by a code, for the fields of work by hand."""
    coded = [catalog.tests[code] for code in sorted(codes)]
    return {
        test.code: sorted(
            test.critical_codes | (test.rules.accepted_codes if test.rules else set())
        )
        for test in coded
        if test.value_type is ValueType.CODED
    }


def _show(
    request: Request, login: str, query: str, *, after: str = "", problem: Refused | None = None
) -> Response:
    laboratory = laboratory_of(request)
    catalog, language, at = laboratory.catalog(), language_of(request), laboratory.clock.now()
    chosen = filter_of(catalog, query)
    with laboratory.store.read() as session:
        plan = read_plan(session, catalog, chosen, at=at, after=after, language=language)
        kept = kept_filters(session, login)
    sections = sections_shown(catalog, language)
    return show(
        request,
        "workplan.html",
        status=status_of(problem) if problem else 200,
        script_areas=("workplanpage",),
        has_keys=True,
        plan=plan,
        chosen=chosen,
        query=address_of(chosen),
        kept=kept,
        address_of=address_of,
        sections=sections,
        section_name=next((one.name for one in sections if one.code == chosen.section), ""),
        shows=tuple(Shows),
        by_hand=by_hand(catalog),
        units={code: test.unit for code, test in catalog.tests.items()},
        answers=_answers(catalog, by_hand(catalog)),
        hour=hour_of(request),
        at=at,
        problem=refusal_in_words(request, problem) if problem else "",
    )


@router.get("/workplan")
def show_workplan(
    request: Request,
    actor: WorklistReader,
    after: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """One page of what is to be done."""
    return _show(request, actor.login, request.url.query[:QUERY_MAX], after=after)


@router.post("/workplan/filters")
def keep(
    request: Request,
    actor: WorklistReader,
    laboratory: InLaboratory,
    *,
    name: Text = "",
    query: Address = "",
) -> Response:
    """Keep what is shown under a name."""
    chosen = filter_of(laboratory.catalog(), query)
    try:
        with laboratory.store.unit(actor.login) as unit:
            keep_filter(unit, actor.login, name, chosen)
    except Refused as refusal:
        return _show(request, actor.login, query, problem=refusal)
    return go(f"/workplan?{address_of(chosen)}")


@router.post("/workplan/filters/drop")
def drop(actor: WorklistReader, laboratory: InLaboratory, name: Text) -> Response:
    """Forget a filter."""
    with laboratory.store.unit(actor.login) as unit:
        drop_filter(unit, actor.login, name)
    return go("/workplan")


@router.post("/workplan/values")
def enter_without_scripts(
    request: Request,
    actor: Verifier,
    laboratory: InLaboratory,
    *,
    work_order_id: Annotated[int, Form()],
    value: Text = "",
    query: Address = "",
) -> Response:
    """One typed value, from a browser without scripts."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            enter_value(
                unit,
                laboratory.catalog(),
                work_order_id,
                value,
                needs_second_person=laboratory.settings.laboratory.second_person,
            )
    except Refused as refusal:
        return _show(request, actor.login, query, problem=refusal)
    return go(f"/workplan?{address_of(filter_of(laboratory.catalog(), query))}")
