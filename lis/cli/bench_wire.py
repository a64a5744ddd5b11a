"""Figures of `lis bench wire` for HL7: our reader and framer beside python-hl7, in one run.

Both sides do the same work on the same message, and their results are compared before anything
is timed. What is counted is CPU time of the process that does the work, in turns and with the
median of several rounds, so that a busy neighbour on the machine moves the ratio little.

    hl7_read_N_of_python_hl7   messages a CPU-second: bytes to MSH-9, MSH-10, PID-3, PID-5 and
                               seven parts of each OBX; N results, or LAW's OUL^R22 with 12
    mllp_cpu_of_hl7_mllp       CPU microseconds a message of a server that receives, reads and
                               acknowledges; theirs in its documented use, which parses and
                               acknowledges but reads no OBX. Less is better, also the ratio

We start from bytes and find the character set; python-hl7 is given the decoded text, which is
its faster way. The peer comes with the extra `bench` and is imported only here.
"""

import asyncio
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from lis.cli.bench_astm import astm_figures
from lis.cli.bench_timing import BenchPeerMissing, Figure, Peer, calls_per_cpu_s
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, acknowledge
from lis.wire.hl7_writer import Value, message, segment
from lis.wire.mllp import CR, FS, BlockReceived, MllpFramer, frame

__all__ = ["BenchPeerMissing", "Figure", "Peer", "figures", "hl7_read_figures", "mllp_figure"]

ROUNDS = 5
ROUND_S = 0.2  # long enough for the clock's ticks, short enough for twenty of them in a bench
LOAD_S = 2.0
CONNECTIONS = 8  # analyzers at once; a server that sleeps between messages pays for waking up
LOOPBACK = "127.0.0.1"
AT = datetime(2026, 11, 22, 10, 10, 10, tzinfo=UTC)
ACCEPTED = b"MSA|AA|"

ANALYTES = (
    ("6690-2", "Лейкоциты", "10*9/L", "4.00-9.00"),
    ("718-7", "Гемоглобин", "g/L", "120-160"),
    ("777-3", "Тромбоциты", "10*9/L", "150-400"),
    ("2345-7", "Глюкоза", "mmol/L", "3.9-6.1"),
    ("2160-0", "Креатинин", "umol/L", "62-106"),
)

Row = tuple[str, ...]
Reading = tuple[Row, list[Row]]


def figures() -> list[Figure]:
    """Everything of `lis bench wire`."""
    astm = astm_figures(round_s=ROUND_S, rounds=ROUNDS)
    return [*astm, *hl7_read_figures(), mllp_figure()]


def hl7_read_figures(*, round_s: float = ROUND_S, rounds: int = ROUNDS) -> list[Figure]:
    """The four reading figures, each with its peer."""
    python_hl7 = _python_hl7()
    messages = {"1": oru(1), "20": oru(20), "100": oru(100), "oul": oul(12)}
    return [
        _read_figure(python_hl7, f"hl7_read_{name}_of_python_hl7", raw, round_s, rounds)
        for name, raw in messages.items()
    ]


def mllp_figure(*, load_s: float = LOAD_S, results: int = 20) -> Figure:
    """CPU of an MLLP server a message, beside hl7.mllp."""
    python_hl7 = _python_hl7()
    raw = oru(results)
    ours = _server_cpu_us(_serve_ours, raw, load_s)
    theirs = _server_cpu_us(_serve_theirs, raw, load_s)
    peer = Peer(name="hl7.mllp", version=python_hl7.__version__, value=theirs)
    return Figure(
        what="mllp_cpu_of_hl7_mllp", value=ours, unit="us/message", peer=peer, ratio=ours / theirs
    )


# ------------------------------------------------------------------ messages


def oru(results: int) -> bytes:
    """A hematology analyzer's ORU^R01, as full as the field sends them."""
    lines = [
        _header("ORU", "R01", "ORU_R01"),
        _patient("1"),
        segment("PV1", "1", "I", ("W1", "101", "2", "Hosp")),
        segment("ORC", "RE", "ORD77", "SPEC1"),
        segment("OBR", "1", "ORD77", "SPEC1", ("00001", "Automated Count", "99MRC"), *_OBR_REST),
    ]
    return message([*lines, *(_obx(number, "N", _LAST_OF_ORU) for number in range(results))])


