"""An ASTM analyzer that knows nothing of lis: written from the standard, with its own codec and plain blocking I/O.

The product's simulators are the product's drivers read backwards: what both misunderstand, their tests do not
see. This one imports nothing from lis. It is strict where an instrument may be strict: whatever the host does
against the standard raises `HostViolation`, with what was expected and what came.

    line = Line.call("127.0.0.1", 15001)            # or Line.on_descriptor(pty_master), Line.on_serial("/dev/pts/3")
    analyzer = Analyzer(line, timing=QUICK)
    analyzer.send_results([["H|\\^&|||c111", "P|1", "O|1|S1", "R|1|^^^687|5.2|mmol/L", "L|1|N"]])
    analyzer.send_with_bad_checksum_once(message)
    analyzer.lose_ack_once(message)
    records = analyzer.query("S1")                  # ["H|...", "P|1|...", "O|1|S1|...", "L|1|N"]
    records = analyzer.query_in_contention("S1", meanwhile=message)
    records = analyzer.query_and_interrupt("S1", meanwhile=message)
    analyzer.cancel_query("S1")                     # no answer may come
    analyzer.close()

All calls block; in an asyncio test use `await asyncio.to_thread(analyzer.query, "S1")`. `Timing()` holds the
waits of the standard; `QUICK` shortens those that are the instrument's own choice, so that tests are quick.

Facts used, by their numbers in reference/astm.md section 6 (LIS1-A / E1381 and LIS2-A2):

    L1-02  instrument is the TCP client            L1-15, L1-18  stop and wait; repeat the same frame, same number
    L1-04  after ENQ only ACK, NAK, ENQ count      L1-19  6 sends of a frame, then EOT
    L1-05  ENQ unanswered 15 s: EOT                L1-20  reply timer 15 s: EOT, message kept, repeated whole
    L1-06  NAK to ENQ: 10 s before the next        L1-21  receive timer 30 s
    L1-07  contention: instrument waits >= 1 s     L1-22  EOT as a reply is an ACK that asks us to stop
           and bids again; the host gives way      L1-24  EOT ends the session
    L2-19, L2-21  Q record and its answer          L2-23  after a line failure everything is sent again
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from tests.foreign.frames import (
    ACK,
    ENQ,
    EOT,
    FRAME_NUMBERS,
    LF,
    NAK,
    STX,
    TEXT_MAX,
    Frame,
    FrameError,
    build_frame,
    read_frame,
    session_frames,
    spoil_checksum,
)
from tests.foreign.line import Line

Message = Sequence[str]

FRAME_SENDS_MAX = 6  # L1-19
BIDS_MAX = 6  # ours: the standard lets an instrument try for ever
SPOILT_FRAME = (
    1  # faults hit the second frame: the session is under way, the message is not complete
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Waits in seconds, as in the standard."""

    reply_s: float = 15.0  # L1-05, L1-20
    receive_s: float = 30.0  # L1-21
    busy_wait_s: float = 10.0  # L1-06
    contention_wait_s: float = 1.0  # L1-07, at least
    answer_s: float = 60.0  # how long a query may stay unanswered; GeneXpert's manual says 60 s


# Only waits that the host cannot tell from the real ones are shortened.
QUICK = Timing(reply_s=5.0, receive_s=5.0, busy_wait_s=0.2, contention_wait_s=0.05, answer_s=10.0)


class HostViolation(Exception):
    """The host did what the standard does not allow, or did not do what it demands."""


@dataclass(slots=True, kw_only=True)
class Session:
    """What happened while we sent; returned by every sending scenario."""

    bids: int = 0  # ENQs
    contentions: int = 0  # ENQs answered by ENQ
    frames: int = 0  # different frames that were accepted
    sends: int = 0  # frames on the cable, repeats included
    naks: int = 0
    stop_requests: int = 0  # EOTs in place of ACK


