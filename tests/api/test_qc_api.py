"""Quality control over HTTP: who may look, who may act, and what a refusal says."""

from pathlib import Path

import httpx
import pytest

from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from lis.store.rows import Audit
from lis.store.unit import Store
from tests.api.conftest import OpenBrowser
from tests.control_story import Story
from tests.serving import make_template

BOARD = "/api/v1/qc/board"
CHART = "/api/v1/qc/charts/{}/{}"


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qc") / "lis.db"
    make_template(path)
    clock = ManualClock()
    store = Store.open(f"sqlite:///{path}", clock=clock)
    story = Story(store, clock)
    story.furnish()
    story.tell()
    store.close()
    return path


@pytest.fixture
def officer(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("qc_officer")


def tile(browser: httpx.Client, test: str) -> dict:
    return next(one for one in browser.get(BOARD).json() if one["test"] == test)


def sheet(browser: httpx.Client, test: str) -> dict:
    answer = browser.get(CHART.format(tile(browser, test)["device_id"], test))
    assert answer.status_code == 200
    return answer.json()


def act(browser: httpx.Client, run: dict, text: str = "calibrated", **other: object):
    body = {"version": run["version"], "text": text, **other}
    return browser.post(f"/api/v1/qc/runs/{run['run_id']}/action", json=body)


def audited(laboratory: Laboratory, action: str) -> list[str]:
    with laboratory.store.read() as session:
        return [row.actor for row in session.query(Audit).filter_by(action=action)]


def test_the_board_says_the_worst_first(officer: httpx.Client):
    states = [one["state"] for one in officer.get(BOARD).json()]
    assert states == ["rejected", "missing", "overdue", "due", "warned", "open", "open"]


def test_a_chart_gives_runs_with_points_and_verdicts(officer: httpx.Client):
    found = sheet(officer, "GLU")
    assert found["levels"] == ["L1", "L2", "L3"]
    assert len(found["lines"]) == 42
    last = found["lines"][-1]
    assert (last["verdict"], last["violations"]) == ("warned", {"1_2s": ["L2"]})
    assert last["points"][1]["z"] == pytest.approx(2.2)


def test_a_chart_that_is_not_on_the_board_does_not_exist(officer: httpx.Client):
    assert officer.get(CHART.format(1, "NONE")).status_code == 404
    assert officer.get(CHART.format(999, "GLU")).status_code == 404
    assert officer.get("/qc/999/GLU").status_code == 404


def test_a_technician_looks_and_does_not_act(open_browser: OpenBrowser):
    browser = open_browser("technician")
    run = sheet(browser, "K")["lines"][-1]
    assert act(browser, run).status_code == 403
    assert '<form method="post" action="/qc/' not in browser.get("/qc/1/K").text


def test_a_doctor_sees_no_controls(open_browser: OpenBrowser):
    browser = open_browser("doctor")
    assert browser.get(BOARD).status_code == 403
    assert browser.get("/qc").status_code == 403


def test_an_action_is_recorded_once_and_audited(officer: httpx.Client, laboratory: Laboratory):
    run = sheet(officer, "K")["lines"][-1]
    assert act(officer, run).status_code == 204
    assert audited(laboratory, "record_action")[-1] == "qc_officer"
    told = sheet(officer, "K")["lines"][-1]
    assert (told["action"], told["action_by"]) == ("calibrated", "qc_officer")
    assert act(officer, told).json()["code"] == "qc.action_already_recorded"


def test_a_run_that_changed_meanwhile_is_a_conflict(officer: httpx.Client):
    run = sheet(officer, "K")["lines"][-1]
    answer = act(officer, {**run, "version": run["version"] + 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "qc.run_changed")


def test_an_action_without_words_is_refused(officer: httpx.Client):
    run = sheet(officer, "K")["lines"][-1]
    answer = act(officer, run, text="  ")
    assert (answer.status_code, answer.json()["code"]) == (422, "qc.reason_needed")


def test_a_form_of_another_site_changes_nothing(officer: httpx.Client):
    run = sheet(officer, "K")["lines"][-1]
    officer.headers.pop("X-CSRF-Token")
    form = {"run": run["run_id"], "version": run["version"], "text": "x"}
    assert officer.post("/qc/1/K/action", data=form).status_code == 403
    assert act(officer, run).status_code == 403
    assert sheet(officer, "K")["lines"][-1]["action"] == ""


def test_a_stale_form_shows_the_page_again_with_what_was_typed(officer: httpx.Client):
    run = sheet(officer, "K")["lines"][-1]
    form = {"run": run["run_id"], "version": run["version"] + 1, "text": "new <cassette>"}
    answer = officer.post("/qc/1/K/action?runs=20", data=form)
    assert answer.status_code == 409
    assert "new &lt;cassette&gt;</textarea>" in answer.text
    assert 'role="alert"' in answer.text


def test_a_void_keeps_the_point_in_sight(officer: httpx.Client, laboratory: Laboratory):
    point = sheet(officer, "NA")["lines"][-1]["points"][0]
    address = f"/api/v1/qc/points/{point['point_id']}/void"
    assert officer.post(address, json={"reason": "wrong vial"}).status_code == 204
    told = sheet(officer, "NA")["lines"][-1]
    assert (told["points"][0]["mark"], told["points"][0]["void_reason"]) == ("void", "wrong vial")
    assert told["verdict"] == "pending"
    assert audited(laboratory, "void")[-1] == "qc_officer"
    assert "<del>" in officer.get("/qc/1/NA").text


def test_S02_an_exception_opens_a_missing_gate_and_never_a_rejected_one(officer: httpx.Client):
    wanted = {"device_id": 1, "test": "AST", "reason": "delivery is late", "hours": 3}
    granted = officer.post("/api/v1/qc/exceptions", json=wanted)
    assert granted.status_code == 201
    assert tile(officer, "AST")["state"] == "excused"
    answer = officer.post("/api/v1/qc/exceptions", json={**wanted, "test": "K"})
    assert answer.json()["code"] == "qc.exception_for_rejection"
    address = f"/api/v1/qc/exceptions/{granted.json()['id']}/close"
    assert officer.post(address, json={"reason": "controls came"}).status_code == 204
    assert tile(officer, "AST")["state"] == "missing"
    assert officer.get("/api/v1/qc/exceptions").json() == []


@pytest.mark.parametrize("hours", [0, 25])
def test_S02_an_exception_is_short(officer: httpx.Client, hours: int):
    wanted = {"device_id": 1, "test": "AST", "reason": "late", "hours": hours}
    assert officer.post("/api/v1/qc/exceptions", json=wanted).status_code == 422


def test_nobody_answers_for_a_gate_that_is_not_there(officer: httpx.Client):
    wanted = {"device_id": 77, "test": "AST", "reason": "late", "hours": 1}
    assert officer.post("/api/v1/qc/exceptions", json=wanted).status_code == 404


def test_a_filter_keeps_what_fits(officer: httpx.Client):
    page = officer.get("/qc", params={"q": "potas"}).text
    assert "/qc/1/K" in page
    assert "/qc/1/GLU" not in page
    assert "No test fits" in officer.get("/qc", params={"q": "nothing"}).text
    assert "/qc/1/K" not in officer.get("/qc", params={"state": "open"}).text
    assert "/qc/1/K" not in officer.get("/qc", params={"device": "2"}).text


@pytest.mark.parametrize("runs", ["20", "60", "all"])
def test_a_range_shows_as_many_runs(officer: httpx.Client, runs: str):
    page = officer.get(f"/qc/1/GLU?runs={runs}").text
    shown = {"20": 20}.get(runs, 42)
    assert f'data-runs="{shown}"' in page
    assert page.count('<tr id="run-') == shown


def test_one_level_is_drawn_in_its_own_units(officer: httpx.Client):
    page = officer.get("/qc/1/GLU?level=L3").text
    assert page.count('class="lj-level') == 1
    assert "15.20</text>" in page
    assert 'class="lj-level lj-3"' in page  # the colour and shape it has beside the others


def test_a_rule_within_a_run_marks_only_the_points_beyond_its_limit(officer: httpx.Client):
    run = next(one for one in sheet(officer, "GLU")["lines"] if "2_2s" in one["violations"])
    marks = [(point["level"], point["mark"]) for point in run["points"]]
    assert marks == [("L1", "void"), ("L2", "rejected"), ("L3", "accepted")]
