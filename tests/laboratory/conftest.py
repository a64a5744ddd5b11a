"""A whole laboratory in one process: real store, real sockets, real serial devices, no mocks.

`laboratory(...)` opens a house on the given store with the instruments a test names; everything is closed
afterwards. Waiting is bounded and looks at what people would look at: the store.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import build_house
from lis.cli.null_modem import NullModem
from lis.cli.serving import HouseThread
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    place_requisition,
)
from lis.store.observation_rows import Observation
from lis.store.rows import Inbox, InboxState
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.traffic_queries import all_devices, link_by_name

WAIT_S = 15.0
LOOK_S = 0.02


@pytest.fixture
def threads_of_the_tools():
    return "pytest_"


@dataclass
class OpenLaboratory:
    """What a test drives."""

    house: object
    cables: dict

    @property
    def store(self):
        return self.house.store

    def address(self, name):
        host, port = wait_for(lambda: self.house.addresses.get(name)).rsplit(":", 1)
        return host, int(port)

    def is_connected(self, name):
        with self.store.read() as session:
            return link_by_name(session, name).state == "connected"

    def order(self, *codes, source="form", collected=timedelta(hours=1)):
        """A received tube for each specimen type; returns {type: accession}."""
        with self.store.unit("anna") as unit:
            entry = RequisitionEntry(
                patient=PatientEntry(
                    family_name="Проверкин",
                    birth_date="1980-01-01",
                    sex="M",
                    identifiers=(IdentifierEntry(system="MR", value=unit.ids.new()),),
                ),
                orders=tuple(OrderEntry(code=code) for code in codes),
                source=source,
                collected_at=unit.now - collected,
                collected_certainty="exact",
                is_received=True,
            )
            placed = place_requisition(unit, self.house.laboratory.catalog(), entry, site_id=1)
        return {tube.specimen_type: tube.accession for tube in placed.specimens}

    def observations(self):
        with self.store.read() as session:
            return list(session.scalars(select(Observation).order_by(Observation.id)))

    def inbox(self):
        with self.store.read() as session:
            return list(session.scalars(select(Inbox).order_by(Inbox.id)))

    def settled(self, messages):
        """Wait until so many messages came in and none of them is new."""

        def look():
            with self.store.read() as session:
                total = session.scalar(select(func.count()).select_from(Inbox))
                new = session.scalar(
                    select(func.count()).select_from(Inbox).where(Inbox.state == InboxState.NEW)
                )
            return total >= messages and new == 0

        wait_for(look)
        return self.inbox()


def wait_for(look, wait_s=WAIT_S):
    """Look until there is something, or fail."""
    deadline_s = time.monotonic() + wait_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"nothing after {wait_s:g} s"
        time.sleep(LOOK_S)
    return found


@pytest.fixture
def laboratory(store_url):
    """Open a laboratory with instruments given as (name, driver, "tcp" or "serial")."""
    with ExitStack() as stack:

        def open_laboratory(*instruments, emr=False, reliable=True):
            cables = {
                name: stack.enter_context(NullModem())
                for name, _, how in instruments
                if how == "serial"
            }
            links = {
                name: f"serial://{cables[name].a}"
                if how == "serial"
                else "tcp-listen://127.0.0.1:0"
                for name, _, how in instruments
            }
            settings = parse_settings(
                {
                    "store": {"url": store_url},
                    "instrument": [
                        {"name": name, "driver": driver, "link": links[name], "timezone": "UTC"}
                        for name, driver, _ in instruments
                    ],
                    "emr": [{"name": "his", "receive": "tcp-listen://127.0.0.1:0"}] if emr else [],
                },
                where="test",
            )
            house = build_house(settings, clock=SystemClock())
            with house.store.unit("author") as unit:
                put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
                for device in all_devices(unit.session):
                    device.has_reliable_barcode = reliable
            thread = HouseThread(house)
            thread.start()
            stack.callback(thread.stop)
            return OpenLaboratory(house=house, cables=cables)

        yield open_laboratory
