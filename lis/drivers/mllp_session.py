"""One peer that speaks HL7 over MLLP: framer, store and pipe, joined.

    read -> blocks -> keep them all in one commit -> one answer each, in order, in one send

Rules of this file:
* AA follows a committed block only. A store that refuses gives AE 207: the peer may repeat.
* A resend (same link, MSH-10 and bytes) is not stored again and gets the stored answer, or AA (A6, LAW-R10).
* A query or an order is kept like everything else, and then `answer` computes its reply payloads, which go
  back on the same connection.
* A block without a readable MSH is kept as well, because a person must be able to see it, and answered AR. So is a
  type that no instrument should send. AA is never given to what could not be read.
* How an instrument wants to be acknowledged is data (`Acknowledging`): by commit, with our MSH-10 its own, with words of
  success, one answer at a time.
* Several messages in one block are one unit and get one answer (B1, B2); a batch whose trailer counts otherwise is
  kept, and refused, because something was lost on the way.
* The same MSH-10 with other bytes is another message (Mindray counts from 1 at each start, A6); that is said once.
* Acknowledgements of our own messages are journalled, not answered: two systems that acknowledge
  acknowledgements never stop.
* Half a block and then silence, or a block over the limit, is kept as evidence; then the connection is closed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lis.domain.clock import Clock
from lis.domain.ids import InboxId, bounded_key
from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import (
    Answer,
    Direction,
    Keep,
    KeepFailed,
    Receipt,
    ReceivedUnit,
    TrafficLine,
)
from lis.drivers.hl7_dialect import STANDARD_HL7, Acknowledging
from lis.drivers.keeping import Keeper
from lis.drivers.mllp_block import Block, read_block
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.reading_pipe import read_until
from lis.drivers.session_events import (
    Answered,
    AnswerFailed,
    InputRejected,
    LibertyTaken,
    OnEvent,
)
from lis.transport import Pipe
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import (
    AckCode,
    ErrorCode,
    Hl7Error,
    RequiredAcks,
    acknowledge,
    read_ack,
    refusal_code,
    required_acks,
)
from lis.wire.hl7_charset import DEFAULT_FALLBACK
from lis.wire.mllp import (
    FS,
    VT,
    BlockReceived,
    CutFrame,
    Event,
    MllpFramer,
    MllpSettings,
    Noise,
    Oversized,
    StalledFrame,
    frame,
)

ANSWERS_AT_ONCE = 2  # the acknowledgement of the question (QCK) and the first answer (DSR)
WRONG_CHARSET = "charset not as declared"
USED_NUMBER = "control id used for another message"
NUMBERS_REMEMBERED = 50  # of one connection; only to say that an instrument counts anew
SENDING = ("LIS", "")  # MSH-3 and MSH-4 of what we send
NOISE_NOTED_MAX = (
    100  # lines about noise a connection may leave; a heartbeat comes every few seconds
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the peer speaks, as its profile says."""

    heartbeats: bytes = b""
    acknowledging: Acknowledging = STANDARD_HL7.acknowledging
    fallback: tuple[str, ...] = DEFAULT_FALLBACK
    """The codecs to try where MSH-18 is silent or wrong."""


