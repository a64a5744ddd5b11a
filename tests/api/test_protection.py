"""What every answer carries, and what is refused at the door."""

import httpx
import pytest

from lis.api.protection import BODY_BYTES_MAX
from tests.api.conftest import OpenBrowser


@pytest.mark.parametrize("path", ["/login", "/healthz", "/api/v1/session", "/no/such/page"])
def test_every_answer_carries_the_strict_policy(open_browser: OpenBrowser, path: str):
    headers = open_browser().get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_ever_under_a_versioned_address(open_browser: OpenBrowser):
    browser = open_browser()
    page = browser.get("/login").text
    address = page.split('src="', 1)[1].split('"', 1)[0]
    answer = browser.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


def test_body_over_the_cap_is_refused(open_browser: OpenBrowser):
    answer = open_browser().post("/api/v1/session", content=b"x" * (BODY_BYTES_MAX + 1))
    assert answer.status_code == 413


def test_body_that_hides_its_length_is_refused_too(open_browser: OpenBrowser):
    chunk = b"x" * 65_536
    stream = (chunk for _ in range(BODY_BYTES_MAX // len(chunk) + 2))
    try:
        status = open_browser().post("/api/v1/session", content=stream).status_code
    except httpx.WriteError:  # the server has already answered and hung up
        status = 413
    assert status == 413


def test_unknown_api_path_is_a_problem_and_unknown_page_is_a_page(open_browser: OpenBrowser):
    browser = open_browser("technician")
    problem, page = browser.get("/api/v1/nothing"), browser.get("/nothing")
    assert (problem.status_code, page.status_code) == (404, 404)
    assert problem.json()["code"] == "not_found"
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_login_never_leads_to_another_site(open_browser: OpenBrowser, wanted: str):
    browser = open_browser()
    page = browser.get("/login", params={"next": wanted}).text
    assert 'name="next" value=""' in page


def test_names_are_text_and_never_markup(open_browser: OpenBrowser):
    browser = open_browser("administrator")
    body = {
        "login": "x",
        "name": "<script>alert(1)</script>\u202egnp",
        "password": "a long enough one",
        "roles": ["doctor"],
    }
    assert browser.post("/api/v1/users", json=body).status_code == 201
    page = browser.get("/users").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_metrics_count_by_route_and_tell_no_patient(open_browser: OpenBrowser):
    browser = open_browser("technician")
    browser.get("/api/v1/observations/12345")
    text = browser.get("/metrics").text
    assert "lis_http_requests_total" in text
    assert 'lis_queue_rows{queue="inbox",state="new"} 0' in text
    assert "12345" not in text


def test_health_says_when_the_store_answers(open_browser: OpenBrowser):
    assert open_browser().get("/healthz").json() == {"status": "ok"}
