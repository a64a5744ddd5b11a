"""Whatever the bytes, only our errors come out, and the work grows with their number and no faster.

3,000 inputs for each target, a million in all with LIS_FUZZ=1000000 (see `mutating`).
"""

import asyncio
import re
from collections.abc import Hashable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random

import pytest

from lis.domain.messages import Protocol
from lis.drivers import identify, registry, translate
from lis.drivers.driver import lane_of, protocol_of
from lis.drivers.session import run_session
from lis.transport import LinkLost, memory_pair
from lis.wire.astm_assembly import decode_messages, decode_raw
from lis.wire.astm_link import AstmLink, Event, FrameReceived, LinkSettings, Role, SessionEnded
from lis.wire.astm_record import Message as Records
from lis.wire.capture import read_any, read_capture, write_capture
from lis.wire.errors import ProtocolError, RemoteProtocolError
from lis.wire.hl7 import Message, split_messages
from lis.wire.hl7_batch import read_batch
from lis.wire.mllp import FS, VT, frame
from tests.drivers.wires import Host
from tests.fuzz.mutating import CAPTURES, TIMEOUT_S, Work, captured, fuzz
from tests.streams.rolls import pieces
from tests.wire.astm_harness import ACK, ENQ, EOT, ETB, ETX, NAK, RESULT, STX, block, session

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LINES = b"\r".join(RESULT) + b"\r"
HL7 = (
    b"MSH|^~\\&|BC-5380|Mindray|LIS||20261122101010||ORU^R01|17|P|2.3.1||||0||UNICODE\r"
    b"PID|1||4711^^^^MR\rOBR|1||10000017|00001^Count^99MRC|||20261122100000\r"
    b"OBX|1|NM|6690-2^WBC^LN||9.55|10*9/L|4.00-10.00|N|||F\r"
    b"OBX|2|ED|15000^Histogram^99MRC||^Image^BMP^Base64^QUJD||||||F\rNTE|1||note\\T\\more\r"
)

ASTM_TOKENS = [
    *(
        ENQ,
        EOT,
        ACK,
        NAK,
        STX,
        ETX,
        ETB,
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff",
        b"|",
        b"\\",
        b"^",
        b"&",
    ),
    *(
        b"H|\\^&",
        b"L|1|N\r",
        b"L\r",
        b"\rP|1\r",
        b"&X0D&",
        b"&F&",
        b"&|&",
        b"&Z09&",
        b'""',
        b"00\r\n",
    ),
    *(
        b"H||^&",
        b"H|@^\\|",
        b"hello",
        b"\x021H|\\^&\r\x03",
        b"1e9",
        b"99999999999999",
        b"-0",
        b"<.1",
    ),
]
HL7_TOKENS = [
    *(
        b"MSH|^~\\&|",
        b"MSH",
        b"\rMSH|^~\\&|||||||ORU^R01|1|P|2.5.1\r",
        b"MSA|AA|1\r",
        b"\r",
        b"\n",
        b"\r\n",
    ),
    *(
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"#",
        b"\\T\\",
        b"\\X0D\\",
        b"\\.br\\",
        b"\\Z03BC\\",
        b"\\X",
        b'""',
    ),
    *(
        b"BHS|^~\\&\r",
        b"BTS|2\r",
        b"FHS|^~\\&\r",
        b"FTS|1\r",
        b"|AL|NE|",
        b"UNICODE UTF-8",
        b"GB 18030-2000",
    ),
    *(
        b"QRY^Q02",
        b"ORM^O01",
        b"OUL^R22^OUL_R22",
        b"ACK",
        b"2.9",
        b"\xef\xbb\xbf",
        b"\x0b",
        b"\x00",
        b"\xff",
    ),
]
FILE_TOKENS = [
    *(
        b"# lis capture 1\n",
        b"<STX>",
        b"[STX]",
        b"<CR>",
        b"[CR]",
        b"<x20>",
        b"<xZZ>",
        b"<",
        b"# ",
        b" in ",
        b" out ",
    ),
    *(
        b"2026-03-01T08:15:02+00:00 in <ENQ>\n",
        b"2026-99-99",
        b"+25:00",
        b"<VT>",
        b"<FS>",
        b"<SB>",
        b"[EB]",
    ),
]


@pytest.fixture(scope="module")
def astm_seeds() -> list[bytes]:
    ours = [data for data in captured() if VT not in data]
    return [session(), ENQ + block(1, LINES) + EOT, LINES, *ours]


@pytest.fixture(scope="module")
def hl7_seeds() -> list[bytes]:
    ours = [data.strip(VT).rstrip(FS + b"\r") for data in captured() if VT in data]
    return [HL7, HL7 + HL7, b"FHS|^~\\&\rBHS|^~\\&\r" + HL7 + b"BTS|1\rFTS|1\r", *ours]


