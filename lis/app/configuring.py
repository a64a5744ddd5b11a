"""Make the store's sites, devices and links match `lis.toml`, at every start, in one unit of work.

A device keeps its row for life: its name is its identity, so results keep pointing to it. What
disappears from the file stays in the store, stopped. A driver change is audited.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.orm import Session

from lis.app.settings import InstrumentSettings, Settings
from lis.store.people_queries import site_by_name
from lis.store.people_rows import Site
from lis.store.traffic_queries import device_by_name, link_by_name
from lis.store.traffic_rows import Device, Link
from lis.store.unit import Unit
from lis.transport.security import PLAIN, LinkSecurity

ORDERS_LINK: Final = ":orders"  # behind the name of an instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredLink:
    """One link to keep open, with the keys of its rows."""

    link_id: int
    name: str
    address: str
    purpose: str  # instrument, emr_receive
    site_id: int
    device_id: int | None = None
    driver: str = ""
    timezone: str = "UTC"
    charset: str = ""
    password: str = field(default="", repr=False)
    orders_need_reception: bool = False
    has_orders_link: bool = False  # orders leave by a link of their own (LAW)
    broadcasts: bool = False
    security: LinkSecurity = PLAIN

    @property
    def is_instrument(self) -> bool:
        return self.device_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredEmr:
    """One EMR that receives results."""

    name: str
    address: str
    link_id: int
    security: LinkSecurity = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """Everything a process may have to keep running."""

    links: tuple[ConfiguredLink, ...]
    destinations: tuple[ConfiguredEmr, ...]


def configure(unit: Unit, settings: Settings, *, are_simulators: bool = False) -> Configured:
    """Write the rows that `lis.toml` names and return what to run."""
    add_sites(unit, settings)
    links = [
        link
        for entry in settings.instrument
        for link in _instrument(unit, settings, entry, are_simulators=are_simulators)
    ]
    destinations = []
    for emr in settings.emr:
        home = _site(unit.session, settings, emr.site)
        if emr.receive:
            link = _link(unit, f"{emr.name}:receive", emr.receive, "emr_receive", None)
            links.append(
                ConfiguredLink(
                    link_id=link.id,
                    name=emr.name,
                    address=emr.receive,
                    purpose="emr_receive",
                    site_id=home.id,
                    timezone=home.timezone,
                    security=emr.security,
                )
            )
        if emr.send:
            link = _link(unit, f"{emr.name}:send", emr.send, "emr_send", None)
            destinations.append(
                ConfiguredEmr(
                    name=emr.name, address=emr.send, link_id=link.id, security=emr.security
                )
            )
    return Configured(links=tuple(links), destinations=tuple(destinations))


def add_sites(unit: Unit, settings: Settings) -> None:
    """Write the sites that `lis.toml` names."""
    for site in settings.site:
        row = site_by_name(unit.session, site.name)
        if row is None:
            unit.session.add(Site(name=site.name, timezone=site.timezone, accession=site.accession))
        else:
            row.timezone, row.accession = site.timezone, site.accession
    unit.session.flush()


def _instrument(
    unit: Unit, settings: Settings, entry: InstrumentSettings, *, are_simulators: bool
) -> tuple[ConfiguredLink, ...]:
    site = _site(unit.session, settings, entry.site)
    device = device_by_name(unit.session, entry.name)
    if device is None:
        device = Device(
            public_id=unit.ids.new(), site_id=site.id, name=entry.name, driver=entry.driver
        )
        unit.session.add(device)
        unit.session.flush()
        unit.audit(
            "device_added", "Device", device.id, after={"name": entry.name, "driver": entry.driver}
        )
    elif device.driver != entry.driver:
        unit.audit(
            "device_driver_changed", "Device", device.id, before=device.driver, after=entry.driver
        )
        device.driver = entry.driver
        device.seen_name = device.seen_serial = ""  # another driver is another instrument (S23)
    device.charset, device.timezone = entry.charset, entry.timezone or site.timezone
    device.serial = entry.serial or device.serial
    device.is_simulator = are_simulators
    link = _link(unit, entry.name, entry.link, "instrument", device.id)
    main = ConfiguredLink(
        link_id=link.id,
        name=entry.name,
        address=entry.link,
        purpose="instrument",
        site_id=site.id,
        device_id=device.id,
        driver=entry.driver,
        timezone=device.timezone,
        charset=entry.charset,
        password=entry.password,
        orders_need_reception=entry.orders_need_reception,
        has_orders_link=bool(entry.orders_link),
        broadcasts=entry.orders_broadcast,
        security=entry.security,
    )
    return (main, _orders_link(unit, main, entry.orders_link)) if entry.orders_link else (main,)


def _orders_link(unit: Unit, main: ConfiguredLink, address: str) -> ConfiguredLink:
    """The connection that we open to an analyzer for its orders (LAW-R01)."""
    name = main.name + ORDERS_LINK
    link = _link(unit, name, address, "instrument_orders", main.device_id)
    return replace(main, link_id=link.id, name=name, address=address, purpose=link.purpose)


def _site(session: Session, settings: Settings, name: str) -> Site:
    site = site_by_name(session, settings.site_of(name))
    assert site is not None, "sites are written before what stands in them"
    return site


def _link(unit: Unit, name: str, address: str, purpose: str, device_id: int | None) -> Link:
    link = link_by_name(unit.session, name)
    if link is None:
        link = Link(name=name, address=address, purpose=purpose, device_id=device_id)
        unit.session.add(link)
        unit.session.flush()
    link.address, link.device_id, link.state = address, device_id, "stopped"
    return link