def oul(orders: int) -> bytes:
    """A LAW analyzer's OUL^R22, with the segments that surround each result."""
    lines = [
        _header("OUL", "R22", "OUL_R22"),
        _patient(None),
        segment("SPM", "1", ("140799", "BARCODE"), None, ("SERPLAS", None, "99ROC"), *_SPM_REST),
        segment("SAC", None, None, ("140799", "BARCODE"), *[None] * 6, "50036", "1"),
    ]
    for number in range(orders):
        code = ANALYTES[number % 5]
        lines += [
            segment("OBR", str(number + 1), f"AWOS{number + 1}", None, (*code[:2], "LN")),
            segment("ORC", "SC", None, None, None, "CM"),
            segment("TQ1", *[None] * 8, ("R", None, "HL70485")),
            _obx(number, ("N", None, "HL70078"), _LAST_OF_OUL),
            segment("TCD", (code[0], None, "99ROC"), (None, "1", None, ":", "1")),
            *(segment("INV", lot, *_INV_REST) for lot in ("1310001", "1018401")),
        ]
    return message(lines)


_OBR_REST: tuple[Value, ...] = (
    *(None, None, "20261122093000", *[None] * 6, "20261122093500", *[None] * 7),
    *("20261122101000", None, "HM", "F"),
)
_SPM_REST: tuple[Value, ...] = (
    *[None] * 6,
    ("P", None, "HL70369"),
    *[None] * 15,
    ("SC", None, "99ROC"),
)
_INV_REST: tuple[Value, ...] = (
    *([("OK", None, "HL70383"), ("CURRENT", None, "99ROC")], "R1", "24308", "1", "19"),
    *(*[None] * 5, "20270831", None, None, None, "620931"),
)
_LAST_OF_ORU: tuple[Value, ...] = ("20261122100959", None, "OP1")
_LAST_OF_OUL: tuple[Value, ...] = (
    *(None, None, ["ADMIN", "BATCH"], None, [("e801", "ROCHE"), ("2037-06", "ROCHE")]),
    *("20261122100959", *[None] * 9, "RSLT"),
)


def _header(*message_type: str) -> str:
    names = ("BC-6800", "Mindray", "LIS", "Lab", "20261122101010+0300")
    rest = (None, None, "AL", "NE", None, "UNICODE UTF-8")
    return segment("MSH", *names, None, message_type, "MSG000001", "P", "2.5.1", *rest)


def _patient(number: str | None) -> str:
    ids = ("PAT000123", None, None, "Hosp", "MR")
    name = ("Иванова", "Мария", "Петровна", None, None, None, "L")
    address = ("Lenina 1", None, "Moscow", None, "101000", "RU")
    rest = (None, "19700101", "F", None, None, address)
    return segment("PID", number, None, ids, None, name, *rest)


def _obx(number: int, flag: Value, last: tuple[Value, ...]) -> str:
    code, name, unit, interval = ANALYTES[number % 5]
    value = f"{4 + number * 0.37:.2f}"
    start = (str(number + 1), "NM", (code, name, "LN"), None, value, unit, interval, flag)
    return segment("OBX", *start, None, None, "F", None, None, *last)


# ------------------------------------------------------------------ reading


def read_with_ours(raw: bytes) -> Reading:
    return _read_parts(Message.parse(raw))


def _read_parts(parsed: Message) -> Reading:
    header, patient = parsed.header, parsed.first("PID")
    assert patient is not None
    first = (header.component(9), header.component(10), patient.component(3), patient.component(5))
    rows: list[Row] = []
    for obx in parsed.all("OBX"):
        at = obx.component
        rows.append((at(3), at(3, 2), at(5), at(6), at(7), at(8), at(11)))
    return first, rows


def read_with_python_hl7(python_hl7: ModuleType, text: str) -> Reading:
    parsed = python_hl7.parse(text)
    header, patient, at = parsed.segment("MSH"), parsed.segment("PID"), _peer_part
    first = (at(header, 9), at(header, 10), at(patient, 3), at(patient, 5))
    rows: list[Row] = [
        (at(x, 3), at(x, 3, 2), at(x, 5), at(x, 6), at(x, 7), at(x, 8), at(x, 11))
        for x in parsed.segments("OBX")
    ]
    return first, rows


