"""A simulated EMR: it orders, takes results, and can be told to fail the way EMRs do.

    emr = Emr(name="his", clock=clock)
    listening = asyncio.create_task(emr.listen(LinkAddress.parse("tcp-listen://127.0.0.1:0"), stop))
    address = await emr.address()                       # where the laboratory must send results
    async with emr.calling(LinkAddress.parse("tcp-connect://127.0.0.1:2575")) as desk:
        reply = await desk.place(referral)

Theory of operation. An order is sent until it is answered: the same bytes, the same MSH-10, on a new connection.
Results are filed by filler number, test and sub-id; a message whose MSH-10 is known already is acknowledged again
and filed no second time, as HL7 expects of a receiver. `counts.acked` is the number of different results that
were acknowledged; it is the figure the reconciliation puts beside what the analyzers sent.

A misbehaviour lasts for a number of messages. What is answered with AE or AR, or not at all, is not filed: the
laboratory has to try again, or to tell a person.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lis.domain.clock import Clock
from lis.transport import LinkAddress, LinkLost, LinkState, Pipe, open_pipe, serve_link
from lis.transport import LinkSettings as TransportSettings
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, ErrorCode, Hl7Error, acknowledge
from lis.wire.mllp import BlockReceived, MllpFramer, frame
from simulators.emr_messages import (
    EmrResult,
    OrderReply,
    Referral,
    ResultKey,
    order_message,
    read_order_reply,
    read_results,
)

__all__ = ["Emr", "EmrCounts", "EmrSettings", "Misbehaviour", "OrderDesk"]

CONTROL_IDS_REMEMBERED = 100_000  # a day of a large hospital; older duplicates are filed again
REPLY_WAIT_S = 30.0
SENDS_MAX = 10
FAILURE_TEXT = "the simulated EMR was told to fail"


class Misbehaviour(StrEnum):
    """How an EMR can fail to take a result."""

    ERROR = "error"  # AE
    REJECT = "reject"  # AR
    WRONG_ID = "wrong_id"  # an acknowledgement of another message
    NO_ANSWER = "no_answer"
    LATE = "late"  # the right answer, too late
    CLOSE = "close"  # hangs up instead of answering
    NONSENSE = "nonsense"  # a frame that is no HL7


@dataclass(frozen=True, slots=True, kw_only=True)
class EmrSettings:
    """How the EMR waits."""

    reply_wait_s: float = REPLY_WAIT_S
    sends_max: int = SENDS_MAX
    retry_pause_s: float = 1.0
    late_s: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    transport: TransportSettings = field(
        default_factory=lambda: TransportSettings(name="emr", single_peer=False)
    )


@dataclass(slots=True, kw_only=True)
class EmrCounts:
    """What the EMR counted."""

    order_messages: int = 0
    orders_sent: int = 0
    orders_accepted: int = 0  # OK
    orders_held: int = 0  # of the accepted: OK and HD, a person of the laboratory looks
    orders_cancelled: int = 0
    orders_refused: int = 0
    orders_resent: int = 0  # messages
    reports: int = 0  # messages acknowledged for the first time
    duplicates: int = 0
    conflicts: int = 0  # the same MSH-10 with other bytes: must never happen
    acked: int = 0  # different results
    corrected: int = 0  # results that came again with another value or status
    failed: int = 0  # messages that met a misbehaviour


class Emr:
    """One EMR."""

    def __init__(self, *, name: str, clock: Clock, settings: EmrSettings | None = None) -> None:
        self.name = name
        self.counts = EmrCounts()
        self.results: dict[ResultKey, EmrResult] = {}
        self.fillers: dict[str, str] = {}
        """Filler number by placer number."""
        self._clock = clock
        self._settings = settings or EmrSettings()
        self._numbers = 0
        self._seen: dict[str, bytes] = {}
        self._plan: deque[Misbehaviour] = deque()
        self._listening: asyncio.Future[LinkAddress] | None = None
        self._changed = asyncio.Event()

    # ---- results

    def misbehave(self, how: Misbehaviour, *, times: int = 1) -> None:
        """Fail the next `times` messages in this way, after those planned before."""
        self._plan.extend([how] * times)

    async def listen(self, address: LinkAddress, stop: asyncio.Event) -> None:
        """Take results at this address until `stop`."""
        await serve_link(
            address,
            self.attend,
            on_state=self._on_state,
            stop=stop,
            settings=self._settings.transport,
        )

    async def address(self) -> LinkAddress:
        """Where to call this EMR, as soon as it listens."""
        return await self._listens()

    async def until_acked(self, results: int) -> None:
        """Wait until at least so many different results were acknowledged."""
        while self.counts.acked < results:
            self._changed.clear()
            await self._changed.wait()

    async def attend(self, pipe: Pipe) -> None:
        """Take results on one open pipe until it ends."""
        framer, clock = MllpFramer(), asyncio.get_running_loop().time
        while data := await pipe.receive():
            for event in framer.receive_bytes(data, clock()):
                if isinstance(event, BlockReceived):
                    await self._answer(pipe, event.payload)

    def _listens(self) -> "asyncio.Future[LinkAddress]":
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_future()
        return self._listening

    def _on_state(self, state: LinkState, detail: str) -> None:
        listening = self._listens()
        if state is LinkState.LISTENING and not listening.done():
            is_tcp = "://" not in detail
            listening.set_result(LinkAddress.parse(f"tcp-connect://{detail}" if is_tcp else detail))

    async def _answer(self, pipe: Pipe, payload: bytes) -> None:
        try:
            report = Message.parse(payload)
        except RemoteProtocolError:
            await self._reply(pipe, None, AckCode.AE)
            return
        how = self._plan.popleft() if self._plan else None
        if how is not None:
            self.counts.failed += 1
            await self._fail(pipe, report, how)
            return
        self._file(report)
        await self._reply(pipe, report, AckCode.AA)
        self._changed.set()

    async def _fail(self, pipe: Pipe, report: Message, how: Misbehaviour) -> None:
        match how:
            case Misbehaviour.ERROR:
                await self._reply(pipe, report, AckCode.AE)
            case Misbehaviour.REJECT:
                await self._reply(pipe, report, AckCode.AR)
            case Misbehaviour.WRONG_ID:
                other = report.raw.replace(report.control_id.encode(), b"SOMETHING-ELSE", 1)
                await self._reply(pipe, Message.parse(other), AckCode.AA)
            case Misbehaviour.NO_ANSWER:
                pass
            case Misbehaviour.LATE:
                await self._settings.sleep(self._settings.late_s)
                await self._reply(pipe, report, AckCode.AA)
            case Misbehaviour.CLOSE:
                await pipe.close()
            case Misbehaviour.NONSENSE:
                await pipe.send(frame(b"500 Internal Server Error"))

    async def _reply(self, pipe: Pipe, report: Message | None, code: AckCode) -> None:
        error = None if code.is_positive else Hl7Error(code=ErrorCode.INTERNAL, text=FAILURE_TEXT)
        payload = acknowledge(
            report,
            code=code,
            control_id=self._number("R"),
            at=self._clock.now(),
            sending=(self.name, "HOSPITAL"),
            error=error,
        )
        await pipe.send(frame(payload))

    def _file(self, report: Message) -> None:
        known = self._seen.get(report.control_id)
        if known is not None:
            self.counts.duplicates += 1
            self.counts.conflicts += known != report.raw
            return
        while len(self._seen) >= CONTROL_IDS_REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[report.control_id] = report.raw
        self.counts.reports += 1
        for key, result in read_results(report):
            self._file_one(key, result)

    def _file_one(self, key: ResultKey, result: EmrResult) -> None:
        before = self.results.get(key)
        if before is None:
            self.counts.acked += 1
            self.results[key] = result
            return
        is_other = (before.value, before.unit, before.status) != (
            result.value,
            result.unit,
            result.status,
        )
        self.counts.corrected += is_other
        self.results[key] = replace(result, versions=before.versions + 1)

    # ---- orders

    @asynccontextmanager
    async def calling(self, laboratory: LinkAddress) -> AsyncIterator["OrderDesk"]:
        """A connection to the laboratory's order port, opened when first needed."""
        desk = OrderDesk(self, laboratory, self._settings)
        try:
            yield desk
        finally:
            await desk.close()

    def write_order(
        self, referral: Referral, *, control: str = "NW", only: tuple[str, ...] = ()
    ) -> tuple[str, bytes]:
        """MSH-10 and payload of the next order message."""
        control_id = self._number("O")
        payload = order_message(
            referral,
            emr=self.name,
            control_id=control_id,
            at=self._clock.now(),
            control=control,
            only=only,
        )
        self.counts.order_messages += 1
        return control_id, payload

    def count_reply(self, reply: OrderReply) -> None:
        """Book what the laboratory said to each order."""
        counts = self.counts
        for placer, (control, status) in reply.controls.items():
            counts.orders_accepted += control == "OK"
            counts.orders_held += control == "OK" and status == "HD"
            counts.orders_cancelled += control == "CR"
            counts.orders_refused += control in {"UA", "UC"}
            if placer in reply.fillers:
                self.fillers[placer] = reply.fillers[placer]

    def _number(self, letter: str) -> str:
        self._numbers += 1
        return f"{self.name}-{letter}{self._numbers}"[-20:]  # MSH-10 holds 20 characters


