"""Quality control: the board of all controls, and the chart of one test on one device with its table of runs.

The chart is drawn on the server by the renderer that also prints it; `qc.js` adds reading by pointer and keys.
Every action is a form, so the page works without a script; a refusal shows the page again with what was typed.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from lis.api.deps import InLaboratory, laboratory_of, language_of
from lis.api.problems import status_of
from lis.api.qc import HOURS_MAX, QcManager, QcReader
from lis.domain.errors import Refused
from lis.printing.levey_jennings import levey_jennings_svg
from lis.qc import actions, reads
from lis.qc.reads import Tile, TileState
from lis.qc.sheet import Sheet, answer_for_gate, read_sheet
from lis.words import Words
from ui.pages.showing import go, refusal_in_words, show

CHART_WIDTH_PX, CHART_HEIGHT_PX = 1400, 420
TABLE_RUNS_MAX: Final = 120  # rows with their forms; a longer history is read on the chart
# What a tile says besides its colour: the sign, and the kind of chip ("" = needs nobody).
SIGNS: Final = {
    TileState.REJECTED: ("✕", "critical"),
    TileState.MISSING: ("○", "high"),
    TileState.OVERDUE: ("◷", "high"),
    TileState.EXCUSED: ("✎", "hold"),
    TileState.DUE: ("◔", "check"),
    TileState.WARNED: ("!", "check"),
    TileState.OPEN: ("✓", ""),
    TileState.NOT_NEEDED: ("–", ""),
}
KEYS: Final = (
    ("\u2190 \u2192", "walk"),
    ("\u2191 \u2193", "change"),
    ("[ ]", "violation"),
    ("1 2 3", "level"),
    ("\u21b5", "open"),
    ("?", "help"),
)

Text = Annotated[str, Form(max_length=2 * actions.TEXT_LENGTH_MAX)]
Filter = Annotated[str, Query(max_length=64)]

router = APIRouter()


class Range(StrEnum):
    """How many runs the chart shows."""

    LAST_20 = "20"
    LAST_60 = "60"
    ALL = "all"

    @property
    def runs(self) -> int:
        return reads.RUNS_SHOWN_MAX if self is Range.ALL else int(self.value)


@dataclass(frozen=True, slots=True)
class View:
    """Which part of which chart is shown; it stands in the address and in every form's target."""

    device: int
    test: str
    runs: Range
    level: str

    def path(self, action: str = "", **other: str) -> str:
        """The address of this view, or of an action on it."""
        query = {"runs": self.runs.value, "level": self.level, **other}
        said = urlencode({name: value for name, value in query.items() if value})
        tail = f"/{action}" if action else ""
        return f"/qc/{self.device}/{quote(self.test, safe='')}{tail}?{said}"


def _view(
    device: int,
    test: str,
    runs: Range = Range.LAST_60,
    level: Annotated[str, Query(max_length=8)] = "",
) -> View:
    return View(device, test, runs, level)


ThisView = Annotated[View, Depends(_view)]


@dataclass(frozen=True, slots=True)
class Typed:
    """What a refused form held: it is shown again, in its place."""

    form: str  # "action-17", "void-17", "exception", "close-3"
    text: str
    problem: Refused


# --- the board ----------------------------------------------------------------------------------


@router.get("/qc")
def show_board(
    request: Request,
    _actor: QcReader,
    *,
    device: Filter = "",
    state: Filter = "",
    q: Filter = "",
) -> Response:
    """All controls, the worst first."""
    return _board(request, device=device, state=state, q=q)


def _board(
    request: Request, *, device: str = "", state: str = "", q: str = "", typed: Typed | None = None
) -> Response:
    laboratory = laboratory_of(request)
    catalog, now = laboratory.catalog(), laboratory.clock.now()
    with laboratory.store.read() as session:
        tiles = reads.board(session, catalog, at=now, language=language_of(request))
        excuses = reads.exceptions(session, now)
    fitting = [tile for tile in tiles if _fits(tile, device, q)]
    shown = [tile for tile in fitting if state in {"", tile.state.value}]
    counts = Counter(tile.state for tile in fitting)
    return show(
        request,
        "qc_board.html",
        status=status_of(typed.problem) if typed else 200,
        script_areas=("qcpage",),
        attention=[tile for tile in shown if SIGNS[tile.state][1]],
        in_order=[tile for tile in shown if not SIGNS[tile.state][1]],
        has_tiles=bool(tiles),
        total=len(fitting),
        counts=[(one, counts[one]) for one in TileState if counts[one]],
        devices=sorted({(tile.device_id, tile.device) for tile in tiles}, key=lambda one: one[1]),
        names={(tile.device_id, tile.test): tile for tile in tiles},
        excuses=excuses,
        signs=SIGNS,
        chosen={"device": device, "state": state, "q": q},
        board_path=lambda **other: _board_path(device=device, q=q, **other),
        typed=typed,
        problem=refusal_in_words(request, typed.problem) if typed else "",
    )


