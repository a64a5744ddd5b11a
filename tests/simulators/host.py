"""A small host made of `lis.wire` and `lis.transport`, so that simulators are tested against no simulator.

It keeps what it acknowledged, raw, in order; answers host queries from a table; and can be told to misbehave.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lis.domain.messages import OrderedTest, SpecimenOrders, Translation
from lis.drivers import order_records, translate
from lis.drivers.hl7_driver import REPLY_CODES
from lis.drivers.profile import Profile
from lis.transport import LinkLost, Pipe
from lis.wire.astm_events import AstmMessage, Event, FrameReceived, FrameRefused, SessionEnded
from lis.wire.astm_link import AstmLink
from lis.wire.astm_settings import LinkSettings, Role
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, acknowledge
from lis.wire.mllp import BlockReceived, CutFrame, MllpFramer, MllpSettings, Oversized, frame
from lis.wire.printout import BlockReceived as SlipReceived
from lis.wire.printout import PrintoutFramer

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
QUICK_HOST = LinkSettings(
    byte_gap_s=0.05, quiet_end_s=0.01, receive_timeout_s=0.5, contention_host_s=0.2
)


@dataclass
class Host:
    """One link's host. `serve(pipe)` may be called again with the next pipe."""

    profile: Profile
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mllp_answers: list[AckCode | None] = field(default_factory=list)
    """What to answer to the next MLLP messages; then AA. None: silence."""
    answers_queries: bool = True
    pushes: tuple[bytes, ...] = ()
    """Order records to send on the first connection, unasked (ASTM)."""
    kept: list[bytes] = field(default_factory=list)
    incomplete: list[bytes] = field(default_factory=list)
    refused_frames: int = 0
    oversized: int = 0
    connections: int = 0

    async def serve(self, pipe: Pipe) -> None:
        self.connections += 1
        try:
            if self.profile.protocol.value == "astm":
                await self._serve_astm(pipe)
            elif self.profile.protocol.value == "printout":
                await self._serve_slips(pipe)
            else:
                await self._serve_mllp(pipe)
        except LinkLost:
            return

    def translations(self) -> list[Translation]:
        return [
            translate(self.profile, raw, zone=UTC, received_at=datetime.max.replace(tzinfo=UTC))
            for raw in self.kept
        ]

    # ---- ASTM

    async def _serve_astm(self, pipe: Pipe) -> None:
        loop, link = asyncio.get_running_loop(), AstmLink(Role.HOST, QUICK_HOST)
        if self.pushes and self.connections == 1:
            link.send_message(self.pushes, loop.time())
            await self._handle(pipe, link, ())
        reading: asyncio.Task[bytes] | None = None
        try:
            while True:
                reading = reading or asyncio.create_task(pipe.receive())
                deadline = link.next_deadline()
                wait_s = None if deadline is None else max(0.0, deadline - loop.time())
                await asyncio.wait({reading}, timeout=wait_s)
                if reading.done():
                    data, reading = reading.result(), None
                    if not data:
                        return
                    await self._handle(pipe, link, link.receive_bytes(data, loop.time()))
                else:
                    await self._handle(pipe, link, link.tick(loop.time()))
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})
            self._note(link, link.connection_lost(loop.time()))

    async def _handle(self, pipe: Pipe, link: AstmLink, events: Iterable[Event]) -> None:
        self._note(link, events)
        if data := link.data_to_send():
            await pipe.send(data)

    def _note(self, link: AstmLink, events: Iterable[Event]) -> None:
        now = asyncio.get_running_loop().time()
        for event in events:
            if isinstance(event, FrameReceived):
                for message in event.messages:
                    self._keep_astm(link, message)
                link.accept(now, event.serial)
            elif isinstance(event, FrameRefused):
                self.refused_frames += 1
            elif isinstance(event, SessionEnded) and event.incomplete is not None:
                self.incomplete.append(event.incomplete.raw)

    def _keep_astm(self, link: AstmLink, message: AstmMessage) -> None:
        asked = translate(self.profile, message.raw, zone=UTC, received_at=AT).queries
        if not asked:
            self.kept.append(message.raw)
        for query in asked:
            specimens = tuple(self.orders) if query.wants_all else query.specimens
            entries = [self._specimen(specimen) for specimen in specimens]
            if self.answers_queries:
                records = order_records(self.profile, entries, at=AT, control_id="A1", query=query)
                link.send_message(records)

    def _specimen(self, specimen: str) -> SpecimenOrders:
        codes = self.orders.get(specimen, ())
        tests = tuple(OrderedTest(work_order=f"w{code}", test=code) for code in codes)
        return SpecimenOrders(specimen=specimen, tests=tests)

    # ---- slips

    async def _serve_slips(self, pipe: Pipe) -> None:
        framer = PrintoutFramer()
        while data := await pipe.receive():
            for event in framer.receive_bytes(data, 0.0):
                if isinstance(event, SlipReceived):
                    self.kept.append(event.raw)

    # ---- MLLP

    async def _serve_mllp(self, pipe: Pipe) -> None:
        loop = asyncio.get_running_loop()
        framer = MllpFramer(MllpSettings(frame_limit_bytes=2**20, half_frame_timeout_s=0.1))
        while True:
            deadline = framer.next_deadline()
            wait_s = None if deadline is None else max(0.0, deadline - loop.time())
            try:
                data = await asyncio.wait_for(pipe.receive(), wait_s)
            except TimeoutError:
                framer.tick(loop.time())
                await pipe.close()
                return
            now = loop.time()
            events = framer.receive_bytes(data, now) if data else framer.connection_lost(now)
            for event in events:
                if isinstance(event, BlockReceived):
                    await self._answer(pipe, event.payload)
                elif isinstance(event, CutFrame):
                    self.incomplete.append(event.partial)
                elif isinstance(event, Oversized):
                    self.oversized += 1
                    await pipe.close()
            if not data:
                return

    async def _answer(self, pipe: Pipe, payload: bytes) -> None:
        code = self.mllp_answers.pop(0) if self.mllp_answers else AckCode.AA
        message = Message.parse(payload)
        if message.code in REPLY_CODES:
            return
        if queries := translate(self.profile, payload, zone=UTC, received_at=AT).queries:
            asked = queries[0]
            entries = [self._specimen(specimen) for specimen in asked.specimens]
            for reply in order_records(self.profile, entries, at=AT, control_id="A1", query=asked):
                await pipe.send(frame(reply))
            return
        if code is None:
            return
        if code.is_positive:
            self.kept.append(payload)
        reply = acknowledge(message, code=code, control_id="A1", at=AT, sending=("LIS", "LAB"))
        await pipe.send(frame(reply))
