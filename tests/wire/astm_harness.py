"""A link on the bench: a clock in the hand, a keeper that says yes, and frames made by hand."""

from collections.abc import Iterable

from lis.wire.astm_link import (
    AstmLink,
    AstmMessage,
    Event,
    FrameReceived,
    LinkSettings,
    Noise,
    Role,
    SessionEnded,
)

STX, ETX, EOT, ENQ, ACK, NAK, ETB = (
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x05",
    b"\x06",
    b"\x15",
    b"\x17",
)
RESULT = (
    b"H|\\^&|||Maker^c111^1",
    b"P|1",
    b"O|1|4711||^^^413",
    b"R|1|^^^413|40.13|g/L||N||F",
    b"L|1|N",
)


def block(number: int, text: bytes, end: bytes = ETX, tail: bytes = b"\r\n") -> bytes:
    """A frame, made without the code under test."""
    total = ord(str(number)) + sum(text) + end[0]
    return STX + b"%d" % number + text + end + b"%02X" % (total % 256) + tail


def blocks(records: Iterable[bytes] = RESULT, start: int = 1) -> list[bytes]:
    """One frame a record."""
    return [block((start + n) % 8, record + b"\r") for n, record in enumerate(records)]


def session(records: Iterable[bytes] = RESULT) -> bytes:
    return ENQ + b"".join(blocks(records)) + EOT


class Bench:
    """Feeds a link, keeps its frames, and remembers what it said."""

    def __init__(
        self,
        role: Role = Role.HOST,
        settings: LinkSettings | None = None,
        *,
        keeps: bool = True,
    ) -> None:
        self.link = AstmLink(role, settings)
        self.keeps = keeps
        self.now = 100.0
        self.events: list[Event] = []

    def feed(self, *pieces: bytes) -> bytes:
        """Give bytes to the link; returns what it sends."""
        for piece in pieces:
            self._settle(self.link.receive_bytes(piece, self.now))
        return self.link.data_to_send()

    def wait(self, seconds: float) -> bytes:
        """Let time pass, waking the link when it asks to be woken."""
        end = self.now + seconds
        for _ in range(1_000):
            deadline = self.link.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self._settle(self.link.tick(self.now))
        self.now = end
        return self.link.data_to_send()

    def send(self, records: tuple[bytes, ...] = RESULT) -> bytes:
        self.link.send_message(records, self.now)
        return self.link.data_to_send()

    def lose(self) -> None:
        self.events += self.link.connection_lost(self.now)

    def accept(self) -> bytes:
        self.link.accept(self.now)
        self._settle([])
        return self.link.data_to_send()

    def _settle(self, events: list[Event]) -> None:
        for _ in range(100_000):
            self.events += events
            if self.keeps and events and isinstance(events[-1], FrameReceived):
                self.link.accept(self.now)
            if self.link.next_deadline() != 0.0:
                return
            events = self.link.tick(self.now)
        raise AssertionError("the link never comes to rest")

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def messages(self) -> list[AstmMessage]:
        return [message for event in self.of(FrameReceived) for message in event.messages]

    @property
    def whole(self) -> list[tuple[bytes, ...]]:
        """The records of every message delivered as complete."""
        return [message.records for message in self.messages if message.complete]

    @property
    def incomplete(self) -> list[AstmMessage]:
        ended = (event.incomplete for event in self.of(SessionEnded))
        return [message for message in ended if message is not None]

    def story(self) -> list[Event]:
        """The events with neighbouring noise joined: how it was cut is no promise.

        Nor is which line ends and NULs around it are counted to it.
        """
        told: list[Event] = []
        for event in self.events:
            if not isinstance(event, Noise):
                told.append(event)
                continue
            data = event.data.translate(None, b"\r\n\0")
            last = told[-1] if told else None
            if isinstance(last, Noise) and event.where == last.where:
                data = last.data + data
                told.pop()
            told.append(Noise(data=data, where=event.where))
        return told
