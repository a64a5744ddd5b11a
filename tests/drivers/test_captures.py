"""Every capture of `tests/captures`, over every wire: adding two files adds these tests.

`<key>/<case>.cap` holds what the instrument sent and what it was answered; `<case>.json` what the driver must
make of it, message by message: of each observation the fields that the file names. Ours are synthetic.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lis.domain.messages import Attachment, Protocol, Translation
from lis.drivers import identify, registry, translate
from lis.drivers.profile import Profile
from lis.drivers.session import run_session
from lis.transport import LinkAddress, LinkState, Pipe, open_pipe, serve_link
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_frame import ENQ, EOT, STX, blocks_of
from lis.wire.astm_link import AstmLink, FrameReceived, Role
from lis.wire.capture import Chunk, Direction, read_any, read_capture
from lis.wire.mllp import BlockReceived, MllpFramer, frame
from lis.wire.printout import BlockReceived as SlipReceived
from lis.wire.printout import PrintoutFramer
from tests.conftest import CORPUS
from tests.drivers.expected_corpus import EXPECTED
from tests.drivers.wires import CUTTINGS, Host, cut

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
CASES = sorted(CAPTURES.glob("*/*.cap"))
RECEIVED_AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
WAIT_S = 10.0

cases = pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")


@pytest.fixture
def threads_of_the_tools() -> str:
    return "asyncio_"  # a pty blocks, so the test reads it in a thread


def load(path: Path) -> tuple[Profile, tuple[Chunk, ...], list[dict[str, Any]]]:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert expected["synthetic"], "a real capture needs its source in the profile's evidence"
    return registry.get(path.parent.name), read_capture(path.read_bytes()), expected["messages"]


def shown(value: object) -> object:
    """One field of an observation, as the JSON writes it."""
    match value:
        case Attachment(record, kind, name):
            return [record, kind.value, name]
        case tuple():
            return [shown(item) for item in value]
        case datetime():
            return value.isoformat()
        case _:
            return value


def check(read: Translation, expected: dict[str, Any]) -> None:
    assert len(read.observations) == len(expected["observations"])
    for observation, wanted in zip(read.observations, expected["observations"], strict=True):
        fields = dict(wanted)
        assert observation.value.text == fields.pop("value")
        number = fields.pop("number")
        assert observation.value.number == (None if number is None else Decimal(number))
        if control := fields.pop("control", None):
            reported = observation.control
            assert reported is not None
            assert {name: getattr(reported, name) for name in control} == control
        assert {name: shown(getattr(observation, name)) for name in fields} == fields
    queries = [
        {"specimens": list(query.specimens), "all": query.wants_all, "cancel": query.is_cancel}
        for query in read.queries
    ]
    assert queries == expected["queries"]
    assert [entry.record for entry in read.unreadable] == expected["unreadable"]


def check_units(profile: Profile, units: list[bytes], expected: list[dict[str, Any]]) -> None:
    assert len(units) == len(expected)
    for unit, wanted in zip(units, expected, strict=True):
        assert identify(unit) == profile.key
        check(translate(profile, unit, zone=UTC, received_at=RECEIVED_AT), wanted)


def test_every_driver_has_a_capture() -> None:
    assert {path.parent.name for path in CASES} == set(registry.keys())


@cases
def test_a_capture_file_can_be_read_as_it_lies(path: Path) -> None:
    profile, _, expected = load(path)

    check_units(profile, list(read_any(path.read_bytes()).units), expected)


def astm_units(pieces: list[bytes]) -> list[bytes]:
    link, units = AstmLink(Role.HOST), []
    for piece in pieces:
        events = link.receive_bytes(piece, 0.0)
        while events and isinstance(events[-1], FrameReceived):
            units.extend(message.raw for message in events[-1].messages)
            link.accept(0.0)
            events = link.tick(0.0)
    return units


def hl7_units(pieces: list[bytes]) -> list[bytes]:
    framer = MllpFramer()
    events = [event for piece in pieces for event in framer.receive_bytes(piece, 0.0)]
    return [event.payload for event in events if isinstance(event, BlockReceived)]


def slips(pieces: list[bytes]) -> list[bytes]:
    framer = PrintoutFramer()
    events = [event for piece in pieces for event in framer.receive_bytes(piece, 0.0)]
    return [event.raw for event in events if isinstance(event, SlipReceived)]


UNITS = {Protocol.ASTM: astm_units, Protocol.HL7: hl7_units, Protocol.PRINTOUT: slips}


@cases
@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_a_capture_means_the_same_however_its_bytes_are_cut(
    path: Path, how: str, seed: int
) -> None:
    profile, chunks, expected = load(path)
    stream = b"".join(chunk.data for chunk in chunks if chunk.direction is Direction.IN)
    pieces = list(cut(stream, how, seed))

    check_units(profile, UNITS[profile.protocol](pieces), expected)


# ------------------------------------------------------------------ real wires


@asynccontextmanager
async def tcp(host: Host, profile: Profile) -> AsyncIterator[Pipe]:
    async with listening(host, profile, "tcp-listen://127.0.0.1:0") as where:
        pipe = await open_pipe(LinkAddress.parse(f"tcp-connect://{where}"))
        try:
            yield pipe
        finally:
            await pipe.close()


@asynccontextmanager
async def pty(host: Host, profile: Profile) -> AsyncIterator[Pipe]:
    master, slave = os.openpty()
    try:
        async with listening(host, profile, f"serial://{os.ttyname(slave)}"):
            yield PtyPipe(master)
    finally:
        os.close(slave)
        os.close(master)


class PtyPipe:
    """The instrument's end of a pty."""

    peer = "pty"

    def __init__(self, master: int) -> None:
        self._master = master

    async def receive(self) -> bytes:
        return await asyncio.to_thread(os.read, self._master, 4096)

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self._master, data)

    async def close(self) -> None:
        """The pty is closed by whoever opened it."""