# ------------------------------------------------------------------------------------ frames


class Line:
    """A link under fire, with a keeper that takes what comes and sometimes refuses."""

    def __init__(self, chance: Random) -> None:
        role = chance.choice([Role.HOST, Role.INSTRUMENT])
        self.link = AstmLink(role, LinkSettings(messages_per_session=3))
        self.now = 1_000.0
        self.names: list[str] = []
        self._chance = chance
        if chance.random() < 0.3:
            self.link.send_message(RESULT, self.now)

    def play(self, data: bytes) -> None:
        for piece in pieces(data, self._chance):
            self._take(self.link.receive_bytes(piece, self.now))
        for _ in range(12):
            deadline = self.link.next_deadline()
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            self._take(self.link.tick(self.now))
        self._take(self.link.connection_lost(self.now))

    def _take(self, events: list[Event]) -> None:
        while True:
            for event in events:
                self._note(event)
            if self.link.next_deadline() != 0.0:
                return
            events = self.link.tick(self.now)

    def _note(self, event: Event) -> None:
        self.names.append(type(event).__name__ + str(getattr(event, "reason", ""))[:20])
        if isinstance(event, SessionEnded) and event.incomplete is not None:
            assert not event.incomplete.complete
        if not isinstance(event, FrameReceived):
            return
        for message in event.messages:
            assert decode_raw(message.raw) == message.records
            is_whole = message.records[0][:1] in b"Hh" and message.records[-1][:1] in b"Ll"
            assert is_whole or not message.complete
        if self._chance.random() < 0.9:
            self.link.accept(self.now, event.serial)
        else:
            self.link.refuse(self.now, event.serial)


def frames(data: bytes, chance: Random) -> Hashable:
    line = Line(chance)
    line.play(data)
    return tuple(dict.fromkeys(line.names))


@pytest.mark.timeout(TIMEOUT_S)
def test_frames(astm_seeds: list[bytes]) -> None:
    assert fuzz("frames", frames, astm_seeds, ASTM_TOKENS, Work(fixed=6_000, per_byte=60)) > 20


# ------------------------------------------------------------------------------------ records


RECORDS_READ_MAX = 25  # of one input, field by field; an input may hold a thousand


def records(data: bytes, chance: Random) -> Hashable:
    """Every field, repeat and component of every record, in any charset."""
    charset = chance.choice(["latin-1", "utf-8", "cp1251", "gb18030"])
    message = Records.parse(data.split(b"\r"), charset)
    shape: list[object] = []
    for node in message.walk():
        record = node.record
        mark = record.delimiters.field
        joined = mark.join(record.fields).encode(charset, errors="surrogateescape")
        is_header = record.type == "H"
        assert is_header or joined == record.raw
        shape.append((record.type, record.delimiters.is_guess, node.parent and node.parent.type))
        if len(shape) > RECORDS_READ_MAX:
            continue
        for number in range(1, min(len(record.fields), 12) + 2):
            record.field(number)
            for repeat in range(1, min(len(record.repeats(number)), 2) + 2):
                record.components(number, repeat)
    return tuple(dict.fromkeys(shape))


@pytest.mark.timeout(TIMEOUT_S)
def test_records() -> None:
    seeds = [LINES, b"H|\\^&|||A^1@B&X41&\rR|1|^^^X\\Y&F&|<1.2\rC|1|I|&S&\rL|1|N\r"]
    assert fuzz("records", records, seeds, ASTM_TOKENS, Work(fixed=3_000, per_byte=60)) > 20


# --------------------------------------------------------------------------------------- HL7


def hl7(data: bytes, _chance: Random) -> Hashable:
    """Batches, messages, segments, fields, repeats, components."""
    with suppress(RemoteProtocolError):
        read_batch(data)
    outcome: list[object] = []
    for part in split_messages(data):
        try:
            message = Message.parse(part)
        except RemoteProtocolError as error:
            outcome.append(str(error)[:30])
            continue
        outcome.append((message.charset, message.charset_is_declared_wrong, message.code[:3]))
        for segment in message.segments:
            outcome.append(segment.name if segment.name.isalnum() else "?")
            for number in range(1, min(segment.field_count, 30) + 2):
                segment.field(number)
                for repeat in segment.repeats(number)[:9]:
                    repeat.parts()
    return tuple(dict.fromkeys(outcome))


@pytest.mark.timeout(TIMEOUT_S)
def test_hl7(hl7_seeds: list[bytes]) -> None:
    assert fuzz("hl7", hl7, hl7_seeds, HL7_TOKENS, Work(fixed=3_000, per_byte=80)) > 20