class Analyzer:
    """One instrument on one line."""

    def __init__(
        self,
        line: Line,
        *,
        header: str = "H|\\^&|||FOREIGN^1",
        query_record: str = "Q|1|^{specimen}||ALL||||||||O",
        terminator: str = "L|1|N",
        timing: Timing | None = None,
        text_max: int = TEXT_MAX,
    ) -> None:
        self._line = line
        self._header = header
        self._query_record = query_record
        self._terminator = terminator
        self._timing = timing or Timing()
        self._text_max = text_max

    def close(self) -> None:
        self._line.close()

    # ---- results

    def send_results(self, messages: Sequence[Message]) -> Session:
        """All messages in one session: ENQ, frames, EOT."""
        session = Session()
        self._bid(session)
        for frame in self._frames(messages):
            self._deliver(build_frame(frame), session)
        self._line.write(EOT)
        return session

    def send_with_bad_checksum_once(self, message: Message) -> Session:
        """The second frame is damaged on the cable once: the host must NAK it and take the repeat."""
        session = Session()
        self._bid(session)
        for index, frame in enumerate(self._frames([message])):
            raw = build_frame(frame)
            if index == SPOILT_FRAME:
                self._expect_reply(
                    self._exchange(spoil_checksum(raw), session), NAK, "bad checksum"
                )
                session.naks += 1
            self._deliver(raw, session)
        self._line.write(EOT)
        return session

    def lose_ack_once(self, message: Message) -> Session:
        """The ACK of the second frame does not reach us: we repeat the frame, the host must ACK again and keep one."""
        session = Session()
        self._bid(session)
        for index, frame in enumerate(self._frames([message])):
            raw = build_frame(frame)
            if index == SPOILT_FRAME:
                self._expect_reply(self._exchange(raw, session), ACK, "frame whose ACK gets lost")
            self._deliver(raw, session)
        self._line.write(EOT)
        return session

    def lose_last_ack_and_repeat_message(self, message: Message) -> Session:
        """The ACK of the last frame does not come: EOT, and the whole message again in a new session."""
        session = Session()
        self._bid(session)
        for frame in self._frames([message]):
            self._deliver(build_frame(frame), session)
        self._line.write(EOT)
        again = self.send_results([message])
        session.bids += again.bids
        session.frames += again.frames
        session.sends += again.sends
        return session

    def keep_alive(self) -> Session:
        """ENQ, ACK, EOT and nothing between, as some instruments do to see whether the host is there."""
        return self.send_results([])

    # ---- host query

    def query(self, specimen: str, *, refuse_frames: int = 0) -> list[str]:
        """Ask for the orders of a specimen; the records of the host's answer, from H to L.

        The first `refuse_frames` frames of the answer are NAKed once each: the host must repeat them unchanged.
        """
        self.send_results([self.query_message(specimen)])
        return self.receive_session(self._timing.answer_s, refuse_frames=refuse_frames)

    def query_in_contention(self, specimen: str, *, meanwhile: Message) -> list[str]:
        """The host's ENQ with the answer crosses our ENQ with results: it gives way, and answers after our session.

        `meanwhile` is the message that we send first. Returns the records of the answer.
        """
        self.send_results([self.query_message(specimen)])
        self._await_enq(self._timing.answer_s)
        # Ours was on the cable already when the host's came: from here the line looks as after a crossing.
        session = Session(bids=1, contentions=1)
        self._line.write(ENQ)
        self._stay_silent_in_contention()
        self._bid(session)
        for frame in self._frames([meanwhile]):
            self._deliver(build_frame(frame), session)
        self._line.write(EOT)
        return self.receive_session(self._timing.answer_s)

    def query_and_interrupt(self, specimen: str, *, meanwhile: Message) -> list[str]:
        """The host's answer is stopped by EOT in place of an ACK, because we have results (L1-22, L1-23).

        The host may go on as if it were an ACK, or end its session; then ours follows, and its answer comes again,
        whole. Returns the records of the answer that came whole.
        """
        self.send_results([self.query_message(specimen)])
        self._await_enq(self._timing.answer_s)
        self._line.write(ACK)
        first = self._next_frame()
        frames = [self._read(first, expected_number=1)]
        self._line.write(EOT)
        while raw := self._next_frame():  # a host that takes EOT for an ACK goes on
            frames.append(self._read(raw, expected_number=(len(frames) + 1) % FRAME_NUMBERS))
            self._line.write(ACK)
        self.send_results([meanwhile])
        if len(frames) > 1:
            return _records(frames)
        return self.receive_session(self._timing.answer_s)

    def cancel_query(self, specimen: str) -> None:
        """Ask, and take the question back in the same message session: the host owes no orders (L2-20)."""
        cancelled = self._query_record.format(specimen=specimen)[:-1] + "A"
        self.send_results([[self._header, cancelled, self._terminator]])
        came = self._line.read_byte(self._timing.busy_wait_s)
        if came:
            raise HostViolation(f"a cancelled query was answered with {came!r}")

    def query_message(self, specimen: str) -> list[str]:
        return [self._header, self._query_record.format(specimen=specimen), self._terminator]

    def receive_session(self, wait_s: float, *, refuse_frames: int = 0) -> list[str]:
        """Wait for the host's ENQ and take its session. Returns its records, without their CR."""
        self._await_enq(wait_s)
        self._line.write(ACK)
        refusals = refuse_frames
        frames: list[Frame] = []
        while raw := self._next_frame():
            frame = self._read(raw, expected_number=(len(frames) + 1) % FRAME_NUMBERS)
            if refusals:
                refusals -= 1
                self._line.write(NAK)
                self._expect_repeat(raw)
            self._line.write(ACK)
            frames.append(frame)
        return _records(frames)

    def answer_busy_once(self, wait_s: float) -> list[str]:
        """NAK the host's first ENQ, as an instrument that is washing; then take the session it bids for again."""
        self._await_enq(wait_s)
        self._line.write(NAK)
        return self.receive_session(wait_s)

    # ---- sender

    def _frames(self, messages: Sequence[Message]) -> Iterator[Frame]:
        return session_frames(chain.from_iterable(messages), text_max=self._text_max)

    def _bid(self, session: Session) -> None:
        """ENQ until the host says ACK."""
        for _ in range(BIDS_MAX):
            session.bids += 1
            self._line.write(ENQ)
            reply = self._reply_to_enq()
            if reply == ACK:
                return
            if reply == ENQ:
                session.contentions += 1
                self._stay_silent_in_contention()
            elif reply == NAK:
                session.naks += 1
                self._pause(self._timing.busy_wait_s)
        raise HostViolation(f"host did not accept any of {BIDS_MAX} ENQs")

    def _reply_to_enq(self) -> bytes:
        while True:
            reply = self._line.read_byte(self._timing.reply_s)
            if not reply:
                self._line.write(EOT)
                raise HostViolation(f"host did not answer ENQ in {self._timing.reply_s} s")
            if reply in {ACK, NAK, ENQ}:
                return reply

    def _stay_silent_in_contention(self) -> None:
        came = self._line.read_byte(self._timing.contention_wait_s)
        if came:
            raise HostViolation(f"host must wait 20 s for our ENQ in contention, it sent {came!r}")

    def _pause(self, seconds: float) -> None:
        came = self._line.read_byte(seconds)
        if came:
            raise HostViolation(f"host said NAK to ENQ and then sent {came!r}")

    def _deliver(self, raw: bytes, session: Session) -> None:
        """Send one frame until it is accepted; EOT and an error when it is not."""
        for _ in range(FRAME_SENDS_MAX):
            reply = self._exchange(raw, session)
            if reply in {ACK, EOT}:
                session.frames += 1
                session.stop_requests += reply == EOT
                return
            session.naks += reply == NAK
        self._line.write(EOT)
        raise HostViolation(f"host refused a good frame {FRAME_SENDS_MAX} times: {raw!r}")

    def _exchange(self, raw: bytes, session: Session) -> bytes:
        session.sends += 1
        self._line.write(raw)
        reply = self._line.read_byte(self._timing.reply_s)
        if not reply:
            self._line.write(EOT)
            raise HostViolation(f"host did not answer a frame in {self._timing.reply_s} s: {raw!r}")
        return reply

    def _expect_reply(self, reply: bytes, expected: bytes, to: str) -> None:
        if reply != expected:
            raise HostViolation(f"expected {expected!r} to {to}, got {reply!r}")

    # ---- receiver

    def _await_enq(self, wait_s: float) -> None:
        came = self._line.read_byte(wait_s)
        if came != ENQ:
            raise HostViolation(f"expected ENQ from the host within {wait_s} s, got {came!r}")

    def _next_frame(self) -> bytes:
        """The bytes of the next frame; `b""` at the EOT of the session."""
        start = self._line.read_byte(self._timing.receive_s)
        if start == EOT:
            return b""
        if start != STX:
            raise HostViolation(f"expected STX or EOT in transfer, got {start!r}")
        return start + self._line.read_until(LF, self._timing.receive_s)

    def _read(self, raw: bytes, *, expected_number: int) -> Frame:
        try:
            frame = read_frame(raw, text_max=self._text_max)
        except FrameError as error:
            raise HostViolation(str(error)) from error
        if frame.number != expected_number:
            raise HostViolation(f"expected frame {expected_number}, got {frame.number}: {raw!r}")
        return frame

    def _expect_repeat(self, raw: bytes) -> None:
        again = self._next_frame()
        if again != raw:
            raise HostViolation(f"after NAK expected the same frame {raw!r}, got {again!r}")


def _records(frames: Sequence[Frame]) -> list[str]:
    """The records of a session, which must be whole messages from H to L."""
    if frames and not frames[-1].ends_record:
        raise HostViolation("session ended inside a record")
    text = b"".join(frame.text for frame in frames).decode("latin-1")
    records = text.split("\r")[:-1]
    types = [record[:1].upper() for record in records]
    if records and (types[0], types[-1]) != ("H", "L"):
        raise HostViolation(f"expected a message from H to L, got {types[0]} to {types[-1]}")
    return records
