"""One label printer: what waits for it in the outbox goes to its port 9100, one connection a label.

    claim (a unit) -> draw the label as it is now -> connect, send, close -> settle (a unit)

A raw port answers nothing. Bytes that the printer's system took count as printed; a printer that cannot be reached
gets the label when it is back. With `on_order` the printer also makes the first label of each new tube of its site,
whatever brought the order in; tubes from before this was switched on stay as they are.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from lis.app.settings import PrinterSettings
from lis.domain.errors import NotFound, Refused
from lis.orders.labelling import draw_tube_label, print_label, printer_destination, size_of
from lis.printing.zpl import zpl_of
from lis.store.definitions import catalog_in_force
from lis.store.label_queries import newest_labelled, newest_specimen, unlabelled_after
from lis.store.lock import Priority
from lis.store.outbox import (
    claim_due,
    mark_acknowledged,
    mark_dead,
    next_due,
    retry_at,
    retry_delay,
)
from lis.store.people_queries import site_by_name
from lis.store.unit import Store
from lis.transport import LinkAddress, LinkLost, open_pipe

log = structlog.get_logger()

PACE_S: Final = 1.0
CLAIM_MAX: Final = 20
LEASE: Final = timedelta(seconds=120)  # a printer out of labels stops taking bytes
TAKE_WAIT_S: Final = 30.0  # for one label; paper is being changed
NEW_TUBES_MAX: Final = 5  # first labels in one unit, which others wait for

T = TypeVar("T")
Wait = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    outbox_id: int
    body: bytes
    attempts: int


@dataclass(slots=True, kw_only=True)
class LabelPrinter:
    """Prints what is due for one printer."""

    store: Store
    executor: Executor
    printer: PrinterSettings
    site: str
    language: str
    after: int = -1  # newest tube that needs no first label of ours; -1: not looked yet
    take_wait_s: float = TAKE_WAIT_S
    _is_lost: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Remember where new tubes begin; before anything can bring one."""
        with self.store.read() as session:
            known = newest_labelled(session, self.printer.name)
            self.after = newest_specimen(session) if known is None else known

    async def run(self, wait: Wait) -> None:
        """Print until cancelled; `wait(seconds)` returns early when there may be news."""
        if self.after < 0:
            await self._in_thread(self.begin)
        while True:
            while self.printer.on_order and await self._in_thread(self.label_new_tubes) > 0:
                pass
            if not await self.run_once():
                await wait(PACE_S)

    async def run_once(self) -> bool:
        """Print everything that is due now; True if there was anything and the printer took it."""
        labels = await self._in_thread(self._claim)
        sent: list[tuple[_Label, str]] = []
        for label in labels:
            error = await self._send(label)
            sent.append((label, error))
            if error:
                break  # the rest would only wait as long
        if labels:
            await self._in_thread(lambda: self._settle(sent, labels[len(sent) :]))
        return bool(sent) and not sent[-1][1]

    async def _send(self, label: _Label) -> str:
        """Hand one label over; the trouble in words, or ""."""
        try:
            async with asyncio.timeout(self.take_wait_s):
                pipe = await open_pipe(LinkAddress.parse(self.printer.link))
                try:
                    await pipe.send(label.body)
                finally:
                    await pipe.close()
        except LinkLost as lost:
            return self._lost(str(lost))
        except TimeoutError:
            return self._lost(f"nothing taken within {self.take_wait_s:g} s")
        if self._is_lost:
            log.info("printer_back", printer=self.printer.name)
        self._is_lost = False
        return ""

    def _lost(self, reason: str) -> str:
        if not self._is_lost:
            log.warning("printer_lost", printer=self.printer.name, reason=reason)
        self._is_lost = True
        return reason

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function)

    # --- in threads -----------------------------------------------------------------------------

    def label_new_tubes(self) -> int:
        """Ask for the first label of tubes that have none; how many were asked for."""
        with self.store.read() as session:
            site = site_by_name(session, self.site)
            if site is None:
                return 0
            tubes = unlabelled_after(session, self.after, site_id=site.id, limit=NEW_TUBES_MAX)
        if not tubes:
            return 0
        try:
            with self.store.unit("labels", priority=Priority.OUTBOX) as unit:
                asked = unlabelled_after(
                    unit.session, self.after, site_id=site.id, limit=NEW_TUBES_MAX
                )
                for tube in asked:
                    print_label(unit, tube.accession, printer=self.printer.name)
        except IntegrityError:
            return 0  # another process or a person asked at the same moment: look again
        self.after = max((tube.id for tube in asked), default=self.after)
        return len(asked)

    def _claim(self) -> list[_Label]:
        destination = printer_destination(self.printer.name)
        with self.store.read() as session:
            due = next_due(session, destination)
        if due is None or due > self.store.clock.now():
            return []
        with self.store.unit("labels", priority=Priority.OUTBOX) as unit:
            rows = [
                (row.id, row.payload, row.attempts)
                for row in claim_due(unit.session, destination, unit.now, CLAIM_MAX, lease=LEASE)
            ]
        drawn = [self._draw(*row) for row in rows]  # outside the unit: nobody waits for drawing
        return [label for label in drawn if label is not None]

    def _draw(self, outbox_id: int, payload: Mapping[str, Any], attempts: int) -> _Label | None:
        try:
            with self.store.read() as session:
                dots = draw_tube_label(
                    session,
                    catalog_in_force(session, self.store.clock.now()),
                    payload["specimen"],
                    size=size_of(self.printer.size),
                    language=self.language,
                )
        except (NotFound, Refused) as error:
            log.error("label_not_printable", outbox=outbox_id, reason=str(error))
            with self.store.unit("labels", priority=Priority.OUTBOX) as unit:
                mark_dead(unit, outbox_id, f"not printable: {error}")
            return None
        body = zpl_of(dots, copies=payload["copies"])
        return _Label(outbox_id=outbox_id, body=body, attempts=attempts)

    def _settle(self, sent: list[tuple[_Label, str]], rest: list[_Label]) -> None:
        with self.store.unit("labels", priority=Priority.OUTBOX) as unit:
            for label, error in sent:
                if error:
                    delay = retry_delay(label.attempts, random.random)
                    retry_at(unit, label.outbox_id, unit.now + delay, error)
                else:
                    mark_acknowledged(unit, label.outbox_id)
            for label in rest:
                retry_at(unit, label.outbox_id, unit.now, "")
