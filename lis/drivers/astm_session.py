"""One peer on an ASTM line: the link, the store and the pipe, joined.

    bytes -> link -> FrameReceived -> keep (fsync) -> accept -> ACK
                     SessionEnded  -> answer each query of the session -> the link sends it

Rules of this file:
* The link acknowledges nothing by itself, and `accept` follows a kept frame only. When the store refuses, the
  frame is refused (NAK) and comes again.
* A store that needs longer than the standard's 15 s gets its NAK in time; the frame then comes again, and intake
  recognises what it has seen (S19).
* A query is answered after its session has ended: until then the line is the peer's. Contention, ENQ retries
  and pauses are the link's; a message that failed as a whole is sent again, a bounded number of times and only as
  long as the instrument waits.
* Of a message that was cut, everything that came is kept, marked incomplete.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from lis.domain.clock import Clock
from lis.domain.ids import InboxId
from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import (
    Answer,
    Direction,
    Keep,
    KeepFailed,
    Receipt,
    ReceivedUnit,
    TrafficLine,
)
from lis.drivers.astm_driver import is_request
from lis.drivers.keeping import Keeper
from lis.drivers.profile import Profile, Query
from lis.drivers.reading_pipe import read_until
from lis.drivers.session_events import (
    Answered,
    AnswerFailed,
    InputRejected,
    LibertyTaken,
    OnEvent,
    SessionClosed,
)
from lis.transport import Pipe
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK, STX
from lis.wire.astm_link import (
    AstmLink,
    AstmMessage,
    DuplicateFrame,
    Event,
    FrameReceived,
    FrameRefused,
    LinkSettings,
    MessageSent,
    Noise,
    Role,
    SendFailed,
    SendFailure,
    SessionEnded,
    Tolerance,
    ToleranceUsed,
)

CONTROLS_MAX = 16  # in one read: a decent peer waits for an answer after each
ANSWER_ATTEMPTS_MAX = 3  # each is already up to six enquiries and six sends of a frame


_CONTROLS = ENQ + EOT + ACK + NAK
_Keeping = asyncio.Future[tuple[Receipt, ...] | None]


@dataclass(slots=True)
class _Outgoing:
    """An answer on its way."""

    inbox_id: InboxId
    give_up_at: float
    attempts: int = 1


class AstmSession:
    """One pipe, from its first byte to its last."""

    def __init__(
        self,
        pipe: Pipe,
        *,
        profile: Profile | None,
        keep: Keep,
        answer: Answer,
        clock: Clock,
        on_event: OnEvent,
        now_s: Callable[[], float],
        link_settings: LinkSettings | None = None,
        lines_carry_all: bool = False,
    ) -> None:
        self._pipe = pipe
        self._answer = answer
        self._clock = clock
        self._on_event = on_event
        self._now_s = now_s
        self._lines_carry_all = lines_carry_all
        self._keeper = Keeper(keep, clock, on_event, now_s)
        self._link = AstmLink(Role.HOST, link_settings or settings_of(profile))
        self._wait_s = (profile.query if profile is not None else Query()).wait_s
        self._session_ids: list[InboxId] = []
        self._requests: list[Receipt] = []
        self._outgoing: dict[tuple[bytes, ...], _Outgoing] = {}
        self._liberties: set[Tolerance] = set()

    async def run(self) -> None:
        """Serve the pipe until it ends; what it leaves unfinished is kept as evidence."""
        try:
            while (data := await self._read()) != b"":
                now = self._now_s()
                if data is not None and not data.strip(_CONTROLS):
                    self._note_controls(data)  # frames go with their keep
                events = (
                    self._link.tick(now) if data is None else self._link.receive_bytes(data, now)
                )
                await self._handle(events)
                await self._keeper.flush()
        finally:
            await self._end()

    def _note_controls(self, data: bytes) -> None:
        if len(data) <= CONTROLS_MAX:
            self._keeper.note(Direction.IN, data)
        else:
            self._keeper.note_evidence(data, "control characters")

    async def _read(self) -> bytes | None:
        return await read_until(self._pipe, self._link.next_deadline(), self._keeper.flush_at)

    async def _end(self) -> None:
        for event in self._link.connection_lost(self._now_s()):
            match event:
                case SessionEnded():
                    await self._close_session(event, is_line_open=False)
                case FrameReceived():  # its ACK will never be heard; what it says is kept
                    units, keeping = self._start_keeping(event)
                    self._remember(units, await keeping or ())
                case _:
                    self._note(event)
        await self._keeper.flush(is_due_only=False)

    async def _handle(self, events: list[Event]) -> None:
        pending = list(events)
        while pending:
            event = pending.pop(0)
            match event:
                case FrameReceived():
                    pending.extend(await self._keep_frame(event))
                case SessionEnded():
                    await self._close_session(event, is_line_open=True)
                case MessageSent() | SendFailed():
                    self._settle(event)
                case _:
                    self._note(event)
        await self._send()

    async def _send(self) -> None:
        data = self._link.data_to_send()
        if data:
            self._keeper.note(Direction.OUT, data)
            await self._pipe.send(data)

    # ------------------------------------------------------------------ what comes in

    async def _keep_frame(self, event: FrameReceived) -> list[Event]:
        """Make a frame durable, and with it every message that it ends; then acknowledge.

        Returns what the bytes behind it mean: the link reads on only now.
        """
        await self._send()
        units, keeping = self._start_keeping(event)
        later = await self._refuse_in_time(keeping)
        receipts = await keeping
        if receipts is None:
            self._link.refuse(self._now_s(), event.serial)
        else:
            self._link.accept(self._now_s(), event.serial)
            self._remember(units, receipts)
        await self._send()
        return [*later, *self._link.tick(self._now_s())]

    def _start_keeping(self, event: FrameReceived) -> tuple[list[ReceivedUnit], _Keeping]:
        at = self._clock.now()
        units = [self._unit(message) for message in event.messages]
        is_in_inbox = len(units) == 1 and units[0].raw.endswith(event.raw)
        is_in_inbox = is_in_inbox and not self._lines_carry_all
        data = b"" if is_in_inbox else event.raw
        line = TrafficLine(at=at, direction=Direction.IN, data=data)
        return units, asyncio.ensure_future(self._keeper.keep((line,), units))

    async def _refuse_in_time(self, keeping: _Keeping) -> list[Event]:
        """Wait for the store, but no longer than the peer waits for us; then NAK."""
        deadline = self._link.next_deadline()
        timeout_s = None if deadline is None else max(deadline - self._now_s(), 0.0)
        done, _ = await asyncio.wait({keeping}, timeout=timeout_s)
        if done:
            return []
        self._on_event(InputRejected(reason="the store did not answer in time"))
        later = self._link.tick(self._now_s())
        await self._send()
        return later

    def _unit(self, message: AstmMessage) -> ReceivedUnit:
        lane = (
            Lane.REQUEST if message.complete and is_request(message.each_record()) else Lane.RESULT
        )
        return ReceivedUnit(
            protocol=Protocol.ASTM,
            lane=lane,
            raw=message.raw,
            received_at=self._clock.now(),
            is_complete=message.complete,
        )

    def _remember(self, units: list[ReceivedUnit], receipts: tuple[Receipt, ...]) -> None:
        for unit, receipt in zip(units, receipts, strict=False):
            self._session_ids.append(receipt.inbox_id)
            if unit.lane is Lane.REQUEST:
                self._requests.append(receipt)

    async def _close_session(self, event: SessionEnded, *, is_line_open: bool) -> None:
        if event.incomplete is not None:
            receipts = await self._keep_incomplete(event.incomplete)
            self._session_ids.extend(receipt.inbox_id for receipt in receipts or ())
        ids, self._session_ids = tuple(self._session_ids), []
        requests, self._requests = self._requests, []
        if ids:
            self._on_event(SessionClosed(inbox_ids=ids, is_clean=event.clean))
        if not is_line_open:
            for request in requests:
                self._fail(_Outgoing(request.inbox_id, 0.0, 0), SendFailure.LINK_LOST.value)
            return
        for request in requests:
            await self._answer_request(request)

    async def _keep_incomplete(self, message: AstmMessage) -> tuple[Receipt, ...] | None:
        """Keep half a message as evidence. Frames were acknowledged and are kept whole; of lines without
        frames, which anybody can send without end, only so much."""
        is_promised = message.raw.startswith(STX)
        raw = message.raw if is_promised else self._keeper.admit_evidence(message.raw)
        if len(raw) < len(message.raw):
            self._on_event(
                InputRejected(reason="incomplete messages without end", size_bytes=len(message.raw))
            )
        if not raw:
            return ()
        return await self._keeper.keep((), (replace(self._unit(message), raw=raw),))

    # ------------------------------------------------------------------ what goes out

    async def _answer_request(self, request: Receipt) -> None:
        give_up_at = self._now_s() + self._wait_s
        try:
            records = tuple(await self._answer(request))
        except KeepFailed as failed:
            self._fail(_Outgoing(request.inbox_id, give_up_at, 0), str(failed))
            return
        if not records:
            return
        self._outgoing[records] = _Outgoing(request.inbox_id, give_up_at)
        self._link.send_message(records, self._now_s())

    def _settle(self, event: MessageSent | SendFailed) -> None:
        outgoing = self._outgoing.get(event.records)
        if outgoing is None:
            return
        if isinstance(event, MessageSent):
            del self._outgoing[event.records]
            self._on_event(Answered(inbox_id=outgoing.inbox_id, attempts=outgoing.attempts))
            return
        now = self._now_s()
        is_hopeless = event.reason is SendFailure.LINK_LOST or now >= outgoing.give_up_at
        if is_hopeless or outgoing.attempts >= ANSWER_ATTEMPTS_MAX:
            del self._outgoing[event.records]
            self._fail(outgoing, event.reason.value)
            return
        outgoing.attempts += 1
        self._link.send_message(event.records, now)

    def _fail(self, outgoing: _Outgoing, reason: str) -> None:
        self._on_event(
            AnswerFailed(inbox_id=outgoing.inbox_id, attempts=outgoing.attempts, reason=reason)
        )

    # ------------------------------------------------------------------ what is only noted

    def _note(self, event: Event) -> None:
        """Evidence of trouble goes to the journal; refusals also to the supervisor."""
        match event:
            case FrameRefused():
                self._keeper.note_evidence(event.raw, f"refused: {event.reason}")
                self._on_event(InputRejected(reason=event.reason, size_bytes=len(event.raw)))
            case DuplicateFrame():
                self._keeper.note(Direction.IN, event.raw, "repeated")
            case ToleranceUsed(name=name):
                self._note_liberty(name)
            case Noise():
                self._keeper.note_evidence(event.data, f"noise: {event.where}")
            case MessageSent() | SendFailed():
                self._settle(event)
            case _:
                pass  # starts, signs of life and delays leave their bytes in the journal

    def _note_liberty(self, name: Tolerance) -> None:
        """Say it once: an analyzer that needs a liberty needs it in every frame."""
        if name not in self._liberties:
            self._liberties.add(name)
            self._keeper.note(Direction.OUT, b"", f"tolerated: {name}")
            self._on_event(LibertyTaken(name=name))


def settings_of(
    profile: Profile | None, *, password: str = "", bytes_per_s: float = 0.0
) -> LinkSettings:
    """How a link talks to this kind of instrument, asks for a password, and how fast its line is."""
    if profile is None:
        return LinkSettings()
    quirks = profile.quirks
    return LinkSettings(
        text_limit_bytes=quirks.text_limit_bytes,
        record_per_frame=quirks.record_per_frame,
        sends_max=quirks.frame_sends_max,
        honours_interrupt=quirks.honours_interrupt,
        tolerances=quirks.tolerances,
        access_password=password.encode("latin-1", errors="replace"),
        line_rate_bytes_s=bytes_per_s,
    )