class MllpSession:
    """One pipe, from its first byte to its last."""

    def __init__(
        self,
        pipe: Pipe,
        *,
        keep: Keep,
        answer: Answer,
        clock: Clock,
        on_event: OnEvent,
        now_s: Callable[[], float],
        manner: Manner | None = None,
        settings: MllpSettings | None = None,
        closes_after_fault: bool = True,
        lines_carry_all: bool = False,
        port: OutgoingPort | None = None,
        carries_orders: bool = True,
    ) -> None:
        self._pipe = pipe
        self._port = port
        self._carries_orders = carries_orders and port is not None
        self._answer = answer
        self._clock = clock
        self._on_event = on_event
        self._now_s = now_s
        self._keeper = Keeper(keep, clock, on_event, now_s)
        self._framer = MllpFramer(settings)
        self._manner = manner or Manner()
        self._style = self._manner.acknowledging
        self._unsent: deque[bytes] = deque()  # answers that wait for their turn
        self._liberties: set[str] = set()
        self._numbers: dict[str, int] = {}  # MSH-10 -> the hash of the message it came with
        self._asked = InboxId(0)  # the request that was answered last
        self._lines_carry_all = lines_carry_all
        self._closes_after_fault = closes_after_fault
        self._replies = 0
        self._noise_noted = 0

    async def run(self) -> None:
        """Serve the pipe until it ends, or until a fault that only a new connection can mend."""
        if self._port is not None and self._carries_orders:
            self._port.open(self._send_own, self._pipe.close)
        try:
            while (data := await self._read()) != b"":
                now = self._now_s()
                framer = self._framer
                events = framer.tick(now) if data is None else framer.receive_bytes(data, now)
                is_broken = await self._handle(events)
                await self._keeper.flush()
                if is_broken and self._closes_after_fault:
                    return
        finally:
            if self._port is not None:
                self._port.close(self._send_own)
            await self._handle(self._framer.connection_lost(self._now_s()))
            await self._keeper.flush(is_due_only=False)

    async def _read(self) -> bytes | None:
        return await read_until(self._pipe, self._framer.next_deadline(), self._keeper.flush_at)

    async def _handle(self, events: Sequence[Event]) -> bool:
        """Whether a fault was among the events."""
        payloads = [event.payload for event in events if isinstance(event, BlockReceived)]
        if payloads:
            await self._take_in_turn(
                [read_block(payload, self._manner.fallback) for payload in payloads]
            )
        is_broken = False
        for event in events:
            match event:
                case Noise():
                    self._note_noise(event)
                case Oversized():
                    reason = f"a block over {event.limit_bytes} bytes"
                    await self._keep_evidence(event.head, reason)
                    is_broken = True
                case StalledFrame():
                    await self._keep_evidence(event.partial, "half a block, then silence")
                    is_broken = True
                case CutFrame():
                    await self._keep_evidence(event.partial, "the connection was lost in a block")
                case BlockReceived():
                    pass
        return is_broken

    async def _take_in_turn(self, blocks: list[Block]) -> None:
        """A reply goes out before the order that belongs to it, on whichever connection that travels."""
        for block in blocks:
            self._hear(block)  # whoever waits for an answer holds no turn
        if self._port is None:
            await self._take(blocks)
            return
        async with self._port.turn:
            await self._take(blocks)

    def _hear(self, block: Block) -> None:
        """The answer to a message of ours goes to whoever waits for it."""
        if self._port is None or not block.is_reply or block.message is None:
            return
        msa = block.message.first("MSA")
        if msa is not None:
            self._port.offer(msa.field(2), block.payload)

    async def _take(self, blocks: list[Block]) -> None:
        """Keep the blocks of one read in one commit, then answer them in order."""
        for block in blocks:
            self._note_charset(block)
            if block.is_reply:
                self._keeper.note(Direction.IN, block.payload, "acknowledgement")
                self._note_refusal(block)
                await self._send_next()
        asked = [block for block in blocks if not block.is_reply]
        if not asked:
            return
        units = [self._unit(block) for block in asked]
        for unit in units:
            self._note_number(unit)
        lines = [self._line(unit) for unit in units]
        receipts = await self._keeper.keep(lines, units)
        payloads: list[bytes] = []
        for number, block in enumerate(asked):
            receipt = None if receipts is None else receipts[number]
            payloads.extend(await self._reply(block, receipt))
        await self._send(payloads)

    def _unit(self, block: Block) -> ReceivedUnit:
        return ReceivedUnit(
            protocol=Protocol.HL7,
            lane=block.lane,
            raw=block.payload,
            received_at=self._clock.now(),
            control_id=bounded_key(block.message.control_id) if block.message is not None else "",
        )

    def _line(self, unit: ReceivedUnit, note: str = "") -> TrafficLine:
        data = b""
        if self._lines_carry_all:
            data = frame(unit.raw) if unit.is_complete else VT + unit.raw
        return TrafficLine(at=unit.received_at, direction=Direction.IN, data=data, note=note)

    # ------------------------------------------------------------------ what goes out

    async def _reply(self, block: Block, receipt: Receipt | None) -> list[bytes]:
        if receipt is None:
            return self._acks(block, ErrorCode.INTERNAL)
        if block.error is not None:
            self._on_event(InputRejected(reason=block.error.text, size_bytes=len(block.payload)))
            return self._acks(block, block.error)
        if receipt.is_duplicate and receipt.reply is not None:
            return self._paced([part for part in receipt.reply.split(FS) if part])  # joined by FS
        if block.lane is Lane.REQUEST:
            return await self._computed(block, receipt)
        return self._acks(block, None)

    async def _computed(self, block: Block, receipt: Receipt) -> list[bytes]:
        try:
            payloads = await self._answer(receipt)
        except KeepFailed as failed:
            failure = AnswerFailed(inbox_id=receipt.inbox_id, attempts=0, reason=str(failed))
            self._on_event(failure)
            return self._acks(block, ErrorCode.INTERNAL)
        self._on_event(Answered(inbox_id=receipt.inbox_id))
        self._asked = receipt.inbox_id
        if not payloads:
            self._unsent.clear()  # the question was taken back
            return self._acks(block, None)
        return [*self._accept_acks(block), *self._paced(payloads)]

    def _paced(self, payloads: Sequence[bytes]) -> list[bytes]:
        """What may be sent now; the rest waits. A new answer ends the one before it."""
        at_once = ANSWERS_AT_ONCE if self._style.waits_between_answers else len(payloads)
        self._unsent = deque(payloads[at_once:])
        return list(payloads[:at_once])

    async def _send_next(self) -> None:
        if self._unsent:
            await self._send((self._unsent.popleft(),))

    def _acks(self, block: Block, error: ErrorCode | None) -> list[bytes]:
        """The acknowledgements that the header asks for: one of the original mode, or CA and AA."""
        wanted = self._wanted(block.message, ok=error is None)
        codes = []
        if wanted.accept:
            codes.append(refusal_code(error, is_accept=True) if error else AckCode.CA)
        if wanted.application:
            codes.append(refusal_code(error) if error else AckCode.AA)
        return [self._ack(block.message, code, error) for code in codes]

    def _accept_acks(self, block: Block) -> list[bytes]:
        if not self._wanted(block.message, ok=True).accept:
            return []
        return [self._ack(block.message, AckCode.CA, None)]

    def _ack(self, message: Message | None, code: AckCode, error: ErrorCode | None) -> bytes:
        self._replies += 1
        at, style = self._clock.now(), self._style
        own = f"{at:%y%m%d%H%M%S}{self._replies % 10**8:08}"
        said = error or (ErrorCode.ACCEPTED if style.says_success else None)
        return acknowledge(
            message,
            code=code,
            control_id=message.control_id if message and style.echoes_control_id else own,
            at=at,
            sending=SENDING,
            error=Hl7Error(code=said) if said is not None else None,
            message_type=style.message_type,
        )

    def _wanted(self, message: Message | None, *, ok: bool) -> RequiredAcks:
        if message is None:
            return required_acks("", "", ok=ok)
        header = message.header
        conditions = header.component(15), header.component(16)
        return required_acks(
            *(conditions if any(conditions) else self._style.conditions_unless_said), ok=ok
        )

    async def _send_own(self, payload: bytes) -> None:
        await self._send((payload,))

    async def _send(self, payloads: Sequence[bytes]) -> None:
        if not payloads:
            return
        data = b"".join(frame(payload) for payload in payloads)
        self._keeper.note(Direction.OUT, data)
        await self._pipe.send(data)

    # ------------------------------------------------------------------ what is only kept

    def _note_refusal(self, block: Block) -> None:
        """The instrument does not take what it asked for; only the code is said, its text may name people."""
        if block.message is None or not self._asked:
            return
        try:
            code = read_ack(block.message).code
        except RemoteProtocolError:
            return
        if not code.is_positive:
            reason = f"answered {code.value}"
            self._on_event(AnswerFailed(inbox_id=self._asked, attempts=1, reason=reason))

    def _note_number(self, unit: ReceivedUnit) -> None:
        print_of_it = hash(unit.raw)
        known = self._numbers.setdefault(unit.control_id, print_of_it)
        if unit.control_id and known != print_of_it:
            self._take_liberty(USED_NUMBER, "")
        while len(self._numbers) > NUMBERS_REMEMBERED:
            self._numbers.pop(next(iter(self._numbers)))

    def _note_charset(self, block: Block) -> None:
        """Text in another character set than MSH-18 says (C2): read all the same, and said once."""
        message = block.message
        if message is None or not message.charset_is_declared_wrong:
            return
        self._take_liberty(WRONG_CHARSET, f": read as {message.charset}")

    def _take_liberty(self, name: str, detail: str) -> None:
        if name not in self._liberties:
            self._liberties.add(name)
            self._on_event(LibertyTaken(name=name))
            self._keeper.note(Direction.OUT, b"", f"{name}{detail}")

    def _note_noise(self, noise: Noise) -> None:
        is_heartbeat = not noise.sample.strip(self._manner.heartbeats + b"\r\n\x00")
        if is_heartbeat or self._noise_noted >= NOISE_NOTED_MAX:
            return
        self._noise_noted += 1
        self._keeper.note(Direction.IN, noise.sample, f"noise: {noise.count} bytes")
        self._on_event(InputRejected(reason="bytes outside a block", size_bytes=noise.count))

    async def _keep_evidence(self, partial: bytes, reason: str) -> None:
        self._on_event(InputRejected(reason=reason, size_bytes=len(partial)))
        if not partial:
            return
        unit = ReceivedUnit(
            protocol=Protocol.HL7,
            lane=Lane.RESULT,
            raw=partial,
            received_at=self._clock.now(),
            is_complete=False,
        )
        await self._keeper.keep((self._line(unit, reason),), (unit,))
