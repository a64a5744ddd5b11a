"""Routing over HTTP: a tube explains itself, a person moves it with a reason, and a stale page is told so."""

from datetime import timedelta

import pytest

from lis.orders import OrderEntry, PatientEntry, RequisitionEntry, place_requisition
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.traffic_rows import Device

API = "/api/v1/routing"


@pytest.fixture
def accession(laboratory):
    with laboratory.store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="UTC"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
    catalog = laboratory.catalog()
    entry = RequisitionEntry(
        patient=PatientEntry(family_name="Проверкин"),
        source="form",
        orders=(OrderEntry(code="WBC"),),
        is_received=True,
    )
    with laboratory.store.unit("author") as unit:
        unit.session.add_all(
            Device(public_id=unit.ids.new(), site_id=1, name=name, driver="sysmex-xp-100")
            for name in ("route-1", "route-2")
        )
        return place_requisition(unit, catalog, entry, site_id=1).specimens[0].accession


def test_a_tube_says_who_may_measure_it_and_a_person_moves_it(open_browser, accession):
    http = open_browser("technician")
    [test] = http.get(f"{API}/tubes/{accession}").json()["tests"]
    assert {"route-1", "route-2"} <= {one["name"] for one in test["judged"]}
    body = {"analyzer": "route-2", "reason": "lamp", "version": test["version"]}
    path = f"{API}/work-orders/{test['public_id']}/move"
    assert http.post(path, json={**body, "reason": " "}).status_code == 422
    assert http.post(path, json=body).status_code == 204
    assert http.post(path, json=body).status_code == 409
    [moved] = http.get(f"{API}/tubes/{accession}").json()["tests"]
    assert (moved["analyzer"], moved["pinned"], moved["state"]) == ("route-2", "route-2", "queued")
    loaded = http.get(f"{API}/analyzers/route-2").json()["tubes"]
    assert [(one["rack"], one["place"], one["accession"]) for one in loaded] == [(1, 1, accession)]


def test_an_unknown_tube_is_not_there_and_a_stranger_is_not_let_in(open_browser):
    assert open_browser("technician").get(f"{API}/tubes/99999999").status_code == 404
    assert open_browser().get(f"{API}/analyzers").status_code == 401
