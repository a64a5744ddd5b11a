"""S13: a message read again by today's driver gives differences, and changes nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lis.app.replay import replay_message
from lis.app.wiring import translate_row
from lis.domain.clock import ManualClock
from lis.domain.errors import NotFound, Refused
from lis.drivers import registry
from lis.results.differences import Change, ReadingKind
from lis.results.intake import Intake
from lis.store import Store
from lis.store.observation_rows import Observation, UnreadableRecord
from lis.store.rows import Audit, Device, Inbox, InboxState, Link, Outbox, Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.wire.capture import read_any

CAPTURE = Path(__file__).parents[1] / "captures" / "sysmex-xp-100" / "counts.cap"


@pytest.fixture
def store(store_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    """A laboratory with a catalog and an analyzer, whose message was taken in."""
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("test") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
        site = Site(name="main", timezone="Europe/Moscow")
        unit.session.add(site)
        unit.session.flush()
        device = Device(
            public_id=unit.ids.new(), site_id=site.id, name="xp-1", driver="sysmex-xp-100"
        )
        unit.session.add(device)
        unit.session.flush()
        link = Link(name="xp-1", address="m://x", purpose="instrument", device_id=device.id)
        unit.session.add(link)
        unit.session.flush()
        keep(unit, link.id, device.id)
    intake = Intake(store, translate_row)
    while intake.run_once().claimed:
        pass
    yield store
    store.close()


def keep(unit, link_id: int, device_id: int | None) -> int:
    raw = read_any(CAPTURE.read_bytes()).units[0]
    row = Inbox(
        link_id=link_id,
        received_at=unit.now,
        protocol="astm",
        lane="result",
        raw=raw,
        sha256=hashlib.sha256(raw).digest(),
        device_id=device_id,
        driver="sysmex-xp-100",
        driver_version=registry.get("sysmex-xp-100").version,
    )
    unit.session.add(row)
    unit.session.flush()
    return row.id


def everything(store: Store) -> list[object]:
    """How many rows there are, and what the results say and where they stand."""
    with store.read() as session:
        counts = [
            session.scalar(select(func.count()).select_from(table))
            for table in (Audit, Outbox, Observation, UnreadableRecord, Inbox)
        ]
        rows = session.scalars(select(Observation).order_by(Observation.id))
        return [*counts, *((row.reported, row.bench_state, row.row_version) for row in rows)]


def test_S13_a_message_reads_as_it_was_taken_in(store: Store):
    before = everything(store)
    with store.read() as session:
        report = replay_message(session, 1, at=store.clock.now())
    assert report.is_equal, report.replayed.differences
    assert len(report.replayed.candidates) == 3
    assert (report.link, report.state) == ("xp-1", InboxState.PROCESSED.value)
    assert everything(store) == before


def test_S13_a_mended_driver_shows_what_it_reads_otherwise(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    mended = replace(registry.get("sysmex-xp-100"), version="99", charsets=("utf-8",))
    fields = replace(mended.fields, unit=mended.fields.value)
    mended = replace(mended, fields=fields)
    monkeypatch.setattr("lis.app.replay.registry.get", lambda _key: mended)
    before = everything(store)
    with store.read() as session:
        report = replay_message(session, 1, at=store.clock.now())
    assert report.version_now == "99"
    assert {one.change for one in report.replayed.differences} == {Change.CHANGED}
    assert {one.field for one in report.replayed.differences} == {"unit"}
    assert any("unit_changed" in one.holds for one in report.replayed.candidates)
    assert everything(store) == before


def test_S13_a_resent_message_offers_no_second_result(store: Store):
    with store.unit("test") as unit:
        again = keep(unit, 1, 1)
    with store.read() as session:
        report = replay_message(session, again, at=store.clock.now())
    results = [one for one in report.replayed.differences if one.kind is ReadingKind.RESULT]
    assert results
    assert {one.change for one in results} == {Change.RESENT}


def test_what_no_analyzer_sent_no_driver_reads(store: Store):
    with store.unit("test") as unit:
        strange = keep(unit, 1, None)
    with store.read() as session:
        with pytest.raises(Refused):
            replay_message(session, strange, at=store.clock.now())
        with pytest.raises(NotFound):
            replay_message(session, 99, at=store.clock.now())
