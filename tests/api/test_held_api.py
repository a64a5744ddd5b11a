"""Held orders, differences and identity over HTTP: read, settled, refused when stale; only by who may verify."""

from zoneinfo import ZoneInfo

import pytest

from lis.domain.lifecycle import WorkOrderState
from lis.emr.receiving import receive_message
from lis.store.definitions import catalog_in_force
from lis.store.order_rows import WorkOrder
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.emr.hospital import adt, merge, order


@pytest.fixture
def hospital(laboratory):
    """Says something to the laboratory over its EMR link."""
    with laboratory.store.unit("author") as unit:
        if unit.session.query(Site).count() == 0:
            unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now)

    def say(*said):
        with laboratory.store.unit("his") as unit:
            catalog = catalog_in_force(unit.session, unit.now)
            for one in said:
                reply = receive_message(
                    unit,
                    catalog,
                    one.raw(),
                    emr="his",
                    site_id=1,
                    inbox_id=None,
                    zone=ZoneInfo("UTC"),
                )
                assert reply.is_accepted
                unit.session.flush()

    return say


def test_a_held_order_is_read_mapped_and_gone(hospital, open_browser):
    hospital(order("NW", "O1", "P1", "SUGAR"))
    http = open_browser("technician")
    body = http.get("/api/v1/held-orders").json()
    (held,) = body["orders"]
    assert (held["hold_reason"], held["way"], body["next"]) == ("unknown_orderable", "map", None)
    path = f"/api/v1/held-orders/{held['id']}"
    wrong = http.post(f"{path}/map-code", json={"version": 1, "code": "NOPE"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "heldpage.no_such_test")
    assert "NOPE" in wrong.json()["detail"]
    mapped = http.post(f"{path}/map-code", json={"version": 1, "code": "GLU"})
    assert mapped.json() == {"orders": [held["id"]]}
    stale = http.post(f"{path}/refuse", json={"version": 1, "reason": "late"})
    assert (stale.status_code, stale.json()["row"]["state"]) == (409, "active")
    assert http.get("/api/v1/held-orders").json()["orders"] == []


def test_a_doctor_neither_reads_nor_settles_what_waits(hospital, open_browser):
    hospital(order("NW", "O1", "P1", "SUGAR"))
    http = open_browser("doctor")
    assert http.get("/api/v1/held-orders").status_code == 403
    refusal = {"version": 1, "reason": "no"}
    assert http.post("/api/v1/held-orders/1/refuse", json=refusal).status_code == 403
    assert http.post("/api/v1/order-changes/1/acknowledge").status_code == 403
    assert http.get("/api/v1/identity/issues").status_code == 403


def test_a_difference_is_read_and_acknowledged(hospital, open_browser, laboratory):
    hospital(order("NW", "O1", "P1", "GLU", minute=1))
    with laboratory.store.unit("bench") as unit:
        unit.session.query(WorkOrder).one().state = WorkOrderState.IN_PROCESS
    hospital(order("XO", "O1", "P1", "ALT", minute=2, serial=2))
    http = open_browser("technician")
    (change,) = http.get("/api/v1/order-changes").json()["changes"]
    assert (change["field"], change["had"], change["said"]) == ("code", "GLU", "ALT")
    assert not change["is_applied"]
    path = f"/api/v1/order-changes/{change['id']}/acknowledge"
    assert http.post(path).status_code == 204
    assert http.get("/api/v1/order-changes").json()["changes"] == []


def test_a_stopped_merge_is_read_and_two_people_are_merged_and_parted(hospital, open_browser):
    hospital(adt("A28", "P1", "Иванова", sex="F"), adt("A28", "P2", "Иванов", sex="M", serial=2))
    hospital(merge("P2", "P1", minute=2, serial=3), adt("A28", "P3", "Иванова", serial=4))
    http = open_browser("technician")
    (issue,) = http.get("/api/v1/identity/issues").json()["issues"]
    assert (issue["kind"], issue["conflicts"]) == ("merge_conflict", ["sex"])
    retired, surviving = (one["public_id"] for one in issue["people"])
    body = {"retired": retired, "surviving": surviving, "reason": "one person"}
    stopped = http.post("/api/v1/identity/merge", json=body)
    assert (stopped.status_code, stopped.json()["code"]) == (422, "identitypage.merge_conflict")
    path = f"/api/v1/identity/issues/{issue['id']}/settle"
    assert http.post(path, json={"reason": " "}).status_code == 422
    assert http.post(path, json={"reason": "two people"}).status_code == 204
    assert http.post(path, json={"reason": "again"}).status_code == 422
    (third,) = http.get("/api/v1/patients", params={"text": "P3"}).json()
    body["retired"] = third["public_id"]
    assert http.post("/api/v1/identity/merge", json=body).json()["is_new"]
    (line,) = http.get("/api/v1/identity/merges").json()
    assert line["merged_by"] == "technician"
    undo = {"retired": body["retired"], "reason": "two people"}
    assert http.post("/api/v1/identity/unmerge", json=undo).status_code == 200
    assert http.get("/api/v1/identity/merges").json() == []


@pytest.mark.parametrize(
    "path", ["/held", "/held?at=1&find=Прим", "/identity", "/identity?find=Прим"]
)
def test_the_pages_show_what_waits(hospital, open_browser, path):
    hospital(order("NW", "O1", "P1", "SUGAR"), order("XO", "O2", "P2", "GLU", serial=2))
    http = open_browser("technician")
    answer = http.get(path)
    assert answer.status_code == 200
    assert "Примерова" in answer.text or path == "/identity"


def test_forms_of_the_pages_settle_and_say_why_not(hospital, open_browser):
    hospital(order("NW", "O1", "P1", "SUGAR"), adt("A28", "P9", "Одна", serial=2))
    http = open_browser("technician")
    refused = http.post("/held/1/refuse", data={"version": 1, "reason": " "})
    assert refused.status_code == 422
    assert "sender will read it" in refused.text
    nobody = http.post("/identity/merge", data={"reason": "x"})
    assert nobody.status_code == 422
    done = http.post("/held/1/map", data={"version": 1, "code": "GLU"})
    assert done.status_code in {200, 303}
    assert http.get("/api/v1/held-orders").json()["orders"] == []
