"""One tube over HTTP on both databases: its way, reception test by test (S35), and the steps through the house."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lis.access.users import create_user
from lis.app.bus import Bus
from lis.app.laboratory import Laboratory
from lis.app.settings import parse_settings
from lis.domain.clock import ManualClock
from lis.domain.roles import Role
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store
from tests.api.conftest import OpenBrowser
from tests.serving import PASSWORD, document


@pytest.fixture
def laboratory(store_url: str, manual_clock: ManualClock) -> Iterator[Laboratory]:
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        for role in (Role.TECHNICIAN, Role.DOCTOR):
            create_user(
                unit, login=role.value, name=role.value, password=PASSWORD, roles=frozenset({role})
            )
    settings = parse_settings(document(), where="test")
    try:
        yield Laboratory(
            settings=settings, store=store, bus=Bus(), clock=manual_clock, installation="test"
        )
    finally:
        store.close()


@pytest.fixture
def technician(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("technician")


@pytest.fixture
def tube(technician: httpx.Client) -> dict[str, Any]:
    sheet = {"key": "sheet-0001", "codes": "glu k", "family_name": "Образцова"}
    placed = technician.post("/api/v1/orders", json=sheet).json()
    return shown(technician, placed["specimens"][0]["accession"])


def shown(browser: httpx.Client, accession: str, storage: str = "") -> dict[str, Any]:
    query = f"?storage={storage}" if storage else ""
    answer = browser.get(f"/api/v1/specimens/{accession}{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def do(browser: httpx.Client, tube: dict[str, Any], action: str, **body: Any) -> httpx.Response:
    address = f"/api/v1/specimens/{tube['specimen_id']}/{action}"
    return browser.post(address, json={"version": tube["version"]} | body)


def moment(laboratory: Laboratory, hours_ago: float = 0) -> str:
    return (laboratory.clock.now() - timedelta(hours=hours_ago)).isoformat()


def test_a_tube_goes_its_way(
    technician: httpx.Client, laboratory: Laboratory, tube: dict[str, Any]
):
    assert tube["state"] == "expected"
    when = moment(laboratory, 1)
    collected = do(technician, tube, "collect", earliest=when, latest=when).json()
    assert (collected["state"], collected["certainty"]) == ("collected", "exact")
    shipped = do(technician, collected, "ship", destination="main").json()
    assert shipped["state"] == "in_transit"
    words = [
        {"test": one["line"]["code"], "verdict": "reject", "reason": "стояла в тепле"}
        for one in shipped["tests"]
        if one["advice"] != "accept"
    ]
    received = do(technician, shipped, "reception", storage="room", decided=words)
    assert received.status_code == 200, received.text
    stored = do(technician, received.json(), "store", storage="fridge", rack="A", position="1")
    assert (stored.json()["state"], stored.json()["location"]) == ("stored", "A/1")
    out = do(technician, stored.json(), "retrieve", reason="добавочный тест").json()
    gone = do(technician, out, "dispose", reason="срок хранения истёк").json()
    assert (gone["state"], gone["actions"]) == ("disposed", [])
    taken = [one["step"] for one in gone["steps"] if one["at"]]
    assert taken == ["ordered", "collected", "received", "stored", "retrieved"]
    assert [one["step"] for one in gone["steps"] if not one["at"]] == [
        "measured",
        "verified",
        "sent",
    ]


def test_S35_one_test_is_rejected_and_the_new_tube_is_named(
    technician: httpx.Client, laboratory: Laboratory, tube: dict[str, Any]
):
    words = [
        {"test": "K", "verdict": "reject", "reason": "гемолиз"},
        {"test": "GLU", "verdict": "deviate", "reason": "ликвор"},
    ]
    silent = [{"test": "K", "verdict": "reject", "reason": " "}]
    assert do(technician, tube, "reception", decided=silent).status_code == 422
    assert shown(technician, tube["accession"])["state"] == "expected"
    answer = do(technician, tube, "reception", decided=words, is_irreplaceable=True)
    assert answer.status_code == 200, answer.text
    after = {one["line"]["code"]: one for one in answer.json()["tests"]}
    again = after["K"]["decision"]["drawn_again"]
    assert after["K"]["decision"]["reason"] == "гемолиз"
    assert after["GLU"]["decision"]["verdict"] == "deviate"
    assert "ликвор (technician)" in answer.json()["deviation"]
    assert [one["line"]["code"] for one in shown(technician, again)["tests"]] == ["K"]


def test_a_stale_version_is_answered_with_the_fresh_tube(
    technician: httpx.Client, laboratory: Laboratory, tube: dict[str, Any]
):
    when = moment(laboratory)
    assert do(technician, tube, "collect", earliest=when, latest=when).status_code == 200
    late = do(technician, tube, "collect", earliest=when, latest=when)
    assert late.status_code == 409
    assert (late.json()["row"]["state"], late.json()["row"]["version"]) == ("collected", 2)


def test_a_step_that_cannot_be_is_refused_in_words(technician: httpx.Client, tube: dict[str, Any]):
    refused = do(technician, tube, "store", storage="fridge", rack="A", position="1")
    assert refused.status_code == 422
    assert tube["accession"] in refused.json()["detail"]
    assert do(technician, tube, "dispose", reason=" ").status_code == 422
    assert technician.get("/api/v1/specimens/none").status_code == 404


def test_a_doctor_sees_the_tube_and_may_not_throw_it_away(
    open_browser: OpenBrowser, tube: dict[str, Any]
):
    doctor = open_browser("doctor")
    assert shown(doctor, tube["accession"])["version"] == tube["version"]
    assert do(doctor, tube, "dispose", reason="просто так").status_code == 403


def send(browser: httpx.Client, tube: dict[str, Any], action: str, **fields: Any) -> httpx.Response:
    token = browser.headers["x-csrf-token"]
    address = f"/specimens/{tube['accession']}/{action}"
    return browser.post(address, data={"csrf": token, "version": tube["version"]} | fields)


def test_S35_the_page_shows_the_advice_and_takes_the_steps(
    technician: httpx.Client, tube: dict[str, Any]
):
    page = technician.get(f"/specimens/{tube['accession']}")
    assert page.status_code == 200
    assert "Образцова" in page.text
    assert "Reception, test by test" in page.text
    words = {"test": ["GLU", "K"], "verdict": ["reject", "reject"], "reason": ["сгусток", ""]}
    unsaid = send(technician, tube, "receive", **words)
    assert unsaid.status_code == 422
    assert "K: say why." in unsaid.text
    done = send(technician, tube, "receive", **(words | {"reason": ["сгусток", "гемолиз"]}))
    assert done.status_code == 303
    assert "гемолиз" in technician.get(f"/specimens/{tube['accession']}").text
    late = send(technician, tube, "dispose", reason="пуста")
    assert late.status_code == 409
    torn = send(technician, tube, "receive", test=["GLU"], verdict=[], reason=[])
    assert torn.status_code == 422
