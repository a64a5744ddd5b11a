"""Streams cut, joined and damaged at random: what was delivered is what was sent, once and whole.

5,000 streams for each protocol, 100,000 with LIS_STREAMS=100000 (see `rolls`).
"""

import asyncio
from contextlib import suppress
from random import Random

import pytest

from lis.domain.messages import Protocol
from lis.drivers.session import run_session
from lis.transport import LinkLost, memory_pair
from lis.wire.mllp import (
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
from tests.drivers.wires import Host
from tests.streams.astm_analyzer import Analyzer, Receiver, message_of
from tests.streams.rolls import STREAMS, TIMEOUT_S, pieces, roll

SESSION_STREAMS = max(1, STREAMS // 20)  # through a whole session, which costs an event loop each


# ------------------------------------------------------------------------------------ ASTM


def astm_stream(chance: Random) -> int:
    receiver = Receiver(chance)
    analyzer = Analyzer(receiver, chance, faults_per_frame=chance.choice([0.0, 0.2, 0.6]))
    for _ in range(chance.randint(1, 3)):
        is_framed = chance.random() < 0.9
        (analyzer.send if is_framed else analyzer.send_without_frames)(message_of(chance))
    analyzer.finish()
    receiver.lose()
    assert receiver.whole == analyzer.delivered
    return len(receiver.whole)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_astm_streams_deliver_each_message_once_and_whole() -> None:
    assert roll(astm_stream) >= STREAMS


# ------------------------------------------------------------------------------------ MLLP

ANY_BUT_FS = bytes(value for value in range(256) if value != 0x1C)
ANY_BUT_VT = bytes(value for value in range(256) if value != 0x0B)
LIMIT_BYTES = 4_096


class MllpSender:
    """A peer that sends payloads over a line on which things go wrong; it repeats what was cut."""

    def __init__(self, chance: Random) -> None:
        settings = MllpSettings(frame_limit_bytes=LIMIT_BYTES, restart_after_s=5.0)
        self._framer = MllpFramer(settings)
        self._chance = chance
        self._now = 0.0
        self.events: list[Event] = []

    def send(self, payload: bytes) -> None:
        made = frame(payload)
        match self._chance.randrange(9):
            case 0:
                self._feed(made[:-1])  # CR never comes
            case 1:
                self._feed(made + b"\n")
            case 2:
                self._feed(bytes(self._chance.choices(ANY_BUT_VT, k=9)) + made)
            case 3:
                self._feed(made + b"\x02" * self._chance.randint(1, 4))
            case 4:
                self._cut(made)
                self.events += self._framer.connection_lost(self._now)
                self._feed(made)
            case 5:
                self._cut(made)
                self._now += 31.0
                self.events += self._framer.tick(self._now)
                self._feed(made)
            case 6:
                self._cut(made)
                self._now += 5.0
                self.events += self._framer.receive_bytes(made, self._now)  # begins with VT: anew
            case 7:
                self._feed(frame(bytes(self._chance.choices(ANY_BUT_FS, k=1)) * (LIMIT_BYTES + 1)))
                self._feed(made)
            case _:
                self._feed(made)

    def _cut(self, made: bytes) -> None:
        self._feed(made[: self._chance.randrange(1, len(made) - 2)])

    def _feed(self, data: bytes) -> None:
        for piece in pieces(data, self._chance):
            self.events += self._framer.receive_bytes(piece, self._now)


def payload_of(chance: Random) -> bytes:
    head = b"MSH|^~\\&|%d|" % chance.getrandbits(60)
    return head + bytes(chance.choices(ANY_BUT_FS, k=chance.choice([0, 10, 200, 2_000])))


def mllp_stream(chance: Random) -> int:
    sender = MllpSender(chance)
    sent = [payload_of(chance) for _ in range(chance.randint(1, 4))]
    for payload in sent:
        sender.send(payload)
    received = [event.payload for event in sender.events if isinstance(event, BlockReceived)]
    assert received == sent
    for event in sender.events:
        assert isinstance(event, BlockReceived | CutFrame | Noise | Oversized | StalledFrame)
        if isinstance(event, CutFrame | StalledFrame):
            assert event.partial not in sent
    return len(received)


@pytest.mark.timeout(TIMEOUT_S)
def test_mllp_streams_deliver_each_message_once_and_whole() -> None:
    assert roll(mllp_stream) >= STREAMS


# ------------------------------------------------------------------- HL7, through a session


def hl7_of(chance: Random) -> bytes:
    head = "MSH|^~\\&|BC|X||LIS|20261122101010||ORU^R01|{}|P|2.3.1|||||0||8859/1\r"
    text = "".join(chr(chance.choice([*range(0x20, 0x7F), *range(0xA0, 0x100)])) for _ in range(40))
    return (head.format(chance.getrandbits(60)) + f"OBX|1|ST|GLU||{text}|\r").encode("latin-1")


async def hl7_session(chance: Random) -> int:
    """Each message until its AA; a line that is lost is opened again, and the message comes again."""
    host = Host()
    sent = [hl7_of(chance) for _ in range(chance.randint(1, 4))]
    waiting = list(sent)
    while waiting:
        ours, theirs = memory_pair()
        session = asyncio.create_task(
            run_session(
                ours,
                protocol=Protocol.HL7,
                keep=host.shelf.keep,
                answer=host.answer,
                clock=host.clock,
                on_event=host.events.append,
            )
        )
        while waiting and await is_line_kept(theirs, waiting[0], chance):
            waiting.pop(0)
        await theirs.close()
        with suppress(LinkLost):
            await session
    complete = [unit.raw for unit in host.shelf.units if unit.is_complete]
    assert complete == sent
    return len(complete)


async def is_line_kept(pipe, payload: bytes, chance: Random) -> bool:
    """Send one message and hear its answer; false when the line was cut before that."""
    made = frame(payload)
    fate = chance.randrange(6)
    if fate == 0:
        await pipe.send(made[: chance.randrange(1, len(made) - 2)])
        return False
    for _ in range(2 if fate == 1 else 1):  # its answer got lost: the same bytes again
        for piece in pieces(made, chance):
            await pipe.send(piece)
        reply = await pipe.receive()
        assert b"\rMSA|AA|" in reply, reply
    return fate != 2  # 2: acknowledged, and the line lost before the sender heard it


@pytest.mark.timeout(TIMEOUT_S)
async def test_hl7_sessions_store_each_message_once_whatever_the_line_does() -> None:
    delivered = 0
    for seed in range(SESSION_STREAMS):
        delivered += await hl7_session(Random(seed))
    assert delivered >= SESSION_STREAMS
