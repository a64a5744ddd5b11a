"""The store of `tests.seeded_store`, with an analyzer that asks."""

import pytest

from lis.store.traffic_rows import Device
from tests.seeded_store import catalog, store

__all__ = ["catalog", "store", "xp"]


@pytest.fixture
def xp(store):
    with store.unit("author") as unit:
        device = Device(public_id=unit.ids.new(), site_id=1, name="xp-1", driver="sysmex-xp-100")
        unit.session.add(device)
        unit.session.flush()
        return device
