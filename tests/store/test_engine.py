"""How connections are opened."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lis.store import Store
from lis.store.engine import (
    StoreUnusable,
    connect_sqlite,
    file_system_of,
    open_engines,
    refuse_network_file_system,
)

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/data /mnt/lab nfs4 rw 0 0
/dev/vdb /mnt/lab/local\\040disk xfs rw 0 0
broken line
"""


def test_a_commit_is_durable(store: Store):
    setting = "PRAGMA synchronous" if store.is_sqlite else "SHOW synchronous_commit"
    with store.unit("test") as unit:
        durable = unit.session.execute(text(setting)).scalar_one()
    assert durable == (2 if store.is_sqlite else "on")


def test_sqlite_keeps_foreign_keys_and_a_write_ahead_log(sqlite_store: Store):
    with sqlite_store.unit("test") as unit:
        assert unit.session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert unit.session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_a_read_cannot_write(store: Store):
    with store.read() as session, pytest.raises(DBAPIError, match=r"read-?only"):
        session.execute(text("INSERT INTO sequence (name, value) VALUES ('x', 1)"))


def test_a_read_sees_one_moment(store: Store):
    count = text("SELECT count(*) FROM sequence")
    with store.read() as session:
        assert session.execute(count).scalar_one() == 0
        with store.unit("test") as unit:
            unit.next_number("x")
        assert session.execute(count).scalar_one() == 0
    with store.read() as session:
        assert session.execute(count).scalar_one() == 1


def test_json_keeps_russian_text_readable(store: Store):
    with store.unit("test") as unit:
        unit.send(
            destination="emr:his",
            key="k",
            order_key="o",
            payload={"name": "Кровь"},
            not_before=unit.now,
        )
    with store.read() as session:
        stored = session.execute(text("SELECT CAST(payload AS TEXT) FROM outbox")).scalar_one()
    assert stored == '{"name":"Кровь"}'


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(url):
    with pytest.raises(StoreUnusable, match="keeps nothing"):
        open_engines(url)


def test_an_unknown_store_is_refused():
    with pytest.raises(StoreUnusable, match="expected sqlite"):
        open_engines("mysql://localhost/lis")


def test_a_network_file_system_is_refused(tmp_path: Path):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    with pytest.raises(StoreUnusable, match="nfs4"):
        refuse_network_file_system(Path("/mnt/lab/lis.db"), mounts)
    refuse_network_file_system(Path("/mnt/lab/local disk/lis.db"), mounts)
    refuse_network_file_system(Path("/mnt/lab/lis.db"), tmp_path / "absent")


def test_the_nearest_mount_point_counts():
    assert file_system_of(Path("/var/lis.db"), MOUNTS) == "ext4"
    assert file_system_of(Path("/mnt/laboratory/lis.db"), MOUNTS) == "ext4"
    assert file_system_of(Path("/mnt/lab/a/lis.db"), MOUNTS) == "nfs4"
    assert file_system_of(Path("/x"), "") == ""


def test_a_file_that_cannot_have_a_write_ahead_log_is_refused(tmp_path: Path):
    with pytest.raises(StoreUnusable, match="WAL"):
        connect_sqlite(Path(":memory:"))