def _peer_part(of: Any, n: int, c: int = 1) -> str:
    repetition = of(n)[0]
    return repetition if isinstance(repetition, str) else str(repetition[c - 1])


def _read_figure(
    python_hl7: ModuleType, what: str, raw: bytes, round_s: float, rounds: int
) -> Figure:
    text = raw.decode("utf-8")
    if read_with_ours(raw) != read_with_python_hl7(python_hl7, text):
        raise AssertionError(f"{what}: the two readers disagree, so no time can be compared")
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(calls_per_cpu_s(lambda: read_with_ours(raw), round_s))
        theirs.append(calls_per_cpu_s(lambda: read_with_python_hl7(python_hl7, text), round_s))
    value, peer_value = statistics.median(ours), statistics.median(theirs)
    peer = Peer(name="hl7", version=python_hl7.__version__, value=peer_value)
    return Figure(
        what=what, value=value, unit="messages/CPU-s", peer=peer, ratio=value / peer_value
    )


# ------------------------------------------------------------------ serving, each in its process

_Serve = Callable[[Connection], None]


def _server_cpu_us(serve: _Serve, raw: bytes, load_s: float) -> float:
    """Ping-pong on several connections; the server tells its own CPU time when it is left."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        count = _ping_pong(here.recv(), frame(raw), load_s)
        return float(here.recv()) / count * 1e6
    finally:
        process.join(timeout=10)
        process.close()
        here.close()
        there.close()


def _ping_pong(port: int, framed: bytes, load_s: float) -> int:
    """Each connection has one message in flight; all together keep the server awake."""
    count = 0
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((LOOPBACK, port), timeout=10))
            for _ in range(CONNECTIONS)
        ]
        until = time.monotonic() + load_s
        while time.monotonic() < until:
            for connection in connections:
                connection.sendall(framed)
            for connection in connections:
                _receive_ack(connection)
            count += CONNECTIONS
    return count


def _receive_ack(connection: socket.socket) -> None:
    reply = b""
    while not reply.endswith(FS + CR):
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("expected an acknowledgement, the server closed")
        reply += received
    if ACCEPTED not in reply:
        raise ConnectionError("expected a positive acknowledgement")


class _OurServer(asyncio.Protocol):
    def __init__(self, left: asyncio.Event) -> None:
        self._framer = MllpFramer()
        self._left = left
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        for event in self._framer.receive_bytes(data, 0.0):
            if isinstance(event, BlockReceived):
                parsed = Message.parse(event.payload)
                _read_parts(parsed)
                reply = acknowledge(
                    parsed,
                    code=AckCode.AA,
                    control_id="A1",
                    at=AT,
                    sending=("LIS", "Lab"),
                )
                self._transport.write(frame(reply))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's shape
        self._left.set()


def _serve_ours(pipe: Connection) -> None:
    async def serve() -> None:
        left = asyncio.Event()
        server = await asyncio.get_running_loop().create_server(
            lambda: _OurServer(left), LOOPBACK, 0
        )
        await _until_left(server, left, pipe)

    asyncio.run(serve())


def _serve_theirs(pipe: Connection) -> None:
    from hl7.mllp import start_hl7_server  # the peer is an extra

    async def serve() -> None:
        left = asyncio.Event()

        async def answer(reader: Any, writer: Any) -> None:
            try:
                while not writer.is_closing():
                    received = await reader.readmessage()
                    writer.writemessage(received.create_ack("AA"))
                    await writer.drain()
            except asyncio.IncompleteReadError:
                writer.close()
            left.set()

        server = await start_hl7_server(answer, LOOPBACK, 0, encoding="utf-8")
        await _until_left(server, left, pipe)

    asyncio.run(serve())


async def _until_left(server: Any, left: asyncio.Event, pipe: Connection) -> None:
    started = time.process_time()
    pipe.send(server.sockets[0].getsockname()[1])
    await left.wait()
    pipe.send(time.process_time() - started)
    server.close()


def _python_hl7() -> ModuleType:
    try:
        import hl7  # the peer is an extra
    except ImportError:
        raise BenchPeerMissing(
            "lis bench wire compares with python-hl7: pip install 'lis[bench]' -c constraints.txt"
        ) from None
    peer: ModuleType = hl7
    return peer
