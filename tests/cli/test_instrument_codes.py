"""`lis instrument codes` and `map`: an unknown code becomes a test, by two people."""

import json

import pytest
from typer.testing import CliRunner

from lis.app.clock import SystemClock
from lis.app.observability import configure_logging
from lis.cli.main import app
from lis.store.observation_rows import Observation
from lis.store.people_rows import Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.traffic_rows import Device
from lis.store.unit import Store


@pytest.fixture
def shell(tmp_path):
    """A laboratory whose analyzer sent one code that nobody knows."""
    configure_logging(as_json=False, level="error")  # as `main` does
    config = tmp_path / "lis.toml"
    config.write_text('[laboratory]\nname = "Test"\n[store]\nurl = "sqlite:///lis.db"\n')
    store = Store.open(f"sqlite:///{tmp_path / 'lis.db'}", clock=SystemClock())
    store.migrate()
    with store.unit("author") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
        site = Site(name="main", timezone="UTC")
        unit.session.add(site)
        unit.session.flush()
        device = Device(
            public_id=unit.ids.new(), site_id=site.id, name="xp-1", driver="sysmex-xp-100"
        )
        unit.session.add(device)
        unit.session.flush()
        unit.session.add(
            Observation(
                public_id=unit.ids.new(),
                site_id=site.id,
                created_at=unit.now,
                run_key="a",
                test_code="",
                instrument_code="RETIC",
                reported="1.2",
                reported_unit="%",
                device_id=device.id,
            )
        )
    store.close()

    def run(*words):
        return CliRunner().invoke(app, [*words, "--config", str(config)])

    return run


def test_an_unknown_code_is_listed_with_its_unit(shell):
    done = shell("instrument", "codes", "xp-1", "--json")
    (seen,) = json.loads(done.stdout)
    assert (seen["code"], seen["unit"], seen["test"], seen["count"]) == ("RETIC", "%", "", 1)


def test_a_mapping_is_a_new_version_that_a_second_person_approves(shell):
    words = ("instrument", "map", "xp-1", "RETIC=HCT")
    done = shell(*words, "--author", "anna", "--approver", "boris", "--json")
    assert done.exit_code == 0, done.output
    (mapped,) = json.loads(done.stdout)["mappings"]
    assert (mapped["driver"], mapped["test"], mapped["unit"]) == ("sysmex-xp-100", "HCT", "%")
    document = json.loads(shell("catalog", "get", "catalog").stdout)
    assert mapped in document["instrument_tests"]
    (seen,) = json.loads(shell("instrument", "codes", "xp-1", "--json").stdout)
    assert seen["test"] == "HCT"


@pytest.mark.parametrize(
    "words",
    [
        ("instrument", "map", "xp-1", "RETIC=HCT", "--author", "anna", "--approver", "anna"),
        ("instrument", "map", "xp-1", "RETIC=NOSUCH", "--author", "anna", "--approver", "boris"),
        ("instrument", "map", "xp-1", "RETIC", "--author", "anna", "--approver", "boris"),
        ("instrument", "map", "nobody", "A=HCT", "--author", "anna", "--approver", "boris"),
        ("instrument", "codes", "nobody"),
        ("catalog", "get", "nothing"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(shell, words):
    before = shell("catalog", "get", "catalog").stdout
    assert shell(*words).exit_code != 0
    assert shell("catalog", "get", "catalog").stdout == before
