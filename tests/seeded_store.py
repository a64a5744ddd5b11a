"""A store with one site, one analyzer and the demo catalog; and a way to have something released."""

from datetime import timedelta
from decimal import Decimal

import pytest

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    place_requisition,
)
from lis.store.definitions import catalog_in_force
from lis.store.observation_rows import DiagnosticReport, Observation
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.traffic_rows import Device
from lis.store.unit import Store


@pytest.fixture
def store(store_url, manual_clock):
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        unit.session.add(
            Device(public_id=unit.ids.new(), site_id=1, name="c111-1", driver="roche-cobas-c111")
        )
    yield store
    store.close()


@pytest.fixture
def catalog(store, manual_clock):
    with store.read() as session:
        return catalog_in_force(session, manual_clock.now())


@pytest.fixture
def place(store, catalog):
    def place(*codes, source="his", birth_date="1985-03-20"):
        entry = RequisitionEntry(
            patient=PatientEntry(
                family_name="Примерова|^~\\&",
                given_name="Анна",
                birth_date=birth_date,
                sex="F",
                identifiers=(IdentifierEntry(system="MR", issuer="HOSP", value="777"),),
            ),
            source=source,
            requester="House",
            requester_code="42",
            orders=tuple(
                OrderEntry(code=code, placer_number=f"ORD{number}", placer_authority="HIS")
                for number, code in enumerate(codes, 1)
            ),
        )
        with store.unit("his") as unit:
            return place_requisition(unit, catalog, entry, site_id=1)

    return place


@pytest.fixture
def report(store):
    """Store one observation with its report; released unless said otherwise; returns its outbox key."""

    def report(
        placed, *, index=0, text="5.2", test="GLU", destination="emr:his", not_before=None, **more
    ):
        with store.unit("intake") as unit:
            request_id = placed.orders[index].service_request_id
            fields = {
                "bench_state": BenchState.RELEASED,
                "status": ResultStatus.FINAL,
                "released_at": unit.now,
                "visible_from": not_before or unit.now,
                "unit": "mmol/L",
                "value": Decimal(text) if text.replace(".", "").isdigit() else None,
                "interval_text": "3.9–6.1",
                "analysed_at": unit.now,
                "validator": "rule:demo-1",
                **more,
            }
            row = Observation(
                public_id=unit.ids.new(),
                site_id=1,
                created_at=unit.now,
                run_key="k",
                test_code=test,
                instrument_code=test,
                reported=text,
                service_request_id=request_id,
                device_id=1,
                specimen_id=placed.specimens[0].specimen_id,
                **fields,
            )
            diagnostic = DiagnosticReport(
                public_id=unit.ids.new(),
                service_request_id=request_id,
                created_at=unit.now,
                status="final",
                version=1,
            )
            unit.session.add_all([row, diagnostic])
            unit.session.flush()
            key = f"{diagnostic.public_id}:1:{destination}"
            unit.send(
                destination=destination,
                key=key,
                order_key=placed.orders[index].filler_number,
                payload={"report": diagnostic.id, "version": 1, "observations": [row.id]},
                not_before=not_before or unit.now,
            )
        return key

    return report
