"""Deciding over HTTP: exactly what was shown, fresh rows on conflict, the raw message behind a value."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lis.api.decisions import iso_date
from lis.api.raw_text import raw_lines, record_text
from lis.app.laboratory import Laboratory
from lis.cli.worklist_seed import Bench
from lis.domain.clock import ManualClock
from lis.store.rows import Inbox
from lis.store.unit import Store
from tests.api.conftest import OpenBrowser
from tests.serving import make_template, open_laboratory

Row = dict[str, Any]


@pytest.fixture(scope="module")
def template_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "lis.db"
    make_template(path)
    clock = ManualClock()
    store = Store.open(f"sqlite:///{path}", clock=clock)
    bench = Bench(store, clock)
    bench.furnish()
    bench.fill(12)
    store.close()
    return path


@pytest.fixture
def laboratory(
    template_bench: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    with open_laboratory(template_bench, tmp_path / "lis.db", manual_clock) as laboratory:
        yield laboratory


@pytest.fixture
def technician(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("technician")


def rows(browser: httpx.Client, **query: Any) -> list[Row]:
    return browser.get("/api/v1/worklist", params=query).json()["rows"]


def seen(row: Row, **more: Any) -> Row:
    return {"id": row["id"], "version": row["row_version"], "hash": row["shown_hash"], **more}


def decide(browser: httpx.Client, row: Row, action: str, **more: Any) -> httpx.Response:
    return browser.post(f"/api/v1/observations/{row['id']}/{action}", json=seen(row, **more))


def test_pages_follow_each_other_by_key_without_gap_or_repetition(technician: httpx.Client):
    whole = [row["id"] for row in rows(technician)]
    found: list[int] = []
    after = ""
    for _ in range(len(whole)):
        page = technician.get("/api/v1/worklist", params={"limit": 7, "after": after}).json()
        found += [row["id"] for row in page["rows"]]
        after = page["next"]
        if not after:
            break
    assert found == whole


def test_counts_agree_with_the_lanes(technician: httpx.Client):
    counts = technician.get("/api/v1/worklist/counts").json()
    assert counts == {lane: len(rows(technician, lane=lane)) for lane in counts}


def test_names_of_tests_come_in_the_chosen_language(technician: httpx.Client):
    english = {row["test"]: row["test_name"] for row in rows(technician)}
    technician.cookies.set("lis_language", "ru")
    russian = {row["test"]: row["test_name"] for row in rows(technician)}
    assert (english["K"], russian["K"]) == ("Potassium", "Калий")


def test_verify_releases_and_undo_takes_back(technician: httpx.Client):
    row = rows(technician, lane="clear")[0]
    done = decide(technician, row, "verify").json()["row"]
    assert (done["bench_state"], done["validator"]) == ("released", "technician")
    back = technician.post(f"/api/v1/observations/{row['id']}/undo").json()["row"]
    assert back["bench_state"] == "held"


def test_undo_after_five_seconds_is_refused_in_words(
    technician: httpx.Client, manual_clock: ManualClock
):
    row = rows(technician, lane="clear")[0]
    decide(technician, row, "verify")
    manual_clock.advance(seconds=6)
    answer = technician.post(f"/api/v1/observations/{row['id']}/undo")
    assert (answer.status_code, answer.json()["code"]) == (422, "undo_too_late")
    assert answer.json()["detail"] != "undo_too_late"


@pytest.mark.parametrize("change", [{"version": 99}, {"hash": "another"}])
def test_S07_anything_else_than_what_was_shown_is_409_with_the_fresh_row(
    technician: httpx.Client, change: Row
):
    technician.cookies.set("lis_language", "ru")
    row = rows(technician, lane="clear")[0]
    answer = decide(technician, row, "verify", **change)
    assert answer.status_code == 409
    assert answer.json()["row"] == row
    assert rows(technician, lane="clear")[0] == row


def test_S07_bulk_verifies_exactly_the_listed_clear_rows(technician: httpx.Client):
    critical = rows(technician, lane="critical")[0]
    clear = rows(technician, lane="clear")
    listed = [seen(clear[0]), seen(clear[1], version=99), seen(critical)]
    answer = technician.post("/api/v1/observations/verify-clear", json={"shown": listed}).json()
    assert answer["verified"] == [clear[0]["id"]]
    assert answer["refused"] == {
        str(clear[1]["id"]): "stale_version",
        str(critical["id"]): "not_clear",
    }


def test_verify_specimen_leaves_rows_of_other_tubes(technician: httpx.Client):
    first, *others = rows(technician, lane="clear")
    other = next(row for row in others if row["specimen"]["id"] != first["specimen"]["id"])
    body = {"specimen": first["specimen"]["id"], "shown": [seen(first), seen(other)]}
    answer = technician.post("/api/v1/observations/verify-specimen", json=body).json()
    assert answer["verified"] == [first["id"]]
    assert answer["refused"] == {str(other["id"]): "other_specimen"}


def test_an_obstacle_is_422_with_what_to_do(technician: httpx.Client):
    row = next(
        row
        for row in rows(technician, lane="hold")
        if any(hold["code"] == "unit_changed" for hold in row["holds"])
    )
    answer = decide(technician, row, "verify")
    assert (answer.status_code, answer.json()["code"]) == (422, "unit_changed")
    assert "repeat" in answer.json()["detail"]


def test_rejecting_a_tube_rejects_the_listed_rows_and_needs_a_reason(technician: httpx.Client):
    first, *others = rows(technician, lane="clear")
    same = [one for one in others if one["specimen"]["id"] == first["specimen"]["id"]]
    listed = [seen(one) for one in same]
    assert decide(technician, first, "reject", reason=" ", others=listed).status_code == 422
    answer = decide(technician, first, "reject", reason="clot", others=listed).json()
    assert {row["bench_state"] for row in answer["rows"]} == {"rejected"}
    assert len(answer["rows"]) == 1 + len(same)


def test_repeat_and_dilution_are_ordered_with_a_reason(technician: httpx.Client):
    first, second = rows(technician, lane="clear")[:2]
    assert decide(technician, first, "rerun", reason="flag").status_code == 200
    assert decide(technician, second, "dilute", reason="high", factor="5").status_code == 200
    refused = decide(technician, first, "dilute", reason="high", factor="0.5")
    assert refused.status_code in {409, 422}


def test_a_critical_call_closes_by_read_back_only(technician: httpx.Client):
    row = rows(technician, lane="critical")[0]
    url = f"/api/v1/observations/{row['id']}"
    decide(technician, row, "call", person="ward nurse", note="busy")
    assert technician.get(url).json()["calls"][0]["state"] == "attempted"
    decide(technician, row, "call", person="Dr. Orlov", read_back=True)
    assert technician.get(url).json()["calls"][0]["state"] == "closed"


def test_S15_a_result_is_bound_with_a_second_identifier_only(technician: httpx.Client):
    stranger = next(
        row for row in rows(technician, lane="unmatched") if row["specimen"]["text"] == "99000017"
    )
    tube = next(row for row in rows(technician) if row["test"] == stranger["test"])
    accession, born = tube["specimen"]["accession"], tube["patient"]["birth_date"]
    wrong = decide(technician, stranger, "bind", accession=accession, identifier="01.01.1901")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "second_identifier_differs")
    shown = ".".join(reversed(born.split("-")))
    answer = decide(technician, stranger, "bind", accession=accession, identifier=shown)
    assert answer.status_code in {200, 422}, answer.text  # the other run may stand in the way
    assert answer.json().get("code") != "second_identifier_differs"


def test_the_raw_message_is_whole_and_holds_the_record(technician: httpx.Client):
    row = rows(technician, lane="clear")[0]
    detail = technician.get(f"/api/v1/observations/{row['id']}").json()
    raw = technician.get(f"/api/v1/observations/{row['id']}/raw").json()
    assert raw["lines"][0].startswith("H|")
    assert detail["raw"]["text"] in raw["lines"]
    assert row["reported"] in detail["raw"]["text"]


def test_dates_as_people_write_them_are_understood():
    assert iso_date("5.3.1980") == "1980-03-05"
    assert iso_date("1980-03-05") == "1980-03-05"
    assert iso_date("77.1.2") == "77.1.2"


def message(raw: bytes) -> Inbox:
    return Inbox(
        link_id=1,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        protocol="",
        lane="result",
        raw=raw,
        sha256=b"",
    )


def test_records_are_found_by_letter_and_ordinal():
    astm = message(b"H|\\^&\rP|1\rO|1|17\rR|1|^^^A|1\rC|1|I|note\rR|1|^^^B|2\rL|1\r")
    assert record_text(astm, "R|2") == "R|1|^^^B|2"
    assert record_text(astm, "R|3") == ""
    assert record_text(astm, "nonsense") == ""
    hl7 = message(b"MSH|^~\\&|a\rOBX|9|NM|A||1\rMSH|^~\\&|b\rOBX|1|NM|B||2\r")
    assert record_text(hl7, "1/OBX|1") == "OBX|9|NM|A||1"
    assert record_text(hl7, "2/OBX|1") == "OBX|1|NM|B||2"
    assert len(raw_lines(hl7)) == 4
