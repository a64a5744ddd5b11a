"""Referrals and values for the tests of the desk's lists, told in the words of the desk."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from lis.domain.catalog import Catalog
from lis.domain.clock import ManualClock
from lis.domain.lifecycle import WORK_ORDER, BenchState, WorkOrderEvent
from lis.domain.messages import ResultStatus
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    Placed,
    RequisitionEntry,
    place_requisition,
    receive_specimen,
)
from lis.store.observation_rows import Observation
from lis.store.order_queries import specimens_by_accession, work_orders_of_specimens
from lis.store.unit import Store

TARGETS = {"S": 30, "R": 120}


def with_targets(catalog: Catalog, **extra: Any) -> Catalog:
    """The catalog with a promised time for every test."""
    tests = {
        code: replace(test, turnaround_min=TARGETS) for code, test in catalog.tests.items()
    } | extra
    return replace(catalog, tests=tests)


@dataclass
class Story:
    """What happens at the desk."""

    store: Store
    clock: ManualClock
    catalog: Catalog
    sheets: int = 0

    def order(
        self, *codes: str, name: str = "Образцова", priority: str = "R", is_received: bool = True
    ) -> Placed:
        self.sheets += 1
        entry = RequisitionEntry(
            patient=PatientEntry(
                family_name=name,
                given_name="Проба",
                birth_date="1980-02-03",
                sex="F",
                identifiers=(IdentifierEntry(system="MR", value=f"MR-{name}"),),
            ),
            orders=tuple(
                OrderEntry(
                    code=code,
                    priority=priority,
                    placer_number=f"E{self.sheets}-{place}",
                    placer_authority="HIS",
                )
                for place, code in enumerate(codes)
            ),
            source="his",
            placer_group=f"G{self.sheets}",
            ward="Терапия",
            priority=priority,
            is_received=is_received,
        )
        with self.store.unit("clerk") as unit:
            return place_requisition(unit, self.catalog, entry, site_id=1)

    def receive(self, accession: str) -> None:
        with self.store.unit("clerk") as unit:
            receive_specimen(unit, accession)

    def passes(self, minutes: int) -> None:
        self.clock.at += timedelta(minutes=minutes)

    def measure(self, accession: str, test: str, *, is_out: bool = True, **more: Any) -> None:
        """A value of one test on a tube: released, or waiting."""
        with self.store.unit("intake") as unit:
            tube = specimens_by_accession(unit.session, [accession])[accession]
            (order,) = [
                row
                for row in work_orders_of_specimens(unit.session, [tube.id])
                if row.test_code == test
            ]
            order.state = WORK_ORDER.apply(order.state, WorkOrderEvent.RESULT)
            out: dict[str, Any] = {
                "bench_state": BenchState.RELEASED,
                "status": ResultStatus.FINAL,
                "released_at": unit.now,
                "visible_from": unit.now,
            }
            held: dict[str, Any] = {
                "bench_state": BenchState.HELD,
                "lane": "hold",
                "holds": ["delta"],
            }
            unit.session.add(
                Observation(
                    public_id=unit.ids.new(),
                    site_id=1,
                    created_at=unit.now,
                    run_key=f"{accession}-{test}",
                    test_code=test,
                    instrument_code=test,
                    reported="5.21",
                    value=Decimal("5.21"),
                    unit="mmol/L",
                    specimen_id=tube.id,
                    patient_id=tube.patient_id,
                    service_request_id=order.service_request_id,
                    work_order_id=order.id,
                    device_id=1,
                    analysed_at=unit.now,
                    **(out if is_out else held) | more,
                )
            )