def _fits(tile: Tile, device: str, q: str) -> bool:
    wanted = q.strip().casefold()
    is_found = wanted in tile.name.casefold() or wanted in tile.test.casefold()
    return device in {"", str(tile.device_id)} and is_found


def _board_path(**query: str) -> str:
    said = urlencode({name: value for name, value in query.items() if value})
    return f"/qc?{said}" if said else "/qc"


# --- one chart ----------------------------------------------------------------------------------


@router.get("/qc/{device}/{test}")
def show_chart(request: Request, _actor: QcReader, view: ThisView) -> Response:
    """One chart, its runs, and what may be done."""
    return _chart(request, view)


def _chart(request: Request, view: View, typed: Typed | None = None) -> Response:
    laboratory = laboratory_of(request)
    with laboratory.store.read() as session:
        sheet = read_sheet(
            session,
            laboratory.catalog(),
            device_id=view.device,
            test_code=view.test,
            at=laboratory.clock.now(),
            language=language_of(request),
            runs=view.runs.runs,
        )
    return show(
        request,
        "qc_chart.html",
        status=status_of(typed.problem) if typed else 200,
        script_areas=("qc", "qcpage"),
        sheet=sheet,
        tile=sheet.tile,
        excuses=sheet.excuses,
        names={(sheet.tile.device_id, sheet.tile.test): sheet.tile},
        view=view,
        ranges=tuple(Range),
        picture=_picture(request, sheet, view),
        lines=sheet.lines[::-1][:TABLE_RUNS_MAX],
        rows_max=TABLE_RUNS_MAX,
        signs=SIGNS,
        sign=SIGNS[sheet.tile.state],
        hours_max=HOURS_MAX,
        keys=KEYS,
        has_keys=True,
        typed=typed,
        problem=refusal_in_words(request, typed.problem) if typed else "",
    )


def _picture(request: Request, sheet: Sheet, view: View) -> str:
    say = Words(language_of(request))
    chart = reads.chart(
        list(sheet.lines),
        title=say("qc.chart_title", test=sheet.tile.name, device=sheet.tile.device),
        unit=sheet.unit,
        zone=ZoneInfo(laboratory_of(request).settings.site[0].timezone),
        say=say,
        level=view.level if view.level in sheet.levels else "",
    )
    return levey_jennings_svg(chart, width=CHART_WIDTH_PX, height=CHART_HEIGHT_PX)


# --- acting -------------------------------------------------------------------------------------


@router.post("/qc/{device}/{test}/action")
def record_action(
    request: Request,
    actor: QcManager,
    laboratory: InLaboratory,
    view: ThisView,
    *,
    run: Annotated[int, Form()],
    version: Annotated[int, Form()],
    text: Text,
) -> Response:
    """Record what was done about a run; 409 with the fresh page when it was judged again meanwhile."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            actions.record_action(unit, run, version, text)
    except Refused as refusal:
        return _chart(request, view, Typed(f"action-{run}", text, refusal))
    return go(f"{view.path()}#run-{run}")


@router.post("/qc/{device}/{test}/void")
def void_point(
    request: Request,
    actor: QcManager,
    laboratory: InLaboratory,
    view: ThisView,
    *,
    run: Annotated[int, Form()],
    point: Annotated[int, Form()],
    reason: Text,
) -> Response:
    """Take a point out, with a reason."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            actions.void_point(unit, point, reason)
    except Refused as refusal:
        return _chart(request, view, Typed(f"void-{run}", reason, refusal))
    return go(f"{view.path()}#run-{run}")


@router.post("/qc/{device}/{test}/exception")
def grant_exception(
    request: Request,
    actor: QcManager,
    laboratory: InLaboratory,
    view: ThisView,
    *,
    hours: Annotated[int, Form(ge=1, le=HOURS_MAX)],
    reason: Text,
) -> Response:
    """Let results go for some hours under the actor's name."""
    catalog = laboratory.catalog()
    try:
        with laboratory.store.unit(actor.login) as unit:
            answer_for_gate(
                unit,
                catalog,
                device_id=view.device,
                test_code=view.test,
                reason=reason,
                hours=hours,
            )
    except Refused as refusal:
        return _chart(request, view, Typed("exception", reason, refusal))
    return go(view.path())


@router.post("/qc/exceptions/{exception_id}/close")
def close_exception(
    request: Request,
    actor: QcManager,
    laboratory: InLaboratory,
    exception_id: int,
    reason: Text,
) -> Response:
    """End a running exception; its form stands on the board."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            actions.close_exception(unit, exception_id, reason)
    except Refused as refusal:
        return _board(request, typed=Typed(f"close-{exception_id}", reason, refusal))
    return go("/qc")
