"""The audit chain: every kind of tampering is found, at the first entry that is wrong."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from lis.store import Store
from lis.store.audit import (
    AuditFault,
    AuditHead,
    AuditVerdict,
    canonical_text,
    export_head,
    seal,
    verify,
)

ENTRIES = 6


@pytest.fixture
def audited(store: Store) -> Store:
    for number in range(ENTRIES // 2):
        with store.unit("anna") as unit:
            unit.audit("verify", "observation", number, seen={"hash": "ab"}, after=Decimal("5.50"))
            unit.audit("release", "observation", number)
    seal(store)
    return store


def check(store: Store, kept: AuditHead | None = None) -> AuditVerdict:
    with store.read() as session:
        return verify(session, kept)


def tamper(store: Store, *statements: str) -> None:
    with store.engines.write.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_untouched_chain_is_intact(audited: Store):
    verdict = check(audited)
    assert verdict.is_intact
    assert (verdict.checked, verdict.unsealed, verdict.head.position) == (ENTRIES, 0, ENTRIES)


def test_an_empty_chain_is_intact(store: Store):
    assert check(store) == AuditVerdict(checked=0, unsealed=0, head=AuditHead())


@pytest.mark.parametrize(
    "change",
    [
        "text = replace(text, 'anna', 'boris')",
        "actor = 'boris'",
        "action = 'reject'",
        "entity = 'specimen'",
        "entity_key = '99'",
        "at = '2020-01-01 00:00:00.000000+00:00'",
        "hash = previous_hash",
    ],
)
def test_an_altered_entry_is_found(audited: Store, change: str):
    value = change if audited.is_sqlite else change.replace("+00:00", "+00")
    tamper(audited, f"UPDATE audit SET {value.replace('+00:00', '')} WHERE position = 3")
    verdict = check(audited)
    assert (verdict.fault, verdict.position) == (AuditFault.ALTERED, 3)


def test_a_rewritten_hash_breaks_the_link_to_the_next(audited: Store):
    tamper(audited, "UPDATE audit SET previous_hash = 'x' WHERE position = 4")
    assert (check(audited).fault, check(audited).position) == (AuditFault.BROKEN_LINK, 4)


def test_a_removed_entry_is_found(audited: Store):
    tamper(audited, "DELETE FROM audit WHERE position = 3")
    assert (check(audited).fault, check(audited).position) == (AuditFault.REMOVED, 4)


def test_the_first_entry_cannot_be_removed(audited: Store):
    tamper(audited, "DELETE FROM audit WHERE position = 1")
    assert check(audited).fault is AuditFault.REMOVED


def test_a_removed_entry_whose_gap_was_closed_is_found(audited: Store):
    tamper(
        audited,
        "DELETE FROM audit WHERE position = 3",
        "UPDATE audit SET position = 3 WHERE position = 4",
        "UPDATE audit SET position = 4 WHERE position = 5",
        "UPDATE audit SET position = 5 WHERE position = 6",
    )
    assert (check(audited).fault, check(audited).position) == (AuditFault.BROKEN_LINK, 3)


def test_swapped_entries_are_found(audited: Store):
    tamper(
        audited,
        "UPDATE audit SET position = 90 WHERE position = 2",
        "UPDATE audit SET position = 2 WHERE position = 3",
        "UPDATE audit SET position = 3 WHERE position = 90",
    )
    assert (check(audited).fault, check(audited).position) == (AuditFault.BROKEN_LINK, 2)


def test_swapped_texts_are_found(audited: Store):
    tamper(
        audited,
        "UPDATE audit SET text = (SELECT text FROM audit WHERE position = 2) WHERE position = 4",
    )
    assert (check(audited).fault, check(audited).position) == (AuditFault.ALTERED, 4)


def test_an_inserted_entry_is_found(audited: Store):
    tamper(
        audited,
        "UPDATE audit SET position = position + 100 WHERE position > 3",
        "INSERT INTO audit (at, actor, action, entity, entity_key, text, previous_hash, hash,"
        " position) SELECT at, actor, action, entity, entity_key, text, hash, hash, 4"
        " FROM audit WHERE position = 3",
        "UPDATE audit SET position = position - 99 WHERE position > 100",
    )
    assert (check(audited).fault, check(audited).position) == (AuditFault.ALTERED, 4)


def test_an_entry_outside_the_chain_is_found_on_sqlite(sqlite_store: Store):
    with sqlite_store.unit("anna") as unit:
        unit.audit("verify", "observation", 1)
    tamper(
        sqlite_store,
        "INSERT INTO audit (at, actor, action, entity, entity_key, text)"
        " SELECT at, actor, action, entity, entity_key, text FROM audit",
    )
    assert check(sqlite_store).fault is AuditFault.INSERTED


def test_a_chain_cut_at_its_end_is_found_with_a_kept_head(audited: Store):
    with audited.read() as session:
        kept = export_head(session)
    tamper(audited, "DELETE FROM audit WHERE position > 4")
    assert check(audited).is_intact
    assert (check(audited, kept).fault, check(audited, kept).position) == (
        AuditFault.TRUNCATED,
        5,
    )


def test_a_chain_written_anew_is_found_with_a_kept_head(audited: Store):
    kept = AuditHead(position=ENTRIES, hash="0" * 64)
    assert check(audited, kept).fault is AuditFault.BROKEN_LINK


def test_the_chain_may_grow_past_a_kept_head(audited: Store):
    with audited.read() as session:
        kept = export_head(session)
    with audited.unit("anna") as unit:
        unit.audit("verify", "observation", 9)
    seal(audited)
    assert check(audited, kept).is_intact


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(1, ENTRIES), byte=st.integers(0, 60), kind=st.booleans())
def test_any_single_changed_character_is_found(audited: Store, position, byte, kind):
    column = "text" if kind else "hash"
    with audited.engines.write.connect() as connection:
        get = text(f"SELECT {column} FROM audit WHERE position = :p")
        before = connection.execute(get, {"p": position}).scalar_one()
        at = byte % len(before)
        after = before[:at] + ("x" if before[at] != "x" else "y") + before[at + 1 :]
        put = text(f"UPDATE audit SET {column} = :v WHERE position = :p")
        connection.execute(put, {"v": after, "p": position})
        connection.commit()
        try:
            verdict = check(audited)
            assert not verdict.is_intact
            assert verdict.position == position
        finally:
            connection.execute(put, {"v": before, "p": position})
            connection.commit()


def test_postgresql_chains_what_writers_committed_side_by_side(store: Store):
    def write() -> None:
        for number in range(5):
            with store.unit("test") as unit:
                unit.audit("verify", "observation", number)

    threads = [threading.Thread(target=write) for _ in range(3)]
    sealers: list[Callable[[], object]] = [lambda: seal(store), lambda: seal(store)]
    threads += [threading.Thread(target=sealer) for sealer in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal(store)
    verdict = check(store)
    assert verdict.is_intact
    assert (verdict.checked, verdict.unsealed) == (15, 0)


def test_sealing_twice_changes_nothing(audited: Store):
    before = check(audited)
    assert seal(audited) == 0
    assert check(audited) == before


def test_the_canonical_text_does_not_depend_on_order_or_zone():
    moscow = timezone(timedelta(hours=3))
    one = canonical_text(
        b={2: "x", "a": Decimal("1.50")}, a=datetime(2026, 11, 2, 11, tzinfo=moscow)
    )
    two = canonical_text(a=datetime(2026, 11, 2, 8, tzinfo=UTC), b={"a": Decimal("1.50"), 2: "x"})
    assert one == two == '{"a":"2026-11-02T08:00:00+00:00","b":{"2":"x","a":"1.50"}}'


def test_the_canonical_text_writes_sets_and_bytes_and_refuses_the_rest():
    assert canonical_text(a=frozenset({"y", "x"}), b=b"\x02") == '{"a":["x","y"],"b":"02"}'
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        canonical_text(a=object())
