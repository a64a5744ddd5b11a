"""What goes wrong between an instrument and its host, each fault by name, once, and the same for the same seed.

    trouble = Trouble(Fault.DROPPED_ACK, Protocol.ASTM, seed=1)
    analyzer = Analyzer(...)                      # its pipes go through trouble.wrap(pipe)

A `Trouble` sits in the instrument's end of the cable. It lets everything pass until its moment, makes one fault,
and then lets everything pass again, also on the next connection. After every fault the instrument must recover and
its message must arrive whole, once: that is what the tests, the demo and `lis simulate --fault` look at.

    fault            what the host sees                                       how the sender gets over it
    ---------------  -------------------------------------------------------  ---------------------------
    bad_checksum     a frame with one wrong digit                             NAK, same frame again
    cut_frame        half a frame, then nothing                               NAK or silence, again
    dropped_ack      nothing; its ACK never arrives                           time-out, whole message again
    late_ack         nothing; its ACK arrives after the sender gave up        time-out, the late ACK is no ACK
    duplicate_flood  the same frame or block fifty times in one burst         the last of fifty answers counts
    repeated_frame   the same frame twice                                     second ACK counts
    wrong_number     a frame that is not the next one                         NAK, same frame again
    contention       nothing; the instrument hears an ENQ instead of ACK      waits, bids again
    silence          nothing at all                                           time-out, whole message again
    noise            bytes that mean nothing between frames                   none needed
    slow_bytes       one byte at a time                                       none needed
    disconnect       the link ends after some bytes                           new link, whole message again
    garbage          a burst of anything before the message                   none needed
    half_frame       half a frame, and the same frame from its start          none needed (MLLP: as cut_frame)
    huge_frame       100 MB in one frame                                      refused; then the message

ASTM knows all of them. MLLP has no checksum, numbers or contention; those leave an MLLP link as it is.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum

from lis.domain.messages import Protocol
from lis.transport import LinkLost, Pipe
from lis.wire.astm_frame import (
    ENQ,
    EOT,
    ETX,
    FRAME_NUMBERS,
    STX,
    Frame,
    framed,
)
from lis.wire.mllp import CR, FS, VT
from simulators.dice import dice

__all__ = ["ASTM_ONLY", "Fault", "Trouble", "faults_of"]

HUGE_FRAME_BYTES = 100 * 2**20  # the figure
HUGE_CHUNK_BYTES = 2**16
FLOOD_BLOCKS = 50  # a middleware without patience was seen to repeat a message that often
GARBAGE_BYTES = 2_000
NOISE_BYTES = 40
SETTLE_S = 0.5  # after garbage: what the host answers to it, up to 0.25 s later, is not for us
READS_WAITING_MAX = 1_000  # answers are few; beyond, somebody stopped listening
HUGE_REPLY_WAIT_S = 60.0  # a host may need a while to swallow 100 MB
_FRAME_HEAD = 2  # STX and the frame number
_FRAME_TAIL = 5  # ETX, two digits, CR, LF


class Fault(StrEnum):
    """Each by its stable name."""

    BAD_CHECKSUM = "bad_checksum"
    CUT_FRAME = "cut_frame"
    DROPPED_ACK = "dropped_ack"
    LATE_ACK = "late_ack"
    DUPLICATE_FLOOD = "duplicate_flood"
    REPEATED_FRAME = "repeated_frame"
    WRONG_NUMBER = "wrong_number"
    CONTENTION = "contention"
    SILENCE = "silence"
    NOISE = "noise"
    SLOW_BYTES = "slow_bytes"
    DISCONNECT = "disconnect"
    GARBAGE = "garbage"
    HALF_FRAME = "half_frame"
    HUGE_FRAME = "huge_frame"


ASTM_ONLY = frozenset({Fault.BAD_CHECKSUM, Fault.WRONG_NUMBER, Fault.CONTENTION})


SLIP_FAULTS = (Fault.NOISE, Fault.SLOW_BYTES, Fault.HALF_FRAME)
"""A slip that is lost is lost: only what leaves it whole can be asked to arrive."""


def faults_of(protocol: Protocol) -> tuple[Fault, ...]:
    """The faults that this protocol can suffer."""
    if protocol is Protocol.PRINTOUT:
        return SLIP_FAULTS
    return tuple(f for f in Fault if protocol is Protocol.ASTM or f not in ASTM_ONLY)


class Trouble:
    """One fault that happens once, whatever the number of connections."""

    def __init__(
        self,
        fault: Fault,
        protocol: Protocol,
        *,
        seed: object,
        after_blocks: int = 0,
        huge_bytes: int = HUGE_FRAME_BYTES,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.fault = fault
        self.has_happened = fault not in faults_of(protocol)
        self.is_astm = protocol is Protocol.ASTM
        self.start = VT if protocol is Protocol.HL7 else STX
        self.huge_bytes = huge_bytes
        self.settle_s = settle_s
        self.dice: random.Random = dice(seed, fault)
        self._blocks_to_pass = after_blocks

    def wrap(self, pipe: Pipe) -> Pipe:
        """The same pipe with the fault in it."""
        return _TroubledPipe(pipe, self)

    def is_due(self) -> bool:
        """Whether this block is the one; the blocks before it pass."""
        if self.has_happened:
            return False
        if self._blocks_to_pass:
            self._blocks_to_pass -= 1
            return False
        self.has_happened = True
        return True


class _TroubledPipe:
    """A pipe with one fault: `send` acts on blocks, a reader of its own filters what comes back."""

    def __init__(self, pipe: Pipe, trouble: Trouble) -> None:
        self._pipe = pipe
        self._trouble = trouble
        self._reading: asyncio.Task[None] | None = None
        self._came: asyncio.Queue[bytes | LinkLost] = asyncio.Queue(READS_WAITING_MAX)
        self._is_deaf = False
        self._heard = asyncio.Event()
        self._drops_next = False
        self._repeat = b""
        self._is_late = False
        self._late = b""
        self._answers_to_swallow = 0
        self._half_answer = b""

    @property
    def peer(self) -> str:
        return self._pipe.peer

    async def close(self) -> None:
        await self._pipe.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def receive(self) -> bytes:
        self._start_reading()
        came = await self._came.get()
        if isinstance(came, LinkLost):
            raise came
        return came

    async def send(self, data: bytes) -> None:
        trouble = self._trouble
        is_block = data[:1] == trouble.start
        goes_first = trouble.is_astm and trouble.fault in _BEFORE_THE_BID
        is_moment = data == ENQ if goes_first else is_block
        if is_moment and trouble.is_due():
            await _ACTS[trouble.fault](self, data)
        else:
            await self._pipe.send(data)
            late, self._late = self._late, b""
            if late:
                await self._came.put(late)

    def _start_reading(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Take in what the host says; the end comes out as an end, again and again."""
        end: bytes | LinkLost = b""
        try:
            while data := await self._pipe.receive():
                await self._filter(data)
        except LinkLost as lost:
            end = lost
        self._heard.set()
        while True:
            await self._came.put(end)

    async def _filter(self, data: bytes) -> None:
        if self._is_deaf:
            self._heard.set()
        elif self._drops_next:
            self._drops_next = False
            if self._repeat:
                await self._pipe.send(self._repeat)
        elif self._is_late:
            self._is_late, self._late = False, data
        elif data := self._unswallowed(data):
            await self._came.put(data)

    def _unswallowed(self, data: bytes) -> bytes:
        """What is left of some answers when those to a flood are taken out."""
        end = FS + CR
        data, self._half_answer = self._half_answer + data, b""
        while self._answers_to_swallow and data:
            if self._trouble.is_astm:
                data = data[1:]
            elif end in data:
                data = data.split(end, 1)[1]
            else:
                self._half_answer = data
                return b""
            self._answers_to_swallow -= 1
        return data

    # ---- the faults

    async def bad_checksum(self, data: bytes) -> None:
        place = len(data) - 3  # the second digit
        wrong = b"0" if data[place : place + 1] != b"0" else b"1"
        await self._pipe.send(data[:place] + wrong + data[place + 1 :])

    async def cut_frame(self, data: bytes) -> None:
        await self._pipe.send(data[: self._inside(data)])

    async def dropped_ack(self, data: bytes) -> None:
        self._drops_next = True
        await self._pipe.send(data)

    async def late_ack(self, data: bytes) -> None:
        self._is_late = True
        await self._pipe.send(data)

    async def duplicate_flood(self, data: bytes) -> None:
        self._start_reading()
        self._answers_to_swallow = FLOOD_BLOCKS - 1
        await self._pipe.send(data * FLOOD_BLOCKS)

    async def repeated_frame(self, data: bytes) -> None:
        self._drops_next, self._repeat = True, data
        await self._pipe.send(data)

    async def wrong_number(self, data: bytes) -> None:
        one = Frame.from_bytes(data)
        end = data[-_FRAME_TAIL : 1 - _FRAME_TAIL]
        await self._pipe.send(framed((one.number + 2) % FRAME_NUMBERS, one.text, end))

    async def contention(self, data: bytes) -> None:  # noqa: ARG002  # it met the other's ENQ
        await self._came.put(ENQ)

    async def silence(self, data: bytes) -> None:
        """The block goes nowhere."""

    async def noise(self, data: bytes) -> None:
        noise = bytes(self._trouble.dice.choices(b"\x00\xffx~", k=NOISE_BYTES))
        await self._pipe.send(noise + data)

    async def slow_bytes(self, data: bytes) -> None:
        for place in range(len(data)):
            await self._pipe.send(data[place : place + 1])
            await asyncio.sleep(0)

    async def disconnect(self, data: bytes) -> None:
        await self._pipe.send(data[: self._inside(data)])
        await self._pipe.close()
        raise LinkLost("the link was cut on purpose")

    async def garbage(self, data: bytes) -> None:
        forbidden = b"" if self._trouble.is_astm else VT  # a frame of garbage is another fault
        garbage = self._trouble.dice.randbytes(GARBAGE_BYTES).translate(None, forbidden)
        self._is_deaf = True
        await self._pipe.send(garbage + (EOT if self._trouble.is_astm else b""))
        self._start_reading()
        await asyncio.sleep(self._trouble.settle_s)
        self._is_deaf = False
        await self._pipe.send(data)

    async def half_frame(self, data: bytes) -> None:
        half = data[: self._inside(data)]
        await self._pipe.send(half if self._trouble.start == VT else half + data)

    async def huge_frame(self, data: bytes) -> None:
        is_astm = self._trouble.is_astm
        if is_astm:
            await self._ask(ENQ)
        filling = b"A" * HUGE_CHUNK_BYTES
        await self._pipe.send(STX + b"1H|" if is_astm else VT + b"MSH|^~\\&|")
        for _ in range(self._trouble.huge_bytes // HUGE_CHUNK_BYTES):
            await self._pipe.send(filling)
        if is_astm:
            await self._ask(ETX + b"00\r\n")
            await self._pipe.send(EOT)
        else:
            await self._pipe.send(FS + CR)
        await self._pipe.send(data)

    # ---- what they need

    def _inside(self, data: bytes) -> int:
        """A place inside the frame, neither in its head nor in its tail."""
        return self._trouble.dice.randint(_FRAME_HEAD, max(_FRAME_HEAD, len(data) - _FRAME_TAIL))

    async def _ask(self, data: bytes) -> None:
        """Send, and keep the host's answer from whoever listens."""
        self._start_reading()
        self._is_deaf = True
        self._heard.clear()
        await self._pipe.send(data)
        try:
            await asyncio.wait_for(self._heard.wait(), HUGE_REPLY_WAIT_S)
        finally:
            self._is_deaf = False


_BEFORE_THE_BID = frozenset({Fault.CONTENTION, Fault.GARBAGE, Fault.HUGE_FRAME})
_ACTS: dict[Fault, Callable[[_TroubledPipe, bytes], Awaitable[None]]] = {
    Fault.BAD_CHECKSUM: _TroubledPipe.bad_checksum,
    Fault.CUT_FRAME: _TroubledPipe.cut_frame,
    Fault.DROPPED_ACK: _TroubledPipe.dropped_ack,
    Fault.LATE_ACK: _TroubledPipe.late_ack,
    Fault.DUPLICATE_FLOOD: _TroubledPipe.duplicate_flood,
    Fault.REPEATED_FRAME: _TroubledPipe.repeated_frame,
    Fault.WRONG_NUMBER: _TroubledPipe.wrong_number,
    Fault.CONTENTION: _TroubledPipe.contention,
    Fault.SILENCE: _TroubledPipe.silence,
    Fault.NOISE: _TroubledPipe.noise,
    Fault.SLOW_BYTES: _TroubledPipe.slow_bytes,
    Fault.DISCONNECT: _TroubledPipe.disconnect,
    Fault.GARBAGE: _TroubledPipe.garbage,
    Fault.HALF_FRAME: _TroubledPipe.half_frame,
    Fault.HUGE_FRAME: _TroubledPipe.huge_frame,
}
