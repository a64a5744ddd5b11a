"""A simulated analyzer: tubes go on its rack, results come out on its link, and it counts for itself.

    analyzer = Analyzer(Instrument.of(registry.get("sysmex-xp-100")), clock=clock, seed=1)
    analyzer.load([ControlTube(...), Tube(accession="2611000017", tests=("WBC",))])
    await analyzer.run(LinkAddress.parse("tcp-connect://127.0.0.1:15001"), stop)     # until stop
    await analyzer.until_done()                                                     # in another task

Theory of operation. Loading only puts tubes on the rack. While a link is open, tubes are taken one by one: the
analyzer learns what to measure (from the tube, from the worklist, or by a host query), measures, and puts the
messages into its outbox. A message leaves the outbox when the host acknowledged or refused it. A link that is
lost, or a host that does not answer, leaves it there: it is sent again, byte for byte, on the next link. That is
how real instruments double results, and the house must see that it is nothing new.

What is counted is what an observer at the instrument would see. A result counts as sent when its message was
tried for the first time; a resend counts apart. `log` holds every value with the reasons that it must wait for,
so that a reconciliation needs nothing from the house's own tables.

An instrument stamps whole seconds. A tube that is measured again is measured at a later second, because
otherwise nobody could tell a second run from a resend.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lis.domain.clock import Clock
from lis.transport import LinkAddress, LinkLost, LinkState, Pipe, serve_link
from lis.transport import LinkSettings as TransportSettings
from simulators.answers import Worklist
from simulators.cases import Case
from simulators.lines import Delivery, Line, LineSettings, line_on
from simulators.measuring import (
    OUTCOME_SHARES,
    Measured,
    Outcome,
    TestPlan,
    control_value,
    measure,
)
from simulators.tubes import ControlTube, Tube, rows_with_cases
from simulators.writing import (
    Instrument,
    Outgoing,
    Run,
    query_message,
    report_message,
)

__all__ = [
    "Analyzer",
    "AnalyzerSettings",
    "ControlTube",
    "Counts",
    "SentRun",
    "Tube",
]

QUERY_TRIES_MAX = 3  # a host that never answers does not keep the rack for ever
RETRY_PAUSE_S = 1.0  # before a message that was not taken goes again; figure A1 waits as long


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzerSettings:
    """How the analyzer works."""

    line: LineSettings = field(default_factory=LineSettings)
    transport: TransportSettings = field(default_factory=TransportSettings)
    shares: Mapping[Outcome, float] = field(default_factory=lambda: OUTCOME_SHARES)
    asks: bool = False
    """Whether it asks the host about each tube; only where the profile allows it."""
    seconds_per_tube: float = 0.0
    deliveries_max: int = 20
    """After so many tries a message is given up, and counted so."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    wrap: Callable[[Pipe], Pipe] = lambda pipe: pipe
    """What each open pipe goes through: a fault, a recorder."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the analyzer counted."""

    messages: int = 0
    results: int = 0  # patients' values
    controls: int = 0  # values of controls
    acknowledged: int = 0  # messages
    results_acknowledged: int = 0
    controls_acknowledged: int = 0
    refused: int = 0  # answers that said no; after AE and NAK the message is sent again
    resent: int = 0
    given_up: int = 0  # messages: rejected for good, or tried too often
    queries: int = 0
    answers: int = 0
    orders: int = 0  # tests that the host asked for
    nothing_to_do: int = 0  # tubes without any order


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRun:
    """What one message said."""

    run: Run
    cases: tuple[Case, ...] = ()


@dataclass(slots=True)
class _Pending:
    """A message in the outbox."""

    message: Outgoing
    sent: SentRun
    is_to_be_cut: bool = False
    is_repeat: bool = False  # byte for byte what went before: sent on purpose a second time
    tries: int = 0


