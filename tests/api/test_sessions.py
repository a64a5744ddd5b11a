"""Who gets in, how long a session lives, and what a foreign page cannot do with it."""

import pytest

from lis.access import actor_of
from lis.app.laboratory import Laboratory
from lis.domain.clock import ManualClock
from tests.api.conftest import OpenBrowser
from tests.serving import PASSWORD


def test_session_cookie_is_for_this_site_and_not_for_scripts(open_browser: OpenBrowser):
    browser = open_browser()
    answer = browser.post("/api/v1/session", json={"login": "technician", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("lis=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert answer.json()["permissions"]


def test_wrong_password_and_unknown_login_get_the_same_answer(open_browser: OpenBrowser):
    browser = open_browser()
    wrong = browser.post("/api/v1/session", json={"login": "technician", "password": "no"})
    unknown = browser.post("/api/v1/session", json={"login": "nobody", "password": "no"})
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.json() == unknown.json()
    assert wrong.headers["content-type"] == "application/problem+json"


def test_five_failures_lock_the_account(open_browser: OpenBrowser):
    browser = open_browser()
    for _ in range(5):
        browser.post("/api/v1/session", json={"login": "doctor", "password": "no"})
    answer = browser.post("/api/v1/session", json={"login": "doctor", "password": PASSWORD})
    assert answer.status_code == 429
    assert "15" in answer.json()["detail"]


def test_idle_session_ends(open_browser: OpenBrowser, manual_clock: ManualClock):
    browser = open_browser("technician")
    assert browser.get("/api/v1/session").status_code == 200
    manual_clock.advance(minutes=31)
    answer = browser.get("/api/v1/session")
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_signed_in"


def test_signing_out_makes_the_token_worthless(open_browser: OpenBrowser):
    browser = open_browser("technician")
    token = browser.cookies["lis"]
    assert browser.delete("/api/v1/session").status_code == 204
    browser.cookies.set("lis", token)
    assert browser.get("/api/v1/session").status_code == 401


def test_disabling_a_user_ends_his_session_at_once(open_browser: OpenBrowser):
    doctor, administrator = open_browser("doctor"), open_browser("administrator")
    user = next(
        user for user in administrator.get("/api/v1/users").json() if user["login"] == "doctor"
    )
    administrator.put(f"/api/v1/users/{user['id']}", json={**user, "is_active": False})
    assert doctor.get("/api/v1/session").status_code == 401


def test_unsafe_request_without_the_pages_token_is_refused(open_browser: OpenBrowser):
    browser = open_browser("technician")
    del browser.headers["X-CSRF-Token"]
    answer = browser.delete("/api/v1/session")
    assert answer.status_code == 403
    assert answer.json()["code"] == "foreign_form"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_unsafe_request_from_another_origin_is_refused(open_browser: OpenBrowser, origin: str):
    browser = open_browser("technician")
    answer = browser.delete("/api/v1/session", headers={"Origin": origin})
    assert answer.status_code == 403
    assert browser.get("/api/v1/session").status_code == 200


def test_cookie_without_an_origin_is_refused(open_browser: OpenBrowser):
    browser = open_browser("technician")
    del browser.headers["Origin"]
    assert browser.delete("/api/v1/session").status_code == 403


def test_own_password_needs_the_present_one(open_browser: OpenBrowser):
    browser = open_browser("technician")
    url = "/api/v1/session/password"
    refused = browser.put(url, json={"old": "no", "new": "another good one"})
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong_password")
    assert browser.put(url, json={"old": PASSWORD, "new": "another good one"}).status_code == 204
    again = {"login": "technician", "password": "another good one"}
    assert open_browser().post("/api/v1/session", json=again).status_code == 200


def test_problems_speak_the_chosen_language(open_browser: OpenBrowser):
    browser = open_browser()
    browser.cookies.set("lis_language", "ru")
    assert browser.get("/api/v1/session").json()["title"] == "Нужен вход"


def test_looking_at_a_session_does_not_keep_it_alive(
    open_browser: OpenBrowser, laboratory: Laboratory, manual_clock: ManualClock
):
    browser = open_browser("technician")
    token = browser.cookies["lis"]
    manual_clock.advance(minutes=20)
    assert actor_of(laboratory.store, token, is_use=False) is not None
    manual_clock.advance(minutes=20)
    assert actor_of(laboratory.store, token, is_use=False) is None
