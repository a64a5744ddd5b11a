"""A real browser for tests of pages.

- Any Chromium of the machine is driven by Playwright. Without one the tests skip with the reason,
  or fail where `LIS_E2E=required`.
- Each page is gated: it may ask only loopback addresses, and any error on its console (a Content
  Security Policy violation lands there too) fails the test when the page closes. An error that
  the test provokes, such as a 409, is first named in `tolerated`.
- Never use `page.wait_for_function`: it evaluates code in the page, which our policy forbids. Wait
  for selectors, `expect(locator)`, or the `data-ready` attribute that our modules set.
- The browser lives for one module, not for the session: Playwright's synchronous interface keeps
  an event loop running in this thread, and asyncio tests of other modules need that place.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.e2e.seeding import full_bench, running  # noqa: F401 - fixtures of pages that show results

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "msedge")
ARGUMENTS = (
    "--no-sandbox",  # CI runs as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ALLOWED_PREFIXES = ("http://127.0.0.1", "https://127.0.0.1", "data:", "blob:")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
SURROUNDINGS: dict[str, Any] = {"timezone_id": "Europe/Moscow", "reduced_motion": "reduce"}
AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}


class NewPage(Protocol):
    """Opens a page in a browser session of its own, so that two people can be logged in."""

    def __call__(self, *, phone: bool = False, **options: Any) -> Page: ...


@pytest.fixture
def threads_of_the_tools() -> str:
    """Playwright's event loop keeps its worker threads until the module's browser is closed."""
    return "asyncio_"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = find_chromium(Path(playwright.chromium.executable_path))
        if path is None:
            no_browser()
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def find_chromium(own: Path) -> str | None:
    named = os.environ.get("LIS_CHROMIUM")
    installed = (path for name in BROWSERS if (path := shutil.which(name)))
    return named or next(installed, str(own) if own.exists() else None)


def no_browser() -> None:
    reason = "no Chromium: apt-get install chromium, or set LIS_CHROMIUM=path"
    if os.environ.get("LIS_E2E") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def tolerated() -> list[str]:
    """Parts of console errors that the test expects; everything else fails it."""
    return []


@pytest.fixture
def new_page(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, tolerated: list[str]
) -> Iterator[NewPage]:
    opened: list[tuple[BrowserContext, Page]] = []
    errors: list[str] = []
    outside: list[str] = []

    def open_page(*, phone: bool = False, **options: Any) -> Page:
        device = PHONE if phone else DESKTOP
        settings = {"locale": "ru-RU", **device, **SURROUNDINGS, **options}
        context = browser.new_context(**settings)
        context.route("**/*", offline_gate(outside))
        page = context.new_page()
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        opened.append((context, page))
        return page

    yield open_page
    for number, (context, page) in enumerate(opened):
        if not page.is_closed():
            take_picture(page, request.node.name, number, tmp_path)
        context.close()
    unexpected = [text for text in errors if not any(part in text for part in tolerated)]
    assert not unexpected, f"console errors: {unexpected}"
    assert not outside, f"the page asked for addresses outside this machine: {outside}"


def offline_gate(outside: list[str]) -> Callable[[Route], None]:
    def gate(route: Route) -> None:
        if route.request.url.startswith(ALLOWED_PREFIXES):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    return gate


def take_picture(page: Page, test: str, number: int, folder: Path) -> None:
    name = re.sub(r"\W+", "_", test) + (f"_{number}" if number else "")
    shots = Path(os.environ.get("LIS_SHOTS", folder))
    page.screenshot(path=str(shots / f"{name}.png"), animations="disabled")


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def phone(new_page: NewPage) -> Page:
    return new_page(phone=True)


@pytest.fixture
def assert_accessible() -> Callable[[Page], None]:
    """Fails with axe's report on any violation, in the light and in the dark theme."""

    def check(page: Page) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            result = Axe().run(page, options=AXE_RULES)
            assert result.response["passes"], "axe examined nothing"
            assert not result.response["violations"], f"{scheme}:\n{result.generate_report()}"

    return check


@pytest.fixture
def assert_fits_phone() -> Callable[[Page], None]:
    def check(page: Page) -> None:
        wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= window, f"the page is {wide} px wide on a {window} px phone"

    return check
