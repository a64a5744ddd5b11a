"""The instrument's end of an open pipe: deliver a message, ask a question, hear what the host says.

A line lives as long as its pipe. `run` reads and keeps the timers; `deliver` and `ask` are called from another
task and wait for what becomes of the message. `cut` sends half of a message and hangs up, as a cable does.

ASTM goes through `lis.wire.AstmLink` in the instrument's role, so contention, busy hosts, NAKs, lost replies
and repeats follow LIS1-A with all its timers. The cobas c111 ends every frame but the last with ETB, which no
link of ours writes by itself: the end of each block is rewritten on its way out.

HL7 waits for the acknowledgement whose MSA-2 is ours. Others are late and mean nothing. A message that gets no
answer in time closes the pipe, so that a late answer never meets another request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, TypeVar

from lis.domain.messages import Protocol as Protocols
from lis.drivers.profile import Quirks
from lis.transport import LinkLost, Pipe
from lis.wire.astm_events import (
    Event,
    FrameReceived,
    MessageSent,
    SendFailed,
    SendFailure,
)
from lis.wire.astm_frame import ETB, STX, TEXT_LIMIT_BYTES, Frame, framed
from lis.wire.astm_link import AstmLink
from lis.wire.astm_settings import LinkSettings, Role
from lis.wire.hl7 import Message as Hl7Message
from lis.wire.hl7_ack import AckCode
from lis.wire.mllp import BlockReceived, MllpFramer, frame
from simulators.answers import (
    Worklist,
    acknowledgement_of,
    read_acknowledgement,
    read_astm_orders,
    read_hl7_orders,
)
from simulators.law_orders import StepBook
from simulators.writing import Instrument, Outgoing

__all__ = ["AstmLine", "Delivery", "Hl7Line", "Line", "LineSettings", "line_on"]

_Any = TypeVar("_Any")

HL7_REPLY_WAIT_S = 30.0  # hl7.md, M9: what analyzers are usually set to


class Delivery(StrEnum):
    """What became of a message."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"  # AR: never send it again
    REFUSED = "refused"  # AE, or a frame refused as often as the standard allows: again later
    UNANSWERED = "unanswered"  # silence, a busy host, or a request to stop: again later


