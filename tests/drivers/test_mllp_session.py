"""One peer over MLLP: one answer each, in order, after the commit, and AA to nothing unreadable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction, KeepFailed, Receipt
from lis.drivers import registry
from lis.drivers.session import run_session
from lis.drivers.session_events import Answered, AnswerFailed, InputRejected, StoreUnavailable
from lis.transport import LinkLost, MemoryPipe, memory_pair
from lis.wire.hl7 import Message
from lis.wire.mllp import FS, VT, BlockReceived, MllpFramer, MllpSettings, frame
from tests.drivers.wires import CUTTINGS, Host, cut


def oru(control_id: str, *, head: str = "", msh16: str = "", kind: str = "ORU^R01") -> bytes:
    header = rf"MSH|^~\&|Mindray|BC-5380|||20261122080000||{kind}|{control_id}|P|2.3.1|||{msh16}|||UNICODE"
    lines = [
        head + header,
        "OBR|1||10000017|00001^Automated Count^99MRC",
        "OBX|1|NM|6690-2||5|||||F",
    ]
    return "\r".join(lines).encode() + b"\r"


class Peer:
    """The sending end: sends frames, reads the answers."""

    def __init__(self, pipe: MemoryPipe) -> None:
        self.pipe = pipe
        self._framer = MllpFramer()
        self._waiting: list[Message] = []

    async def answers(self, count: int) -> list[Message]:
        while len(self._waiting) < count:
            data = await self.pipe.receive()
            assert data, "the host closed the connection"
            for event in self._framer.receive_bytes(data, 0.0):
                assert isinstance(event, BlockReceived)
                self._waiting.append(Message.parse(event.payload))
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


@asynccontextmanager
async def serving(
    host: Host, key: str | None = "mindray-bc", settings: MllpSettings | None = None, **more: bool
) -> AsyncIterator[Peer]:
    ours, theirs = memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=registry.get(key) if key else None,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            mllp_settings=settings,
            **more,
        )
    )
    try:
        yield Peer(theirs)
    finally:
        await theirs.close()
        with suppress(LinkLost):
            await session


def codes(answers: list[Message]) -> list[tuple[str, str]]:
    found = []
    for answer in answers:
        msa = answer.first("MSA")
        assert msa is not None
        found.append((msa.component(1), msa.component(2)))
    return found


@pytest.mark.parametrize("how", CUTTINGS)
async def test_M8_each_block_is_kept_and_then_answered_in_order(how: str) -> None:
    host = Host()
    async with serving(host) as peer:
        for piece in cut(frame(oru("1")) + b"\x02\x02" + frame(oru("2")), how):
            await peer.pipe.send(piece)
        answers = await peer.answers(2)

    assert codes(answers) == [("AA", "1"), ("AA", "2")]
    assert answers[0].event == "R01"
    assert [unit.raw for unit in host.shelf.units] == [oru("1"), oru("2")]
    assert [(unit.control_id, unit.lane) for unit in host.shelf.units] == [
        ("1", Lane.RESULT),
        ("2", Lane.RESULT),
    ]
    assert host.of(InputRejected) == []  # 0x02 is how this instrument says that it lives


async def test_the_blocks_of_one_read_are_one_commit() -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(b"".join(frame(oru(str(number))) for number in range(50)))
        await peer.answers(50)
        assert host.shelf.calls == 1


async def test_A3_nothing_is_acknowledged_before_it_is_kept() -> None:
    host = Host()
    host.shelf.gate = asyncio.Event()
    async with serving(host) as peer:
        await peer.pipe.send(frame(oru("1")))
        await host.shelf.started.wait()
        answer = asyncio.create_task(peer.answers(1))
        await asyncio.sleep(0)
        assert not answer.done()
        host.shelf.gate.set()
        assert codes(await answer) == [("AA", "1")]


async def test_A4_a_store_that_refuses_gives_ae_207_and_the_link_lives_on() -> None:
    host = Host()
    host.shelf.refusals = 1
    async with serving(host) as peer:
        await peer.pipe.send(frame(oru("1")))
        [refused] = await peer.answers(1)
        await peer.pipe.send(frame(oru("1")))
        accepted = await peer.answers(1)

    assert codes([refused]) == [("AE", "1")]
    assert "207" in refused.raw.decode()
    assert codes(accepted) == [("AA", "1")]
    assert host.of(StoreUnavailable) == [StoreUnavailable(reason="disk full")]


async def test_A6_a_resend_is_stored_once_and_gets_its_answer_again() -> None:
    host = Host()
    async with serving(host) as peer:
        for _ in range(2):
            await peer.pipe.send(frame(oru("1")))
            assert codes(await peer.answers(1)) == [("AA", "1")]
        host.shelf.replies[1] = oru("stored") + FS + oru("second")
        await peer.pipe.send(frame(oru("1")))
        stored = await peer.answers(2)

    assert len(host.shelf.units) == 1
    assert [answer.control_id for answer in stored] == ["stored", "second"]


@pytest.mark.parametrize(
    ("payload", "code", "error"),
    [
        (b"this is no HL7", "AR", "200"),
        (oru("1", kind="SIU^S12"), "AR", "200"),
        (oru("1") + b"MSH", "AE", "100"),
    ],
)
async def test_R1_what_cannot_be_read_is_kept_and_never_answered_aa(
    payload: bytes, code: str, error: str
) -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(frame(payload))
        [answer] = await peer.answers(1)

    assert codes([answer])[0][0] == code
    assert error in answer.raw.decode()
    assert [unit.raw for unit in host.shelf.units] == [payload]
    assert len(host.of(InputRejected)) == 1


@pytest.mark.parametrize(
    ("acks", "expected"),
    [("AL|NE", ["CA"]), ("AL|AL", ["CA", "AA"]), ("NE|AL", ["AA"]), ("NE|NE", [])],
)
async def test_the_acknowledgements_are_those_the_header_asks_for(
    acks: str, expected: list[str]
) -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(
            frame(oru("1").replace(b"|2.3.1||||||", f"|2.3.1|||{acks}||".encode()))
        )
        await peer.pipe.send(frame(oru("2")))
        answers = await peer.answers(len(expected) + 1)

    assert [code for code, _ in codes(answers)] == [*expected, "AA"]


async def test_a_query_is_answered_with_what_was_computed() -> None:
    host = Host(answers={1: (oru("reply", kind="ORR^O02"),)})
    async with serving(host) as peer:
        await peer.pipe.send(frame(oru("9", kind="ORM^O01")))
        [answer] = await peer.answers(1)
        await peer.pipe.send(frame(oru("9", kind="ORM^O01").replace(b"||||||", b"|||AL|AL||", 1)))
        again = await peer.answers(1)

    assert answer.control_id == "reply"
    assert [unit.lane for unit in host.shelf.units] == [Lane.REQUEST, Lane.REQUEST]
    assert host.of(Answered)[0] == Answered(inbox_id=1)
    assert codes(again)[0][0] == "CA"


async def test_an_answer_that_cannot_be_computed_is_an_error_and_said() -> None:
    class Broken(Host):
        async def answer(self, receipt: Receipt) -> tuple[bytes, ...]:
            raise KeepFailed("disk full")

    host = Broken()
    async with serving(host) as peer:
        await peer.pipe.send(frame(oru("9", kind="ORM^O01")))
        assert codes(await peer.answers(1)) == [("AE", "9")]

    assert host.of(AnswerFailed) == [AnswerFailed(inbox_id=1, attempts=0, reason="disk full")]


async def test_acknowledgements_of_ours_are_not_acknowledged() -> None:
    host = Host()
    ack = oru("1", kind="ACK^R01")
    async with serving(host) as peer:
        await peer.pipe.send(frame(ack) + frame(oru("2")))
        assert codes(await peer.answers(1)) == [("AA", "2")]
        await peer.pipe.send(frame(ack))

    assert len(host.shelf.units) == 1
    noted = [line.data for line in host.shelf.lines if line.note == "acknowledgement"]
    assert noted == [ack, ack]


async def test_M2_noise_between_blocks_is_noted_and_bounded() -> None:
    host = Host()
    async with serving(host) as peer:
        for number in range(200):
            await peer.pipe.send(b"noise" + frame(oru(str(number))))
            await peer.answers(1)

    assert 0 < len(host.of(InputRejected)) <= 100


@pytest.mark.parametrize("closes", [True, False])
async def test_M7_half_a_block_and_then_silence_is_evidence(*, closes: bool) -> None:
    host = Host()
    settings = MllpSettings(half_frame_timeout_s=0.01)
    async with serving(host, settings=settings, closes_after_fault=closes) as peer:
        await peer.pipe.send(VT + oru("1")[:40])
        await asyncio.wait_for(host.shelf.started.wait(), 5)
        if not closes:
            await peer.pipe.send(frame(oru("2")))
            assert codes(await peer.answers(1)) == [("AA", "2")]

    assert [unit.is_complete for unit in host.shelf.units] == [False, True][: 1 if closes else 2]
    assert host.shelf.units[0].raw == oru("1")[:40]


async def test_M6_a_block_over_the_limit_is_evidence_and_ends_the_connection() -> None:
    host = Host()
    async with serving(host, settings=MllpSettings(frame_limit_bytes=1_000)) as peer:
        await peer.pipe.send(VT + b"A" * 2_000)
        await asyncio.wait_for(host.shelf.started.wait(), 5)

    [unit] = host.shelf.units
    assert not unit.is_complete
    assert len(unit.raw) <= 2_000


async def test_a_block_cut_by_a_lost_connection_is_evidence() -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(VT + oru("1"))
        peer.pipe.finish_sending()
        await asyncio.wait_for(host.shelf.started.wait(), 5)

    assert [unit.is_complete for unit in host.shelf.units] == [False]


@pytest.mark.parametrize("noise", [b"", b"\x02\x02\x00", b"\r\n"])
async def test_the_first_bytes_tell_the_protocol(noise: bytes) -> None:
    host = Host()
    async with serving(host, key=None) as peer:
        await peer.pipe.send(noise + frame(oru("1")))
        assert codes(await peer.answers(1)) == [("AA", "1")]

    assert host.shelf.units[0].protocol is Protocol.HL7


async def test_what_we_sent_is_in_the_journal() -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(frame(oru("1")))
        await peer.answers(1)

    sent = [line for line in host.shelf.lines if line.direction is Direction.OUT]
    assert len(sent) == 1
    assert b"MSA|AA|1" in sent[0].data
