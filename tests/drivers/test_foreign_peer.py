"""The session against an analyzer that was written from the standard by others, over TCP and over a pty."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lis.domain.messages import Lane
from lis.drivers import registry
from lis.drivers.session import run_session
from lis.drivers.session_events import Answered, SessionClosed
from lis.transport import LinkAddress, LinkState, Pipe, serve_link
from lis.wire.astm_link import LinkSettings, decode_raw
from tests.drivers.wires import Host
from tests.foreign.analyzer import QUICK, Analyzer
from tests.foreign.line import Line

HEAD = r"H|\^&|||lab^Roche^c111^4.2^1^13999|||||host|RSUPL^REAL|P|1|20261122080000"
RESULT = [HEAD, "P|1", "O|1||20000013^^2||R||||||N", "R|1|^^^413|40.1|g/L||N||F", "L|1|N"]
ORDERS = (HEAD.encode(), b"P|1", b"O|1|S1||^^^413|R||||||A", b"L|1|F")
WAIT_S = 20.0
BUSY_RETRY_S = 0.05  # the standard's 10 s are tested in tests/wire with a clock of their own


@pytest.fixture
def threads_of_the_tools() -> str:
    return "asyncio_"  # the foreign analyzer blocks, so it runs in a thread


@asynccontextmanager
async def analyzer_on(wire: str, host: Host) -> AsyncIterator[Analyzer]:
    master, slave = os.openpty()
    url = f"serial://{os.ttyname(slave)}" if wire == "pty" else "tcp-listen://127.0.0.1:0"
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()

    def on_state(state: LinkState, detail: str) -> None:
        if state in {LinkState.LISTENING, LinkState.CONNECTED} and not opened.done():
            opened.set_result(detail)

    async def serve(pipe: Pipe) -> None:
        await run_session(
            pipe,
            profile=registry.get("roche-cobas-c111"),
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            astm_settings=LinkSettings(busy_retry_s=BUSY_RETRY_S),
        )

    link = asyncio.create_task(
        serve_link(LinkAddress.parse(url), serve, on_state=on_state, stop=stop)
    )
    where = await asyncio.wait_for(opened, WAIT_S)
    line = (
        Line.on_descriptor(master)
        if wire == "pty"
        else Line.call("127.0.0.1", int(where.rpartition(":")[2]))
    )
    analyzer = Analyzer(line, timing=QUICK)
    try:
        yield analyzer
    finally:
        analyzer.close()
        stop.set()
        await link
        os.close(slave)
        if wire != "pty":
            os.close(master)


wires = pytest.mark.parametrize("wire", ["tcp", "pty"])


def kept(host: Host) -> list[list[str]]:
    return [[record.decode() for record in decode_raw(unit.raw)] for unit in host.shelf.units]


async def until(host: Host, kind: type, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(host.of(kind)) < count:
            host.shelf.started.clear()
            await host.shelf.started.wait()


@wires
async def test_results_of_several_messages_in_one_session(wire: str) -> None:
    host = Host()
    async with analyzer_on(wire, host) as analyzer:
        await asyncio.to_thread(analyzer.keep_alive)
        await asyncio.to_thread(analyzer.send_results, [RESULT, RESULT])

    assert kept(host) == [RESULT, RESULT]


@wires
async def test_faults_of_the_line_lose_nothing_and_double_nothing(wire: str) -> None:
    host = Host()
    async with analyzer_on(wire, host) as analyzer:
        await asyncio.to_thread(analyzer.send_with_bad_checksum_once, RESULT)
        await asyncio.to_thread(analyzer.lose_ack_once, RESULT)

    assert kept(host) == [RESULT, RESULT]
    assert all(unit.is_complete for unit in host.shelf.units)


@wires
async def test_a_message_repeated_whole_is_kept_twice_and_its_sessions_tell_why(wire: str) -> None:
    host = Host()
    async with analyzer_on(wire, host) as analyzer:
        await asyncio.to_thread(analyzer.lose_last_ack_and_repeat_message, RESULT)
        await until(host, SessionClosed, 2)

    assert kept(host) == [RESULT, RESULT]  # S19 decides that the second is a resend


@wires
@pytest.mark.parametrize("refused", [0, 2])
async def test_a_query_gets_its_orders(wire: str, refused: int) -> None:
    host = Host(answers={1: ORDERS})
    async with analyzer_on(wire, host) as analyzer:
        records = await asyncio.to_thread(analyzer.query, "S1", refuse_frames=refused)

    assert records == [record.decode() for record in ORDERS]
    assert [unit.lane for unit in host.shelf.units] == [Lane.REQUEST]


@wires
async def test_a_query_in_contention_gets_its_orders_and_loses_no_result(wire: str) -> None:
    host = Host(answers={1: ORDERS})
    async with analyzer_on(wire, host) as analyzer:
        records = await asyncio.to_thread(analyzer.query_in_contention, "S1", meanwhile=RESULT)
        await asyncio.to_thread(analyzer.send_results, [RESULT])

    assert records == [record.decode() for record in ORDERS]
    assert kept(host)[1:] == [RESULT, RESULT]
    assert host.of(Answered) == [Answered(inbox_id=1, attempts=1)]
