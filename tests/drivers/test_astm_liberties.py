"""Liberties of the line: each is a setting, and its first use in a session stands in the journal.

What is done with the bytes is shown in tests/wire; here is what a person finds afterwards.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from lis.drivers import registry
from lis.drivers.astm_session import AstmSession, settings_of
from lis.drivers.session_events import LibertyTaken
from lis.transport import LinkAddress, LinkLost, memory_pair
from lis.transport.address import SerialTarget
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK, blocks_of
from lis.wire.astm_settings import DEFAULT_TOLERANCES, LinkSettings, Tolerance
from tests.drivers.wires import Host

RECORDS = [b"H|\\^&|||J", b"P|1", b"L|1|N"]
FIRST, SECOND, LAST = blocks_of(RECORDS)
LOWER = [made[:-4] + made[-4:].lower() for made in blocks_of([*RECORDS[:2], b"C|1|I|:x", b"L|1"])]
QUICK = LinkSettings(quiet_end_s=0.005)


def summed(body: bytes) -> bytes:
    return b"\x02" + body + b"%02X\r\n" % (sum(body) % 256)


@dataclass(frozen=True)
class Case:
    """What the analyzer sends, in reads, and how many answers it gets; every liberty comes twice."""

    name: Tolerance
    reads: list[bytes]
    answers: bytes


CASES = [
    Case(
        Tolerance.CR_ONLY_END,
        [ENQ, FIRST[:-1] + SECOND[:-1] + LAST[:-1] + EOT],
        ACK * 4,
    ),
    Case(
        Tolerance.LF_ONLY_END,
        [ENQ, *(made[:-2] + b"\n" for made in (FIRST, SECOND, LAST)), EOT],
        ACK * 4,
    ),
    Case(Tolerance.LOWER_CASE_CHECKSUM, [ENQ, *LOWER, EOT], ACK * 5),
    Case(
        Tolerance.MISSING_CR,
        [ENQ, *(summed(b"%d%b\x03" % item) for item in enumerate(RECORDS, 1)), EOT],
        ACK * 4,
    ),
    Case(
        Tolerance.LF_IN_TEXT,
        [ENQ, summed(b"1H|\\^&\r\nP|1\r\n\x03"), summed(b"2P|2\r\nL|1\r\n\x03"), EOT],
        ACK * 3,
    ),
    Case(Tolerance.REPEATED_ENQ, [ENQ, ENQ, ENQ, FIRST, SECOND, LAST, EOT], ACK * 6),
    Case(
        Tolerance.FRAME_WITHOUT_ENQ, [FIRST, SECOND, LAST, EOT, FIRST, SECOND, LAST, EOT], ACK * 6
    ),
    Case(
        Tolerance.OVERSIZE_FRAME,
        [ENQ, FIRST, summed(b"2C|1|%b\r\x03" % (b"x" * 70_000)), summed(b"3L|1\r\x03"), EOT],
        ACK * 4,
    ),
    Case(Tolerance.UNFRAMED, [b"H|\\^&\rL|1\r", b"H|\\^&\rL|1\r"], b""),
    Case(Tolerance.KEEP_ALIVE, [ENQ, EOT, ENQ, EOT], ACK * 2),
    Case(Tolerance.HALF_FRAME, [ENQ, FIRST[:9], FIRST[:9], FIRST, SECOND, LAST, EOT], b""),
]


async def journal_of(case: Case, settings: LinkSettings) -> tuple[Host, bytes]:
    """A whole connection: each read waits for the answer to the one before, where one is due."""
    host, (ours, theirs) = Host(), memory_pair()
    session = AstmSession(
        ours,
        profile=registry.get("roche-cobas-c111"),
        keep=host.shelf.keep,
        answer=host.answer,
        clock=host.clock,
        on_event=host.events.append,
        now_s=asyncio.get_running_loop().time,
        link_settings=settings,
    )
    running = asyncio.create_task(session.run())
    answers = b""
    for read in case.reads:
        await theirs.send(read)
        if case.name is not Tolerance.UNFRAMED and read != EOT:
            answers += await theirs.receive()
    while len(answers) < len(case.answers):
        answers += await theirs.receive()
    await theirs.close()
    with suppress(LinkLost):
        await running
    return host, answers


def test_every_liberty_of_a_usual_link_has_its_case() -> None:
    assert {case.name for case in CASES} == DEFAULT_TOLERANCES


@pytest.mark.parametrize("case", CASES, ids=[str(case.name) for case in CASES])
async def test_a_liberty_stands_in_the_journal_once_per_session(case: Case) -> None:
    is_half = case.name is Tolerance.HALF_FRAME
    host, answers = await journal_of(case, replace(QUICK, byte_gap_s=0.005) if is_half else QUICK)

    assert not case.answers or answers == case.answers
    notes = [line.note for line in host.shelf.lines if line.note.startswith("tolerated: ")]
    assert notes == [f"tolerated: {case.name}"]
    assert host.of(LibertyTaken) == [LibertyTaken(name=case.name)]


async def test_a_refused_liberty_is_not_noted_as_taken() -> None:
    settings = replace(QUICK, tolerances=DEFAULT_TOLERANCES - {Tolerance.LOWER_CASE_CHECKSUM})
    refused = Case(Tolerance.LOWER_CASE_CHECKSUM, [ENQ, LOWER[2]], ACK + NAK)
    host, answers = await journal_of(refused, settings)

    assert answers == ACK + NAK
    assert host.of(LibertyTaken) == []


async def test_a_standard_session_takes_no_liberty() -> None:
    case = Case(Tolerance.KEEP_ALIVE, [ENQ, FIRST, SECOND, LAST, EOT], ACK * 4)
    host, _ = await journal_of(case, QUICK)

    assert host.of(LibertyTaken) == []


def test_a_profile_says_which_liberties_its_instrument_may_take() -> None:
    assert registry.get("roche-cobas-c111").quirks.tolerances == DEFAULT_TOLERANCES


def test_the_settings_of_a_link_are_those_of_its_profile_its_password_and_its_line() -> None:
    c111 = registry.get("roche-cobas-c111")
    quirks = replace(
        c111.quirks,
        text_limit_bytes=63_993,
        record_per_frame=False,
        frame_sends_max=7,
        honours_interrupt=False,
        tolerances=frozenset({Tolerance.CR_ONLY_END}),
    )
    settings = settings_of(replace(c111, quirks=quirks), password="sesame", bytes_per_s=960.0)

    assert settings == LinkSettings(
        text_limit_bytes=63_993,
        record_per_frame=False,
        sends_max=7,
        honours_interrupt=False,
        tolerances=frozenset({Tolerance.CR_ONLY_END}),
        access_password=b"sesame",
        line_rate_bytes_s=960.0,
    )


@pytest.mark.parametrize(
    ("query", "bytes_per_s"),
    [("", 960.0), ("?baudrate=1200", 120.0), ("?baudrate=9600&bytesize=7&parity=E", 960.0)],
)
def test_a_serial_line_carries_a_byte_in_ten_bit_times(query: str, bytes_per_s: float) -> None:
    target = LinkAddress.parse(f"serial:///dev/ttyS0{query}").target
    assert isinstance(target, SerialTarget)
    assert target.bytes_per_s == bytes_per_s
