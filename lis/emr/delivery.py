"""Delivering reports to one EMR over MLLP: at least once, in order, the same bytes on every try.

    claim (a unit) -> render once, keep the bytes -> send, wait for the right MSA-2 -> settle (a unit)

What an answer means:

    AA, CA              acknowledged; who received which version is kept (promise 6)
    AE, CE              the EMR had trouble: once more after a minute, then a dead letter
    AR, CR              it will never take it: a dead letter and an alarm, a person looks
    no answer, no link  sent again with full jitter, for ever; the socket is closed first

A delivery whose observation is no longer released when its time comes is our bug or a race that must not
leak: it is not sent, and stands as a dead letter with that reason (S03).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import NoResultFound

from lis.emr.exchange import ANSWER_WAIT_S, Exchange, Outcome, exchange
from lis.emr.refusals_out import render_refusal
from lis.emr.results_out import NotReleased, control_id, render_report
from lis.orders.held import REFUSAL
from lis.store.definitions import catalog_in_force
from lis.store.delivery_queries import note_delivered, report_facts
from lis.store.lock import Priority
from lis.store.outbox import claim_due, mark_acknowledged, mark_dead, retry_at, retry_delay
from lis.store.rows import Outbox
from lis.store.unit import Store, Unit
from lis.transport import LinkAddress, LinkLost, Pipe, open_pipe
from lis.transport.security import PLAIN, LinkSecurity

log = structlog.get_logger()

CLAIM_MAX: Final = 50  # one unit's worth of settling; more are claimed at once after it
PACE_S: Final = 1.0  # how long to wait without news; undo windows end in silence
ERROR_RETRY: Final = timedelta(seconds=60)
ERROR_MARK: Final = "AE: "
CLAIM_LEASE: Final = timedelta(seconds=ANSWER_WAIT_S * 4)

T = TypeVar("T")
Wait = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """One claimed delivery, out of the database."""

    outbox_id: int
    key: str
    body: bytes
    attempts: int
    last_error: str


@dataclass(slots=True, kw_only=True)
class EmrSender:
    """Sends what is due for one destination; one per EMR, on an event loop."""

    store: Store
    destination: str
    address: LinkAddress
    facility: str
    executor: Executor
    answer_wait_s: float = ANSWER_WAIT_S
    security: LinkSecurity = PLAIN
    _pipe: Pipe | None = field(default=None, init=False)
    _is_lost: bool = field(default=False, init=False)

    async def run(self, wait: Wait) -> None:
        """Deliver until cancelled; `wait(seconds)` returns early when there may be news."""
        try:
            while True:
                if not await self.run_once():
                    await wait(PACE_S)
        finally:
            await self._hang_up()

    async def run_once(self) -> bool:
        """Send everything that is due now; True if there was anything."""
        letters = await self._in_thread(self._claim)
        outcomes: list[tuple[_Letter, Exchange]] = []
        for letter in letters:
            outcomes.append((letter, await self._send(letter)))
            if outcomes[-1][1].outcome is Outcome.NO_ANSWER:
                break  # the link is gone: the rest keeps its place and is claimed again
        rest = letters[len(outcomes) :]
        if letters:
            await self._in_thread(lambda: self._settle(outcomes, rest))
        is_lost = any(result.outcome is Outcome.NO_ANSWER for _, result in outcomes)
        return bool(letters) and not is_lost

    async def _send(self, letter: _Letter) -> Exchange:
        try:
            if self._pipe is None:
                self._pipe = await open_pipe(self.address, self.security.calling())
        except LinkLost as lost:
            self._note_lost(str(lost))
            return Exchange(outcome=Outcome.NO_ANSWER, text=str(lost))
        answer = await exchange(
            self._pipe, letter.body, control_id=control_id(letter.key), wait_s=self.answer_wait_s
        )
        if answer.outcome is Outcome.NO_ANSWER:
            self._note_lost(answer.text)
            await self._hang_up()
        elif self._is_lost:
            self._is_lost = False
            log.info("emr_back", destination=self.destination)
        return answer

    async def _hang_up(self) -> None:
        if self._pipe is not None:
            await self._pipe.close()
            self._pipe = None

    def _note_lost(self, reason: str) -> None:
        if not self._is_lost:
            log.warning("emr_lost", destination=self.destination, reason=reason)
        self._is_lost = True

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function)

    # --- in threads -----------------------------------------------------------------------------

    def _claim(self) -> list[_Letter]:
        with self.store.unit("delivery", priority=Priority.OUTBOX) as unit:
            rows = claim_due(unit.session, self.destination, unit.now, CLAIM_MAX, lease=CLAIM_LEASE)
            return [letter for row in rows if (letter := self._letter(unit, row)) is not None]

    def _letter(self, unit: Unit, row: Outbox) -> _Letter | None:
        if row.body is None:
            try:
                row.body = self._render(unit, row)
            except (NotReleased, NoResultFound, KeyError) as error:
                log.error("not_deliverable", outbox=row.id, reason=str(error))
                mark_dead(unit, row.id, f"not deliverable: {error}")
                return None
        return _Letter(
            outbox_id=row.id,
            key=row.key,
            body=row.body,
            attempts=row.attempts,
            last_error=row.last_error,
        )

    def _render(self, unit: Unit, row: Outbox) -> bytes:
        if REFUSAL in row.payload:
            return render_refusal(
                unit.session, row, destination=self.destination, facility=self.facility, at=unit.now
            )
        facts = report_facts(unit.session, row.payload["report"], row.payload["observations"])
        return render_report(
            facts,
            catalog_in_force(unit.session, unit.now),
            key=row.key,
            destination=self.destination,
            facility=self.facility,
            at=unit.now,
        )

    def _settle(self, outcomes: list[tuple[_Letter, Exchange]], rest: list[_Letter]) -> None:
        with self.store.unit("delivery", priority=Priority.OUTBOX) as unit:
            for letter, result in outcomes:
                self._settle_one(unit, letter, result)
            for letter in rest:
                retry_at(unit, letter.outbox_id, unit.now, letter.last_error)

    def _settle_one(self, unit: Unit, letter: _Letter, result: Exchange) -> None:
        match result.outcome:
            case Outcome.ACCEPTED:
                mark_acknowledged(unit, letter.outbox_id)
                note_delivered(unit, letter.outbox_id)
            case Outcome.REJECTED:
                mark_dead(unit, letter.outbox_id, f"AR: {result.text}")
            case Outcome.ERROR if letter.last_error.startswith(ERROR_MARK):
                mark_dead(unit, letter.outbox_id, ERROR_MARK + result.text)
            case Outcome.ERROR:
                retry_at(unit, letter.outbox_id, unit.now + ERROR_RETRY, ERROR_MARK + result.text)
            case Outcome.NO_ANSWER:
                delay = retry_delay(letter.attempts, random.random)
                retry_at(unit, letter.outbox_id, unit.now + delay, result.text)
