"""A store of its own for each test, on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lis.domain.clock import ManualClock
from lis.store import CountingIds, Store
from lis.store.rows import Device, Link, Site


@pytest.fixture
def store(store_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    store = Store.open(store_url, clock=manual_clock, ids=CountingIds())
    store.create_all()
    yield store
    store.close()


@pytest.fixture
def sqlite_store(tmp_path: Path, manual_clock: ManualClock) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'lis.db'}", clock=manual_clock, ids=CountingIds())
    store.create_all()
    yield store
    store.close()


@pytest.fixture
def add_link(store: Store) -> Callable[[str], int]:
    """Adds an instrument link with its device; gives the link's id."""

    def add(name: str) -> int:
        with store.unit("test") as unit:
            site = Site(name=f"site of {name}", timezone="Europe/Moscow")
            unit.session.add(site)
            unit.session.flush()
            device = Device(
                public_id=unit.ids.new(), site_id=site.id, name=name, driver="sysmex-xp-100"
            )
            unit.session.add(device)
            unit.session.flush()
            link = Link(name=name, address="memory://x", purpose="instrument", device_id=device.id)
            unit.session.add(link)
            unit.session.flush()
            return link.id

    return add
