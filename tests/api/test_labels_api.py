"""Labels over HTTP: what is shown is what is printed; a second label says why; the sheet carries the code."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from lis.app.laboratory import Laboratory
from lis.app.settings import PrinterSettings
from lis.domain.clock import ManualClock
from lis.printing.zpl import dots_of
from lis.store.people_rows import Site
from lis.store.rows import Outbox
from lis.store.seed.demo_catalog import put_demo_catalog
from tests.api.conftest import OpenBrowser
from tests.api.test_orders_api import placed
from tests.serving import open_laboratory

PRINTER = PrinterSettings(name="desk", link="tcp-connect://127.0.0.1:9100")


@pytest.fixture
def laboratory(
    template_database: Path, tmp_path: Path, manual_clock: ManualClock
) -> Iterator[Laboratory]:
    with open_laboratory(template_database, tmp_path / "lis.db", manual_clock) as laboratory:
        with laboratory.store.unit("author") as unit:
            unit.session.add(Site(name="main", timezone="Europe/Moscow"))
            put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        settings = laboratory.settings.model_copy(update={"printer": (PRINTER,)})
        yield replace(laboratory, settings=settings)


@pytest.fixture
def technician(open_browser: OpenBrowser) -> httpx.Client:
    return open_browser("technician")


def tube_of(browser: httpx.Client) -> str:
    return placed(browser)["specimens"][0]["accession"]


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L")) == 0


def test_the_preview_is_what_the_printer_is_sent(technician: httpx.Client):
    address = f"/api/v1/specimens/{tube_of(technician)}/label"
    shown = pixels(technician.get(f"{address}.png?size=38x25").content)
    sent = dots_of(technician.get(f"{address}.zpl?size=38x25").content)
    assert np.array_equal(shown, sent)
    pdf = technician.get(f"{address}.pdf?size=38x25")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.headers["cache-control"] == "no-store"
    assert pdf.content.startswith(b"%PDF")


def test_a_label_is_queued_and_a_second_one_says_why(
    technician: httpx.Client, laboratory: Laboratory
):
    address = f"/api/v1/specimens/{tube_of(technician)}/label"
    wish = {"printer": "desk"}
    assert technician.post(address, json=wish).json() == {
        "number": 1,
        "printer": "desk",
        "copies": 1,
    }
    refused = technician.post(address, json=wish)
    assert (refused.status_code, refused.json()["code"]) == (422, "labels.reason_needed")
    assert technician.post(address, json=wish | {"reason": "torn"}).status_code == 202
    told = technician.get(address).json()["prints"]
    assert [(one["number"], one["actor"], one["reason"]) for one in told] == [
        (1, "technician", ""),
        (2, "technician", "torn"),
    ]
    with laboratory.store.read() as session:
        assert [row.destination for row in session.query(Outbox)] == ["printer:desk"] * 2


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "label", {"printer": "attic"}, "labels.unknown_printer"),
        ("POST", "label", {"printer": "desk", "copies": 99}, "labels.copies_limit"),
        ("GET", "label.png?size=1x1", None, "labels.unknown_size"),
    ],
)
def test_a_wrong_wish_is_refused_in_words(technician: httpx.Client, method, path, body, code):
    address = f"/api/v1/specimens/{tube_of(technician)}/{path}"
    answer = technician.request(method, address, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"]


def test_an_unknown_number_is_not_found(technician: httpx.Client):
    assert technician.get("/api/v1/specimens/2600000017/label.png").status_code == 404


@pytest.mark.parametrize(("language", "title"), [("ru", "Направление"), ("en", "Referral")])
def test_the_sheet_carries_the_access_code_as_qr(technician: httpx.Client, language, title):
    order = placed(technician)
    wish = {"receipt_code": order["receipt_code"], "language": language}
    answer = technician.post(f"/api/v1/orders/{order['public_id']}/form.pdf", json=wish)
    document = pypdfium2.PdfDocument(answer.content)
    image = document[0].render(scale=2, grayscale=True).to_numpy()
    text = document[0].get_textpage().get_text_range()
    pages = len(document)
    document.close()
    found = zxingcpp.read_barcode(image.reshape(image.shape[:2]))
    assert found is not None
    assert found.text.endswith(f"/r#{order['receipt_code']}")
    assert pages == 1
    assert title in text
    assert "Образцова" in text
    assert all(tube["accession"] in text for tube in order["specimens"])


def test_the_sheet_refuses_the_code_of_another_referral(technician: httpx.Client):
    one = placed(technician)
    other = placed(technician, key="sheet-0002", family_name="Другая", identifier="P-78")
    wish = {"receipt_code": other["receipt_code"]}
    answer = technician.post(f"/api/v1/orders/{one['public_id']}/form.pdf", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "labels.wrong_receipt")
    assert (
        technician.post(f"/api/v1/orders/{one['public_id']}/form.pdf", json={}).status_code == 200
    )


def test_the_page_shows_prints_and_asks_why(technician: httpx.Client):
    accession = tube_of(technician)
    token = technician.headers["X-CSRF-Token"]
    page = technician.get(f"/labels?accession={accession}")
    assert f"/api/v1/specimens/{accession}/label.png" in page.text
    form = {"accession": accession, "printer": "desk", "copies": "1", "csrf": token}
    assert "Sent to printer desk" in technician.post("/labels", data=form).text
    again = technician.post("/labels", data=form)
    assert again.status_code == 422
    assert "say why another one is needed" in again.text
    assert technician.post("/labels", data=form | {"copies": "x", "reason": "r"}).status_code == 422
    assert technician.get("/labels?accession=123").status_code == 404
    assert technician.get("/labels").status_code == 200