class Analyzer:
    """One instrument at work."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        clock: Clock,
        seed: object,
        plans: Sequence[TestPlan] = (),
        settings: AnalyzerSettings | None = None,
        on_state: Callable[[LinkState, str], None] = lambda _state, _detail: None,
    ) -> None:
        chosen = tuple(plans) or instrument.model.plans
        self.instrument = replace(instrument, model=replace(instrument.model, plans=chosen))
        self.counts = Counts()
        self.log: list[SentRun] = []
        self._plans = {plan.code: plan for plan in chosen}
        self._clock = clock
        self._seed = seed
        self._settings = settings or AnalyzerSettings()
        self._on_state = on_state
        self._rack: deque[Tube | ControlTube] = deque()
        self._outbox: deque[_Pending] = deque()
        self._worklist: dict[str, tuple[str, ...]] = {}
        self._steps: dict[str, dict[str, str]] = {}  # LAW: step ids by specimen and code
        self._numbers = 0
        self._runs: dict[str, int] = {}  # how often each specimen was measured
        self._measured_at: dict[str, datetime] = {}
        self._query_tries: dict[str, int] = {}
        self._loaded = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def load(self, tubes: Iterable[Tube | ControlTube]) -> None:
        """Put tubes on the rack; they are measured in this order."""
        self._rack.extend(tubes)
        if self._rack:
            self._idle.clear()
            self._loaded.set()

    async def until_done(self) -> None:
        """Wait until the rack and the outbox are empty."""
        await self._idle.wait()

    async def run(self, address: LinkAddress, stop: asyncio.Event) -> None:
        """Keep the link open and work, until `stop`. Raises `AddressError` for an unusable address."""
        await serve_link(
            address,
            self.attend,
            on_state=self._on_state,
            stop=stop,
            settings=self._settings.transport,
        )

    async def attend(self, pipe: Pipe) -> None:
        """Work on one open pipe until it ends."""
        pipe = self._settings.wrap(pipe)
        line = line_on(
            pipe, self.instrument, settings=self._settings.line, on_orders=self._take_orders
        )
        working = asyncio.create_task(self._work(line))
        listening = asyncio.create_task(line.run())
        try:
            await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, listening):
                task.cancel()
            ended = await asyncio.gather(working, listening, return_exceptions=True)
            await pipe.close()
        for outcome in ended:
            is_end = isinstance(outcome, LinkLost | asyncio.CancelledError)
            if isinstance(outcome, BaseException) and not is_end:
                raise outcome

    # ---- the work

    async def _work(self, line: Line) -> None:
        while True:
            while self._outbox:
                await self._send(line, self._outbox[0])
            if not self._rack:
                self._idle.set()
                self._loaded.clear()
                await self._loaded.wait()
            await self._settings.sleep(self._settings.seconds_per_tube)
            await self._measure_first(line)

    async def _send(self, line: Line, pending: _Pending) -> None:
        """One try; the message leaves the outbox when the host has answered for it."""
        if pending.tries >= self._settings.deliveries_max:
            self._outbox.popleft()
            self.counts.given_up += 1
            return
        self._count_try(pending)
        if pending.is_to_be_cut:
            pending.is_to_be_cut = False
            await line.cut(pending.message)
        outcome = await line.deliver(pending.message)
        if outcome in {Delivery.REFUSED, Delivery.REJECTED}:
            self.counts.refused += 1
        if outcome in {Delivery.REFUSED, Delivery.UNANSWERED}:
            await self._settings.sleep(RETRY_PAUSE_S)
            return
        self._outbox.popleft()
        if outcome is Delivery.REJECTED:
            self.counts.given_up += 1
        elif not pending.is_repeat:
            self._count_acknowledged(pending)

    def _count_try(self, pending: _Pending) -> None:
        pending.tries += 1
        if pending.tries > 1 or pending.is_repeat:
            self.counts.resent += 1
            return
        self.log.append(pending.sent)
        self.counts.messages += 1
        if pending.sent.run.control is None:
            self.counts.results += pending.message.results
        else:
            self.counts.controls += pending.message.results

    def _count_acknowledged(self, pending: _Pending) -> None:
        self.counts.acknowledged += 1
        if pending.sent.run.control is None:
            self.counts.results_acknowledged += pending.message.results
        else:
            self.counts.controls_acknowledged += pending.message.results

    # ---- measuring

    async def _measure_first(self, line: Line) -> None:
        """Measure the first tube of the rack; what it gives goes to the outbox in one step."""
        tube = self._rack[0]
        if isinstance(tube, ControlTube):
            messages = [await self._report(tube.specimen, self._control_rows(tube), tube)]
        else:
            codes = await self._codes(tube, line)
            if codes is None:
                self._rack.rotate(-1)
                return
            messages = await self._measured(tube, codes)
        self._rack.popleft()
        self._outbox.extend(messages)

    def _control_rows(self, tube: ControlTube) -> tuple[Measured, ...]:
        return tuple(
            control_value(
                self._plans[code],
                target,
                seed=self._seed,
                level=tube.identity.level or tube.specimen,
                run=self._runs.get(tube.specimen, 0),
                shift_sd=tube.shift_sd,
            )
            for code, target in tube.targets.items()
            if code in self._plans
        )

    async def _codes(self, tube: Tube, line: Line) -> tuple[str, ...] | None:
        """What to measure; None when the host did not answer and should be asked again."""
        if tube.tests:
            return tube.tests
        if tube.accession in self._worklist:
            return self._worklist.pop(tube.accession)
        if not self._settings.asks or not self.instrument.profile.orders.may_query:
            return tuple(self._plans)
        tries = self._query_tries.get(tube.accession, 0) + 1
        if tries > QUERY_TRIES_MAX:
            return ()
        self._query_tries[tube.accession] = tries
        self._numbers += 1
        query = query_message(
            self.instrument, [tube.accession], number=self._numbers, sent_at=self._clock.now()
        )
        self.counts.queries += 1
        worklist = await line.ask(query)
        if worklist is None:
            return None
        self.counts.answers += 1
        self._note_steps(worklist)
        codes = worklist.tests.get(tube.accession, ())
        self.counts.orders += len(codes)
        return codes

    async def _measured(self, tube: Tube, codes: Sequence[str]) -> list[_Pending]:
        """The messages of one tube, as its cases want them."""
        rows = self._rows(tube, codes)
        if not rows:
            self.counts.nothing_to_do += 1
            return []
        first = await self._report(tube.accession, rows, tube)
        first.is_to_be_cut = Case.CUT_MESSAGE in tube.cases
        messages = [first]
        if Case.SAME_MESSAGE_AGAIN in tube.cases:
            messages.append(_Pending(first.message, first.sent, is_repeat=True))
        if Case.SECOND_RUN in tube.cases:
            again = tuple(replace(row, cases=(*row.cases, Case.SECOND_RUN)) for row in rows)
            messages.append(await self._report(tube.accession, again, tube))
        return messages

    def _rows(self, tube: Tube, codes: Sequence[str]) -> tuple[Measured, ...]:
        run = self._runs.get(tube.accession, 0) + 1
        rows = [
            measure(
                self._plans[code],
                seed=self._seed,
                specimen=tube.accession,
                run=run,
                shares=self._settings.shares,
            )
            for code in codes
            if code in self._plans
        ]
        return rows_with_cases(tube, rows, profile=self.instrument.profile, plans=self._plans)

    async def _report(
        self, specimen: str, rows: tuple[Measured, ...], tube: Tube | ControlTube
    ) -> _Pending:
        """Stamp a run with its time and number, and write its message."""
        at = await self._later_second(specimen)
        self._runs[specimen] = self._runs.get(specimen, 0) + 1
        self._numbers += 1
        control = tube.identity if isinstance(tube, ControlTube) else None
        run = Run(
            specimen=specimen,
            rows=rows,
            at=at,
            number=self._numbers,
            control=control,
            steps=self._steps.get(specimen, {}),
        )
        message = report_message(self.instrument, run, sent_at=at)
        cases = () if isinstance(tube, ControlTube) else tube.cases
        return _Pending(message, SentRun(run=run, cases=cases))

    async def _later_second(self, specimen: str) -> datetime:
        """Now in whole seconds, and later than the same specimen was measured before."""
        now = self._clock.now()
        before = self._measured_at.get(specimen)
        if before is not None and now < before + timedelta(seconds=1):
            await self._settings.sleep((before + timedelta(seconds=1) - now).total_seconds())
            now = max(self._clock.now(), before + timedelta(seconds=1))
        self._measured_at[specimen] = at = now.replace(microsecond=0)
        return at

    def _take_orders(self, worklist: Worklist) -> None:
        """Orders that the host sent unasked: they wait for their tube."""
        self.counts.orders += sum(map(len, worklist.tests.values()))
        self._worklist.update(worklist.tests)
        self._note_steps(worklist)

    def _note_steps(self, worklist: Worklist) -> None:
        for specimen, steps in worklist.steps.items():
            self._steps.setdefault(specimen, {}).update(steps)
