"""The message lab over HTTP: read, propose, save; who may, and what is refused in words."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lis.app.laboratory import Laboratory
from lis.drivers import registry
from lis.drivers.learned_files import faults_of
from tests.api.conftest import OpenBrowser

LAB = "/api/v1/message-lab"
RAW = (
    b"H|\\^&|||Analyte 9^02-11^^^^Q4711|||||||P|1|20261102080000\r"
    b"P|1||4711||Doe^Jane\rO|1|20000021||^^^GLU|R\r"
    b"R|1|^^^GLU|5.5|mmol/L||N||F||Smith||20261102075900\rL|1|N\r"
)
CAPTURE = base64.b64encode(RAW).decode()


@pytest.fixture
def folder(laboratory: Laboratory, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "drivers"
    drivers = laboratory.settings.drivers.model_copy(update={"folder": str(folder)})
    laboratory.settings = laboratory.settings.model_copy(update={"drivers": drivers})
    yield folder
    registry.use_folder(None)


def proposed(technician: Any) -> dict[str, str]:
    answer = technician.post(f"{LAB}/propose", json={"captures": [CAPTURE]})
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["answer"] for one in answer.json()["questions"]}


def test_a_capture_is_read_with_every_field_by_its_place(open_browser: OpenBrowser) -> None:
    answer = open_browser("technician").post(f"{LAB}/read", json={"captures": [CAPTURE]})

    assert answer.status_code == 200, answer.text
    [message] = answer.json()
    assert message["driver"] is None
    assert message["observations"][0]["holds"] == ["unknown_driver"]
    [row] = [row for row in message["records"] if row["name"] == "R|1"]
    [value] = [cell for cell in row["cells"] if cell["place"] == "R.4"]
    assert (value["text"], value["uses"]) == ("5.5", ["value"])


def test_a_driver_is_saved_from_confirmed_answers(open_browser: OpenBrowser, folder: Path) -> None:
    technician = open_browser("technician")
    body = {"captures": [CAPTURE], "answers": proposed(technician), "key": "lab-a9", "name": "A 9"}

    answer = technician.post(f"{LAB}/drivers", json=body)

    assert answer.status_code == 201, answer.text
    assert answer.json() == {"key": "lab-a9", "files": ["profile.toml", "1.cap", "1.json"]}
    assert faults_of(folder) == ()
    again = technician.post(f"{LAB}/drivers", json=body)
    assert again.status_code == 400


def test_what_nobody_confirmed_is_not_saved(open_browser: OpenBrowser, folder: Path) -> None:
    technician = open_browser("technician")
    answers = proposed(technician)
    del answers["unit"]
    body = {"captures": [CAPTURE], "answers": answers, "key": "lab-a9", "name": "A 9"}

    answer = technician.post(f"{LAB}/drivers", json=body)

    assert (answer.status_code, folder.exists()) == (400, False)
    assert "unit" in answer.text


def test_without_a_folder_nothing_can_be_saved(open_browser: OpenBrowser) -> None:
    technician = open_browser("technician")
    body = {"captures": [CAPTURE], "answers": proposed(technician), "key": "lab-a9", "name": "A 9"}

    answer = technician.post(f"{LAB}/drivers", json=body)

    assert answer.status_code == 422
    assert answer.json()["code"] == "lab.no_folder"
    assert "[drivers] folder" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"captures": ["%%%"]}, 400),
        ({"captures": []}, 422),
        ({"captures": [CAPTURE], "driver": "no-such"}, 404),
        ({"captures": [base64.b64encode(b"x" * 1_000_001).decode()]}, 400),
        ({"captures": [CAPTURE], "drvier": "x"}, 422),
    ],
)
def test_what_is_no_capture_is_refused(
    open_browser: OpenBrowser, body: dict[str, Any], status: int
) -> None:
    assert open_browser("technician").post(f"{LAB}/read", json=body).status_code == status


@pytest.mark.parametrize("role", ["doctor", "administrator"])
def test_who_may_not_see_raw_traffic_is_refused(open_browser: OpenBrowser, role: str) -> None:
    for path in ("read", "propose"):
        answer = open_browser(role).post(f"{LAB}/{path}", json={"captures": [CAPTURE]})
        assert answer.status_code == 403
