"""Every route says who may use it, and every role is tried on every route."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

from lis.api.deps import Requires, own_form
from lis.api.senders import RequiresSender
from lis.api.server import PUBLIC_ROUTES, create_app
from lis.app.laboratory import Laboratory
from lis.domain.roles import PERMISSIONS, Permission, Role
from tests.api.conftest import OpenBrowser
from ui.pages import mount_pages
from ui.pages.mounting import PUBLIC_PAGES, READING_FORMS

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def routes_of(app: FastAPI) -> Iterator[tuple[str, str, Dependant | None]]:
    """(method, path, dependencies) of everything that answers."""
    for entry in app.routes:
        router = getattr(entry, "original_router", None)
        if router is None:
            if hasattr(entry, "methods"):
                yield from ((method, entry.path, None) for method in entry.methods - {"HEAD"})
            continue
        for route in router.routes:
            path = entry.include_context.prefix + route.path
            for method in getattr(route, "methods", None) or {"WS"}:
                yield method, path, getattr(route, "dependant", None)


def rules_of(dependant: Dependant | None) -> list[Requires]:
    if dependant is None:
        return []
    found = [dependant.call] if isinstance(dependant.call, Requires) else []
    return found + [rule for one in dependant.dependencies for rule in rules_of(one)]


def is_for_machines(dependant: Dependant | None) -> bool:
    """Whether a route asks for a sender's token, which no person has."""
    if dependant is None:
        return False
    is_asked = isinstance(dependant.call, RequiresSender)
    return is_asked or any(is_for_machines(one) for one in dependant.dependencies)


def checks_form(dependant: Dependant) -> bool:
    return dependant.call is own_form or any(checks_form(one) for one in dependant.dependencies)


@pytest.fixture
def apps(laboratory: Laboratory) -> tuple[FastAPI, FastAPI]:
    app = create_app(laboratory)
    return app, mount_pages(app, laboratory)


def is_public(method: str, path: str) -> bool:
    return bool({(method, path), ("ANY", path)} & (PUBLIC_ROUTES | PUBLIC_PAGES))


def test_every_route_has_a_rule_or_is_named_as_public(apps: tuple[FastAPI, FastAPI]):
    silent = [
        f"{method} {path}"
        for app in apps
        for method, path, dependant in routes_of(app)
        if not rules_of(dependant) and not is_public(method, path)
        if not is_for_machines(dependant)
    ]
    assert not silent, f"who may use these? {silent}"


def test_public_routes_are_few_and_exist(apps: tuple[FastAPI, FastAPI]):
    there = {(method, path) for app in apps for method, path, _ in routes_of(app)}
    named = {one for one in PUBLIC_ROUTES | PUBLIC_PAGES if one[0] != "ANY"}
    assert named <= there


def test_public_forms_check_that_they_are_ours(apps: tuple[FastAPI, FastAPI]):
    _, pages = apps
    unchecked = [
        path
        for method, path, dependant in routes_of(pages)
        if method in UNSAFE and dependant is not None
        if not rules_of(dependant) and not checks_form(dependant)
    ]
    assert set(unchecked) <= READING_FORMS


SIGN_OUT = ("DELETE", "/api/v1/session")


def roles_allowed(permission: Permission | None) -> set[Role]:
    return {role for role in Role if permission is None or permission in PERMISSIONS[role]}


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_on_each_route(
    open_browser: OpenBrowser, apps: tuple[FastAPI, FastAPI], role: Role | None
):
    browser = open_browser(role)
    wrong = []
    everything = [route for app in apps for route in routes_of(app)]
    # signing out comes last: afterwards this browser is nobody
    for method, path, dependant in sorted(everything, key=lambda one: one[:2] == SIGN_OUT):
        rules = rules_of(dependant)
        if not rules:
            continue
        address = re.sub(r"\{\w+\}", "999999", path)
        status = browser.request(method, address).status_code
        may = role is not None and all(role in roles_allowed(one.permission) for one in rules)
        refused = 403 if role else (401 if path.startswith("/api/") else 303)
        if (status == refused) == may:
            wrong.append(f"{role} {method} {path}: {status}")
    assert not wrong, "\n".join(wrong)


def test_openapi_names_the_refusals_of_protected_routes(open_browser: OpenBrowser):
    document = open_browser().get("/api/openapi.json").json()
    silent = [
        f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v1")
        and path not in {"/api/v1/session", "/api/v1/receipts"}
        and "401" not in operation["responses"]
    ]
    assert not silent