_HL7_DELIVERIES = {
    AckCode.AA: Delivery.ACKNOWLEDGED,
    AckCode.CA: Delivery.ACKNOWLEDGED,
    AckCode.AE: Delivery.REFUSED,
    AckCode.CE: Delivery.REFUSED,
    AckCode.AR: Delivery.REJECTED,
    AckCode.CR: Delivery.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How a line behaves; the defaults are the standards'."""

    astm: LinkSettings = field(default_factory=LinkSettings)
    hl7_reply_wait_s: float = HL7_REPLY_WAIT_S
    answer_wait_s: float | None = None
    """How long a query waits for its answer; None: as the profile says."""


class Line(Protocol):
    """What an analyzer does with an open link."""

    async def run(self) -> None:
        """Read until the pipe ends. Raises `LinkLost`."""
        ...

    async def deliver(self, message: Outgoing) -> Delivery:
        """Send a message and wait for its acknowledgement. Raises `LinkLost`."""
        ...

    async def ask(self, query: Outgoing) -> Worklist | None:
        """Send a query and wait for its answer; None when none came. Raises `LinkLost`."""
        ...

    async def cut(self, message: Outgoing) -> None:
        """Send about half of a message and hang up. Raises `LinkLost`, as the pipe is gone."""
        ...


def line_on(
    pipe: Pipe,
    instrument: Instrument,
    *,
    settings: LineSettings | None = None,
    on_orders: Callable[[Worklist], None] = lambda _: None,
) -> Line:
    """The line for this instrument's protocol; `on_orders` hears orders that nobody asked for."""
    if instrument.profile.protocol is Protocols.PRINTOUT:
        return SlipLine(pipe)
    kind = AstmLine if instrument.is_astm else Hl7Line
    return kind(pipe, instrument, settings or LineSettings(), on_orders)


class AstmLine:
    """An ASTM line in the instrument's role."""

    def __init__(
        self,
        pipe: Pipe,
        instrument: Instrument,
        settings: LineSettings,
        on_orders: Callable[[Worklist], None],
    ) -> None:
        quirks = instrument.profile.quirks
        self._pipe = pipe
        self._instrument = instrument
        self._link = AstmLink(Role.INSTRUMENT, _astm_settings(settings.astm, quirks))
        self._on_orders = on_orders
        self._answer_wait_s = settings.answer_wait_s or instrument.profile.query.wait_s
        self._ends_with_etb = quirks.record_per_etb_frame
        self._clock = asyncio.get_running_loop().time
        self._wake = asyncio.Event()
        self._sending: asyncio.Future[Delivery] | None = None
        self._asking: asyncio.Future[Worklist] | None = None
        self._outcome: Delivery | None = None
        self._budget_bytes: int | None = None
        self._is_over = False

    async def run(self) -> None:
        reading: asyncio.Task[bytes] | None = None
        try:
            while True:
                await self._flush()
                self._settle()
                reading = reading or asyncio.create_task(self._pipe.receive())
                if not await self._until_due(reading):
                    self._take(self._link.tick(self._clock()))
                    continue
                data, reading = reading.result(), None
                if not data:
                    return
                self._take(self._link.receive_bytes(data, self._clock()))
        finally:
            await _given_up(reading)
            self._take(self._link.connection_lost(self._clock()))
            self._hang_up()

    async def deliver(self, message: Outgoing) -> Delivery:
        if self._is_over:
            raise LinkLost("the link has ended")
        self._sending = asyncio.get_running_loop().create_future()
        self._link.send_message(message.records, self._clock())
        self._wake.set()
        return await self._sending

    async def ask(self, query: Outgoing) -> Worklist | None:
        self._asking = asyncio.get_running_loop().create_future()
        if await self.deliver(query) is not Delivery.ACKNOWLEDGED:
            return None
        try:
            async with asyncio.timeout(self._answer_wait_s):
                return await self._asking
        except TimeoutError:
            return None

    async def cut(self, message: Outgoing) -> None:
        self._budget_bytes = sum(map(len, message.records)) // 2
        await self.deliver(message)

    # ---- the pump

    async def _until_due(self, reading: "asyncio.Task[bytes]") -> bool:
        """Wait for bytes, for a call, or for a timer. True when there are bytes."""
        deadline = self._link.next_deadline()
        timeout_s = None if deadline is None else max(deadline - self._clock(), 0.0)
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait(
                {reading, waking}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _given_up(waking)
        self._wake.clear()
        return reading.done()

    async def _flush(self) -> None:
        data = self._link.data_to_send()
        if self._ends_with_etb and data[:1] == STX:
            data = _ended_by_etb(data)
        if self._budget_bytes is not None and len(data) >= self._budget_bytes:
            await self._pipe.send(data[: self._budget_bytes])
            await self._pipe.close()
            raise LinkLost("hung up in the middle of a message")
        if self._budget_bytes is not None:
            self._budget_bytes -= len(data)
        if data:
            await self._pipe.send(data)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case FrameReceived():
                    self._link.accept(self._clock())
                    for message in event.messages:
                        self._hear(read_astm_orders(self._instrument, message.records))
                case MessageSent():
                    self._outcome = Delivery.ACKNOWLEDGED
                case SendFailed(reason=SendFailure.LINK_LOST):
                    pass  # `_hang_up` tells whoever waits
                case SendFailed(reason=SendFailure.REFUSED):
                    self._outcome = Delivery.REFUSED
                case SendFailed():
                    self._outcome = Delivery.UNANSWERED
                case _:
                    pass  # noise, repeats and delays are the link's own affair

    def _settle(self) -> None:
        """Tell the sender, after the EOT that ends its message is out."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None and self._sending is not None and not self._sending.done():
            self._sending.set_result(outcome)

    def _hear(self, worklist: Worklist) -> None:
        if worklist.is_answer and self._asking is not None and not self._asking.done():
            self._asking.set_result(worklist)
        elif worklist.tests:
            self._on_orders(worklist)

    def _hang_up(self) -> None:
        self._is_over = True
        if self._sending is not None:
            _fail(self._sending)
        if self._asking is not None:
            _fail(self._asking)


class Hl7Line:
    """An MLLP line in the instrument's role."""

    def __init__(
        self,
        pipe: Pipe,
        instrument: Instrument,
        settings: LineSettings,
        on_orders: Callable[[Worklist], None],
    ) -> None:
        self._pipe = pipe
        self._instrument = instrument
        self._on_orders = on_orders
        self._book = StepBook(instrument=instrument) if instrument.profile.law else None
        self._asked = ""  # LAW: the tube of the open question
        self._reply_wait_s = settings.hl7_reply_wait_s
        self._answer_wait_s = settings.answer_wait_s or instrument.profile.query.wait_s
        self._clock = asyncio.get_running_loop().time
        self._waiting: tuple[str, asyncio.Future[tuple[AckCode, Worklist]]] | None = None

    async def run(self) -> None:
        framer = MllpFramer()
        try:
            while data := await self._pipe.receive():
                for event in framer.receive_bytes(data, self._clock()):
                    if isinstance(event, BlockReceived):
                        await self._hear(event.payload)
        finally:
            if self._waiting is not None:
                _fail(self._waiting[1])

    async def deliver(self, message: Outgoing) -> Delivery:
        code, _ = await self._exchange(message, self._reply_wait_s)
        if self._book is not None and code is AckCode.AA:
            self._book.reported(message.payload)
        return _HL7_DELIVERIES[code]

    async def ask(self, query: Outgoing) -> Worklist:
        if self._book is not None:
            qpd = Hl7Message.parse(query.payload).first("QPD")
            self._asked = qpd.component(3) if qpd is not None else ""
        try:
            _, worklist = await self._exchange(query, self._answer_wait_s)
        finally:
            self._asked = ""
        return worklist

    async def cut(self, message: Outgoing) -> None:
        block = frame(message.payload)
        await self._pipe.send(block[: len(block) // 2])
        await self._pipe.close()
        raise LinkLost("hung up in the middle of a message")

    async def _exchange(self, message: Outgoing, wait_s: float) -> tuple[AckCode, Worklist]:
        future: asyncio.Future[tuple[AckCode, Worklist]]
        future = asyncio.get_running_loop().create_future()
        self._waiting = (message.control_id, future)
        await self._pipe.send(frame(message.payload))
        try:
            async with asyncio.timeout(wait_s):
                return await future
        except TimeoutError as error:
            await self._pipe.close()
            raise LinkLost(f"no answer within {wait_s:g} s") from error
        finally:
            self._waiting = None

    async def _hear_order(self, book: StepBook, payload: bytes) -> bool:
        """LAW: an order is answered at once; it may be what our question waits for."""
        taken = book.take(payload, asked=self._asked)
        if taken is None:
            return False
        await self._pipe.send(frame(taken.reply))
        if taken.worklist is None:
            return True
        waiting = self._waiting[1] if self._waiting is not None else None
        if taken.worklist.is_answer and waiting is not None and not waiting.done():
            waiting.set_result((AckCode.AA, taken.worklist))
        elif taken.worklist.tests:
            self._on_orders(taken.worklist)
        return True

    async def _hear(self, payload: bytes) -> None:
        if self._book is not None and await self._hear_order(self._book, payload):
            return
        read = read_acknowledgement(payload)
        if read is None or self._waiting is None:
            return
        message, ack = read
        control_id, future = self._waiting
        if ack.control_id != control_id or future.done():
            return
        if message.code == "DSR":
            await self._pipe.send(frame(acknowledgement_of(message)))
        worklist = read_hl7_orders(self._instrument, message)
        if worklist is not None:
            future.set_result((ack.code, worklist))


class SlipLine:
    """The line of an instrument that prints: nobody answers, so a slip is delivered when it is sent."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def run(self) -> None:
        while await self._pipe.receive():
            pass

    async def deliver(self, message: Outgoing) -> Delivery:
        await self._pipe.send(message.payload)
        return Delivery.ACKNOWLEDGED

    async def ask(self, query: Outgoing) -> None:  # noqa: ARG002  # the same shape as every line
        return None

    async def cut(self, message: Outgoing) -> None:
        await self._pipe.send(message.payload[: len(message.payload) // 2])
        await self._pipe.close()
        raise LinkLost("hung up in the middle of a slip")


def _astm_settings(settings: LinkSettings, quirks: Quirks) -> LinkSettings:
    """The settings of an instrument: how it cuts its frames stands in its quirks."""
    if not quirks.sends_whole_message_in_one_frame:
        return replace(settings, record_per_frame=quirks.record_per_frame)
    return replace(settings, record_per_frame=False, text_limit_bytes=TEXT_LIMIT_BYTES)


def _ended_by_etb(block: bytes) -> bytes:
    """The same frame with ETB at its end, unless it carries the L record."""
    one = Frame.from_bytes(block)
    return block if one.text[:1] == b"L" else framed(one.number, one.text, ETB)


async def _given_up(task: "asyncio.Task[bytes] | asyncio.Task[bool] | None") -> None:
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task})
    if task is not None and not task.cancelled():
        task.exception()  # seen; the loop that waited for it has told the caller


def _fail(waiting: "asyncio.Future[_Any]") -> None:
    """Tell whoever waits that the link is gone; nobody needs to."""
    if not waiting.done():
        waiting.set_exception(LinkLost("the link ended before the answer came"))
        waiting.exception()
