"""A load of analyzers in a process of its own: as many as wanted, each sending as soon as it is acknowledged.

    python -m simulators.load --host 127.0.0.1 --port-base 15000 --analyzers 50 --protocol mllp \
        --messages 200 --results 20 --json

Plain blocking sockets under one selector, messages made while the answer to the one before is awaited. Every
answer is timed: what is printed as `ack_ms` is the time from handing a block to the kernel to its acknowledgement
read, for each MLLP message or each ASTM frame; the answer to ENQ, which promises nothing, is timed apart.

An analyzer whose connection ends is lost and stays so: the crash harness wants to know exactly what was
acknowledged before. `--acked FILE` gets the accession number of every acknowledged message, one a line.

Exit code 0: everything was acknowledged; 1: something was refused or lost; 2: usage.
"""

import argparse
import gc
import json
import selectors
import socket
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from simulators.load_messages import Framing, LoadMessage, MessageSource, Wire

__all__ = ["LoadPlan", "LoadReport", "Timing", "main", "run_load"]

CONNECT_WAIT_S = 10.0
ANSWER_WAIT_S = 30.0  # a house that says nothing for so long has lost this analyzer
READ_BYTES = 65_536
SENDS_MAX = 6  # of one frame, LIS01-A2 6.5.1.2
FS, ENQ, ACK, NAK, EOT = b"\x1c", b"\x05", b"\x06", b"\x15", b"\x04"
NANOSECONDS_PER_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is to be sent where."""

    host: str
    port_base: int
    at: datetime
    protocol: Wire = Wire.MLLP
    analyzers: int = 50
    messages: int = 100
    """Of each analyzer."""
    results: int = 20
    single_port: bool = False
    """All analyzers call `port_base`; else analyzer n calls `port_base + n`."""
    per_second: float = 0.0
    """Messages a second of all together; 0 = as fast as they are acknowledged."""
    seconds: float = 0.0
    """Stop after so long; 0 = when all is sent."""
    framing: Framing = Framing.MESSAGE
    codes: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    """Numbers to use, shared out among the analyzers; empty: numbers of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long answers took."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, nanoseconds: "array[int]") -> "Timing | None":
        """None where there was no answer."""
        if not nanoseconds:
            return None
        ordered = sorted(nanoseconds)
        last = len(ordered) - 1

        def at(share: float) -> float:
            return round(ordered[min(last, int(share * len(ordered)))] / NANOSECONDS_PER_MS, 3)

        return cls(count=len(ordered), p50=at(0.5), p99=at(0.99), max=at(1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What happened."""

    protocol: str
    analyzers: int
    sent: int
    acked: int
    results_acked: int
    refused: int
    lost: int
    """Analyzers whose connection ended, or that never got one."""
    seconds: float
    messages_per_s: float
    results_per_s: float
    ack_ms: Timing | None
    enq_ms: Timing | None
    acked_keys: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Everything but the keys, which go to a file."""
        return {name: value for name, value in asdict(self).items() if name != "acked_keys"}


class _Tally:
    """What all analyzers count together."""

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        self.lost = 0
        self.acked: list[str] = []
        self.ack_ns: array[int] = array("q")
        self.enq_ns: array[int] = array("q")


class _Analyzer:
    """One connection; `hear` is called when bytes are there."""

    def __init__(
        self, connection: socket.socket, source: MessageSource, plan: LoadPlan, tally: _Tally
    ) -> None:
        self.connection = connection
        self.not_before = 0.0
        self.is_done = False
        self._source = source
        self._tally = tally
        self._is_astm = plan.protocol is Wire.ASTM
        self._left = plan.messages
        self._message: LoadMessage = source.next()
        self._next: LoadMessage | None = None
        self._block = -1  # -1: the ENQ is out
        self._tries = 0
        self._came = b""
        self._sent_ns = 0
        self.is_waiting = False

    def start(self) -> None:
        """Send the next message, or finish."""
        if not self._left:
            self.is_done = True
            return
        self._left -= 1
        if self._next is not None:
            self._message, self._next = self._next, None
        self._tally.sent += 1
        self._tries = 0
        self._block = -1 if self._is_astm else 0
        self._send(ENQ if self._is_astm else self._message.blocks[0])
        if self._left:
            self._next = self._source.next()  # while the house works

    def hear(self) -> None:
        """Read what came; raises `OSError` when the connection is gone."""
        data = self.connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("closed by the host")
        now_ns = time.perf_counter_ns()
        if self._is_astm:
            self._hear_astm(data, now_ns)
        else:
            self._hear_mllp(data, now_ns)

    def _hear_mllp(self, data: bytes, now_ns: int) -> None:
        self._came += data
        if FS not in self._came:
            return
        self._tally.ack_ns.append(now_ns - self._sent_ns)
        is_taken = self._message.answer in self._came
        self._came = b""
        self._end(is_taken=is_taken)

    def _hear_astm(self, data: bytes, now_ns: int) -> None:
        is_bid = self._block < 0
        (self._tally.enq_ns if is_bid else self._tally.ack_ns).append(now_ns - self._sent_ns)
        if ACK not in data:
            self._again(data)
            return
        self._tries = 0
        self._block += 1
        if self._block < len(self._message.blocks):
            self._send(self._message.blocks[self._block])
        else:
            self.connection.sendall(EOT)
            self._end(is_taken=True)

    def _again(self, data: bytes) -> None:
        """A NAK: the same block once more, up to the standard's limit."""
        self._tally.refused += NAK in data
        self._tries += 1
        if self._tries >= SENDS_MAX:
            self.connection.sendall(EOT)
            self._end(is_taken=False)
            return
        self._send(ENQ if self._block < 0 else self._message.blocks[self._block])

    def _end(self, *, is_taken: bool) -> None:
        self.is_waiting = False
        if is_taken:
            self._tally.acked.append(self._message.key)
        else:
            self._tally.refused += not self._is_astm

    def _send(self, block: bytes) -> None:
        self.is_waiting = True
        self._sent_ns = time.perf_counter_ns()
        self.connection.sendall(block)


def run_load(plan: LoadPlan) -> LoadReport:
    """Send everything; returns when all is answered, lost, or the time is over."""
    tally = _Tally()
    load = _Load(plan, tally, _connected(plan, tally))
    began = time.perf_counter()
    try:
        load.drive(began)
    finally:
        took_s = time.perf_counter() - began
        load.close()
    return _report(plan, tally, took_s)


class _Load:
    """All analyzers under one selector."""

    def __init__(self, plan: LoadPlan, tally: _Tally, analyzers: Sequence[_Analyzer]) -> None:
        self._tally = tally
        self._analyzers = analyzers
        self._live = set(analyzers)
        self._gap_s = plan.analyzers / plan.per_second if plan.per_second else 0.0
        self._seconds = plan.seconds or float("inf")
        self._selector = selectors.DefaultSelector()
        for one in analyzers:
            self._selector.register(one.connection, selectors.EVENT_READ, one)

    def drive(self, began: float) -> None:
        """Until nobody is left."""
        for place, one in enumerate(self._analyzers):
            one.not_before = began + self._gap_s * place / len(self._analyzers)
        free = list(self._analyzers)
        while self._live:
            now = time.perf_counter()
            early = [one for one in free if one.not_before > now]
            is_over = now >= began + self._seconds
            for one in free:
                if is_over:
                    self._dismiss(one)
                elif one.not_before <= now:
                    one.not_before += self._gap_s
                    self._guarded(one, one.start)
            free = [] if is_over else early
            free += self._answers(_patience(free, now))

    def close(self) -> None:
        for one in self._analyzers:
            one.connection.close()
        self._selector.close()

    def _answers(self, wait_s: float) -> list[_Analyzer]:
        """Hear whoever was answered; those may send again."""
        if not self._live:
            return []
        heard = self._selector.select(wait_s)
        if not heard and wait_s >= ANSWER_WAIT_S:
            self._tally.lost += len(self._live)
            self._live.clear()
        found: list[_Analyzer] = [key.data for key, _ in heard]
        for one in found:
            self._guarded(one, one.hear)
        return [one for one in found if one in self._live and not one.is_waiting]

    def _guarded(self, one: _Analyzer, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError:
            self._tally.lost += 1
            self._dismiss(one)
        else:
            if one.is_done:
                self._dismiss(one)

    def _dismiss(self, one: _Analyzer) -> None:
        self._live.discard(one)
        self._selector.unregister(one.connection)


def _patience(early: Sequence[_Analyzer], now: float) -> float:
    if not early:
        return ANSWER_WAIT_S
    return max(0.0, min(one.not_before for one in early) - now)


def _connected(plan: LoadPlan, tally: _Tally) -> list[_Analyzer]:
    found = []
    deadline = time.perf_counter() + CONNECT_WAIT_S
    for number in range(plan.analyzers):
        port = plan.port_base if plan.single_port else plan.port_base + number
        connection = _call(plan.host, port, deadline)
        if connection is None:
            tally.lost += 1
            continue
        source = MessageSource(
            plan.protocol,
            analyzer=number,
            at=plan.at,
            results=plan.results,
            codes=plan.codes,
            framing=plan.framing,
            accessions=plan.accessions[number :: plan.analyzers],
        )
        found.append(_Analyzer(connection, source, plan, tally))
    return found


def _call(host: str, port: int, deadline: float) -> socket.socket | None:
    """Call until somebody answers: the house may still be starting."""
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=ANSWER_WAIT_S)
        except OSError:
            if time.perf_counter() >= deadline:
                return None
            time.sleep(0.05)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _report(plan: LoadPlan, tally: _Tally, took_s: float) -> LoadReport:
    acked = len(tally.acked)
    return LoadReport(
        protocol=plan.protocol.value,
        analyzers=plan.analyzers,
        sent=tally.sent,
        acked=acked,
        results_acked=acked * plan.results,
        refused=tally.refused,
        lost=tally.lost,
        seconds=round(took_s, 3),
        messages_per_s=round(acked / took_s, 1),
        results_per_s=round(acked * plan.results / took_s, 1),
        ack_ms=Timing.of(tally.ack_ns),
        enq_ms=Timing.of(tally.enq_ns),
        acked_keys=tuple(tally.acked),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the report goes to stdout."""
    options = _parser().parse_args(arguments)
    accessions = (
        options.accessions.read_text(encoding="ascii").split() if options.accessions else []
    )
    at = options.at or datetime.fromtimestamp(time.time(), UTC).replace(microsecond=0)
    plan = LoadPlan(
        host=options.host,
        port_base=options.port_base,
        at=at,
        protocol=Wire(options.protocol),
        analyzers=options.analyzers,
        messages=options.messages,
        results=options.results,
        single_port=options.single_port,
        per_second=options.per_second,
        seconds=options.seconds,
        framing=Framing(options.framing),
        codes=tuple(options.codes.split(",")) if options.codes else (),
        accessions=tuple(accessions),
    )
    gc.collect()
    gc.disable()  # a collection of ours must not look like a slow house
    report = run_load(plan)
    gc.enable()
    if options.acked:
        options.acked.write_text("".join(f"{key}\n" for key in report.acked_keys), encoding="ascii")
    shown = report.as_json()
    lines = json.dumps(shown) if options.json else "\n".join(f"{k}: {v}" for k, v in shown.items())
    sys.stdout.write(lines + "\n")
    return 0 if report.acked == report.sent and not report.lost else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.load", description="A load of analyzers."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port-base", type=int, required=True)
    parser.add_argument("--single-port", action="store_true", help="all call the same port")
    parser.add_argument("--protocol", choices=[wire.value for wire in Wire], default="mllp")
    parser.add_argument("--framing", choices=[one.value for one in Framing], default="message")
    parser.add_argument("--analyzers", type=int, default=50)
    parser.add_argument("--messages", type=int, default=100, help="of each analyzer")
    parser.add_argument("--results", type=int, default=20, help="in each message")
    parser.add_argument("--codes", default="", help="instrument codes, comma separated")
    parser.add_argument("--accessions", type=Path, help="file of accession numbers, one a line")
    parser.add_argument(
        "--per-second", type=float, default=0.0, help="messages of all; 0: no limit"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="stop after; 0: when all is sent"
    )
    parser.add_argument("--at", type=datetime.fromisoformat, help="analysis time; now by default")
    parser.add_argument("--acked", type=Path, help="write acknowledged accession numbers here")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
