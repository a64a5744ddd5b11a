"""Look-up, work plan and outstanding list over HTTP, and who may use them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.store.order_rows import WorkOrder
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.api.conftest import OpenBrowser
from tests.serving import open_laboratory


@pytest.fixture
def laboratory(
    template_database: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    with open_laboratory(template_database, tmp_path / "lis.db", manual_clock) as laboratory:
        with laboratory.store.unit("author") as unit:
            unit.session.add(Site(name="main", timezone="Europe/Moscow"))
            put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        yield laboratory


@pytest.fixture
def technician(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("technician")


@pytest.fixture
def placed(technician: httpx.Client) -> dict[str, Any]:
    sheet = {
        "key": "sheet-0001",
        "codes": "glu k",
        "family_name": "Образцова",
        "birth_date": "1980-02-03",
        "is_received": True,
    }
    answer = technician.post("/api/v1/orders", json=sheet)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_tube_is_looked_up_and_a_call_is_noted(technician: httpx.Client, placed: dict[str, Any]):
    number = placed["specimens"][0]["accession"]
    (answer,) = technician.get(f"/api/v1/lookup?text={number}").json()["answers"]
    assert {line["code"] for line in answer["lines"]} == {"GLU", "K"}
    said = {"told_to": "Петров", "relation": "doctor"}
    address = f"/api/v1/orders/{placed['public_id']}/tellings"
    assert technician.post(address, json=said).status_code == 201
    assert technician.post(address, json=said | {"told_to": " "}).status_code == 422
    assert technician.post(address, json=said | {"relation": "cat"}).status_code == 422
    (answer,) = technician.get(f"/api/v1/lookup?text={number}").json()["answers"]
    assert [one["told_to"] for one in answer["told"]] == ["Петров"]


def test_the_plan_and_the_outstanding_list_show_the_tube(
    technician: httpx.Client, placed: dict[str, Any]
):
    number = placed["specimens"][0]["accession"]
    plan = technician.get("/api/v1/workplan?section=chemistry").json()
    assert [tube["accession"] for tube in plan["tubes"]] == [number]
    assert technician.get("/api/v1/workplan?section=haematology").json()["tubes"] == []
    assert technician.get("/api/v1/workplan?after=x").status_code == 422
    found = technician.get("/api/v1/outstanding?minutes=0").json()
    assert {row["line"]["accession"] for row in found["rows"]} == {number}
    assert technician.get("/api/v1/outstanding?minutes=-1").status_code == 422


def test_filters_are_kept_read_and_dropped(technician: httpx.Client):
    body = {"section": "chemistry", "is_urgent": True, "tests": ["GLU"]}
    assert technician.put("/api/v1/workplan/filters/Моя", json=body).status_code == 200
    (kept,) = technician.get("/api/v1/workplan/filters").json()
    assert (kept["name"], kept["filter"]["section"]) == ("Моя", "chemistry")
    assert technician.delete("/api/v1/workplan/filters/Моя").status_code == 204
    assert technician.delete("/api/v1/workplan/filters/Моя").status_code == 404


@pytest.mark.usefixtures("placed")
def test_a_typed_value_is_taken_or_refused_in_words(
    technician: httpx.Client, laboratory: Laboratory
):
    with laboratory.store.read() as session:
        key = session.query(WorkOrder.id).filter_by(test_code="GLU").scalar()
    address = f"/api/v1/work-orders/{key}/value"
    answer = technician.post(address, json={"value": "sweet"})
    assert answer.status_code == 422
    assert "sweet" in answer.json()["detail"]
    entered = technician.post(address, json={"value": "5,4"})
    assert entered.status_code == 201
    assert entered.json()["value"] == "5.4"
    assert technician.post("/api/v1/work-orders/999/value", json={"value": "1"}).status_code == 404
