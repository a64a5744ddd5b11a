"""Stores that houses are killed on."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lis.store.seed.demo_catalog import put_demo_catalog
from tests.conftest import absent
from tests.durability.analyzers import free_ports
from tests.durability.house_program import Victim, open_house

Say = Callable[[str], None]


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """A line of figures in the output of the run, also when the test passes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stdout.write(f"\n{text}\n")

    return write


@pytest.fixture
def strace() -> str:
    """The system call tracer; skipped without it, unless LIS_STRACE=required."""
    found = shutil.which("strace")
    if found is None:
        absent("STRACE", "no strace: apt-get install strace")
    return found


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A folder with a migrated store and a catalog, closed."""
    return prepare(tmp_path / "house")


def prepare(folder: Path) -> Path:
    """Make such a folder."""
    folder.mkdir()
    house = open_house(folder, {"mllp": [], "astm": []})
    with house.store.unit("author") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
    house.close()
    return folder


@pytest.fixture
def victim(prepared: Path) -> Iterator[Victim]:
    """A house that may be killed, with two analyzers' ports on each wire; not yet started."""
    ports = free_ports(4)
    house = Victim(prepared, {"mllp": ports[:2], "astm": ports[2:]})
    yield house
    house.kill()
