"""Analyzers that do not give up: each message is sent until it is acknowledged, as the standards want it.

MLLP: one message, one acknowledgement; the same bytes again after anything but AA. ASTM: one frame a record; a NAK
repeats the frame, a lost link repeats the message from its beginning (LIS01-A2 6.5.1). What they count is what the
outside world knows: `acked` holds a message only after its last acknowledgement was read.

The messages come from `simulators.load_messages`; the ways of a line are written here once more, on blocking
sockets, so that the house is not judged by its own session code.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulators.load_messages import LoadMessage, MessageSource, Wire

HOST = "127.0.0.1"
ANSWER_WAIT_S = 20.0  # strace makes a house slow
RETRY_S = 0.02
MESSAGES_MAX = 1_000_000  # a bound; a run is ended from outside long before
FRAME_TRIES_MAX = 6
ENQ, ACK, NAK, EOT, FS = b"\x05", b"\x06", b"\x15", b"\x04", b"\x1c"


class Refused(Exception):
    """The host answered, but did not take it."""


@dataclass
class Persistent:
    """One analyzer."""

    port: int
    source: MessageSource
    wire: Wire
    stop: threading.Event = field(default_factory=threading.Event)
    acked: list[LoadMessage] = field(default_factory=list)
    refusals: int = 0
    calls: int = 0
    blocks: dict[int, list[bytes]] = field(default_factory=dict)
    """By our own port of a connection: every block that asks for an answer, in order."""

    def run(self, messages: int) -> None:
        """Send so many messages, or until told to stop; what was begun is finished."""
        connection: socket.socket | None = None
        try:
            while messages and not self.stop.is_set():
                message, messages = self.source.next(), messages - 1
                connection = self._deliver(connection, message)
                self.acked.append(message)
        finally:
            if connection is not None:
                connection.close()

    def _deliver(self, connection: socket.socket | None, message: LoadMessage) -> socket.socket:
        while True:
            try:
                connection = connection or self._call()
                self._say(connection, message)
            except Refused:
                self.refusals += 1
                time.sleep(RETRY_S)
            except OSError:
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(RETRY_S)
            else:
                return connection

    def _call(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=ANSWER_WAIT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.calls += 1
        self.blocks[connection.getsockname()[1]] = []
        return connection

    def _say(self, connection: socket.socket, message: LoadMessage) -> None:
        if self.wire is Wire.MLLP:
            answer = self._ask(connection, message.blocks[0], lambda came: FS in came)
            if message.answer not in answer:
                raise Refused
            return
        try:
            for block in (ENQ, *message.blocks):
                self._say_block(connection, block)
        except Refused:
            connection.sendall(EOT)
            raise
        connection.sendall(EOT)

    def _say_block(self, connection: socket.socket, block: bytes) -> None:
        for _ in range(FRAME_TRIES_MAX):
            if self._ask(connection, block, bool) == ACK:
                return
        raise Refused

    def _ask(
        self, connection: socket.socket, block: bytes, is_whole: Callable[[bytes], bool]
    ) -> bytes:
        self.blocks[connection.getsockname()[1]].append(block)
        connection.sendall(block)
        came = b""
        while not is_whole(came):
            data = connection.recv(65_536)
            if not data:
                raise ConnectionResetError("the host hung up")
            came += data
        return came


@dataclass
class Crew:
    """Several analyzers, each in a thread."""

    analyzers: list[Persistent]
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, messages: Mapping[Wire, int] | None = None) -> None:
        """Let them send: so many messages each, by wire, or until `finish`."""
        self.threads = [
            threading.Thread(
                target=one.run,
                args=(messages[one.wire] if messages else MESSAGES_MAX,),
                name=f"analyzer-{one.port}",
            )
            for one in self.analyzers
        ]
        for thread in self.threads:
            thread.start()

    def finish(self, wait_s: float) -> None:
        """Let each end its message; fails when one cannot."""
        for one in self.analyzers:
            one.stop.set()
        self.join(wait_s)

    def join(self, wait_s: float) -> None:
        for thread in self.threads:
            thread.join(wait_s)
        assert not any(thread.is_alive() for thread in self.threads), "an analyzer got no ACK"


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, below the range the kernel gives out by itself."""
    found: list[int] = []
    candidate = 10_000 + time.monotonic_ns() // 1_000_000 % 20_000
    while len(found) < count:
        candidate += 1
        with socket.socket() as probe:
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            found.append(candidate)
    return found