SENTINEL = b"MSH|^~\\&|A|B|C|D|20261122101010||ORU^R01|the last one|P|2.3.1\r"


async def answers_to(payload: bytes) -> tuple[bytes, list[bytes]]:
    """What a session answers to this frame, and what it kept; a good message behind it marks the end."""
    host, (ours, theirs) = Host(), memory_pair()
    running = asyncio.create_task(
        run_session(
            ours,
            protocol=Protocol.HL7,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )
    )
    await theirs.send(frame(payload) + frame(SENTINEL))
    said = b""
    while b"|the last one" not in said:
        piece = await theirs.receive()
        assert piece, "the session ended"
        said += piece
    await theirs.close()
    with suppress(LinkLost):
        await running
    return said[: said.rfind(VT)], [unit.raw for unit in host.shelf.units]


BLANKS = bytes(range(0x21)) + b"\xef\xbb\xbf"
ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")


def is_readable_header(payload: bytes) -> bool:
    """By the letter of the standard, and without our reader: MSH, separators, a message type, nothing before."""
    lines = payload.removeprefix(b"\xef\xbb\xbf").replace(b"\n", b"\r").split(b"\r")
    for line in lines:
        if line[:3] == b"MSH" and re.match(rb"[^A-Za-z0-9 \t]", line[3:4]):
            fields = line.split(line[3:4])
            return len(fields) > 8 and bool(fields[8].strip(b' "'))
        if line.strip(BLANKS) and not line.lstrip(BLANKS).startswith(ENVELOPE):
            return False
    return False


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(TIMEOUT_S)
def test_nothing_with_an_unreadable_header_is_acknowledged_with_aa(
    hl7_seeds: list[bytes], loop: asyncio.Runner
) -> None:
    def judged(data: bytes, _chance: Random) -> Hashable:
        payload = data.replace(FS, b"")
        said, kept = loop.run(answers_to(payload))
        is_positive = b"\rMSA|AA|" in said or b"\rMSA|CA|" in said
        is_readable = is_readable_header(payload)
        assert is_readable or not is_positive
        assert payload in kept or not is_positive, "acknowledged and not kept"
        return is_readable, tuple(said.count(code) for code in (b"|AA|", b"|AE|", b"|AR|", b"|CA|"))

    work = Work(fixed=20_000, per_byte=200)
    assert fuzz("header", judged, hl7_seeds, HL7_TOKENS, work) > 3


# -------------------------------------------------------------------------------------- files


def files(data: bytes, _chance: Random) -> Hashable:
    try:
        chunks = read_capture(data)
    except RemoteProtocolError as error:
        outcome = str(error)[-20:]
    else:
        assert read_capture(write_capture(chunks)) == chunks
        outcome = "capture"
    try:
        reading = read_any(data)
    except RemoteProtocolError:
        return outcome
    decode_messages(data)
    assert all(reading.units)
    return outcome, reading.protocol, min(len(reading.units), 4)


@pytest.mark.timeout(TIMEOUT_S)
def test_capture_files(astm_seeds: list[bytes], hl7_seeds: list[bytes]) -> None:
    seeds = [path.read_bytes() for path in sorted(CAPTURES.glob("*/*.cap"))]
    seeds += [*astm_seeds[:3], *hl7_seeds[:3], b"[STX]1H|\\^&[CR][ETX]00[CR][LF]"]
    tokens = [*FILE_TOKENS, *ASTM_TOKENS[:12], *HL7_TOKENS[:6]]
    assert fuzz("files", files, seeds, tokens, Work(fixed=3_000, per_byte=60)) > 10


# ---------------------------------------------------------------------------------- translate


def translated(data: bytes, chance: Random) -> Hashable:
    """By any driver, also by one that the message is not for."""
    profile = registry.get(chance.choice(registry.keys()))
    read = translate(profile, data, zone=UTC, received_at=AT)
    lane = lane_of(protocol_of(data), data)
    holds = {str(reason) for entry in read.observations for reason in entry.holds}
    assert all(entry.record for entry in read.observations)
    return (
        profile.key,
        identify(data),
        lane,
        min(len(read.observations), 3),
        min(len(read.unreadable), 2),
        min(len(read.queries), 2),
        tuple(sorted(holds)),
    )


@pytest.mark.timeout(TIMEOUT_S)
def test_translating(astm_seeds: list[bytes], hl7_seeds: list[bytes]) -> None:
    seeds = [*astm_seeds, *hl7_seeds]
    tokens = [*ASTM_TOKENS, *HL7_TOKENS]
    try:
        outcomes = fuzz("translate", translated, seeds, tokens, Work(fixed=20_000, per_byte=400))
    except ProtocolError as error:
        raise AssertionError("translate raises nothing for any bytes") from error
    assert outcomes > 20
