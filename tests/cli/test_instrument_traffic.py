"""`lis instrument` and `lis replay` on a laboratory whose analyzer asked, was told, and sent results."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lis.app.clock import SystemClock
from lis.app.configuring import configure
from lis.app.settings import load_settings
from lis.cli.main import app
from lis.domain.messages import HostQuery
from lis.orders import answer_query
from lis.store import Store
from lis.store.definitions import catalog_in_force
from lis.store.rows import Audit, Device, Inbox, InboxState, Journal
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.wire.capture import read_any, read_capture

CAPTURE = Path(__file__).parents[1] / "captures" / "sysmex-xp-100" / "counts.cap"
CONFIG = """
[[site]]
name = "main"
timezone = "Europe/Moscow"
[[instrument]]
name = "xp-1"
driver = "sysmex-xp-100"
link = "tcp-listen://127.0.0.1:1"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with lis.toml and a store with traffic, in which commands are run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lis.toml").write_text(CONFIG, encoding="utf-8")
    store = Store.open(f"sqlite:///{tmp_path / 'lis.db'}", clock=SystemClock())
    store.migrate()
    with store.unit("test") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
        configure(unit, load_settings(tmp_path / "lis.toml", {}))
        device = unit.session.get_one(Device, 1)
        catalog = catalog_in_force(unit.session, unit.now)
        answer_query(unit, catalog, device, HostQuery(specimens=("2600000014",)))
        raw = read_any(CAPTURE.read_bytes()).units[0]
        row = Inbox(
            link_id=1,
            received_at=unit.now,
            protocol="astm",
            lane="result",
            raw=raw,
            sha256=b"",
            device_id=1,
            driver="sysmex-xp-100",
            state=InboxState.HELD,
            hold_reason="processing_failed",
        )
        unit.session.add(row)
        unit.session.flush()
        unit.session.add(Journal(link_id=1, at=unit.now, direction="in", data=b"\x05"))
        unit.session.flush()
        unit.session.add(Journal(link_id=1, at=unit.now, direction="in", inbox_id=row.id))
    store.close()
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.stdout


def run_json(*arguments: str, code: int = 0) -> Any:
    """The document a command printed; in this process its log stands above it."""
    return json.loads(run(*arguments, code=code).splitlines()[-1])


def test_a_question_is_shown_with_why_it_got_nothing(place: Path):
    (line,) = run_json("instrument", "queries", "xp-1", "--json")
    assert (line["kind"], line["asked"]) == ("list", ["2600000014"])
    assert line["empty_reason"] in {"unknown_specimen", "not_our_number"}
    assert "2600000014" in run("instrument", "queries", "xp-1", "--empty")


def test_the_board_says_the_state_and_what_waits(place: Path):
    (tile,) = run_json("instrument", "board", "--json")
    assert (tile["name"], tile["state"], tile["held"]) == ("xp-1", "stopped", 1)
    assert "held 1" in run("instrument", "board")


def test_traffic_is_searched_in_the_shell(place: Path):
    page = run_json("instrument", "journal", "xp-1", "--hex", "05", "--json")
    assert [line["verdict"] for line in page["lines"]] == ["control"]
    assert "message 1" in run("instrument", "journal", "xp-1", "--text", "XP-100")
    run("instrument", "journal", "xp-1", "--verdict", "nonsense", code=2)
    run("instrument", "journal", "xp-1", "--since", "yesterday", code=2)


def test_an_export_has_no_personal_data_and_overwrites_nothing(place: Path):
    run("instrument", "export", "xp-1", "out.cap")
    assert read_capture((place / "out.cap").read_bytes())
    assert b"# redacted" in (place / "out.cap").read_bytes()
    run("instrument", "export", "xp-1", "out.cap", code=2)


def test_an_export_with_personal_data_is_audited(place: Path):
    wanted = ("--with-personal-data", "--reason", "for the maker", "--actor", "boris")
    run("instrument", "export", "xp-1", "raw.cap", *wanted)
    store = Store.open(f"sqlite:///{place / 'lis.db'}", clock=SystemClock())
    with store.read() as session:
        entry = session.query(Audit).filter_by(action="raw_exported").one()
        assert (entry.actor, "for the maker" in entry.text) == ("boris", True)
    store.close()


def test_replay_shows_differences_and_changes_nothing(place: Path):
    (report,) = run_json("replay", "1", "--json", code=1)
    changes = [one["change"] for one in report["replayed"]["differences"]]
    assert changes == ["added"] * len(changes)
    assert report["state"] == "held"
    assert "added" in run("replay", "1", code=1)  # still held: nothing was processed


def test_replay_processes_what_was_held_only_when_told(place: Path):
    done = run_json("replay", "1", "--process", "--json")
    assert (done["reopened"], done["processed"]) == ([1], 1)
    (report,) = run_json("replay", "1", "--json")
    assert report["is_equal"]
