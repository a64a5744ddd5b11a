"""The ASTM link, both roles, without I/O: bytes and the time go in, bytes and events come out.

    link = AstmLink(Role.HOST)
    for event in link.receive_bytes(data, now):     # now: monotonic seconds, from the caller
        if isinstance(event, FrameReceived):
            keep(event)                             # on disk
            link.accept(now)                        # only now the peer gets its ACK
    send(link.data_to_send())
    wait_until(link.next_deadline())                # then link.tick(now)

Rules of this file:
- What the link does stands in `astm_tables.TRANSITIONS` and `astm_actions`; here is which case it is.
- Nothing that carries data is acknowledged before `accept`. ENQ carries none and is answered at
  once, and so is a frame repeated after its ACK was lost: it is durable already.
- While a frame is with the keeper nothing further is read. What comes meanwhile waits, bounded.
- A message is delivered whole or, when its session ended, as evidence in `SessionEnded`.
- A frame number that repeats with other content is refused: acknowledging it, as the letter of
  6.5.1.1 has it, would lose the content.
- From any bytes, only events. `LocalProtocolError` says the caller did wrong.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from lis.wire.astm_actions import HANDLERS, IMMEDIATELY, Actions, Timer
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_events import (
    AstmMessage,
    DuplicateFrame,
    Event,
    FrameReceived,
    FrameRefused,
    KeepAlive,
    MessageSent,
    Noise,
    SendDelay,
    SendDelayed,
    SendFailed,
    SendFailure,
    SessionEnded,
    SessionStarted,
    ToleranceUsed,
)
from lis.wire.astm_frame import ACK, EOT, NAK, STX
from lis.wire.astm_settings import LinkSettings, Role, Tolerance
from lis.wire.astm_stream import Block, Control, Junk, Stream, Text, Token, Waits, half_block
from lis.wire.astm_tables import TRANSITIONS, Input, State
from lis.wire.errors import LocalProtocolError

__all__ = [
    "AstmLink",
    "AstmMessage",
    "DuplicateFrame",
    "Event",
    "FrameReceived",
    "FrameRefused",
    "KeepAlive",
    "LinkSettings",
    "MessageSent",
    "Noise",
    "Role",
    "SendDelay",
    "SendDelayed",
    "SendFailed",
    "SendFailure",
    "SessionEnded",
    "SessionStarted",
    "State",
    "Tolerance",
    "ToleranceUsed",
    "decode_raw",
]

_TIMERS = len(Timer)
_NEUTRAL, _ENQUIRING, _SENDING, _RECEIVING, _STORING = State  # looked up for every frame
_WAITING_FOR_REPLY = frozenset({_ENQUIRING, _SENDING})


class AstmLink:
    """One end of an ASTM line."""

    def __init__(self, role: Role, settings: LinkSettings | None = None) -> None:
        self.role = role
        self.settings = settings or LinkSettings()
        self.busy = False  # while true, ENQ is answered with NAK (6.2.6)
        self._state = _NEUTRAL
        self._stream = Stream(self.settings.tolerances, self.settings.message_limit_bytes)
        self._do = Actions(role, self.settings)
        self._takes_unframed = self.settings.allows(Tolerance.UNFRAMED)
        self._is_overfull = False

    @property
    def state(self) -> State:
        """For display; nothing else should depend on it."""
        return self._state

    @property
    def pending_serial(self) -> int | None:
        """The serial of the frame that waits for `accept`, if one does."""
        return self._do.reception.serial if self._do.reception.waiting else None

    def receive_bytes(self, data: bytes, now: float) -> list[Event]:
        """Take in what the transport read, whatever it is and however it was cut."""
        timers = self._do.timers
        if timers and min(timers.values()) <= now:
            self._expire(now)
        block = self._stream.whole_block(data) if self._state is _RECEIVING else None
        if block is not None:
            self._on_block(block, now)
            if self._state is _STORING:
                return self._take_events()
        elif not (self._is_overfull and self._state is _STORING):
            if self._stream.size_bytes:
                self._do.timers.pop(Timer.GAP, None)
                self._do.timers.pop(Timer.QUIET, None)
            self._stream.push(data)
        self._process(now)
        return self._take_events()

    def accept(self, now: float, serial: int | None = None) -> bool:
        """The frame is durable: acknowledge it.

        A keeper that works in the background passes the event's `serial`; then a frame that is
        no longer waiting (answered too late, link lost) is left alone and False comes back.
        """
        return self._answer(Input.ACCEPT, now, serial)

    def refuse(self, now: float, serial: int | None = None) -> bool:
        """The frame could not be made durable: NAK, and the peer sends it again."""
        return self._answer(Input.REFUSE, now, serial)

    def _answer(self, what: Input, now: float, serial: int | None) -> bool:
        waiting = self._do.reception.waiting
        if serial is not None and (waiting is None or serial != self._do.reception.serial):
            return False
        if waiting is None:
            raise LocalProtocolError("no frame waits for accept or refuse")
        self._apply(what, None, now)
        if isinstance(waiting, Text) and self._do.reception.is_implicit:
            self._apply(Input.EOT, None, now)  # without ENQ, the L record ends the session
        return True

    def send_message(self, records: Sequence[bytes], now: float | None = None) -> None:
        """Queue a message (records without CR). It goes when the line is neutral."""
        if not self.settings.can_send:
            raise LocalProtocolError("this link cannot send")
        self._do.outbox.add(records)
        if now is not None:
            self._start_sending(now)

    def interrupt(self) -> None:
        """Ask the sending peer to stop: the next frames are answered with EOT (6.3.5)."""
        self._do.reception.wants_turn = self._state in {_RECEIVING, _STORING}

    def data_to_send(self) -> bytes:
        """The bytes for the transport; each byte is given once."""
        data = bytes(self._do.out)
        self._do.out.clear()
        return data

    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest; None: only bytes can change anything."""
        timers = self._do.timers
        is_waiting = self._state is _STORING or Timer.GAP in timers or Timer.QUIET in timers
        if self._do.events or (self._stream.size_bytes and not is_waiting):
            return IMMEDIATELY
        deadlines = list(timers.values())
        if self._state is _NEUTRAL and self._do.outbox and not self._stream.size_bytes:
            deadlines.append(self._do.enquire_not_before)
        return min(deadlines, default=None)

    def tick(self, now: float) -> list[Event]:
        """Do what is due: timers, bytes that waited for `accept`, our own messages."""
        self._expire(now)
        self._process(now)
        return self._take_events()

    def connection_lost(self, now: float) -> list[Event]:
        """The transport is gone. The link can be used again with the next connection."""
        self._give_up_waiting(now)
        self._apply(Input.LOST, None, now)
        self._stream.clear()
        self._do.out.clear()
        self._do.timers.clear()
        self._is_overfull = False
        return self._take_events()

    def _take_events(self) -> list[Event]:
        events, self._do.events = self._do.events, []
        return events

    # ----------------------------------------------------------------------------- the clock

    def _expire(self, now: float) -> None:
        timers = self._do.timers
        for _ in range(_TIMERS):  # each at most once: what a timer starts is not due yet
            if not timers or min(timers.values()) > now:
                return
            due = min(timers, key=timers.__getitem__)
            del timers[due]
            self._on_timer(due, now)

    def _on_timer(self, timer: Timer, now: float) -> None:
        match timer:
            case Timer.REPLY:
                self._apply(Input.REPLY_TIMEOUT, None, now)
            case Timer.SETTLE:
                self._do.outbox.may_be_doubled = True
                self._on_bad_reply(now)
            case Timer.SOAK:
                self._do.outbox.may_be_doubled = False
                self._on_reply(ACK, now)
            case Timer.RECEIVE:
                self._give_up_waiting(now)
                self._apply(Input.RECEIVE_TIMEOUT, None, now)
            case Timer.ANSWER:
                self._apply(Input.ANSWER_TIMEOUT, None, now)
            case Timer.QUIET:
                self._process(now, is_quiet=True)
            case Timer.GAP:
                self._give_up_waiting(now)
            case _:
                assert_never(timer)

    def _give_up_waiting(self, now: float) -> None:
        """The rest of a frame will not come."""
        if self._state is _STORING:
            return
        token = self._stream.drop()
        is_half = isinstance(token, Junk) and token.data[:1] == STX and self._state is _RECEIVING
        if isinstance(token, Junk) and is_half and self.settings.allows(Tolerance.HALF_FRAME):
            self._do.note(ToleranceUsed(name=Tolerance.HALF_FRAME))
            half = half_block(token.data, waited_s=self.settings.byte_gap_s)
            self._apply(Input.FRAME_BAD, half, now)
        elif token is not None:
            self._understand(token, now)

    # ----------------------------------------------------------------- from bytes to inputs

    def _process(self, now: float, *, is_quiet: bool = False) -> None:
        while self._state is not _STORING:
            token = self._next_token(is_quiet=is_quiet)
            if token is None:
                break
            is_quiet = is_quiet and isinstance(token, Junk)  # half a frame, and ENQ behind it
            self._understand(token, now)
        if self._state is _STORING:
            if self._stream.size_bytes > self.settings.message_limit_bytes:
                self._stream.truncate(self.settings.message_limit_bytes)
                self._is_overfull = True
            return
        if self._is_overfull:
            self._lose_backlog(now)
        self._wait(now)
        self._start_sending(now)

    def _next_token(self, *, is_quiet: bool) -> Token | None:
        state, stream = self._state, self._stream
        if state in _WAITING_FOR_REPLY:
            return stream.take_reply()
        is_receiving = state is _RECEIVING
        stream.doubts_enq = is_receiving
        stream.sniffs = self._takes_unframed and (
            not is_receiving or self._do.reception.is_untouched
        )
        return stream.take(is_quiet=is_quiet)

    def _wait(self, now: float) -> None:
        """Arm the timers for what the stream waits for."""
        if self._state not in {_NEUTRAL, _RECEIVING}:
            return
        waits, timers, settings = self._stream.waits, self._do.timers, self.settings
        if waits is Waits.NOTHING or Timer.GAP in timers or Timer.QUIET in timers:
            return
        if waits is Waits.QUIET:
            timers[Timer.QUIET] = now + settings.quiet_end_s
        elif waits is Waits.BLOCK and settings.allows(Tolerance.HALF_FRAME):
            timers[Timer.GAP] = now + settings.byte_gap_s
        else:
            timers[Timer.GAP] = now + settings.receive_timeout_s
        if Timer.RECEIVE in timers:  # bytes are coming; on a slow line for more than 30 s
            timers[Timer.RECEIVE] = now + settings.receive_timeout_s

    def _lose_backlog(self, now: float) -> None:
        """The peer sent more without waiting than we hold. What follows the gap is not trusted."""
        self._is_overfull = False
        self._give_up_waiting(now)
        self._do.note(Noise(data=b"", where="more bytes than can wait; the line starts afresh"))
        self._apply(Input.LOST, None, now)
        self._stream.clear()

    def _understand(self, token: Token, now: float) -> None:
        match token:
            case Block():
                self._on_block(token, now)
            case Control():
                self._on_control(token, now)
            case Junk():
                self._on_junk(token, now)
            case Text():
                self._apply(Input.TEXT if token.is_whole else Input.TEXT_CUT, token, now)
            case _:
                assert_never(token)

    def _on_junk(self, junk: Junk, now: float) -> None:
        self._do.note(Noise(data=junk.data, where=junk.where))
        if self._state is _SENDING:
            self._do.timers.setdefault(Timer.SETTLE, now + self.settings.junk_settle_s)
        elif self._state is _RECEIVING:
            self._do.reception.is_untouched = False
            self._do.reception.has_loss = self._do.reception.has_loss or junk.data[:1] == STX

    def _on_control(self, control: Control, now: float) -> None:
        state, byte = self._state, control.byte
        if state is _SENDING:
            self._on_reply(byte, now)
        elif byte == ACK:
            self._apply(Input.ACK, None, now)
            self._discard_early()
        elif byte == NAK:
            self._apply(Input.NAK, None, now)
        elif byte == EOT:
            self._apply(Input.EOT, None, now)
        elif state is _RECEIVING and not self.settings.allows(Tolerance.REPEATED_ENQ):
            self._do.note(Noise(data=byte, where="inside a session"))
        else:
            is_ready = self.settings.can_receive and not self.busy
            self._apply(Input.ENQ if is_ready else Input.ENQ_WHEN_BUSY, None, now)

    def _on_reply(self, byte: bytes, now: float) -> None:
        """The answer to a frame of ours; ENQ is none (6.5.1.2).

        A frame sent again because of noise may get two ACKs. The second must not count for the
        next frame, so the first one waits until the second would be here.
        """
        self._do.timers.pop(Timer.SETTLE, None)
        if byte == ACK and self._do.outbox.may_be_doubled:
            soak_s = self._do.line_s + self.settings.junk_settle_s
            self._do.timers.setdefault(Timer.SOAK, now + soak_s)
            return
        self._do.timers.pop(Timer.SOAK, None)
        if byte == EOT and self.settings.honours_interrupt:
            self._do.enquire_not_before = now + self.settings.interrupt_pause_s
            self._do.yields = True
            is_whole = self._do.outbox.is_last_block
            self._apply(Input.ACK_LAST if is_whole else Input.INTERRUPT, None, now)
        elif byte in {ACK, EOT}:
            self._apply(Input.ACK if self._do.outbox.has_more else Input.ACK_LAST, None, now)
            self._discard_early()
        elif byte == NAK:
            self._on_bad_reply(now)
            self._discard_early()
        else:
            self._on_junk(Junk(byte, "instead of a reply"), now)

    def _discard_early(self) -> None:
        """What is here before a frame goes out cannot answer it: a doubled ACK would lose data."""
        token = self._stream.drop() if self._state is _SENDING else None
        if isinstance(token, Junk) and token.data.strip(b"\r\n\0"):
            self._do.note(Noise(data=token.data, where="before it was asked for"))

    def _on_bad_reply(self, now: float) -> None:
        is_last = self._do.outbox.sends >= self.settings.sends_max
        self._apply(Input.NAK_LAST if is_last else Input.NAK, None, now)

    def _on_block(self, block: Block, now: float) -> None:
        reception = self._do.reception
        if self._state is _NEUTRAL:
            if reception.may_open(block) and not self.busy:
                self._apply(Input.FRAME_OPENING, block, now)
            else:
                self._do.note(Noise(data=block.raw, where="frame outside a session"))
            return
        reception.is_untouched = False
        fault = reception.fault(block)
        if not fault:
            self._apply(Input.FRAME, block, now)
        elif not block.fault and reception.is_repeated(block):
            self._apply(Input.FRAME_REPEATED, block, now)
        else:
            reception.refuse(block)
            self._apply(Input.FRAME_BAD, replace(block, fault=fault), now)

    # ----------------------------------------------------------------------------- actions

    def _apply(self, what: Input, token: Token | None, now: float) -> None:
        """The one place where the state changes."""
        action, state = TRANSITIONS[self._state, what]
        if state is not self._state:
            self._do.timers.clear()
            self._state = state
        handler = HANDLERS[action]
        if handler is not None:
            handler(self._do, token, now)

    def _start_sending(self, now: float) -> None:
        is_free = self._state is _NEUTRAL and not self._stream.size_bytes
        if is_free and self._do.outbox and now >= self._do.enquire_not_before:
            self._apply(Input.REQUEST, None, now)
