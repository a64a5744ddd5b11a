"""What a link is receiving: the session, its last accepted frame, the frame with the keeper.

Plain bookkeeping without time and without a line: the link asks, its table decides.

A frame is the next one, the last one repeated because its ACK was lost, or wrong. Three cases go
beyond the letter of the standard, because acknowledging would lose something:
- A frame number that repeats with other content is no repetition.
- After an STX inside a frame, the second part may be a whole frame by accident: one text byte
  damaged into STX and a sum that fits by luck. A sender that really started again repeats what it
  had begun or begins a record; anything else is refused and comes again.
- A sender that goes on to other numbers after a refusal does not wait for answers. Eight frames
  later the number would fit again; so after the second strange number nothing more is taken in
  that session, and what was accepted of its message stays evidence.
"""

from dataclasses import replace
from hashlib import blake2b

from lis.wire.astm_assembly import Assembly, Plan, decode_messages, is_header
from lis.wire.astm_events import (
    AstmMessage,
    Event,
    FrameReceived,
    KeepAlive,
    SessionEnded,
    ToleranceUsed,
)
from lis.wire.astm_frame import FRAME_NUMBERS, Frame
from lis.wire.astm_settings import LinkSettings, Tolerance
from lis.wire.astm_stream import Block, Text

__all__ = ["Reception", "evidence_of"]


DIGESTED_BYTES_MIN = 4_096  # of a smaller frame the text itself costs less than its digest
EVIDENCE_READ_BYTES_MAX = 2**20  # a message without frames is a few kB


_Identity = tuple[int, bool, bytes]


def _identity(block: Block) -> _Identity:
    """Enough of a frame to know it again, without holding a large one."""
    text = memoryview(block.raw)[2 : block.stop]
    is_large = block.stop > DIGESTED_BYTES_MIN
    known = blake2b(text, digest_size=32).digest() if is_large else bytes(text)
    return block.number, block.is_last, known


