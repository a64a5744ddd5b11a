"""The desk's lists with a real browser: look-up, outstanding, work plan; keys, live news, phone, both languages."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from lis.store.definitions import DefinitionKind, put_definition
from lis.store.list_rows import SavedFilter, Telling
from lis.store.observation_rows import Observation
from lis.store.order_rows import Specimen
from lis.store.seed.demo_catalog import demo_documents
from tests.e2e.conftest import NewPage
from tests.e2e.seeding import Running, log_in

pytestmark = pytest.mark.e2e

READY = "main[data-ready=true]"


def open_page(page: Page, running: Running, path: str, *, language: str = "ru") -> None:
    log_in(page, running.address, "technician", path=path, language=language)
    expect(page.locator(READY)).to_be_visible()


def some_tube(running: Running) -> str:
    with running.laboratory.store.read() as session:
        tube = session.query(Specimen).order_by(Specimen.id.desc()).first()
        assert tube is not None
        return tube.accession


def test_three_keys_lead_to_an_answer_and_a_call_is_noted(running: Running, page: Page):
    accession = some_tube(running)
    open_page(page, running, "/worklist")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type(accession)
    page.keyboard.press("Enter")
    expect(page.locator(".answer").first).to_contain_text(accession)
    page.locator("h1").click()
    page.keyboard.press("t")
    page.keyboard.type("Петров, терапия")
    page.keyboard.press("Enter")
    expect(page.locator(".told li")).to_contain_text("Петров, терапия")
    with running.laboratory.store.read() as session:
        assert session.query(Telling).count() == 1


def test_a_name_finds_people_and_arrows_choose_one(running: Running, page: Page):
    open_page(page, running, "/lookup")
    page.keyboard.type("и")
    page.keyboard.type("ва")
    page.keyboard.press("Enter")
    expect(page.locator(READY)).to_be_visible()
    expect(page.locator("a[data-row]").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("a[data-row]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".answer").first).to_be_visible()


def test_a_filter_is_kept_and_found_again(running: Running, page: Page):
    open_page(page, running, "/workplan?section=chemistry")
    page.locator(".keep input[name=name]").fill("Моя химия")
    page.keyboard.press("Enter")
    expect(page.locator(".kept nav a")).to_have_text("Моя химия")
    with running.laboratory.store.read() as session:
        assert session.query(SavedFilter).one().body["section"] == "chemistry"
    page.goto(running.address + "/workplan")
    page.locator(".kept nav a").click()
    expect(page.locator("select[name=section]")).to_have_value("chemistry")
    page.locator(".kept .quiet").click()
    expect(page.locator(".kept nav a")).to_have_count(0)


def test_a_new_tube_appears_on_the_plan_by_itself(running: Running, page: Page):
    open_page(page, running, "/workplan")
    expect(page.locator("#live.up")).to_be_visible()
    accession = running.bench.order_only("GLU")
    expect(page.locator("#part")).to_contain_text(accession)


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", ["/lookup", "/outstanding?minutes=0", "/workplan"])
def test_lists_are_accessible(
    running: Running,
    page: Page,
    assert_accessible: Callable[[Page], None],
    language: str,
    path: str,
):
    if path == "/lookup":
        path = f"/lookup?text={some_tube(running)}"
    else:
        running.bench.order_only("GLU", "K", "WBC")
    open_page(page, running, path.replace("?", "%3F"), language=language)
    assert_accessible(page)


def test_the_look_up_fits_a_phone(
    running: Running, new_page: NewPage, assert_fits_phone: Callable[[Page], None]
):
    phone = new_page(phone=True)
    open_page(phone, running, f"/lookup%3Ftext={some_tube(running)}")
    assert_fits_phone(phone)


def with_sediment(running: Running) -> None:
    """A test that no analyzer measures comes into the catalog."""
    document = demo_documents().catalog
    by_hand = {
        "code": "SED",
        "names": {"ru": "Осадок мочи", "en": "Urine sediment"},
        "unit": "/HPF",
        "specimen_type": "SER",
        "section": "manual",
    }
    body = {**document, "version": "hand-1", "tests": [*document["tests"], by_hand]}
    with running.laboratory.store.unit("author") as unit:
        since = unit.now - timedelta(hours=2)
        put_definition(unit, DefinitionKind.CATALOG, "hand-1", body, since, "approver")


def test_a_value_is_typed_into_the_plan_and_the_next_field_follows(
    running: Running, page: Page, tolerated: list[str]
):
    tolerated.append("422")
    with_sediment(running)
    for _ in range(2):
        running.bench.order_only("SED")
    open_page(page, running, "/workplan?is_by_hand=true")
    fields = page.locator(".value-entry input[name=value]")
    expect(fields).to_have_count(2)
    fields.first.focus()
    page.keyboard.type("many")
    page.keyboard.press("Enter")
    expect(page.locator(".value-entry .trouble")).to_contain_text("many")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator(".value-entry.done")).to_have_count(1)
    expect(fields.nth(1)).to_be_focused()
    with running.laboratory.store.read() as session:
        row = session.query(Observation).filter_by(test_code="SED").one()
    assert (row.reported, row.operator) == ("4", "technician")
