"""`lis catalog check` on a real store."""

import json

import pytest
from typer.testing import CliRunner

from lis.cli.main import app

CONFIG = '[store]\nurl = "sqlite:///{folder}/lis.db"\n[[site]]\nname = "main"\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "lis.toml"
    path.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    for command in (["migrate"], ["catalog", "demo"]):
        done = CliRunner().invoke(app, [*command, "--config", str(path)])
        assert done.exit_code == 0, done.output
    return path


def test_a_gap_in_the_intervals_in_force_is_named_and_is_found_wrong(config):
    said = CliRunner().invoke(app, ["catalog", "check", "--config", str(config), "--json"])
    document = json.loads(said.stdout)
    assert document["tests"] > 0
    assert (said.exit_code == 1) == bool(document["flaws"])


def test_a_test_whose_men_have_no_band_is_told_with_its_ages(config, tmp_path):
    body = tmp_path / "interval.json"
    bands = [{"sex": "F", "from": "0h", "to": None, "low": "1", "high": "2", "text": ""}]
    body.write_text(json.dumps({"version": "2", "tests": {"GLU": {"bands": bands}}}), "utf-8")
    put = ["catalog", "put", "interval", str(body), "--author", "a", "--approver", "b"]
    done = CliRunner().invoke(app, [*put, "--config", str(config)])
    assert done.exit_code == 0, done.output
    said = CliRunner().invoke(app, ["catalog", "check", "--config", str(config), "--json"])
    assert said.exit_code == 1
    assert json.loads(said.stdout)["flaws"] == [
        {"test": "GLU", "flaw": "gap", "sex": "M", "from": "0h", "to": None}
    ]
