"""From values to HTML: the one place that renders a template.

Every template gets: `say`, `language`, `actor`, `csrf`, `static`, `moment`, `day`, `header` (its entries), `here`, and
the laboratory's name and zone. A visitor without a session gets a token for his forms in a cookie.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lis.access import Actor
from lis.api.deps import cookie_name, form_token, laboratory_of, language_of
from lis.api.problems import sentence
from lis.domain.errors import Refused
from lis.words import Words
from ui.pages.navigation import entries_for, header_for

FOLDER: Final = Path(__file__).resolve().parents[1]
STATIC: Final = FOLDER / "static"


@cache
def static_version() -> str:
    """A hash over all static files: a new version has new addresses, so browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name is an error in a test, not a hole on a page
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}  # half the bytes in Russian
    return environment


def show(
    request: Request,
    template: str,
    *,
    status: int = 200,
    script_areas: Sequence[str] = (),
    has_own_form: bool = True,
    **values: Any,
) -> Response:
    """Render a page for the person who asked; `has_own_form=False`: no form of it needs a token or a cookie."""
    laboratory = laboratory_of(request)
    words = Words(language_of(request))
    actor = getattr(request.state, "actor", None)
    zone = ZoneInfo(laboratory.settings.site[0].timezone)
    person = actor if isinstance(actor, Actor) else None
    entries = entries_for(person)
    token = form_token(request)
    query = f"?{request.url.query}" if request.url.query else ""
    context: dict[str, Any] = {
        "say": words,
        "language": words.language,
        "actor": actor,
        "csrf": token,
        "static": lambda name: f"/static/{static_version()}/{name}",
        "moment": lambda at: _format(at, zone, "%d.%m.%Y %H:%M"),
        "day": lambda at: _format(at, zone, "%d.%m.%Y"),
        "zone": zone.key,
        "laboratory_name": laboratory.settings.laboratory.name,
        "is_demo": laboratory.is_demo,
        "header": header_for(person, request.url.path),
        "places": {entry.key: entry.path for entry in entries if entry.key},
        "here": request.url.path,
        "here_with_query": request.url.path + query,
        "script_words": words.area("ui", *script_areas) if script_areas else _shell_words(words),
        "has_keys": False,
        "problem": "",
    }
    html = _templates().get_template(template).render(context | values)
    response = HTMLResponse(html, status_code=status)
    if has_own_form and not isinstance(actor, Actor):
        response.set_cookie(
            cookie_name(request, "lis_form"),
            token,
            secure=laboratory.settings.web.is_https,
            httponly=True,
            samesite="strict",
            path="/",
        )
    return response


def go(path: str) -> Response:
    """Answer a form that was done: look there with GET, so that reloading repeats nothing."""
    return RedirectResponse(path, status_code=303)


def refusal_in_words(request: Request, refusal: Refused) -> str:
    """Why the laboratory's rules said no, in the person's language."""
    return sentence(Words(language_of(request)), refusal)


def local_path(wanted: str) -> str:
    """A path of this site, or "" for anything that would lead elsewhere."""
    is_local = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_local and wanted.isprintable() and "\\" not in wanted else ""


def _shell_words(words: Words) -> dict[str, str]:
    """What `shell.js` itself says."""
    return words.area("ui")


def _format(at: datetime | None, zone: ZoneInfo, form: str) -> str:
    return at.astimezone(zone).strftime(form) if at else ""
