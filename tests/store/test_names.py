"""Searching people by the beginning of a name: case, ё, several words, identifiers, on both stores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from lis.domain.names import folded, prefix_range
from lis.store.people_queries import find_patients
from lis.store.people_rows import Patient, PatientContact, PatientIdentifier, Site
from lis.store.unit import Store

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
WORDS = st.text("абвгдеёжиклмнопрст АБЕЁЖ-'xyzÄß", max_size=12)
PEOPLE = (
    ("Ёлкина", "Анна", "Петровна"),
    ("Иванова", "Анна", "Сергеевна"),
    ("ИВАНОВ", "Пётр", ""),
    ("иваненко", "Олег", ""),
    ("O'Neill", "Maeve", ""),
)


@given(NAMES)
def test_folding_twice_is_folding_once(name):
    assert folded(folded(name)) == folded(name)


@given(WORDS, WORDS)
def test_the_range_holds_exactly_the_names_that_begin_so(name, prefix):
    low, high = prefix_range(folded(prefix))
    assert (low <= folded(name) < high) == folded(name).startswith(folded(prefix))


@pytest.fixture
def store(store_url, manual_clock):
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    with store.unit("author") as unit:
        unit.session.add(Site(name="main", timezone="UTC"))
        unit.session.flush()
        for number, (family, given_name, middle) in enumerate(PEOPLE, 1):
            unit.session.add(
                Patient(
                    public_id=f"p{number}",
                    site_id=1,
                    created_at=unit.now,
                    family_name=family,
                    given_name=given_name,
                    middle_name=middle,
                )
            )
        unit.session.flush()
        unit.session.add(PatientIdentifier(patient_id=2, system="MR", value="M-17"))
        unit.session.add(PatientContact(patient_id=3, channel="phone", value="+70000000000"))
    yield store
    store.close()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("елк", ["Ёлкина"]),
        ("ЁЛК", ["Ёлкина"]),
        ("иван", ["иваненко", "ИВАНОВ", "Иванова"]),
        ("ива анн", ["Иванова"]),
        ("ива серг", ["Иванова"]),
        ("oneill", ["O'Neill"]),
        ("M-17", ["Иванова"]),
        ("+70000000000", ["ИВАНОВ"]),
        ("вано", []),
        ("и%", []),
        ("''", []),
    ],
)
def test_people_are_found_by_what_a_person_types(store, typed, found):
    with store.read() as session:
        assert [row.family_name for row in find_patients(session, typed, limit=10)] == found


def test_a_changed_name_is_found_under_the_new_one_only(store):
    with store.unit("author") as unit:
        unit.session.get_one(Patient, 2).family_name = "Сидорова"
    with store.read() as session:
        assert [row.id for row in find_patients(session, "сидор", limit=10)] == [2]
        assert 2 not in {row.id for row in find_patients(session, "иванова", limit=10)}


def test_rows_inserted_in_bulk_are_folded_too(store):
    values = [
        {"public_id": f"b{number}", "site_id": 1, "family_name": f"Оптов{number}"}
        for number in range(3)
    ]
    with store.unit("author") as unit:
        unit.session.execute(insert(Patient), [one | {"created_at": unit.now} for one in values])
    with store.read() as session:
        assert len(find_patients(session, "оптов", limit=10)) == 3


def test_a_search_by_name_walks_the_index(store):
    low, high = prefix_range("ив")
    query = "SELECT id FROM patient WHERE folded_name >= :low AND folded_name < :high ORDER BY folded_name, id"
    with store.read() as session:
        if not store.is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
        plan = session.execute(text(explain + query), {"low": low, "high": high}).all()
    assert "ix_patient_folded_name" in str(plan)
