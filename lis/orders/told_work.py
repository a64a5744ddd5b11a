"""What one analyzer may be told of, and why the rest is kept from it.

Answering a question and sending unasked both pass here: no analyzer hears of a test whose gate is closed on it, that is
in quarantine on it, or that a person sent elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.orders.instrument_choice import RoutingFacts, Why, judge
from lis.orders.routing_facts import load_analyzers, volume_ul
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.routing_rows import Takes
from lis.store.traffic_rows import Device

ROUTED_ELSEWHERE: Final = "routed_elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one analyzer may be told of now."""

    device_id: int
    takes: Takes = Takes.ABLE
    dead_volume_ul: int = 0
    closed: Mapping[str, Why] = field(default_factory=dict)  # test -> the first reason against it
    needed_ul: Mapping[str, int] = field(default_factory=dict)

    def reason_against(self, order: WorkOrder, specimen: Specimen) -> str:
        """Why this order is kept from the analyzer; "" where nothing is."""
        closed = self.closed.get(order.test_code)
        if closed is not None:
            return closed.value
        pinned = order.pinned_device_id
        is_elsewhere = pinned is not None and pinned != self.device_id
        if is_elsewhere or (self.takes is Takes.CHOSEN and order.device_id != self.device_id):
            return ROUTED_ELSEWHERE
        left, needed = volume_ul(specimen), self.needed_ul.get(order.test_code)
        if left is not None and needed is not None and left < needed + self.dead_volume_ul:
            return Why.TOO_LITTLE.value
        return ""


def allowance_of(
    session: Session, catalog: Catalog, device: Device, tests: Sequence[str], at: datetime
) -> Allowance:
    """Judge every test of one analyzer as if it were ordered now."""
    analyzers = load_analyzers(session, catalog, (device,), tests, at)
    routing = analyzers.routings.get(device.id)
    closed: dict[str, Why] = {}
    needed: dict[str, int] = {}
    for test in tests:
        known = catalog.tests.get(test)
        candidate = analyzers.candidate(device, test)
        facts = RoutingFacts(
            test=test,
            site_id=device.site_id,
            at=at,
            candidates=(candidate,),
            section=known.section if known else "",
        )
        never = judge(facts, candidate).never
        if never:
            closed[test] = never[0]
        if known is not None and known.volume_ul is not None:
            needed[test] = known.volume_ul
    return Allowance(
        device_id=device.id,
        takes=analyzers.takes(device.id),
        dead_volume_ul=routing.dead_volume_ul if routing else 0,
        closed=closed,
        needed_ul=needed,
    )
