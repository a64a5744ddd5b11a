"""Versions of definitions: in force by date, by two persons, readable together or not at all."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.clock import ManualClock
from lis.domain.errors import Malformed, NotFound, Refused
from lis.store import Store
from lis.store.definition_cache import DefinitionCache
from lis.store.definitions import (
    DefinitionKind,
    catalog_in_force,
    definition_versions,
    put_definition,
)
from lis.store.rows import Audit, DefinitionVersion
from lis.store.seed import demo_documents, put_demo_catalog


def renamed(body: dict[str, Any], version: str) -> dict[str, Any]:
    return {**copy.deepcopy(body), "version": version}


def put(store: Store, kind: str, body: dict[str, Any], *, after_h: int = 0) -> None:
    with store.unit("anna") as unit:
        effective_from = unit.now + timedelta(hours=after_h)
        put_definition(unit, kind, body["version"], body, effective_from, "boris")


def in_force(store: Store) -> Catalog:
    with store.read() as session:
        return catalog_in_force(session, store.clock.now())


@pytest.fixture
def seeded(store: Store) -> Store:
    with store.unit("demo") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
    return store


def test_without_a_catalog_there_is_none(store: Store):
    with store.read() as session, pytest.raises(NotFound, match="catalog in force"):
        catalog_in_force(session, store.clock.now())


def test_a_catalog_alone_is_enough_to_begin(store: Store):
    put(store, "catalog", demo_documents().catalog)
    catalog = in_force(store)
    assert catalog.tests["K"].intervals == ()
    assert catalog.tests["K"].rules is None


def test_a_version_takes_force_at_its_moment(seeded: Store, manual_clock: ManualClock):
    put(seeded, "rule", renamed(demo_documents().rule, "demo-2"), after_h=2)
    before = in_force(seeded)
    manual_clock.advance(hours=2)
    after = in_force(seeded)
    assert (before.version, after.version) == ("demo-1", "demo-1+demo-2")
    assert after.tests["K"].rules is not None
    assert after.tests["K"].rules.version == "demo-2"
    with seeded.read() as session:
        past = catalog_in_force(session, manual_clock.now() - timedelta(hours=1))
    assert past is before


def test_the_frozen_catalog_is_kept_between_transactions(seeded: Store):
    assert in_force(seeded) is in_force(seeded)
    with seeded.unit("test") as unit:
        assert catalog_in_force(unit.session, unit.now) is in_force(seeded)


def test_the_catalog_knows_its_version_row(seeded: Store):
    with seeded.read() as session:
        row = session.get_one(DefinitionVersion, in_force(seeded).version_id)
    assert (row.kind, row.version) == ("catalog", "demo-1")


def test_nobody_approves_his_own_definition(seeded: Store):
    body = renamed(demo_documents().rule, "demo-2")
    with seeded.unit("anna") as unit:
        for approver in ("anna", ""):
            with pytest.raises(Refused, match="definition_needs_second_person"):
                put_definition(unit, "rule", "demo-2", body, unit.now, approver)


def test_a_definition_carries_the_version_it_is_put_under(seeded: Store):
    with seeded.unit("anna") as unit, pytest.raises(Refused, match="definition_version_differs"):
        put_definition(unit, "rule", "demo-3", demo_documents().rule, unit.now, "boris")


def test_rules_without_a_catalog_are_refused(store: Store):
    with pytest.raises(Refused, match="definition_needs_catalog"):
        put(store, "rule", demo_documents().rule)


def test_a_definition_that_cannot_be_read_is_refused(seeded: Store):
    body = renamed(demo_documents().rule, "demo-2")
    body["tests"]["XXX"] = {"is_on": True}
    with pytest.raises(Malformed, match=r"rule\.tests"):
        put(seeded, "rule", body)
    assert in_force(seeded).version == "demo-1"


def test_a_definition_must_also_fit_what_comes_into_force_later(seeded: Store):
    later = renamed(demo_documents().interval, "demo-2")
    put(seeded, "interval", later, after_h=5)
    smaller = renamed(demo_documents().catalog, "demo-2")
    smaller["tests"] = [test for test in smaller["tests"] if test["code"] != "UA"]
    smaller["instrument_tests"] = [
        entry for entry in smaller["instrument_tests"] if entry["test"] != "UA"
    ]
    with pytest.raises(Malformed, match=r"interval\.tests"):
        put(seeded, "catalog", smaller, after_h=1)


def test_who_wrote_and_approved_is_kept_and_audited(seeded: Store):
    put(seeded, "rule", renamed(demo_documents().rule, "demo-2"), after_h=1)
    with seeded.read() as session:
        newest, first = definition_versions(session, DefinitionKind.RULE)
        assert (newest.version, newest.author, newest.approver) == ("demo-2", "anna", "boris")
        assert first.version == "demo-1"
        audit = session.scalars(select(Audit).where(Audit.actor == "anna")).one()
        assert (audit.action, audit.entity_key) == ("put", "rule demo-2")


def test_the_cache_is_bounded_and_forgets_what_was_unused_longest():
    cache = DefinitionCache(size=2)
    cache.put((1,), "one")
    cache.put((2,), "two")
    assert cache.get((1,)) == "one"
    cache.put((3,), "three")
    assert cache.get((2,)) is None
    assert (cache.get((1,)), cache.get((3,))) == ("one", "three")


def test_a_session_of_somebody_else_is_our_bug(seeded: Store):
    with Session(seeded.engines.read) as session, pytest.raises(AssertionError, match="by a Store"):
        catalog_in_force(session, seeded.clock.now())
