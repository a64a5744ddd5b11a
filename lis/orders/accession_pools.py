"""Numbers given to a branch in advance, so that it can label tubes without a line (S17).

They come from the site's own counter, so nobody else can be given one. A number is used once: a tube that the branch
labelled takes it in place of its own. When a pool comes back, what was not used stays unused for ever: a label with it
may lie in a drawer.
"""

from typing import Final

from lis.domain.errors import Malformed, NotFound, Refused, StaleVersion
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import SpecimenState, WorkOrderState
from lis.orders.accession import new_accession
from lis.store.order_queries import specimen_by_id, work_orders_of_specimens
from lis.store.order_rows import Specimen
from lis.store.specimen_queries import numbers_of_pool, pool_for_update, pooled_number
from lis.store.specimen_rows import NumberPool, PooledNumber
from lis.store.unit import Unit

POOL_SIZE_MAX: Final = 500  # a roll of labels
_UNTOLD: Final = frozenset(
    {WorkOrderState.PENDING, WorkOrderState.QUEUED, WorkOrderState.CANCELLED}
)
_UNRECEIVED: Final = frozenset({SpecimenState.EXPECTED, SpecimenState.COLLECTED})


def issue_pool(
    unit: Unit, site_id: int, *, size: int, note: str = ""
) -> tuple[NumberPool, list[str]]:
    """Give a branch numbers in advance; returns the pool and its numbers."""
    if not 1 <= size <= POOL_SIZE_MAX:
        raise Refused("specimenpage.pool_size", limit=POOL_SIZE_MAX)
    pool = NumberPool(
        site_id=site_id, issued_at=unit.now, issued_by=unit.actor, size=size, note=note.strip()
    )
    unit.session.add(pool)
    unit.session.flush()
    numbers = [new_accession(unit, site_id).text for _ in range(size)]
    unit.session.add_all(PooledNumber(pool_id=pool.id, accession=text) for text in numbers)
    unit.audit(
        "pool_issued",
        "NumberPool",
        pool.id,
        after={"site": site_id, "first": numbers[0], "last": numbers[-1], "note": pool.note},
    )
    return pool, numbers


def return_pool(unit: Unit, pool_id: int) -> int:
    """Close a pool; returns how many of its numbers were never used. Closing it again changes nothing."""
    pool = pool_for_update(unit.session, pool_id)
    if pool is None:
        raise NotFound("NumberPool", pool_id)
    unused = sum(one.specimen_id is None for one in numbers_of_pool(unit.session, pool_id))
    if pool.returned_at is None:
        pool.returned_at, pool.returned_by = unit.now, unit.actor
        unit.audit("pool_returned", "NumberPool", pool.id, after={"unused": unused})
    return unused


def take_pool_number(unit: Unit, specimen_id: int, *, version: int, number: str) -> Specimen:
    """Give a tube the number that stands on the label the branch stuck on it.

    Only before reception, and before any analyzer was told the old number. Raises `Refused` for a number that is used, of
    a closed pool, of another site or of no pool.
    """
    tube = specimen_by_id(unit.session, specimen_id)
    if tube is None:
        raise NotFound("Specimen", specimen_id)
    if tube.version != version:
        raise StaleVersion("orders.specimen_changed", accession=tube.accession)
    orders = work_orders_of_specimens(unit.session, [tube.id])
    if tube.state not in _UNRECEIVED or any(one.state not in _UNTOLD for one in orders):
        raise Refused("specimenpage.number_in_use", accession=tube.accession)
    found = _usable(unit, number.strip(), tube.site_id)
    found.specimen_id, found.used_at = tube.id, unit.now
    before, tube.accession = tube.accession, found.accession
    tube.version += 1
    unit.audit("specimen_renumbered", "Specimen", tube.id, before=before, after=tube.accession)
    unit.publish("order", tube.requisition_id)
    return tube


def _usable(unit: Unit, number: str, site_id: int) -> PooledNumber:
    try:
        AccessionNumber.parse(number)
    except Malformed as error:
        raise Refused("orders.not_a_tube_number", text=number) from error
    found = pooled_number(unit.session, number)
    pool = pool_for_update(unit.session, found.pool_id) if found is not None else None
    if found is None or pool is None or pool.site_id != site_id:
        raise Refused("specimenpage.number_of_no_pool", number=number)
    if found.specimen_id is not None:
        raise Refused("specimenpage.number_used", number=number)
    if pool.returned_at is not None:
        raise Refused("specimenpage.pool_closed", number=number)
    return found
