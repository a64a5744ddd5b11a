"""A clock that moves when somebody sleeps, and an analyzer joined to a host by pipes that can be lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from lis.domain.clock import ManualClock
from lis.transport import Pipe, memory_pair
from lis.wire.astm_settings import LinkSettings
from simulators.analyzer import Analyzer, AnalyzerSettings
from simulators.lines import LineSettings
from tests.simulators.host import Host

# Waits of the instrument's own choice, shortened; the host cannot tell them from the real ones.
QUICK_LINE = LineSettings(
    astm=LinkSettings(
        reply_timeout_s=0.3,
        enq_retry_s=0.02,
        busy_retry_s=0.02,
        contention_instrument_s=0.02,
        interrupt_pause_s=0.02,
        junk_settle_s=0.02,
    ),
    hl7_reply_wait_s=0.3,
    answer_wait_s=0.5,
)


@dataclass
class Bench:
    """An analyzer and a host on one bench."""

    clock: ManualClock
    settings: AnalyzerSettings

    async def work(self, analyzer: Analyzer, host: Host) -> None:
        """Let the analyzer finish its rack, with a new pipe each time the old one ends."""
        done = asyncio.create_task(analyzer.until_done())
        try:
            while not done.done():
                await self._connect(analyzer, host, done)
        finally:
            done.cancel()
            await asyncio.wait({done})

    async def _connect(self, analyzer: Analyzer, host: Host, done: "asyncio.Task[None]") -> None:
        ours, theirs = memory_pair()
        async with _serving(host, theirs):
            attending = asyncio.create_task(analyzer.attend(ours))
            await asyncio.wait({attending, done}, return_when=asyncio.FIRST_COMPLETED)
            await ours.close()
            await attending


@asynccontextmanager
async def _serving(host: Host, pipe: Pipe) -> AsyncIterator[None]:
    serving = asyncio.create_task(host.serve(pipe))
    try:
        yield
        await serving
    finally:
        await pipe.close()
        serving.cancel()
        await asyncio.wait({serving})


@pytest.fixture
def bench(manual_clock: ManualClock) -> Bench:
    async def sleep(seconds: float) -> None:
        manual_clock.advance(seconds=seconds)
        await asyncio.sleep(0)

    settings = AnalyzerSettings(line=QUICK_LINE, sleep=sleep)
    return Bench(clock=manual_clock, settings=settings)
