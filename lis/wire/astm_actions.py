"""What the ASTM link does, action by action: one method for each row of `astm_tables.Action`.

Nothing here chooses: the table did. Each method gets what came (or None) and the time.
"""

from collections.abc import Callable
from enum import StrEnum

from lis.wire.astm_events import (
    DuplicateFrame,
    Event,
    FrameRefused,
    MessageSent,
    SendDelay,
    SendDelayed,
    SendFailed,
    SendFailure,
    SessionEnded,
    SessionStarted,
    ToleranceUsed,
)
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK
from lis.wire.astm_outbox import Outbox
from lis.wire.astm_reception import Reception, evidence_of
from lis.wire.astm_settings import LinkSettings, Role, Tolerance
from lis.wire.astm_stream import Block, Text, Token
from lis.wire.astm_tables import Action

__all__ = ["HANDLERS", "IMMEDIATELY", "Actions", "Timer"]

IMMEDIATELY = 0.0  # a deadline that has passed on every monotonic clock


class Timer(StrEnum):
    """What the link may wait for; a timer that is not set is not in `Actions.timers`."""

    REPLY = "reply"
    RECEIVE = "receive"
    ANSWER = "answer"
    GAP = "gap"
    QUIET = "quiet"
    SETTLE = "settle"
    SOAK = "soak"


class Actions:
    """The moving parts of a link, and what can be done with them."""

    __slots__ = (
        "enquire_not_before",
        "events",
        "line_s",
        "out",
        "outbox",
        "reception",
        "role",
        "settings",
        "timers",
        "yields",
    )

    def __init__(self, role: Role, settings: LinkSettings) -> None:
        self.role = role
        self.settings = settings
        self.outbox = Outbox(settings)
        self.reception = Reception(settings)
        self.out = bytearray()
        self.events: list[Event] = []
        self.line_s = 0.0  # what the block sent last needs on the line
        self.timers: dict[Timer, float] = {}
        self.enquire_not_before = IMMEDIATELY
        self.yields = False  # until the peer's next session ends, or the time above has come

    def note(self, event: Event) -> None:
        """Tell the keeper."""
        self.events.append(event)

    # receiving

    def welcome(self, _token: Token | None, now: float) -> None:
        self.reception.begin(is_implicit=False)
        self.note(SessionStarted())
        self._reply(ACK, now)

    def _reply(self, reply: bytes, now: float) -> None:
        """Answer, and wait for what comes next: the receive timer runs from here (6.5.2.4)."""
        self.out += reply
        self.timers[Timer.RECEIVE] = now + self.settings.receive_timeout_s

    def turn_away(self, _token: Token | None, _now: float) -> None:
        self.out += NAK

    def restart(self, token: Token | None, now: float) -> None:
        self.note(ToleranceUsed(name=Tolerance.REPEATED_ENQ))
        if not self.reception.is_untouched:
            self.events += self.reception.end(is_polite=False)
            self.welcome(token, now)
        else:
            self._reply(ACK, now)

    def open_and_hand_over(self, token: Token | None, now: float) -> None:
        self.reception.begin(is_implicit=True)
        self.reception.is_untouched = False
        self.note(SessionStarted())
        self.note(ToleranceUsed(name=Tolerance.FRAME_WITHOUT_ENQ))
        self.hand_over(token, now)

    def hand_over(self, token: Token | None, now: float) -> None:
        assert isinstance(token, Block)
        self.events += self.reception.hand_over_block(token)
        self.timers[Timer.ANSWER] = now + self.settings.answer_timeout_s

    def hand_over_text(self, token: Token | None, _now: float) -> None:
        assert isinstance(token, Text)
        if not self.reception.is_open:
            self.reception.begin(is_implicit=True)
            self.note(SessionStarted())
        self.reception.is_untouched = False
        self.events += self.reception.hand_over_text(token)  # nobody waits for our answer

    def keep_cut_text(self, token: Token | None, _now: float) -> None:
        assert isinstance(token, Text)
        cut = SessionEnded(incomplete=evidence_of(token), clean=False)
        if self.reception.is_open:
            self.events += [ToleranceUsed(name=Tolerance.UNFRAMED), cut, SessionStarted()]
        else:
            self.events += [SessionStarted(), ToleranceUsed(name=Tolerance.UNFRAMED), cut]

    def answer_again(self, token: Token | None, now: float) -> None:
        assert isinstance(token, Block)
        self.note(DuplicateFrame(number=token.number, raw=token.raw))
        self._reply(EOT if self.reception.wants_turn else ACK, now)

    def reject(self, token: Token | None, now: float) -> None:
        assert isinstance(token, Block)
        self.reception.has_loss = True
        self.note(FrameRefused(reason=token.fault, raw=token.raw))
        self._reply(NAK, now)

    def confirm(self, _token: Token | None, now: float) -> None:
        waiting = self.reception.waiting
        self.reception.commit()
        if isinstance(waiting, Block):
            self._reply(EOT if self.reception.wants_turn else ACK, now)
        else:
            self._reply(b"", now)  # records without frames get no answer

    def deny(self, _token: Token | None, now: float) -> None:
        waiting = self.reception.waiting
        assert waiting is not None
        self.reception.forget()
        self.note(FrameRefused(reason="not kept", raw=waiting.raw))
        self._reply(NAK if isinstance(waiting, Block) else b"", now)

    def end(self, _token: Token | None, now: float) -> None:
        self._close(now, is_polite=True)

    def end_timed_out(self, _token: Token | None, now: float) -> None:
        self._close(now, is_polite=False)

    def _close(self, now: float, *, is_polite: bool) -> None:
        self.events += self.reception.end(is_polite=is_polite)
        if self.yields:
            self.yields = False
            self.enquire_not_before = now

    def abandon(self, _token: Token | None, now: float) -> None:
        if self.reception.is_open:
            self._close(now, is_polite=False)

    # sending

    def enquire(self, _token: Token | None, now: float) -> None:
        self.outbox.enquiries += 1
        self.yields = False
        self.out += ENQ
        self.timers[Timer.REPLY] = now + self.settings.reply_timeout_s

    def send_first(self, _token: Token | None, now: float) -> None:
        self.outbox.begin_session()
        self.send_again(None, now)

    def send_next(self, _token: Token | None, now: float) -> None:
        finished = self.outbox.advance()
        if finished is not None:
            self.note(MessageSent(records=finished))
        self.send_again(None, now)

    def send_again(self, _token: Token | None, now: float) -> None:
        """Put the block on the line; the reply timer starts with its last character."""
        block = self.outbox.block
        self.outbox.sends += 1
        self.out += block
        rate = self.settings.line_rate_bytes_s
        self.line_s = len(block) / rate if rate else 0.0
        self.timers[Timer.REPLY] = now + self.line_s + self.settings.reply_timeout_s

    def finish(self, _token: Token | None, _now: float) -> None:
        self.out += EOT
        self.note(MessageSent(records=self.outbox.take()))

    def stop(self, _token: Token | None, _now: float) -> None:
        self.out += EOT
        self._fail(SendFailure.INTERRUPTED)

    def give_up(self, _token: Token | None, now: float) -> None:
        self.out += EOT
        self.enquire_not_before = now + self.settings.enq_retry_s
        self._fail(SendFailure.REFUSED)

    def give_up_unanswered(self, _token: Token | None, now: float) -> None:
        self.out += EOT
        self.enquire_not_before = now + self.settings.enq_retry_s
        self._fail(SendFailure.UNANSWERED)

    def _fail(self, reason: SendFailure) -> None:
        self.note(SendFailed(records=self.outbox.take(), reason=reason))

    def wait_busy(self, _token: Token | None, now: float) -> None:
        self._enquire_later(now + self.settings.busy_retry_s, SendDelay.BUSY, SendFailure.BUSY)

    def wait_unanswered(self, _token: Token | None, now: float) -> None:
        self.out += EOT
        retry_at = now + self.settings.enq_retry_s
        self._enquire_later(retry_at, SendDelay.UNANSWERED, SendFailure.UNANSWERED)

    def _enquire_later(self, at: float, delay: SendDelay, failure: SendFailure) -> None:
        self.enquire_not_before = at
        if self.outbox.enquiries >= self.settings.enquiries_max:
            self._fail(failure)
        else:
            self.note(SendDelayed(reason=delay, retry_at=at))

    def give_way(self, _token: Token | None, now: float) -> None:
        settings = self.settings
        is_host = self.role is Role.HOST
        wait_s = settings.contention_host_s if is_host else settings.contention_instrument_s
        self.enquire_not_before = now + wait_s
        self.yields = True
        self.outbox.enquiries -= 1  # nobody refused anything
        retry_at = self.enquire_not_before
        self.note(SendDelayed(reason=SendDelay.CONTENTION, retry_at=retry_at))

    def abandon_sending(self, _token: Token | None, _now: float) -> None:
        self._fail(SendFailure.LINK_LOST)


