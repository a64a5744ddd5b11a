"""A laboratory with a bench full of results behind a real server, for browser tests.

Import the fixtures by name into a test module. The clock stands still at 2026-11-02 11:00 in Moscow, so that
pictures stay the same; the bench is made once a run and copied for each test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lis.app.laboratory import Laboratory
from lis.cli.worklist_seed import Bench
from lis.domain.clock import ManualClock
from lis.store.unit import Store
from tests.serving import PASSWORD, make_template, open_laboratory, served

TUBES = 24


@dataclass
class Running:
    """What a test needs of the running laboratory."""

    address: str
    laboratory: Laboratory
    bench: Bench


@pytest.fixture(scope="session")
def full_bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bench]:
    path = tmp_path_factory.mktemp("bench") / "lis.db"
    make_template(path)
    clock = ManualClock()
    store = Store.open(f"sqlite:///{path}", clock=clock)
    bench = Bench(store, clock)
    bench.furnish()
    bench.fill(TUBES)
    store.close()
    return path, bench


@pytest.fixture
def running(
    full_bench: tuple[Path, Bench], tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Running]:
    template, first = full_bench
    with open_laboratory(template, tmp_path / "lis.db", manual_clock, "ru") as laboratory:
        bench = Bench(laboratory.store, manual_clock, seed=8, devices=first.devices)
        with served(laboratory) as address:
            yield Running(address, laboratory, bench)


def log_in(page: Page, address: str, login: str, *, path: str = "/", language: str = "ru") -> None:
    """Through the login form, as a person does."""
    page.context.add_cookies([{"name": "lis_language", "value": language, "url": address}])
    page.goto(address + (f"/login?next={path}" if path != "/" else "/"))
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("header.top form[action='/logout']")).to_be_visible()


def open_worklist(page: Page, address: str, *, language: str = "ru") -> None:
    """Sign in as a technician and wait until the first rows stand."""
    log_in(page, address, "technician", path="/worklist", language=language)
    expect(page.locator("main[data-ready=true]")).to_be_visible()
    expect(page.locator("#live.up")).to_be_visible()
