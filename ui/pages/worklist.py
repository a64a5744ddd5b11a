"""The validation worklist: an empty frame; `worklist.js` fills it and keeps it alive."""

from typing import Final

from fastapi import APIRouter, Request, Response

from lis.api.deps import WorklistReader
from ui.pages.showing import show

COLUMNS: Final = (
    "select",
    "specimen",
    "patient",
    "test",
    "value",
    "flag",
    "unit",
    "interval",
    "previous",
    "delta",
    "trend",
    "device",
    "qc",
    "time",
    "status",
)
# DESIGN 5.4: (the key as it is printed, what it does). The first ones stand below the table.
KEYS: Final = (
    ("J K \u2191 \u2193", "rows"),
    ("\u2190 \u2192", "specimens"),
    ("Space", "select"),
    ("V", "verify"),
    ("\u21e7V", "verify_specimen"),
    ("Ctrl \u21b5", "verify_clear"),
    ("R", "rerun"),
    ("D", "dilute"),
    ("C", "comment"),
    ("L", "call"),
    ("\u21e7Del", "reject"),
    ("U", "undo"),
    ("/", "filter"),
    ("H", "history"),
    ("\u21b5", "bind"),
    ("G Q", "to_qc"),
    ("G I", "to_instruments"),
    ("G O", "to_orders"),
    ("?", "help"),
    ("Esc", "close"),
)
KEYBAR: Final = (*KEYS[:2], KEYS[3], ("\u21e7V", "tube"), *KEYS[5:13], KEYS[18])

router = APIRouter()


@router.get("/worklist")
def show_worklist(request: Request, _actor: WorklistReader) -> Response:
    """The screen; rows come from the API."""
    return show(
        request,
        "worklist.html",
        script_areas=("worklist", "results"),
        columns=COLUMNS,
        keys=KEYS,
        keybar=KEYBAR,
        has_keys=True,
    )