class OrderDesk:
    """Where the EMR places and takes back orders; one request at a time."""

    def __init__(self, emr: Emr, laboratory: LinkAddress, settings: EmrSettings) -> None:
        self._emr = emr
        self._laboratory = laboratory
        self._settings = settings
        self._pipe: Pipe | None = None
        self._framer = MllpFramer()

    async def place(self, referral: Referral) -> OrderReply:
        """Order everything on the referral. Raises `LinkLost` when nobody ever answers."""
        self._emr.counts.orders_sent += len(referral.orders)
        reply = await self._request(*self._emr.write_order(referral))
        if not reply.is_accepted:
            self._emr.counts.orders_refused += len(referral.orders)
        self._emr.count_reply(reply)
        return reply

    async def cancel(self, referral: Referral, *placer_numbers: str) -> OrderReply:
        """Take orders of the referral back; without numbers, all of them."""
        written = self._emr.write_order(referral, control="CA", only=placer_numbers)
        reply = await self._request(*written)
        self._emr.count_reply(reply)
        return reply

    async def close(self) -> None:
        """Hang up."""
        if self._pipe is not None:
            await self._pipe.close()
        self._pipe = None
        self._framer = MllpFramer()

    async def _request(self, control_id: str, payload: bytes) -> OrderReply:
        lost = "never sent"
        for attempt in range(self._settings.sends_max):
            if attempt:
                self._emr.counts.orders_resent += 1
                await self._settings.sleep(self._settings.retry_pause_s)
            try:
                async with asyncio.timeout(self._settings.reply_wait_s):
                    return await self._exchange(control_id, payload)
            except (LinkLost, TimeoutError) as error:
                lost = str(error) or "no answer in time"
                await self.close()
        raise LinkLost(f"order {control_id} was never answered: {lost}")

    async def _exchange(self, control_id: str, payload: bytes) -> OrderReply:
        if self._pipe is None:
            self._pipe = await open_pipe(self._laboratory, self._settings.transport)
        await self._pipe.send(frame(payload))
        while data := await self._pipe.receive():
            for event in self._framer.receive_bytes(data, asyncio.get_running_loop().time()):
                if isinstance(event, BlockReceived):
                    reply = _read(event.payload)
                    if reply is not None and reply.ack.control_id == control_id:
                        return reply
        raise LinkLost("the laboratory hung up")


def _read(payload: bytes) -> OrderReply | None:
    try:
        return read_order_reply(Message.parse(payload))
    except RemoteProtocolError:
        return None
