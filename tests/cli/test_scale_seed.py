"""A seeded laboratory is one that the product can read: the same rows, the same states, the same keys."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from lis.cli.scale_seed import Profile, Scale, seed_scale
from lis.domain.clock import ManualClock
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import SpecimenState, WorkOrderState
from lis.store.definitions import catalog_in_force
from lis.store.observation_rows import Observation
from lis.store.order_queries import specimens_by_accession, work_orders_of_specimens
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient, Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store

SCALE = Scale(orders=60, open_orders=20, has_values=True)


@pytest.fixture
def seeded(store_url):
    store = Store.open(store_url, clock=ManualClock())
    store.create_all()
    with store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="UTC"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        unit.session.flush()
        catalog = catalog_in_force(unit.session, unit.now)
    profile = Profile(specimen_type="WB", tests=("WBC", "RBC", "HGB", "HCT", "PLT"))
    yield store, seed_scale(store, catalog, SCALE, profiles=(profile,))
    store.close()


def test_there_is_as_much_as_was_asked_for(seeded):
    store, made = seeded
    assert (made.orders, made.work_orders, made.tubes) == (60, 60, 12)
    assert made.observations == 40
    with store.read() as session:
        for kind, count in (
            (ServiceRequest, made.orders),
            (WorkOrder, made.work_orders),
            (Specimen, made.tubes),
            (Patient, made.people),
            (Observation, made.observations),
        ):
            assert session.scalar(select(func.count()).select_from(kind)) == count


def test_open_tubes_wait_with_pending_work(seeded):
    store, made = seeded
    assert len(made.open_accessions) == 4
    with store.read() as session:
        tubes = specimens_by_accession(session, made.open_accessions)
        assert {tube.state for tube in tubes.values()} == {SpecimenState.RECEIVED}
        rows = work_orders_of_specimens(session, [tube.id for tube in tubes.values()])
        assert {row.state for row in rows} == {WorkOrderState.PENDING}
        assert len(rows) == 20
    assert [str(AccessionNumber.parse(text)) for text in made.open_accessions] == list(
        made.open_accessions
    )


def test_new_rows_go_on_behind_the_seeded_ones(seeded):
    store, _ = seeded
    with store.unit("anna") as unit:
        patient = Patient(
            public_id=unit.ids.new(), site_id=1, family_name="Новенький", created_at=unit.now
        )
        unit.session.add(patient)
        unit.session.flush()
        assert patient.id == unit.session.scalar(select(func.max(Patient.id)))
