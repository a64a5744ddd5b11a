"""Analyzers on real links: TCP both ways round, and a serial port."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from lis.cli.null_modem import NullModem
from lis.drivers import registry
from lis.transport import LinkAddress, LinkState, open_pipe, serve_link
from simulators.analyzer import Analyzer
from simulators.tubes import Tube
from simulators.writing import Instrument
from tests.simulators.conftest import Bench
from tests.simulators.host import Host

ANY_PORT = LinkAddress.parse("tcp-listen://127.0.0.1:0")


def listening(found: "asyncio.Future[str]") -> Callable[[LinkState, str], None]:
    def note(state: LinkState, detail: str) -> None:
        if state is LinkState.LISTENING and not found.done():
            found.set_result(detail)

    return note


@pytest.mark.parametrize("key", ["roche-cobas-c111", "mindray-bc"])
async def test_an_analyzer_calls_a_listening_host(key: str, bench: Bench):
    host, stop, where = Host(registry.get(key)), asyncio.Event(), asyncio.Future[str]()
    serving = asyncio.create_task(
        serve_link(ANY_PORT, host.serve, on_state=listening(where), stop=stop)
    )
    analyzer = Analyzer(
        Instrument.of(host.profile), clock=bench.clock, seed=1, settings=bench.settings
    )
    analyzer.load([Tube(accession="2611000017")])
    address = LinkAddress.parse(f"tcp-connect://{await where}")
    working = asyncio.create_task(analyzer.run(address, stop))
    await analyzer.until_done()
    stop.set()
    await asyncio.gather(working, serving)
    assert len(host.kept) == analyzer.counts.acknowledged == 1


async def test_an_analyzer_can_listen_for_its_host(bench: Bench):
    host, stop, where = Host(registry.get("sysmex-xp-100")), asyncio.Event(), asyncio.Future[str]()
    analyzer = Analyzer(
        Instrument.of(host.profile),
        clock=bench.clock,
        seed=1,
        settings=bench.settings,
        on_state=listening(where),
    )
    analyzer.load([Tube(accession="2611000017")])
    working = asyncio.create_task(analyzer.run(ANY_PORT, stop))
    pipe = await open_pipe(LinkAddress.parse(f"tcp-connect://{await where}"))
    serving = asyncio.create_task(host.serve(pipe))
    await analyzer.until_done()
    stop.set()
    await asyncio.gather(working, serving)
    await pipe.close()
    assert len(host.kept) == 1


async def test_an_analyzer_speaks_through_a_serial_port(bench: Bench):
    host, stop = Host(registry.get("sysmex-xp-100")), asyncio.Event()
    analyzer = Analyzer(
        Instrument.of(host.profile),
        clock=bench.clock,
        seed=1,
        settings=replace(bench.settings, seconds_per_tube=0.0),
    )
    analyzer.load([Tube(accession="2611000017"), Tube(accession="2611000025")])
    with NullModem() as cable:
        pipe = await open_pipe(LinkAddress.parse(f"serial://{cable.a}?baudrate=9600"))
        serving = asyncio.create_task(host.serve(pipe))
        there = LinkAddress.parse(f"serial://{cable.b}?baudrate=9600")
        working = asyncio.create_task(analyzer.run(there, stop))
        await analyzer.until_done()
        stop.set()
        await working
        await pipe.close()
        await serving
    assert len(host.kept) == 2
