"""Pages and static files on top of the API.

Pages are an application of their own, mounted at `/` below the API's middleware, so that their errors are pages:
who is not signed in is sent to the login and back afterwards; a refusal is a page in words.
"""

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from lis.api.deps import SAFE_METHODS, NotSignedIn, current_actor, language_of
from lis.api.problems import FORESEEN, in_words
from lis.app.laboratory import Laboratory
from lis.words import Words
from ui.pages import (
    account,
    delivery,
    held,
    identity,
    instruments,
    labels,
    lookup,
    message_lab,
    orders,
    outstanding,
    patients,
    qc,
    quarantine,
    receipt,
    repeat_rules,
    routing,
    signing_in,
    specimens,
    users,
    worklist,
    workplan,
)
from ui.pages.showing import STATIC, go, show, static_version
from ui.pages.signing_in import login_address

PAGES = (
    routing,
    *(signing_in, account, users, worklist, orders, qc, patients, receipt),
    *(labels, quarantine, message_lab, instruments, delivery),
    *(lookup, outstanding, workplan, repeat_rules),
    *(held, identity, specimens),
)

# (method, path) of pages that need no session; everything else names what it requires.
PUBLIC_PAGES = frozenset(
    {
        ("GET", "/"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/logout"),
        ("POST", "/language"),
        ("GET", "/start"),
        ("POST", "/start"),
        ("GET", "/r"),
        ("POST", "/r"),
    }
)
# Public forms that act for nobody: they read with what was typed, so a foreign page that sends them gains
# nothing, and they work without cookies. `lis.api.protection` still checks their Origin.
READING_FORMS = frozenset({"/r"})


def mount_pages(app: FastAPI, laboratory: Laboratory) -> FastAPI:
    """Add all pages and static files to the application; returns the application of the pages."""
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pages.state.laboratory = laboratory
    for module in PAGES:
        pages.include_router(module.router)
    for kind in FORESEEN:
        pages.add_exception_handler(kind, show_error)
    app.mount(f"/static/{static_version()}", StaticFiles(directory=STATIC), name="static")
    app.mount("/", pages, name="pages")
    return pages


def show_error(request: Request, error: Exception) -> Response:
    """An error as a page: in words, with a way on."""
    if isinstance(error, NotSignedIn):
        query = f"?{request.url.query}" if request.url.query else ""
        is_safe = request.method in SAFE_METHODS
        return go(login_address(request.url.path + query if is_safe else "/"))
    current_actor(request)  # an unknown address asked nobody: the header needs to know
    trouble = in_words(error, Words(language_of(request)))
    return show(request, "error.html", status=trouble.status, trouble=trouble)
