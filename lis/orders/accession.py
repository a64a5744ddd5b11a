"""New accession numbers: by the site's pattern, from a counter inside the transaction.

Two clerks can never get the same number: the counter's row is locked until the unit ends, and a unit that fails gives
its number back. Sites with the same pattern share a counter.
"""

from lis.domain.accession import AccessionPattern
from lis.domain.errors import Malformed, Refused
from lis.domain.ids import AccessionNumber
from lis.store.people_rows import Site
from lis.store.unit import Unit


def new_accession(unit: Unit, site_id: int) -> AccessionNumber:
    """The next number of a site. Raises `Refused` when the numbers of this year are used up."""
    site = unit.session.get_one(Site, site_id)
    pattern = AccessionPattern.parse(site.accession, where=f"site {site.name}: accession")
    serial = unit.next_number(f"accession:{pattern.prefix(unit.now.year)}")
    try:
        return pattern.number(year=unit.now.year, serial=serial)
    except Malformed as error:
        raise Refused("orders.numbers_used_up", site=site.name, pattern=pattern.text) from error
