"""Orders, news of people and merges in any order, any number of times: the same final state.

Each example is sent twice into the same store, under two names, once in the order it was made and once shuffled with
repetitions; what is compared says nothing of keys, numbers and times of arrival.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lis.domain.clock import ManualClock
from lis.domain.lifecycle import WorkOrderState
from lis.emr.receiving import receive_message
from lis.store.definitions import catalog_in_force
from lis.store.order_queries import work_orders_of_requests
from lis.store.order_rows import Requisition, ServiceRequest, Specimen
from lis.store.people_rows import Patient, Site
from lis.store.referral_queries import identity_holders, placer_order, survivor_of
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store
from tests.emr.hospital import adt, merge, order

PATIENTS, ORDERS = ("P1", "P2", "P3"), ("O1", "O2", "O3")
AT = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
OWNER = dict(zip(ORDERS, PATIENTS, strict=True))
minutes, names = st.integers(0, 5), st.sampled_from(["", "Иванова^Анна", '""', "^Мария"])

words_of_orders = st.builds(
    lambda control, number, code, minute: order(
        control, number, OWNER[number], code, minute=minute, notes=code.lower()
    ),
    st.sampled_from(["NW", "NW", "XO", "CA", "DC", "HD", "RL", "SC"]),
    st.sampled_from(ORDERS),
    st.sampled_from(["GLU", "ALT", "CBC", "MYSTERY"]),
    minutes,
)
words_of_people = st.builds(
    lambda event, patient, name, born, sex, minute: adt(
        event, patient, name, born, sex, minute=minute
    ),
    st.sampled_from(["A01", "A04", "A08", "A13", "A28", "A31"]),
    st.sampled_from(PATIENTS),
    names,
    st.sampled_from(["", "19850320", "1985", '""']),
    st.sampled_from(["", "F", '""']),
    minutes,
)
merges = st.builds(
    lambda pair, event, minute: merge(*pair, event=event, minute=minute),
    st.sampled_from([("P2", "P1"), ("P3", "P2")]),
    st.sampled_from(["A40", "A34", "A18"]),
    minutes,
)
messages = st.lists(
    st.one_of(words_of_orders, words_of_orders, words_of_people, merges), min_size=2, max_size=9
)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    path = tmp_path_factory.mktemp("converging")
    store = Store.open(f"sqlite:///{path}/lis.db", clock=ManualClock(AT))
    store.create_all()
    with store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
    yield store
    store.close()


def tell(store, place, said):
    """Send the messages of one example to the house `place`; in one unit, for speed alone."""
    with store.unit(place) as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        for raw in said:
            reply = receive_message(
                unit, catalog, raw, emr=place, site_id=1, inbox_id=None, zone=ZoneInfo("UTC")
            )
            assert reply.is_accepted, reply.reason
            unit.session.flush()
        return canonical(unit.session, place)


def canonical(session, place):
    return {
        **{number: order_state(session, place, number) for number in ORDERS},
        **{number: person_state(session, place, number) for number in PATIENTS},
    }


def holder(session, place, number):
    found = identity_holders(session, [("MR", "HOSP", f"{number}{place}")])
    return found[0] if found else None


def person_state(session, place, number):
    patient = holder(session, place, number)
    if patient is None:
        return None
    names = (patient.family_name, patient.given_name, patient.middle_name)
    return (*names, patient.birth_date, patient.sex, owner_of(session, place, patient))


def owner_of(session, place, patient):
    """Which of our people this is now: the one whose number survived."""
    now = survivor_of(session, session.get_one(Patient, patient.id))
    known = {one.id: number for number in PATIENTS if (one := holder(session, place, number))}
    return known[now.id]


def order_state(session, place, number):
    row = placer_order(session, place, f"{number}{place}", "HIS")
    if row is None or row.service_request_id is None:
        return row.said if row else None
    request = session.get_one(ServiceRequest, row.service_request_id)
    requisition = session.get_one(Requisition, request.requisition_id)
    work = sorted(
        (one.test_code, session.get_one(Specimen, one.specimen_id).specimen_type)
        for one in work_orders_of_requests(session, [request.id])
        if one.state is not WorkOrderState.CANCELLED
    )
    owner = owner_of(session, place, session.get_one(Patient, requisition.patient_id))
    asked = (request.code, request.priority, request.notes)
    return (request.state.value, request.hold_reason, *asked, tuple(work), owner, row.said)


_places = count(1)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages, st.randoms(use_true_random=False))
def test_O1_O2_messages_in_any_order_and_repeated_end_in_the_same_state(house, said, random):
    example = next(_places)
    numbered = [
        type(one)(one.kind, one.minute, serial, one.body) for serial, one in enumerate(said, 1)
    ]
    shuffled = numbered + random.choices(numbered, k=2)
    random.shuffle(shuffled)
    first, second = f"-a{example}", f"-b{example}"
    straight = tell(house, first, [one.raw(first) for one in numbered])
    mixed = tell(house, second, [one.raw(second) for one in shuffled])
    assert repr(straight).replace(first, "") == repr(mixed).replace(second, "")
