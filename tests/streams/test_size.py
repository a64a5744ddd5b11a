"""Large messages: less than three times their size in memory, and work that grows as they do.

Work is measured in calls, and in processor time of eight times the size: linear work needs eight times as much,
work that looks at every byte again for every byte needs sixty-four times.
"""

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from lis.domain.clock import ManualClock
from lis.domain.ids import InboxId
from lis.domain.messages import Protocol
from lis.domain.traffic import Receipt, ReceivedUnit, TrafficLine
from lis.drivers.session import run_session
from lis.transport import memory_pair
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_delimiters import DEFAULT_DELIMITERS, cut, unescape
from lis.wire.astm_link import AstmLink, FrameReceived, Role
from lis.wire.hl7 import Message
from lis.wire.mllp import BlockReceived, MllpFramer, frame
from tests.fuzz.mutating import counted_calls
from tests.wire.astm_harness import ACK, ENQ, EOT, ETB, ETX, block

MIB = 2**20
LARGE_BYTES = 10 * MIB
TIMES_SIZE_MAX = 3.0
READ_BYTES = 65_536
GROWTH = 8  # how much larger the second input is
GROWTH_OF_WORK_MAX = 24.0  # three times what linear work needs, for a machine that is busy
RECORD = b"R|1|^^^X|1.0|g/L|%b||N||F"


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    peak = [0]
    tracemalloc.start()
    try:
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def astm_frames(size_bytes: int, text_bytes: int) -> Iterator[bytes]:
    """One message of about that size, a record in each frame, made while it is sent."""
    yield block(1, b"H|\\^&\r")
    filling = RECORD % (b"y" * (text_bytes - len(RECORD)))
    count = size_bytes // (text_bytes + 7)
    for number in range(count):
        yield block((number + 2) % 8, filling + b"\r")
    yield block((count + 2) % 8, b"L|1|N\r")


def one_record_in_frames(size_bytes: int) -> Iterator[bytes]:
    """An image: one record in frames of 240 bytes."""
    yield block(1, b"H|\\^&\r")
    count = size_bytes // 247
    for number in range(count):
        yield block((number + 2) % 8, b"QUJD" * 60, ETB)
    yield block((count + 2) % 8, b"\rL|1|N\r", ETX)


def received(frames: Iterator[bytes], *, read_bytes: int = READ_BYTES) -> int:
    """Through a link; returns the size of the one message."""
    link, size_bytes = AstmLink(Role.HOST), 0
    link.receive_bytes(ENQ, 0.0)
    for made in frames:
        for begin in range(0, len(made), read_bytes):
            for event in link.receive_bytes(made[begin : begin + read_bytes], 0.0):
                if isinstance(event, FrameReceived):
                    size_bytes += sum(len(message.raw) for message in event.messages)
                    link.accept(0.0)
        assert link.data_to_send()[-1:] == ACK
    return size_bytes