_Handler = Callable[[Actions, Token | None, float], None]

HANDLERS: dict[Action, _Handler | None] = {
    Action.IGNORE: None,
    Action.ENQUIRE: Actions.enquire,
    Action.WELCOME: Actions.welcome,
    Action.TURN_AWAY: Actions.turn_away,
    Action.RESTART: Actions.restart,
    Action.SEND_FIRST: Actions.send_first,
    Action.SEND_NEXT: Actions.send_next,
    Action.SEND_AGAIN: Actions.send_again,
    Action.FINISH: Actions.finish,
    Action.STOP: Actions.stop,
    Action.GIVE_UP: Actions.give_up,
    Action.GIVE_UP_UNANSWERED: Actions.give_up_unanswered,
    Action.WAIT_BUSY: Actions.wait_busy,
    Action.YIELD: Actions.give_way,
    Action.WAIT_UNANSWERED: Actions.wait_unanswered,
    Action.HAND_OVER: Actions.hand_over,
    Action.OPEN_AND_HAND_OVER: Actions.open_and_hand_over,
    Action.HAND_OVER_TEXT: Actions.hand_over_text,
    Action.KEEP_CUT_TEXT: Actions.keep_cut_text,
    Action.ANSWER_AGAIN: Actions.answer_again,
    Action.REJECT: Actions.reject,
    Action.CONFIRM: Actions.confirm,
    Action.DENY: Actions.deny,
    Action.END: Actions.end,
    Action.END_TIMED_OUT: Actions.end_timed_out,
    Action.ABANDON: Actions.abandon,
    Action.ABANDON_SENDING: Actions.abandon_sending,
}
