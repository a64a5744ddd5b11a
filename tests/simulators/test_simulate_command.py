"""`lis simulate` is an analyzer for people: it says what was acknowledged, and its exit code means it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
import typer
from typer.testing import CliRunner, Result

from lis.cli import simulate
from lis.drivers import registry
from lis.transport import LinkAddress, LinkState, serve_link
from lis.wire.hl7_ack import AckCode
from tests.simulators.host import Host


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command sends its log to the stderr it was started with; that one ends with the test."""
    yield
    structlog.reset_defaults()


@contextmanager
def hosting(host: Host) -> Iterator[str]:
    """The host in a thread of its own, because the command runs a loop of its own."""
    found, ports, loops = threading.Event(), [], []
    stop = asyncio.Event()

    def note(state: LinkState, detail: str) -> None:
        if state is LinkState.LISTENING:
            ports.append(detail)
            found.set()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        address = LinkAddress.parse("tcp-listen://127.0.0.1:0")
        await serve_link(address, host.serve, on_state=note, stop=stop)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="host")
    thread.start()
    assert found.wait(5)
    try:
        yield f"tcp-connect://{ports[0]}"
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()


def run(*arguments: str) -> Result:
    app = typer.Typer()
    simulate.register(app)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    "key",
    [
        "arkray-spotchem-el",
        "horiba-yumizen-h550",
        "immucor-galileo-echo",
        "mindray-bc",
        "ortho-vision",
        "siemens-dca-vantage",
        "sysmex-xp-100",
    ],
)
def test_tubes_are_measured_and_counted(key: str):
    host = Host(registry.get(key))
    with hosting(host) as link:
        result = run(key, link, "--count", "2", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (said["messages"], said["acknowledged"], said["ok"]) == (2, 2, True)
    assert [m.observations[0].specimen for m in host.translations()] == said["specimens"]


def test_a_named_tube_is_measured_as_the_host_says():
    host = Host(registry.get("cepheid-genexpert"), orders={"2611000017": ("MTB-RIF^Xpert",)})
    with hosting(host) as link:
        result = run("cepheid-genexpert", link, "--specimen", "2611000017", "--ask")
    assert result.exit_code == 0
    assert host.translations()[0].observations[0].specimen == "2611000017"
    assert "acknowledged" in result.stdout


def test_a_fault_happens_and_is_survived():
    host = Host(registry.get("sysmex-xp-100"))
    with hosting(host) as link:
        result = run("sysmex-xp-100", link, "--fault", "bad_checksum", "--json")
    said = json.loads(result.stdout)
    assert (said["fault_happened"], said["ok"]) == (True, True)
    assert host.refused_frames == 1


def test_a_refusal_is_seen_in_the_exit_code():
    host = Host(registry.get("mindray-bc"), mllp_answers=[AckCode.AR])
    with hosting(host) as link:
        result = run("mindray-bc", link, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["given_up"] == 1


def test_nobody_there_is_no_success():
    result = run("mindray-bc", "tcp-connect://127.0.0.1:1", "--timeout", "0.1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-driver", "tcp-connect://127.0.0.1:1"),
        ("mindray-bc", "nonsense://"),
        ("mindray-bc", "tcp-connect://127.0.0.1:1", "--fault", "bad_checksum"),
        ("sysmex-xp-100", "tcp-connect://127.0.0.1:1", "--fault", "no_such"),
        ("sysmex-xp-100", "folder:///tmp/x"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: tuple[str, ...]):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
