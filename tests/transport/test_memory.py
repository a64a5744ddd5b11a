"""Memory pipes behave as real ones: ordered, bounded, half-closable, breakable."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.transport import LinkLost, MemoryNetwork, memory_pair
from lis.transport.base import RECEIVE_LIMIT_BYTES
from lis.transport.faults import RANDOM_PIECE_BYTES_MAX, byte_by_byte, randomly_cut
from lis.transport.memory import MEMORY_BUFFER_BYTES
from tests.transport.wires import drain, receive_exactly


async def test_what_one_end_sends_the_other_receives() -> None:
    ours, theirs = memory_pair(names=("host", "analyzer"))

    await ours.send(b"\x05")
    await theirs.send(b"\x06")

    assert await theirs.receive() == b"\x05"
    assert await ours.receive() == b"\x06"
    assert (ours.peer, theirs.peer) == ("analyzer", "host")


async def test_a_megabyte_arrives_whole_though_the_pipe_is_bounded() -> None:
    ours, theirs = memory_pair()
    data = random.Random(1).randbytes(1_000_000)

    sending = asyncio.create_task(ours.send(data))
    assert await receive_exactly(theirs, len(data)) == data
    await sending


async def test_a_sender_waits_while_nobody_reads() -> None:
    ours, theirs = memory_pair()
    sending = asyncio.create_task(ours.send(bytes(MEMORY_BUFFER_BYTES + 1)))

    first = await theirs.receive()
    await sending

    assert len(first) <= RECEIVE_LIMIT_BYTES
    assert len(first) + len(await theirs.receive()) == MEMORY_BUFFER_BYTES + 1


async def test_a_peer_that_never_reads_is_lost() -> None:
    ours, theirs = memory_pair(send_timeout_s=0.01)

    with pytest.raises(LinkLost, match="took no bytes"):
        await ours.send(bytes(MEMORY_BUFFER_BYTES + 1))

    assert len(await drain(theirs)) == MEMORY_BUFFER_BYTES
    with pytest.raises(LinkLost, match="closed"):
        await ours.send(b"more")


async def test_bytes_sent_before_the_close_are_still_read() -> None:
    ours, theirs = memory_pair()
    await ours.send(b"last words")
    await ours.close()

    assert await theirs.receive() == b"last words"
    assert await theirs.receive() == b""
    assert await theirs.receive() == b""
    with pytest.raises(LinkLost):
        await theirs.send(b"hello?")


async def test_closing_wakes_our_own_receive() -> None:
    ours, _theirs = memory_pair()
    receiving = asyncio.create_task(ours.receive())

    await ours.close()
    await ours.close()

    assert await receiving == b""


async def test_after_a_half_close_the_other_direction_lives_on() -> None:
    ours, theirs = memory_pair()
    ours.finish_sending()

    assert await theirs.receive() == b""
    await theirs.send(b"answer")
    assert await ours.receive() == b"answer"
    with pytest.raises(LinkLost):
        await ours.send(b"more")


async def test_a_cut_cable_is_seen_at_both_ends() -> None:
    ours, theirs = memory_pair()
    receiving = asyncio.create_task(theirs.receive())

    ours.lose()

    with pytest.raises(LinkLost, match="cut"):
        await receiving
    with pytest.raises(LinkLost):
        await ours.receive()
    with pytest.raises(LinkLost):
        await ours.send(b"x")


async def test_byte_by_byte_gives_the_same_bytes_one_at_a_time() -> None:
    ours, theirs = memory_pair()
    cut = byte_by_byte(theirs)
    await ours.send(b"abc")
    await ours.close()

    assert [await cut.receive() for _ in range(4)] == [b"a", b"b", b"c", b""]
    assert cut.peer == theirs.peer


@given(data=st.binary(max_size=500), seed=st.integers(0, 2**32))
def test_random_cuts_change_nothing_but_the_pieces(data: bytes, seed: int) -> None:
    async def scenario() -> list[bytes]:
        ours, theirs = memory_pair()
        cut = randomly_cut(theirs, random.Random(seed))
        await ours.send(data)
        await ours.close()
        pieces = []
        while piece := await cut.receive():
            pieces.append(piece)
        return pieces

    pieces = asyncio.run(scenario())

    assert b"".join(pieces) == data
    assert all(len(piece) <= RANDOM_PIECE_BYTES_MAX for piece in pieces)


async def test_a_cut_pipe_sends_and_closes_like_the_pipe_in_it() -> None:
    ours, theirs = memory_pair()
    cut = byte_by_byte(theirs)
    await ours.send(b"unread")
    await cut.receive()
    await cut.send(b"\x06")
    await cut.close()

    assert await drain(ours) == b"\x06"
    assert await cut.receive() == b""


async def test_a_network_connects_names_and_refuses_what_nobody_listens_to() -> None:
    network = MemoryNetwork()
    arrived = []
    network.listen("xn-1", arrived.append)

    ours = network.connect("xn-1")
    await ours.send(b"hello")

    assert await arrived[0].receive() == b"hello"
    with pytest.raises(LinkLost, match="nobody listens"):
        network.connect("xn-2")
    with pytest.raises(LinkLost, match="listener already"):
        network.listen("xn-1", arrived.append)
    network.stop_listening("xn-1")
    with pytest.raises(LinkLost):
        network.connect("xn-1")
