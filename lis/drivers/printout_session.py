"""One instrument that only prints: framer, store and pipe, joined.

    read -> block -> keep it, however long the store takes -> the answer the profile wants, mostly none

Rules of this file:
* Nobody sends a slip again. When the store refuses, the session holds the block, reads nothing more (the port's
  buffers and the instrument wait) and tries again until it is kept. Nothing is answered before that.
* Half a slip is kept as evidence, marked incomplete. It is never a result.
"""

import asyncio
from collections.abc import Callable, Sequence

from lis.domain.clock import Clock
from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction, Keep, ReceivedUnit, TrafficLine
from lis.drivers.keeping import Keeper
from lis.drivers.reading_pipe import read_until
from lis.drivers.session_events import InputRejected, OnEvent
from lis.transport import Pipe
from lis.wire.printout import BlockCut, BlockReceived, Event, NoiseReceived, PrintoutFramer

KEEP_AGAIN_S = 1.0  # ours: a store that is away comes back in seconds, or a person is called anyway


class PrintoutSession:
    """One pipe, from its first byte to its last."""

    def __init__(
        self,
        pipe: Pipe,
        *,
        keep: Keep,
        clock: Clock,
        on_event: OnEvent,
        now_s: Callable[[], float],
        answer: bytes = b"",
        lines_carry_all: bool = False,
        keep_again_s: float = KEEP_AGAIN_S,
    ) -> None:
        self._pipe = pipe
        self._clock = clock
        self._on_event = on_event
        self._now_s = now_s
        self._answer = answer
        self._keeper = Keeper(keep, clock, on_event, now_s)
        self._framer = PrintoutFramer()
        self._lines_carry_all = lines_carry_all
        self._keep_again_s = keep_again_s

    async def run(self) -> None:
        """Serve the pipe until it ends."""
        try:
            while (data := await self._read()) != b"":
                now, framer = self._now_s(), self._framer
                await self._handle(
                    framer.tick(now) if data is None else framer.receive_bytes(data, now)
                )
                await self._keeper.flush()
        finally:
            await self._handle(self._framer.connection_lost(), is_line_open=False)
            await self._keeper.flush(is_due_only=False)

    async def _read(self) -> bytes | None:
        return await read_until(self._pipe, self._framer.next_deadline(), self._keeper.flush_at)

    async def _handle(self, events: Sequence[Event], *, is_line_open: bool = True) -> None:
        for event in events:
            match event:
                case BlockReceived(raw):
                    await self._keep(raw, is_complete=True)
                    if self._answer and is_line_open:
                        self._keeper.note(Direction.OUT, self._answer)
                        await self._pipe.send(self._answer)
                case BlockCut(partial, reason):
                    self._on_event(InputRejected(reason=reason, size_bytes=len(partial)))
                    if evidence := self._keeper.admit_evidence(partial):
                        await self._keep(evidence, is_complete=False, note=reason)
                case NoiseReceived(count, sample):
                    self._keeper.note_evidence(sample, f"noise: {count} bytes")
                    self._on_event(InputRejected(reason="bytes outside a block", size_bytes=count))

    async def _keep(self, raw: bytes, *, is_complete: bool, note: str = "") -> None:
        """Return only when it is on disk."""
        at = self._clock.now()
        unit = ReceivedUnit(
            protocol=Protocol.PRINTOUT,
            lane=Lane.RESULT,
            raw=raw,
            received_at=at,
            is_complete=is_complete,
        )
        data = raw if self._lines_carry_all else b""
        line = TrafficLine(at=at, direction=Direction.IN, data=data, note=note)
        while True:
            if await self._keeper.keep((line,), (unit,)) is not None:
                return
            await asyncio.sleep(self._keep_again_s)
