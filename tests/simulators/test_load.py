"""The load generator counts every acknowledgement, times it, and knows exactly what was acknowledged."""

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lis.drivers import registry, translate
from lis.transport import LinkAddress, LinkSettings, LinkState, Pipe, serve_link
from lis.wire.hl7_ack import AckCode
from simulators import load
from simulators.load import LoadPlan, LoadReport, Timing, main, run_load
from simulators.load_messages import DRIVERS, Framing, MessageSource, Wire
from tests.simulators.host import AT, Host


@asynccontextmanager
async def hosting(host: Host) -> AsyncIterator[int]:
    """One port that takes every analyzer; all are kept by one host."""
    stop, where = asyncio.Event(), asyncio.Future[str]()

    async def serve(pipe: Pipe) -> None:
        await host.serve(pipe)

    def note(state: LinkState, detail: str) -> None:
        if state is LinkState.LISTENING and not where.done():
            where.set_result(detail)

    settings = LinkSettings(single_peer=False)
    address = LinkAddress.parse("tcp-listen://127.0.0.1:0")
    serving = asyncio.create_task(
        serve_link(address, serve, on_state=note, stop=stop, settings=settings)
    )
    try:
        yield int((await where).rpartition(":")[2])
    finally:
        stop.set()
        await serving


def plan_on(port: int, wire: Wire, **changes: object) -> LoadPlan:
    plan = LoadPlan(
        host="127.0.0.1",
        port_base=port,
        at=AT,
        protocol=wire,
        analyzers=3,
        messages=4,
        results=5,
        single_port=True,
    )
    return replace(plan, **changes)


async def in_a_thread(act: Callable[[], Any]) -> Any:
    """Run what blocks beside the loop, in a thread that is gone afterwards."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, act)


async def loaded(host: Host, wire: Wire, **changes: object) -> LoadReport:
    async with hosting(host) as port:
        return await in_a_thread(partial(run_load, plan_on(port, wire, **changes)))


@pytest.mark.parametrize("wire", list(Wire))
async def test_every_message_is_acknowledged_and_timed(wire: Wire):
    host = Host(registry.get(DRIVERS[wire]))
    report = await loaded(host, wire)
    assert (report.sent, report.acked, report.refused, report.lost) == (12, 12, 0, 0)
    assert report.results_acked == 60
    assert report.ack_ms is not None
    assert report.ack_ms.count == 12
    assert 0 < report.ack_ms.p50 <= report.ack_ms.p99 <= report.ack_ms.max
    assert (report.enq_ms is not None) == (wire is Wire.ASTM)
    specimens = [m.observations[0].specimen for m in host.translations()]
    assert sorted(specimens) == sorted(report.acked_keys)
    assert len(set(specimens)) == 12


async def test_records_may_travel_in_frames_of_their_own():
    host = Host(registry.get(DRIVERS[Wire.ASTM]))
    report = await loaded(host, Wire.ASTM, framing=Framing.RECORD)
    assert report.acked == 12
    assert report.ack_ms is not None
    assert report.ack_ms.count == 12 * 9  # H P O, five R, L
    assert {len(m.observations) for m in host.translations()} == {5}


async def test_a_refused_message_is_not_among_the_acknowledged():
    host = Host(registry.get(DRIVERS[Wire.MLLP]), mllp_answers=[AckCode.AE])
    report = await loaded(host, Wire.MLLP)
    assert (report.acked, report.refused) == (11, 1)
    kept = {m.observations[0].specimen for m in host.translations()}
    assert kept == set(report.acked_keys)


async def test_a_lost_connection_ends_only_its_analyzer():
    class Hangs(Host):
        async def serve(self, pipe: Pipe) -> None:
            if self.connections == 0:
                self.connections += 1
                return
            await super().serve(pipe)

    host = Hangs(registry.get(DRIVERS[Wire.MLLP]))
    report = await loaded(host, Wire.MLLP)
    assert (report.lost, report.acked) == (1, 8)


@pytest.mark.parametrize("answers_bid", [b"\x06", b"\x15"])
async def test_a_frame_or_a_bid_is_tried_six_times_and_given_up(answers_bid: bytes):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if data != b"\x04":
                writer.write(answers_bid if data.endswith(b"\x05") else b"\x15")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        plan = plan_on(port, Wire.ASTM, analyzers=1, messages=2)
        report = await in_a_thread(partial(run_load, plan))
    assert (report.acked, report.refused, report.lost) == (0, 12, 0)


async def test_a_pace_can_be_set():
    host = Host(registry.get(DRIVERS[Wire.MLLP]))
    report = await loaded(host, Wire.MLLP, messages=3, per_second=60.0)
    assert report.acked == 9
    assert report.seconds > 0.1  # nine messages at 60 a second


async def test_it_stops_in_time():
    host = Host(registry.get(DRIVERS[Wire.MLLP]))
    report = await loaded(host, Wire.MLLP, messages=10_000, per_second=60.0, seconds=0.2)
    assert 0 < report.acked == report.sent < 40


async def test_the_command_line_prints_json_and_writes_the_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    host = Host(registry.get(DRIVERS[Wire.MLLP]))
    keys = tmp_path / "acked"
    async with hosting(host) as port:
        arguments = ["--port-base", str(port), "--single-port", "--analyzers", "2"]
        arguments += ["--messages", "3", "--results", "2", "--acked", str(keys), "--json"]
        code = await in_a_thread(partial(main, arguments))
    printed = capsys.readouterr().out.splitlines()  # the host of this test logs there too
    shown = json.loads(next(line for line in printed if line.startswith("{")))
    assert code == 0
    assert (shown["acked"], shown["results_acked"], shown["lost"]) == (6, 12, 0)
    assert len(keys.read_text().split()) == 6


def test_given_accession_numbers_are_used_in_turn_and_never_at_the_same_second():
    source = MessageSource(Wire.MLLP, analyzer=0, at=AT, results=1, accessions=["11", "22"])
    seen = set()
    for _ in range(6):
        one = source.next()
        said = translate(
            registry.get(DRIVERS[Wire.MLLP]), one.blocks[0][1:-2], zone=UTC, received_at=AT
        ).observations[0]
        assert said.specimen == one.key
        seen.add((said.specimen, said.observed_at))
    assert len(seen) == 6
    assert {specimen for specimen, _ in seen} == {"11", "22"}


def test_codes_can_be_named_and_results_outnumber_the_model():
    profile = registry.get(DRIVERS[Wire.ASTM])
    named = MessageSource(Wire.ASTM, analyzer=0, at=AT, results=9, codes=["A", "B"]).next()
    said = translate(profile, named.blocks[0], zone=UTC, received_at=AT).observations
    assert [row.test for row in said] == ["A", "B"]
    many = MessageSource(Wire.ASTM, analyzer=0, at=AT, results=100).next()
    said = translate(profile, many.blocks[0], zone=UTC, received_at=AT).observations
    assert len({row.test for row in said}) == 100


def test_analyzers_that_nobody_answers_are_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(load, "CONNECT_WAIT_S", 0.0)
    report = run_load(plan_on(1, Wire.MLLP, single_port=False))
    assert (report.lost, report.sent) == (3, 0)


def test_no_answers_have_no_times():
    assert Timing.of(array("q")) is None
    one = Timing.of(array("q", [1_000_000, 2_000_000, 3_000_000]))
    assert one == Timing(count=3, p50=2.0, p99=3.0, max=3.0)
