"""How bytes may be cut on their way, and what stands in for a store and an instrument.

`Shelf` keeps units in memory as the store would: receipts in order, resends recognised, refusals on demand. The
instrument is the link of `lis.wire` in the other role; `tests/foreign` has one that was written by others.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lis.domain.clock import ManualClock
from lis.domain.ids import InboxId
from lis.domain.traffic import KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.drivers.session_events import SessionEvent
from lis.transport import Pipe
from lis.wire.astm_link import AstmLink, FrameReceived, MessageSent, Role, SendFailed, SessionEnded

CUTTINGS = ("whole", "byte by byte", "random")


def cut(data: bytes, how: str, seed: int = 0) -> Iterator[bytes]:
    if how == "whole":
        yield data
        return
    chance = random.Random(seed)
    position = 0
    while position < len(data):
        size = 1 if how == "byte by byte" else chance.randint(1, 97)
        yield data[position : position + size]
        position += size


@dataclass
class Shelf:
    """Units and lines in the order they were kept."""

    units: list[ReceivedUnit] = field(default_factory=list)
    lines: list[TrafficLine] = field(default_factory=list)
    calls: int = 0
    refusals: int = 0  # keeps to refuse before the next is taken
    gate: asyncio.Event | None = None  # a keep waits for it
    started: asyncio.Event = field(default_factory=asyncio.Event)
    replies: dict[int, bytes] = field(default_factory=dict)

    async def keep(
        self, lines: Sequence[TrafficLine], units: Sequence[ReceivedUnit]
    ) -> tuple[Receipt, ...]:
        self.calls += 1
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.refusals:
            self.refusals -= 1
            raise KeepFailed("disk full")
        self.lines.extend(lines)
        return tuple(self._put(unit) for unit in units)

    def _put(self, unit: ReceivedUnit) -> Receipt:
        for number, known in enumerate(self.units, 1):
            is_resend = known.control_id == unit.control_id and known.raw == unit.raw
            if unit.control_id and is_resend:
                reply = self.replies.get(number)
                return Receipt(inbox_id=InboxId(number), is_duplicate=True, reply=reply)
        self.units.append(unit)
        return Receipt(inbox_id=InboxId(len(self.units)))


@dataclass
class Host:
    """Everything a session is handed, and what it said."""

    shelf: Shelf = field(default_factory=Shelf)
    events: list[SessionEvent] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    answers: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    async def answer(self, receipt: Receipt) -> tuple[bytes, ...]:
        self.asked.append(receipt.inbox_id)
        return self.answers.get(receipt.inbox_id, ())

    def of(self, kind: type) -> list[SessionEvent]:
        return [event for event in self.events if isinstance(event, kind)]


class Instrument:
    """The other end of an ASTM line."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.link = AstmLink(Role.INSTRUMENT)
        self.received: list[tuple[bytes, ...]] = []
        self.failed: list[SendFailed] = []
        self._sent = 0
        self._is_neutral = False
        self._loop = asyncio.get_running_loop()

    async def send(self, *messages: Sequence[bytes]) -> None:
        """Send messages, each in a session of its own, until the host has taken them all."""
        wanted = self._sent + len(messages)
        for records in messages:
            self.link.send_message(tuple(records), self._loop.time())
        while self._sent < wanted and not self.failed:
            await self._turn()

    async def receive(self) -> tuple[bytes, ...]:
        """Wait for a message of the host, to the end of its session."""
        count = len(self.received)
        self._is_neutral = False
        while len(self.received) == count or not self._is_neutral:
            await self._turn()
        return self.received[-1]

    async def _turn(self) -> None:
        await self._flush()
        deadline = self.link.next_deadline()
        try:
            async with asyncio.timeout_at(deadline):
                data = await self.pipe.receive()
        except TimeoutError:
            self._note(self.link.tick(self._loop.time()))
        else:
            assert data, "the host closed the line"
            self._note(self.link.receive_bytes(data, self._loop.time()))
        await self._flush()

    async def _flush(self) -> None:
        if data := self.link.data_to_send():
            await self.pipe.send(data)

    def _note(self, events: Sequence[object]) -> None:
        for event in events:
            match event:
                case FrameReceived():
                    self.received.extend(message.records for message in event.messages)
                    self.link.accept(self._loop.time())
                    self._note(self.link.tick(self._loop.time()))
                case MessageSent():
                    self._sent += 1
                case SendFailed():
                    self.failed.append(event)
                case SessionEnded():
                    self._is_neutral = True
