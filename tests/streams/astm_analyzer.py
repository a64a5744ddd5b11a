"""An analyzer whose line goes wrong in every way we know, and the receiver it talks to.

The analyzer is written by the standard and knows nothing of `lis.wire`: it sends a frame until it gets ACK, and
begins the message anew when it hears nothing for 15 seconds or when its session broke. Whatever happens on
the way, each message it believes delivered must have been delivered once, whole, and nothing else.
"""

from collections.abc import Callable
from random import Random

from lis.wire.astm_link import AstmLink, Event, FrameReceived, Role, SessionEnded
from tests.streams.rolls import pieces
from tests.wire.astm_harness import ACK, ENQ, EOT, ETB, ETX, NAK, STX, block

Records = tuple[bytes, ...]

SENDS_MAX = 6
MESSAGE_TRIES_MAX = 30  # a fault is rolled for each try; thirty in a row never happen
LETTERS = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0xFF))
NOISE = b"\x00\xff\x06\x15x\r\n\x7f0|"


class Broken(Exception):
    """The session is over; the message begins anew in the next one."""


class Receiver:
    """Our link, its clock, and a store that sometimes refuses."""

    def __init__(self, chance: Random) -> None:
        self.link = AstmLink(Role.HOST)
        self.now = 1_000.0
        self.whole: list[Records] = []
        self.refuses_next = False
        self._chance = chance

    def feed(self, data: bytes, *, step_s: float = 0.0) -> bytes:
        for piece in pieces(data, self._chance):
            self.now += step_s
            self._take(self.link.receive_bytes(piece, self.now))
        return self.link.data_to_send()

    def quiet(self, seconds: float) -> bytes:
        end = self.now + seconds
        while (deadline := self.link.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self._take(self.link.tick(self.now))
        self.now = end
        return self.link.data_to_send()

    def lose(self) -> None:
        self._take(self.link.connection_lost(self.now))
        self.link.data_to_send()

    def _take(self, events: list[Event]) -> None:
        while True:
            for event in events:
                if isinstance(event, FrameReceived):
                    self._keep(event)
                elif isinstance(event, SessionEnded) and event.incomplete is not None:
                    assert not event.incomplete.complete, "half a message called whole"
            if self.link.next_deadline() != 0.0:
                return
            events = self.link.tick(self.now)

    def _keep(self, event: FrameReceived) -> None:
        if self.refuses_next:
            self.refuses_next = False
            self.link.refuse(self.now, event.serial)
            return
        self.whole += [message.records for message in event.messages if message.complete]
        self.link.accept(self.now, event.serial)


class Analyzer:
    """Sends messages; every so often something goes wrong."""

    def __init__(self, receiver: Receiver, chance: Random, faults_per_frame: float) -> None:
        self.receiver = receiver
        self.delivered: list[Records] = []
        self._chance = chance
        self._fault_share = faults_per_frame
        self._is_open = False
        self._number = 0
        self._frame_faults: list[Callable[[bytes], None]] = [
            self._noise,
            self._damaged,
            self._half,
            self._begun_again,
            self._repeated,
            self._wrong_number,
            self._store_refuses,
            self._slow,
            self._lower_case,
            self._cr_only,
            self._lf_only,
        ]
        self._session_faults = [self._leave, self._unplug, self._fall_silent, self._ask_again]

    def send(self, message: Records) -> None:
        """Until it is delivered. A message whose last frame has its ACK is, and is not sent again."""
        for _ in range(MESSAGE_TRIES_MAX):
            try:
                self._open()
                self._send_frames(message)
            except Broken:
                self._is_open = False
                continue
            self.delivered.append(message)
            if self._chance.random() < 0.7:
                self._close()
            return
        raise AssertionError("a message that never arrives")

    def send_without_frames(self, message: Records) -> None:
        """As print-outs come: lines from H to L, no answers."""
        self._leave_line()
        self.receiver.feed(self._chance.choice([b"", b"\x00\xff"]))
        end = self._chance.choice([b"\r", b"\n", b"\r\n"])
        text = b"".join(record + end for record in message)
        if self._chance.random() < 0.3:  # cut, and begun again: the first part is evidence
            self.receiver.feed(text[: self._chance.randrange(8, text.rindex(b"L|1"))] + b"\r")
        assert self.receiver.feed(text) + self.receiver.quiet(1.0) == b""
        self.delivered.append(message)

    def finish(self) -> None:
        self._leave_line()
        assert self.receiver.quiet(100.0) == b""

    def _send_frames(self, message: Records) -> None:
        for text, end in texts_of(message, self._chance):
            if self._chance.random() < self._fault_share / 4:
                self._chance.choice(self._session_faults)()
            self._number = (self._number + 1) % 8
            made = block(self._number, text, end)
            is_faulty = self._chance.random() < self._fault_share
            fault = self._chance.choice(self._frame_faults) if is_faulty else self._plain
            fault(made)

    def _open(self) -> None:
        if self._is_open:
            return
        asked = self.receiver.feed(ENQ) + self.receiver.quiet(0.3)
        if asked != ACK:  # the far end still believes in the old session: leave and ask again
            self.receiver.feed(EOT)
            asked = self.receiver.quiet(1.0) + self.receiver.feed(ENQ) + self.receiver.quiet(0.3)
        assert asked == ACK, "ENQ not answered"
        self._is_open, self._number = True, 0

    def _close(self) -> None:
        if self._is_open and self._chance.random() < 0.5:
            assert self.receiver.feed(EOT + ENQ) == ACK  # both in one read
            self._number = 0
        else:
            self._leave_line()

    def _leave_line(self) -> None:
        if self._is_open:
            assert self.receiver.feed(EOT) == b""
            self._is_open = False

    def _plain(self, made: bytes) -> None:
        """Send until ACK, as the standard says."""
        for _ in range(SENDS_MAX):
            answer = self.receiver.feed(made)
            answer += b"" if answer else self.receiver.quiet(14.9)
            if answer == ACK:
                return
            if answer != NAK:
                assert answer == b"", answer
                break
        self.receiver.feed(EOT)
        self.receiver.quiet(1.0)
        raise Broken

    # ------------------------------------------------------------------ faults of a frame

    def _noise(self, made: bytes) -> None:
        noise = bytes(self._chance.choices(NOISE, k=self._chance.randint(1, 8)))
        self._expect(self.receiver.feed(noise + made), ACK, made)

    def _damaged(self, made: bytes) -> None:
        """One byte of the frame is another one; never may that be acknowledged."""
        place = self._chance.randrange(1, len(made) - 4)
        value = self._chance.choice([made[place] ^ (1 << self._chance.randrange(8)), 5, 4, 2, 3])
        if value == made[place]:
            value ^= 0x40
        bad = made[:place] + bytes([value]) + made[place + 1 :]
        answer = self.receiver.feed(bad) + self.receiver.quiet(11.0)
        assert ACK not in answer, "a damaged frame was acknowledged"
        self._plain(made)

    def _half(self, made: bytes) -> None:
        self.receiver.feed(made[: self._chance.randrange(1, len(made) - 5)])
        assert ACK not in self.receiver.quiet(11.0)
        self._plain(made)

    def _begun_again(self, made: bytes) -> None:
        part = made[: self._chance.randrange(1, len(made) - 5)]
        self._expect(self.receiver.feed(part + made), ACK, made)

    def _repeated(self, made: bytes) -> None:
        self._plain(made)
        for _ in range(self._chance.randint(1, 3)):
            assert self.receiver.feed(made) == ACK

    def _wrong_number(self, made: bytes) -> None:
        number = (int(made[1:2]) + self._chance.randint(1, 6)) % 8
        stray = block(number, made[2:-5], made[-5:-4])
        self._expect(self.receiver.feed(stray), NAK, made)
        self._plain(made)

    def _store_refuses(self, made: bytes) -> None:
        self.receiver.refuses_next = True
        assert self.receiver.feed(made) == NAK
        self._plain(made)

    def _slow(self, made: bytes) -> None:
        self._expect(self.receiver.feed(made, step_s=9.0), ACK, made)

    def _lower_case(self, made: bytes) -> None:
        self._expect(self.receiver.feed(made[:-4] + made[-4:].lower()), ACK, made)

    def _cr_only(self, made: bytes) -> None:
        self._expect(self.receiver.feed(made[:-1]) or self.receiver.quiet(1.0), ACK, made)

    def _lf_only(self, made: bytes) -> None:
        self._expect(self.receiver.feed(made[:-2] + b"\n"), ACK, made)

    def _expect(self, answer: bytes, wanted: bytes, made: bytes) -> None:
        """The answer at once, or a refusal and then the frame again; nothing else."""
        if answer != wanted:
            assert answer == NAK or not answer, answer
            self._plain(made)

    # ------------------------------------------------------------------ faults of a session

    def _leave(self) -> None:
        self.receiver.feed(EOT)
        raise Broken

    def _unplug(self) -> None:
        if self._chance.random() < 0.5:
            self.receiver.feed(STX + b"1half")
        self.receiver.lose()
        raise Broken

    def _fall_silent(self) -> None:
        assert self.receiver.quiet(31.0) == b""
        raise Broken

    def _ask_again(self) -> None:
        """ENQ in the middle: a peer that was restarted."""
        assert self.receiver.feed(ENQ) + self.receiver.quiet(0.3) == ACK
        self.receiver.feed(EOT)
        raise Broken


def message_of(chance: Random) -> Records:
    """H, some records of any length and content, L; the number makes it like no other."""
    number = b"%d" % chance.getrandbits(60)
    body = [
        chance.choice([b"P|1|", b"O|1|", b"R|1|", b"C|1|", b"M|1|"])
        + bytes(chance.choices(LETTERS, k=chance.choice([0, 3, 20, 60, 235, 300])))
        for _ in range(chance.randint(0, 5))
    ]
    return (b"H|\\^&|" + number, *body, b"L|1" + chance.choice([b"", b"|N"]))


def texts_of(message: Records, chance: Random) -> list[tuple[bytes, bytes]]:
    """Frame texts and how they end: a frame a record, one stream cut anywhere, or all in one."""
    how = chance.choice(["records", "stream", "one", "all etb"])
    ended = [record + b"\r" for record in message]
    if how == "all etb":  # cobas c111
        return [(text, ETB) for text in ended[:-1]] + [(ended[-1], ETX)]
    if how == "one":
        return [(b"".join(ended), ETX)]
    texts = [b"".join(ended)] if how == "stream" else ended
    limit = chance.choice([7, 30, 240]) if how == "stream" else 240
    made = []
    for text in texts:
        parts = [text[n : n + limit] for n in range(0, len(text), limit)]
        made += [(part, ETB) for part in parts[:-1]] + [(parts[-1], ETX)]
    return made