def hl7_payload(size_bytes: int) -> bytes:
    row = b"OBX|1|ED|15000^Histogram^99MRC||^Image^BMP^Base64^" + b"QUJD" * 100 + b"||||||F\r"
    head = b"MSH|^~\\&|A|B|C|D|20261122101010||ORU^R01|1|P|2.3.1\r"
    return head + row * (size_bytes // len(row))


async def nobody_asks(_receipt: Receipt) -> tuple[bytes, ...]:
    return ()


class Counter:
    """A store that keeps nothing but the sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def keep(
        self, _lines: Sequence[TrafficLine], units: Sequence[ReceivedUnit]
    ) -> tuple[Receipt, ...]:
        self.sizes += [len(unit.raw) for unit in units]
        return tuple(Receipt(inbox_id=InboxId(len(self.sizes))) for _ in units)


async def served(protocol: Protocol, reads: Iterator[bytes], *, waits: bool) -> list[int]:
    """Through a whole session over a pipe; returns the sizes of what was kept."""
    store, (ours, theirs) = Counter(), memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            protocol=protocol,
            keep=store.keep,
            answer=nobody_asks,
            clock=ManualClock(),
            on_event=lambda _event: None,
        )
    )
    for data in reads:
        await theirs.send(data)
        if waits and data != EOT:
            assert await theirs.receive() == ACK
    if not waits:
        assert b"MSA|AA|1" in await theirs.receive()
    await theirs.close()
    await session
    return store.sizes


# ---------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("text_bytes", [230, 63_000])
def test_an_astm_message_of_ten_megabytes_stays_below_three_times_its_size(text_bytes: int) -> None:
    with peak_memory() as peak:
        size_bytes = received(astm_frames(LARGE_BYTES, text_bytes))
    assert size_bytes > 0.95 * LARGE_BYTES
    assert peak[0] < TIMES_SIZE_MAX * size_bytes


async def test_an_astm_session_of_ten_megabytes_stays_below_three_times_its_size() -> None:
    def reads() -> Iterator[bytes]:
        yield ENQ
        yield from astm_frames(LARGE_BYTES, 63_000)
        yield EOT

    with peak_memory() as peak:
        sizes = await served(Protocol.ASTM, reads(), waits=True)
    assert len(sizes) == 1
    assert peak[0] < TIMES_SIZE_MAX * sizes[0]


FRAME_TEXTS = {
    "one record": b"H|\\^&\r" + RECORD % (b"y" * 63_900) + b"\rL|1|N\r",
    "small records": b"H|\\^&\r" + (RECORD % b"1" + b"\r") * 2_400 + b"L|1|N\r",
}


@pytest.mark.parametrize("name", FRAME_TEXTS)
def test_a_message_in_one_frame_of_64_kilobytes_stays_below_three_times_its_size(name: str) -> None:
    frames = [block(1, FRAME_TEXTS[name])]
    received(iter(frames))  # caches, and what a coverage tool notes about lines it first sees
    with peak_memory() as peak:
        size_bytes = received(iter(frames), read_bytes=1_000)
    assert size_bytes == len(frames[0])
    assert peak[0] < TIMES_SIZE_MAX * size_bytes


def test_a_frame_of_64_kilobytes_in_a_longer_message_stays_below_three_times_its_size() -> None:
    frames = list(astm_frames(64_000, 63_900))
    received(iter(frames))
    with peak_memory() as peak:
        size_bytes = received(iter(frames), read_bytes=1_000)
    assert peak[0] < TIMES_SIZE_MAX * size_bytes


async def test_an_hl7_message_of_ten_megabytes_stays_below_three_times_its_size() -> None:
    wire = frame(hl7_payload(LARGE_BYTES))
    reads = (wire[begin : begin + READ_BYTES] for begin in range(0, len(wire), READ_BYTES))
    with peak_memory() as peak:
        sizes = await served(Protocol.HL7, reads, waits=False)
    assert sizes == [len(wire) - 3]
    assert peak[0] < TIMES_SIZE_MAX * sizes[0]


def test_kept_bytes_are_read_again_below_three_times_their_size() -> None:
    raw = b"".join(astm_frames(LARGE_BYTES, 230))
    with peak_memory() as peak:
        decode_raw(raw)
    assert peak[0] < TIMES_SIZE_MAX * len(raw)


# ------------------------------------------------------------------------------------ work


def framed_hl7(size_bytes: int) -> None:
    wire, framer = frame(hl7_payload(size_bytes)), MllpFramer()
    for begin in range(0, len(wire), 1_000):
        for event in framer.receive_bytes(wire[begin : begin + 1_000], 0.0):
            assert isinstance(event, BlockReceived)
            assert len(Message.parse(event.payload).segments) > 1


WORK: dict[str, tuple[Callable[[int], object], int]] = {
    "a frame a record": (lambda size: received(astm_frames(size, 230)), MIB // 8),
    "an image in small frames": (lambda size: received(one_record_in_frames(size)), MIB // 8),
    "small reads": (lambda size: received(one_record_in_frames(size), read_bytes=7), MIB // 64),
    "kept bytes": (lambda size: decode_raw(b"".join(astm_frames(size, 230))), MIB // 8),
    "many delimiters": (lambda size: cut("|" * size + "&|&", "|", DEFAULT_DELIMITERS), MIB // 32),
    "many escapes": (lambda size: unescape("&X0" * (size // 3), DEFAULT_DELIMITERS), MIB // 32),
    "HL7": (framed_hl7, MIB // 2),
}


@pytest.mark.parametrize("name", WORK)
def test_work_grows_as_the_message_does(name: str) -> None:
    work, size_bytes = WORK[name]
    work(size_bytes)  # imports, caches

    small, large = calls(work, size_bytes), calls(work, GROWTH * size_bytes)
    assert large <= 1.2 * GROWTH * small + 1_000

    small_s, large_s = processor_time(work, size_bytes), processor_time(work, GROWTH * size_bytes)
    assert large_s <= GROWTH_OF_WORK_MAX * small_s


def calls(work: Callable[[int], object], size_bytes: int) -> int:
    with counted_calls() as counted:
        work(size_bytes)
    return counted[0]


def processor_time(work: Callable[[int], object], size_bytes: int) -> float:
    """The best of three, of this thread: what other programs do does not count."""

    def once() -> float:
        began = time.thread_time()
        work(size_bytes)
        return time.thread_time() - began

    return min(once() for _ in range(3))
