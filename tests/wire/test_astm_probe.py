"""The receiver probe: 29 scenarios on which existing ASTM software was measured.

The numbers are those of reference/astm.md, section 2; the best receiver measured there passes 28.
"""

from dataclasses import dataclass

import pytest

from lis.wire.astm_record import Message
from tests.wire.astm_harness import (
    ACK,
    ENQ,
    EOT,
    ETB,
    ETX,
    NAK,
    RESULT,
    STX,
    Bench,
    block,
    blocks,
    session,
)

STREAM = b"\r".join(RESULT) + b"\r"
LONG = (b"H|\\^&", b"C|1|I|" + b"x" * 600, b"L|1|N")
LONG_STREAM = b"\r".join(LONG) + b"\r"
MADE = blocks()
BAD = MADE[1].replace(b"P|1", b"P|2")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    bytes: bytes
    answers: bytes
    messages: tuple[tuple[bytes, ...], ...] = (RESULT,)
    first: bytes = b""  # what is sent, and answered, before the rest
    waits: bool = False
    one_by_one: bool = False


def cut(stream: bytes, limit: int = 240) -> bytes:
    parts = [stream[n : n + limit] for n in range(0, len(stream), limit)]
    ends = [ETB] * (len(parts) - 1) + [ETX]
    numbered = enumerate(zip(parts, ends, strict=True), start=1)
    return b"".join(block(n % 8, part, end) for n, (part, end) in numbered)


