"""Fixtures: a laboratory on SQLite, or on both stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.qc.laboratory import Laboratory, open_laboratory


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    yield from open_laboratory(f"sqlite:///{tmp_path / 'lis.db'}")


@pytest.fixture
def laboratory_on_both(store_url: str) -> Iterator[Laboratory]:
    """The same on SQLite and on PostgreSQL."""
    yield from open_laboratory(store_url)
