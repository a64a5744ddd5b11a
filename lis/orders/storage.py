"""A tube on its way through the house: collected, shipped, put on a rack, taken out, thrown away.

Each step goes through the specimen's table and leaves who, when and why. One position of a rack holds one tube; where a
tube stood is kept as a history, because stability is counted from it.
"""

from datetime import datetime

from lis.domain.catalog import Storage
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.lifecycle import SPECIMEN, SpecimenEvent
from lis.store.order_queries import specimen_by_id
from lis.store.order_rows import Specimen
from lis.store.specimen_queries import places_of, who_stands_at
from lis.store.specimen_rows import SpecimenPlace
from lis.store.unit import Unit


def collect_specimen(
    unit: Unit, specimen_id: int, *, version: int, earliest: datetime, latest: datetime
) -> Specimen:
    """Note when a tube was drawn: at one moment (exact) or within a period (estimated), never in the future (S26)."""
    if latest < earliest or latest > unit.now:
        raise Refused("specimenpage.bad_collection")
    tube = _step(unit, specimen_id, version, SpecimenEvent.COLLECT, action="specimen_collected")
    tube.collected_from, tube.collected_to = earliest, latest
    tube.collected_certainty = "exact" if earliest == latest else "estimated"
    tube.collector = tube.collector or unit.actor
    return tube


def ship_specimen(unit: Unit, specimen_id: int, *, version: int, destination: str) -> Specimen:
    """Send a tube off, to the laboratory or to another one; it leaves its place."""
    if not destination.strip():
        raise Refused("specimenpage.reason_needed")
    tube = _step(
        unit,
        specimen_id,
        version,
        SpecimenEvent.SHIP,
        action="specimen_shipped",
        why=destination.strip(),
    )
    _leave(unit, tube)
    return tube


def store_specimen(
    unit: Unit, specimen_id: int, *, version: int, storage: Storage, rack: str, position: str
) -> Specimen:
    """Put a tube on a free position of a rack."""
    rack, position = rack.strip(), position.strip()
    if not rack or not position:
        raise Refused("specimenpage.place_needed")
    if who_stands_at(unit.session, rack, position) is not None:
        raise Refused("specimenpage.place_taken", rack=rack, position=position)
    place = f"{rack}/{position}"
    tube = _step(
        unit, specimen_id, version, SpecimenEvent.STORE, action="specimen_stored", why=place
    )
    tube.location = place
    unit.session.add(
        SpecimenPlace(
            specimen_id=tube.id,
            storage=storage,
            rack=rack,
            position=position,
            since=unit.now,
            actor=unit.actor,
        )
    )
    unit.session.flush()
    return tube


def retrieve_specimen(unit: Unit, specimen_id: int, *, version: int, reason: str) -> Specimen:
    """Take a tube out of its rack."""
    tube = _step(
        unit,
        specimen_id,
        version,
        SpecimenEvent.RETRIEVE,
        action="specimen_retrieved",
        why=_said(reason),
    )
    _leave(unit, tube)
    return tube


def dispose_specimen(unit: Unit, specimen_id: int, *, version: int, reason: str) -> Specimen:
    """Throw a tube away; nothing can be measured of it any more (S36)."""
    tube = _step(
        unit,
        specimen_id,
        version,
        SpecimenEvent.DISPOSE,
        action="specimen_disposed",
        why=_said(reason),
    )
    _leave(unit, tube)
    return tube


def _said(reason: str) -> str:
    if not reason.strip():
        raise Refused("specimenpage.reason_needed")
    return reason.strip()


def _step(
    unit: Unit, specimen_id: int, version: int, event: SpecimenEvent, *, action: str, why: str = ""
) -> Specimen:
    tube = specimen_by_id(unit.session, specimen_id)
    if tube is None:
        raise NotFound("Specimen", specimen_id)
    if tube.version != version:
        raise StaleVersion("orders.specimen_changed", accession=tube.accession)
    if not SPECIMEN.allows(tube.state, event):
        raise Refused("specimenpage.not_possible", accession=tube.accession)
    before = tube.state
    tube.state = SPECIMEN.apply(before, event)
    tube.version += 1
    unit.audit(action, "Specimen", tube.id, before=before, after={"state": tube.state, "why": why})
    unit.publish("order", tube.requisition_id)
    return tube


def _leave(unit: Unit, tube: Specimen) -> None:
    tube.location = ""
    for place in places_of(unit.session, tube.id):
        if place.until is None:
            place.until = unit.now