SCENARIOS = [
    Scenario(name="01 record per frame", bytes=session(), answers=ACK * 6),
    Scenario(name="02 message in one frame", bytes=ENQ + block(1, STREAM) + EOT, answers=ACK * 2),
    Scenario(
        name="03 ETB record",
        bytes=ENQ
        + block(1, STREAM[:30], ETB)
        + block(2, STREAM[30:45], ETB)
        + block(3, STREAM[45:])
        + EOT,
        answers=ACK * 4,
    ),
    Scenario(
        name="04 240-byte stream",
        bytes=ENQ + cut(LONG_STREAM) + EOT,
        answers=ACK * 4,
        messages=(LONG,),
    ),
    Scenario(name="05 frame in two segments", bytes=session(), answers=ACK * 6),
    Scenario(name="06 byte by byte", bytes=session(), answers=ACK * 6, one_by_one=True),
    Scenario(
        name="07 EOT and ENQ in one segment",
        bytes=session() + session(),
        answers=ACK * 12,
        messages=(RESULT, RESULT),
    ),
    Scenario(
        name="08 bad checksum, NAK, sent again",
        bytes=ENQ + MADE[0] + BAD + b"".join(MADE[1:]) + EOT,
        answers=ACK * 2 + NAK + ACK * 4,
    ),
    Scenario(
        name="09 repeated frame",
        bytes=ENQ + b"".join(made + made for made in MADE) + EOT,
        answers=ACK * 11,
    ),
    Scenario(
        name="10 skipped frame number",
        bytes=ENQ + MADE[0] + MADE[2] + b"".join(MADE[1:]) + EOT,
        answers=ACK * 2 + NAK + ACK * 4,
    ),
    Scenario(
        name="11 noise before STX",
        bytes=ENQ + b"".join(b"\xffx\x00" + made for made in MADE) + EOT,
        answers=ACK * 6,
    ),
    Scenario(
        name="12 CR without LF",
        bytes=ENQ + b"".join(made[:-1] for made in MADE),
        answers=ACK * 6,
        waits=True,
    ),
    Scenario(
        name="13 lower-case checksum",
        bytes=ENQ + b"".join(made[:-4] + made[-4:].lower() for made in MADE) + EOT,
        answers=ACK * 6,
    ),
    Scenario(name="14 ENQ repeated", first=ENQ + ENQ, bytes=session()[1:], answers=ACK * 7),
    Scenario(name="15 EOT in neutral", bytes=EOT + EOT + session(), answers=ACK * 6),
    Scenario(name="16 ENQ and EOT", bytes=ENQ + EOT + session() + ENQ + EOT, answers=ACK * 8),
    Scenario(
        name="17 stray ACK and NAK",
        bytes=ACK + NAK + ENQ + ACK + b"".join(made + NAK + ACK for made in MADE) + EOT,
        answers=ACK * 6,
    ),
    Scenario(name="18 frame without ENQ", bytes=b"".join(MADE) + EOT, answers=ACK * 5),
    Scenario(
        name="19 two messages in a session",
        bytes=session(RESULT + RESULT),
        answers=ACK * 11,
        messages=(RESULT, RESULT),
    ),
    Scenario(
        name="20 frame of 63,993 characters",
        bytes=ENQ
        + MADE[0]
        + block(2, b"C|1|I|" + b"x" * 63_986 + b"\r")
        + block(3, b"L|1\r")
        + EOT,
        answers=ACK * 4,
        messages=((RESULT[0], b"C|1|I|" + b"x" * 63_986, b"L|1"),),
    ),
    Scenario(
        name="21 EOT inside a record",
        bytes=ENQ + MADE[0] + block(2, b"P|1|par", ETB) + EOT + session(),
        answers=ACK * 9,
    ),
    Scenario(
        name="22 link lost: nothing final",
        bytes=ENQ + b"".join(MADE[:4]),
        answers=ACK * 5,
        messages=(),
    ),
    Scenario(
        name="23 byte 0xB5",
        bytes=session((b"H|\\^&", b"R|1|^^^X|1|\xb5mol/L", b"L|1")),
        answers=ACK * 4,
        messages=((b"H|\\^&", b"R|1|^^^X|1|\xb5mol/L", b"L|1"),),
    ),
    Scenario(
        name="24 new STX inside a frame",
        bytes=ENQ + MADE[0] + STX + b"2garb" + b"".join(MADE[1:]) + EOT,
        answers=ACK * 6,
    ),
    Scenario(
        name="25 frame number 9",
        bytes=ENQ + STX + b"9" + MADE[0][2:] + b"".join(MADE) + EOT,
        answers=ACK + NAK + ACK * 5,
    ),
    Scenario(
        name="26 every frame ETB",
        bytes=ENQ
        + b"".join(block(n, record + b"\r", ETB) for n, record in enumerate(RESULT, start=1))
        + EOT,
        answers=ACK * 6,
    ),
    Scenario(
        name="27 no CR before ETX",
        bytes=ENQ + b"".join(block(n, record) for n, record in enumerate(RESULT, start=1)) + EOT,
        answers=ACK * 6,
    ),
    Scenario(
        name="28 trailing delimiters kept",
        bytes=session((b"H|\\^&", b"R|1|^^^A^^|1|^^|||", b"L|1|")),
        answers=ACK * 4,
        messages=((b"H|\\^&", b"R|1|^^^A^^|1|^^|||", b"L|1|"),),
    ),
    Scenario(
        name="29 other delimiters",
        bytes=session((b"H|@^\\|", b"R|1|A^1@B^2|1", b"L|1")),
        answers=ACK * 4,
        messages=((b"H|@^\\|", b"R|1|A^1@B^2|1", b"L|1"),),
    ),
]


def pieces_of(scenario: Scenario) -> list[bytes]:
    data = scenario.bytes
    if scenario.one_by_one:
        return [data[n : n + 1] for n in range(len(data))]
    middle = len(data) // 2 + 2
    return [data[:middle], data[middle:]]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[item.name for item in SCENARIOS])
def test_the_receiver_passes_the_probe(scenario: Scenario) -> None:
    bench = Bench()
    answers = bench.feed(scenario.first) + bench.wait(0.5) + bench.feed(*pieces_of(scenario))
    if scenario.waits:
        answers += bench.wait(0.5)
    assert answers == scenario.answers
    bench.lose()
    assert bench.whole == list(scenario.messages)


def test_scenario_29_is_read_with_its_own_delimiters() -> None:
    bench = Bench()
    bench.feed(SCENARIOS[-1].bytes)
    result = Message.parse(bench.whole[0]).records[1]
    assert result.repeats(3) == ("A^1", "B^2")
    assert result.component(3, 2, repeat=2) == "2"
