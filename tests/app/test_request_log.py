"""What the request lane answers, the log of host queries tells: asked, told, why nothing, how long it took."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lis.app.configuring import ConfiguredLink, configure
from lis.app.requests import RequestLane
from lis.app.settings import parse_settings
from lis.domain.clock import ManualClock
from lis.domain.ids import InboxId
from lis.domain.traffic import Receipt
from lis.store import Store
from lis.store.rows import HostQueryLog, Inbox
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.wire.capture import read_any

CAPTURES = Path(__file__).parents[1] / "captures"
DRIVERS = {"genexpert": "cepheid-genexpert", "bc": "mindray-bc"}


@pytest.fixture
def store(store_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("test") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
    yield store
    store.close()


@pytest.fixture
def links(store: Store) -> dict[str, ConfiguredLink]:
    document = {
        "instrument": [
            {"name": name, "driver": driver, "link": f"tcp-listen://127.0.0.1:{port}"}
            for port, (name, driver) in enumerate(DRIVERS.items(), 1)
        ]
    }
    with store.unit("test") as unit:
        configured = configure(unit, parse_settings(document, where="test"))
    return {link.name: link for link in configured.links}


def ask(store: Store, link: ConfiguredLink, raw: bytes, protocol: str) -> tuple[bytes, ...]:
    """Keep a question and answer it a quarter of a second later."""
    with store.unit("test") as unit:
        row = Inbox(
            link_id=link.link_id,
            received_at=unit.now,
            protocol=protocol,
            lane="request",
            raw=raw,
            sha256=hashlib.sha256(raw).digest(),
            device_id=link.device_id,
        )
        unit.session.add(row)
        unit.session.flush()
        inbox_id = row.id
    assert isinstance(store.clock, ManualClock)
    store.clock.advance(milliseconds=250)
    with ThreadPoolExecutor(1) as executor:
        lane = RequestLane(store=store, executor=executor)
        return lane.answer_now(link, Receipt(inbox_id=InboxId(inbox_id)))


def question(driver: str) -> bytes:
    return read_any((CAPTURES / driver / "query.cap").read_bytes()).units[0]


def log(store: Store) -> list[HostQueryLog]:
    with store.read() as session:
        return session.query(HostQueryLog).order_by(HostQueryLog.id).all()


@pytest.mark.parametrize(("name", "protocol"), [("genexpert", "astm"), ("bc", "hl7")])
def test_an_answer_is_logged_with_its_records_and_the_time_it_took(
    store: Store, links: dict[str, ConfiguredLink], name: str, protocol: str
):
    reply = ask(store, links[name], question(DRIVERS[name]), protocol)
    (line,) = log(store)
    assert line.took_ms == 250
    records = len(reply) if protocol == "astm" else reply[0].rstrip(b"\r").count(b"\r") + 1
    assert line.records == records > 0
    assert line.empty_reason in {"not_our_number", "unknown_specimen", "no_test_mapped"}
    assert line.asked


def test_a_question_that_nobody_understands_is_logged_too(
    store: Store, links: dict[str, ConfiguredLink]
):
    ask(store, links["genexpert"], b"H|\\^&\rL|1|N\r", "astm")
    (line,) = log(store)
    assert (line.asked, line.empty_reason) == ([], "not_understood")


def test_a_question_asked_again_is_answered_with_the_same_bytes_and_logged_once(
    store: Store, links: dict[str, ConfiguredLink]
):
    first = ask(store, links["genexpert"], question("cepheid-genexpert"), "astm")
    with ThreadPoolExecutor(1) as executor:
        lane = RequestLane(store=store, executor=executor)
        again = lane.answer_now(links["genexpert"], Receipt(inbox_id=InboxId(1)))
    assert again == first
    assert len(log(store)) == 1
