"""Whatever the cable does, the instrument recovers and its message arrives whole."""

import asyncio
from dataclasses import replace

import pytest

from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.transport import memory_pair
from simulators.analyzer import Analyzer
from simulators.faults import ASTM_ONLY, Fault, Trouble, faults_of
from simulators.tubes import Tube
from simulators.writing import Instrument
from tests.simulators.conftest import Bench
from tests.simulators.host import Host

SETTLE_S = 0.1
HUGE_BYTES = 4 * 2**20  # as much as memory pipes carry in a moment; the host's limit is lower


async def suffer(key: str, fault: Fault, bench: Bench, *, seed: int = 1) -> tuple[Analyzer, Host]:
    profile = registry.get(key)
    trouble = Trouble(fault, profile.protocol, seed=seed, settle_s=SETTLE_S, huge_bytes=HUGE_BYTES)
    settings = replace(bench.settings, wrap=trouble.wrap)
    analyzer = Analyzer(Instrument.of(profile), clock=bench.clock, seed=seed, settings=settings)
    host = Host(profile)
    analyzer.load([Tube(accession="2611000017"), Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    assert trouble.has_happened
    return analyzer, host


@pytest.mark.parametrize("key", ["roche-cobas-c111", "sysmex-xp-100", "mindray-bc"])
@pytest.mark.parametrize("fault", list(Fault))
async def test_after_every_fault_everything_arrives_once(key: str, fault: Fault, bench: Bench):
    analyzer, host = await suffer(key, fault, bench)
    distinct = list(dict.fromkeys(host.kept))
    host.kept = distinct
    found = [
        (row.specimen, row.test, row.value.text.strip())
        for message in host.translations()
        for row in message.observations
    ]
    assert found == [
        (sent.run.specimen, row.code, row.text) for sent in analyzer.log for row in sent.run.rows
    ]
    counts = analyzer.counts
    assert counts.messages == counts.acknowledged == len(distinct) == 2
    assert counts.given_up == 0


@pytest.mark.parametrize("fault", sorted(ASTM_ONLY | {Fault.HALF_FRAME}))
async def test_what_the_frame_layer_mends_is_no_resent_message(fault: Fault, bench: Bench):
    analyzer, _ = await suffer("sysmex-xp-100", fault, bench)
    assert analyzer.counts.resent == 0


@pytest.mark.parametrize("fault", [Fault.BAD_CHECKSUM, Fault.WRONG_NUMBER])
async def test_a_wrong_frame_is_refused_before_it_is_right(fault: Fault, bench: Bench):
    _, host = await suffer("sysmex-xp-100", fault, bench)
    assert host.refused_frames == 1


async def test_a_lost_ack_makes_the_host_have_the_message_twice(bench: Bench):
    analyzer, host = await suffer("sysmex-xp-100", Fault.DROPPED_ACK, bench)
    assert len(host.kept) == 3
    assert analyzer.counts.resent == 1


async def test_a_huge_frame_is_refused_and_the_link_lives_on(bench: Bench):
    _, host = await suffer("mindray-bc", Fault.HUGE_FRAME, bench)
    assert host.oversized == 1
    assert host.connections == 2


@pytest.mark.parametrize("seed", range(8))
async def test_garbage_of_any_kind_is_survived(seed: int, bench: Bench):
    _, host = await suffer("sysmex-xp-100", Fault.GARBAGE, bench, seed=seed)
    assert len(dict.fromkeys(host.kept)) == 2


@pytest.mark.parametrize("seed", range(8))
async def test_the_link_may_break_at_any_byte(seed: int, bench: Bench):
    analyzer, host = await suffer("roche-cobas-c111", Fault.DISCONNECT, bench, seed=seed)
    assert analyzer.counts.resent == 1
    assert len(host.kept) == 2


async def test_the_same_seed_cuts_at_the_same_byte():
    seen = []
    for _ in range(2):
        ours, theirs = memory_pair()
        trouble = Trouble(Fault.CUT_FRAME, Protocol.HL7, seed=7)
        pipe = trouble.wrap(ours)
        await pipe.send(b"\x0b" + bytes(range(32, 127)) + b"\x1c\r")
        seen.append(await theirs.receive())
        await pipe.close()
    assert seen[0] == seen[1]


async def test_a_fault_waits_for_its_block_and_happens_once():
    ours, theirs = memory_pair()
    pipe = Trouble(Fault.SILENCE, Protocol.HL7, seed=1, after_blocks=1).wrap(ours)
    for text in (b"\x0bone\x1c\r", b"\x0btwo\x1c\r", b"\x0bthree\x1c\r"):
        await pipe.send(text)
    assert await theirs.receive() == b"\x0bone\x1c\r\x0bthree\x1c\r"
    await pipe.close()


async def test_the_end_of_the_link_is_heard_through_the_fault():
    ours, theirs = memory_pair()
    pipe = Trouble(Fault.NOISE, Protocol.ASTM, seed=1).wrap(ours)
    assert pipe.peer == ours.peer
    await theirs.close()
    async with asyncio.timeout(1):
        assert await pipe.receive() == b""
        assert await pipe.receive() == b""
    await pipe.close()


def test_mllp_knows_no_checksums_numbers_or_contention():
    assert set(Fault) - set(faults_of(Protocol.HL7)) == ASTM_ONLY
    assert faults_of(Protocol.ASTM) == tuple(Fault)