class Reception:
    """One session of the peer, and the one frame that waits for an answer."""

    __slots__ = (
        "_accepted",
        "_assembly",
        "_expected",
        "_has_content",
        "_looks_inside",
        "_plan",
        "_refused_numbers",
        "_settings",
        "has_loss",
        "is_implicit",
        "is_open",
        "is_untouched",
        "serial",
        "waiting",
        "wants_turn",
    )

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        usual = {Tolerance.MISSING_CR, Tolerance.LF_IN_TEXT}
        self._looks_inside = bool(settings.access_password) or not usual <= settings.tolerances
        self.serial = 0  # of the frame handed over last; never used twice
        self.begin(is_implicit=False)
        self.is_open = False

    def begin(self, *, is_implicit: bool) -> None:
        """A new session: frame numbers start at 1 (6.3.2.1)."""
        self._assembly = Assembly()
        self._plan: Plan | None = None
        self.waiting: Block | Text | None = None  # what is with the keeper
        self._expected = 1
        self._accepted: _Identity | None = None  # the last one
        self._has_content = False
        self._refused_numbers: set[int] = set()  # of right frames, since the last accepted one
        self.is_open = True
        self.is_implicit = is_implicit  # nobody sent ENQ
        self.is_untouched = True  # nothing came since ENQ
        self.has_loss = False  # the last frame was refused or broken
        self.wants_turn = False  # the next frames are answered with EOT

    # ------------------------------------------------------------------------------ judging

    def may_open(self, block: Block) -> bool:
        """Whether this frame outside a session is the first of one."""
        is_allowed = self._settings.can_receive and self._settings.allows(
            Tolerance.FRAME_WITHOUT_ENQ
        )
        return is_allowed and not block.fault and block.number == 1 and is_header(block.text)

    def is_repeated(self, block: Block) -> bool:
        """Whether this is the frame accepted last, once more."""
        last = self._accepted
        if last is None or self._is_overrun or block.number != last[0]:
            return False
        return last == _identity(block)

    def fault(self, block: Block) -> str:
        """What is wrong with a block that should be the next one; "" if nothing."""
        if block.fault:
            return block.fault
        if self._refused_numbers and self._is_overrun:
            return "the peer does not wait for answers"
        if block.number != self._expected:
            is_last = self._accepted is not None and block.number == self._accepted[0]
            end = " again, with other content" if is_last else f", expected {self._expected}"
            return f"frame number {block.number}{end}"
        settings = self._settings
        limit = settings.receive_limit_bytes
        if block.text_bytes > limit and not settings.allows(Tolerance.OVERSIZE_FRAME):
            return f"text of {block.text_bytes} bytes, limit {limit}"
        if self._assembly.size_bytes + len(block.raw) > settings.message_limit_bytes:
            return f"message of more than {settings.message_limit_bytes} bytes"
        if block.broken and self._is_doubtful(block):
            return "STX inside a frame"
        return self._fault_inside(block) if self._looks_inside else ""

    def _fault_inside(self, block: Block) -> str:
        """What stricter settings than the usual ones find in the text."""
        settings = self._settings
        plan = self._plan_of(block)
        if plan.misses_cr and not settings.allows(Tolerance.MISSING_CR):
            return f"not allowed: {Tolerance.MISSING_CR}"
        if plan.has_lf and not settings.allows(Tolerance.LF_IN_TEXT):
            return f"not allowed: {Tolerance.LF_IN_TEXT}"
        headers = [item.split(item[1:2]) for item in plan.headers]
        password = settings.access_password
        is_open = not password or all(fields[3:4] == [password] for fields in headers)
        return "" if is_open else "wrong access password"  # LIS02-A2 6.4: NAK tells the sender

    def refuse(self, block: Block) -> None:
        """The block is answered with NAK."""
        self.has_loss = True
        if not block.fault and block.number != self._expected:
            self._refused_numbers.add(block.number)

    @property
    def _is_overrun(self) -> bool:
        return len(self._refused_numbers) > 1

    def _is_doubtful(self, block: Block) -> bool:
        if block.raw.startswith(block.broken, 1):
            return False
        start = block.text[:2]
        begins_record = start[:1].isalpha() and start[1:] == self._assembly.mark
        return self._assembly.is_inside_record or not (begins_record or is_header(start))

    def _plan_of(self, block: Block) -> Plan:
        frame = Frame(number=block.number, text=block.text, is_last=block.is_last)
        return self._assembly.plan(frame, block.raw)

    # ------------------------------------------------------------------- with the keeper

    def hand_over_block(self, block: Block) -> list[Event]:
        """The events for the next frame; `commit` or `forget` must follow."""
        plan = self._plan_of(block)
        self._plan, self.waiting = plan, block
        self.serial += 1
        events: list[Event] = []
        if block.tolerances:
            events += [ToleranceUsed(name=name) for name in block.tolerances]
        if block.text_bytes > self._settings.receive_limit_bytes:
            events.append(ToleranceUsed(name=Tolerance.OVERSIZE_FRAME))
        if plan.misses_cr:
            events.append(ToleranceUsed(name=Tolerance.MISSING_CR))
        if plan.has_lf:
            events.append(ToleranceUsed(name=Tolerance.LF_IN_TEXT))
        received = FrameReceived(
            is_framed=True,
            raw=block.raw,
            messages=plan.messages,
            serial=self.serial,
        )
        events.append(received)
        return events

    def hand_over_text(self, text: Text) -> list[Event]:
        """The events for records that came without frames."""
        messages = decode_messages(text.raw)
        if len(messages) == 1:
            messages = (replace(messages[0], raw=text.raw),)
        self.waiting = text
        self.serial += 1
        received = FrameReceived(
            is_framed=False,
            raw=text.raw,
            messages=messages,
            serial=self.serial,
        )
        return [ToleranceUsed(name=Tolerance.UNFRAMED), received]

    def commit(self) -> None:
        """What was handed over is durable."""
        self._has_content = True
        self.has_loss = False
        if self._plan is not None and isinstance(self.waiting, Block):
            self._assembly.commit(self._plan)
            self._accepted = _identity(self.waiting)
            self._expected = (self.waiting.number + 1) % FRAME_NUMBERS
            self._refused_numbers.clear()
        self._plan = self.waiting = None

    def forget(self) -> None:
        """What was handed over is not durable: as if it had never come."""
        self.has_loss = True
        self._plan = self.waiting = None

    # ------------------------------------------------------------------------------- ending

    def end(self, *, is_polite: bool) -> list[Event]:
        """The session is over; `is_polite` if the peer ended it itself."""
        events: list[Event] = []
        incomplete = self._assembly.take_incomplete()
        is_empty = not self._has_content and not self.has_loss and not self.is_implicit
        is_alive = is_polite and is_empty and self._settings.allows(Tolerance.KEEP_ALIVE)
        if is_alive:
            events += [ToleranceUsed(name=Tolerance.KEEP_ALIVE), KeepAlive()]
        is_clean = is_polite and incomplete is None and not self.has_loss
        is_clean = is_clean and (is_alive or not is_empty)
        events.append(SessionEnded(incomplete=incomplete, clean=is_clean))
        self.begin(is_implicit=False)
        self.is_open = False
        return events


def evidence_of(text: Text) -> AstmMessage:
    """Records without frames that never reached their L: the whole ones, and all bytes.

    Of very long text only the bytes: as records it would need many times its size.
    """
    if len(text.raw) > EVIDENCE_READ_BYTES_MAX:
        return AstmMessage(raw=text.raw, complete=False, lines=())
    last_end = max(text.raw.rfind(b"\r"), text.raw.rfind(b"\n"))
    messages = decode_messages(text.raw[: last_end + 1])
    records = tuple(record for message in messages for record in message.records)
    return AstmMessage(raw=text.raw, complete=False, lines=records)
