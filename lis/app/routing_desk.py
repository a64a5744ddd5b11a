"""What a person does about routing: move a test, take an analyzer out, tell a tube again. Pages and endpoints call these."""

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.drivers import registry
from lis.orders.analyzer_steps import tell_again
from lis.orders.dispatching import route_by_person, stop_analyzer
from lis.store.order_queries import specimens_by_accession
from lis.store.traffic_queries import device_by_name
from lis.store.traffic_rows import Device
from lis.store.unit import Unit


def move(
    unit: Unit, catalog: Catalog, public_id: str, analyzer: str, *, reason: str, version: int
) -> None:
    """To that analyzer; "" gives the choice back to the rules."""
    device_id = _device(unit, analyzer).id if analyzer else None
    route_by_person(unit, catalog, public_id, device_id, reason=reason, version=version)


def stop(unit: Unit, catalog: Catalog, analyzer: str, *, reason: str, is_stopped: bool) -> int:
    """Out of routing or back into it; the number of orders that went elsewhere."""
    device = _device(unit, analyzer)
    return stop_analyzer(unit, catalog, device, reason=reason, is_stopped=is_stopped)


def send_again(unit: Unit, catalog: Catalog, accession: str, analyzer: str) -> int:
    """The open work of a tube once more; refuses for an analyzer that asks itself."""
    device = _device(unit, analyzer)
    specimen = specimens_by_accession(unit.session, [accession]).get(accession)
    if specimen is None:
        raise NotFound("Specimen", accession)
    profile = registry.get(device.driver)
    if profile.law is None:
        raise Refused("routing.asks_itself")
    count = tell_again(unit, catalog, profile, device, specimen)
    if not count:
        raise Refused("routing.nothing_to_send")
    unit.audit("told_again", "Specimen", specimen.id, after={"device": device.name, "steps": count})
    return count


def _device(unit: Unit, name: str) -> Device:
    device = device_by_name(unit.session, name)
    if device is None:
        raise NotFound("Device", name)
    return device