@asynccontextmanager
async def listening(host: Host, profile: Profile, url: str) -> AsyncIterator[str]:
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()

    def on_state(state: LinkState, detail: str) -> None:
        if state in {LinkState.LISTENING, LinkState.CONNECTED} and not opened.done():
            opened.set_result(detail)

    async def serve(pipe: Pipe) -> None:
        await run_session(
            pipe,
            profile=profile,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )

    address = LinkAddress.parse(url)
    link = asyncio.create_task(serve_link(address, serve, on_state=on_state, stop=stop))
    try:
        yield await asyncio.wait_for(opened, WAIT_S)
    finally:
        stop.set()
        await link


async def replay(pipe: Pipe, chunks: tuple[Chunk, ...], how: str) -> None:
    """Send what the instrument sent; wait where it waited for an answer."""
    for chunk in chunks:
        if chunk.direction is Direction.OUT:
            assert await asyncio.wait_for(pipe.receive(), WAIT_S)
            continue
        for piece in cut(chunk.data, how):
            await pipe.send(piece)


@cases
@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize("wire", [tcp, pty], ids=["tcp", "pty"])
async def test_a_capture_means_the_same_over_a_real_wire(path: Path, how: str, wire: Any) -> None:
    profile, chunks, expected = load(path)
    host = Host()

    async with wire(host, profile) as pipe:
        await replay(pipe, chunks, how)
        await kept(host, len(expected))

    check_units(profile, [unit.raw for unit in host.shelf.units], expected)
    assert all(unit.is_complete for unit in host.shelf.units)


# ------------------------------------------------------------------ the corpus, over the same wires


def corpus_stream(name: str, protocol: Protocol) -> bytes:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"no corpus file {name}; set LIS_CORPUS")
    raw = path.read_bytes()
    if protocol is Protocol.PRINTOUT:
        return raw
    if protocol is Protocol.ASTM and STX not in raw:  # a file of records: framed as on a line
        raw = b"".join(blocks_of(decode_raw(raw)))
    return frame(raw) if protocol is Protocol.HL7 else ENQ + raw + EOT


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize("wire", [tcp, pty], ids=["tcp", "pty"])
async def test_a_corpus_file_means_the_same_over_a_real_wire(
    name: str, how: str, wire: Any
) -> None:
    expected = EXPECTED[name]
    profile, host = registry.get(expected.driver), Host()
    stream = corpus_stream(name, profile.protocol)

    async with wire(host, profile) as pipe:
        answers = asyncio.create_task(read_on(pipe))
        for piece in cut(stream, how):
            await pipe.send(piece)
        await kept(host, 1)
        answers.cancel()

    [unit] = host.shelf.units
    assert unit.is_complete
    read = translate(profile, unit.raw, zone=UTC, received_at=RECEIVED_AT)
    rows = [(o.record, o.test, o.value.text, o.unit, o.flags) for o in read.observations]
    assert rows == [(row[0], row[1], row[2], row[4], row[5]) for row in expected.rows]
    assert {o.record: o.part_of for o in read.observations if o.part_of} == expected.supports


@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize(
    "name", [name for name in EXPECTED if name.startswith(("astm/go-astm", "astm/tgenaux"))]
)
def test_a_corpus_file_of_records_means_the_same_without_frames(name: str, how: str) -> None:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"no corpus file {name}; set LIS_CORPUS")
    expected = EXPECTED[name]
    [unit] = astm_units(list(cut(path.read_bytes().replace(b"\n", b"\r") + b"\r", how)))

    read = translate(registry.get(expected.driver), unit, zone=UTC, received_at=RECEIVED_AT)
    rows = [(o.record, o.test, o.value.text, o.unit, o.flags) for o in read.observations]
    assert rows == [(row[0], row[1], row[2], row[4], row[5]) for row in expected.rows]


async def kept(host: Host, count: int) -> None:
    """Wait until so many units are kept: who closes a pty earlier throws bytes away."""
    async with asyncio.timeout(WAIT_S):
        while len(host.shelf.units) < count:
            host.shelf.started.clear()
            await host.shelf.started.wait()


async def read_on(pipe: Pipe) -> None:
    """Take answers as they come, so that nobody waits for a full buffer."""
    while await pipe.receive():
        pass
