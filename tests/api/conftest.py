"""A laboratory on a real store behind a real server, and clients that are signed in to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from tests.serving import Browser, make_template, open_laboratory, served


class OpenBrowser(Protocol):
    """Opens a browser session, signed in as the role that is named."""

    def __call__(self, role: str | None = None) -> httpx.Client: ...


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "lis.db"
    make_template(path)
    return path


@pytest.fixture
def laboratory(
    template_database: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    with open_laboratory(template_database, tmp_path / "lis.db", manual_clock) as laboratory:
        yield laboratory


@pytest.fixture
def address(laboratory: Laboratory) -> Iterator[str]:
    with served(laboratory) as address:
        yield address


@pytest.fixture
def open_browser(address: str) -> Iterator[OpenBrowser]:
    opened: list[Browser] = []

    def open_one(role: str | None = None) -> httpx.Client:
        browser = Browser.at(address)
        opened.append(browser)
        if role is not None:
            browser.sign_in(role)
        return browser.http

    yield open_one
    for browser in opened:
        browser.http.close()
