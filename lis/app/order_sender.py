"""Orders to one LAW analyzer: whatever waits for it goes out on its connection, one message at a time.

    claim (a unit) -> send the kept bytes, wait for the ORL^O34 with this MSA-2 -> settle (a unit)

The connection is the link's own, or the one of `orders_link`; its session opens the port. Nothing is claimed while
there is none. Before each round the sender looks what need not be measured any more, and, where the analyzer takes
work unasked, what was released since.

A message without an answer goes again with the same bytes and the same MSH-10. On a connection of our own it is
closed first, so that a late answer can never meet another message; on the analyzer's connection MSA-2 alone tells.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog
from sqlalchemy.orm import Session

from lis.app.configuring import ConfiguredLink
from lis.domain.errors import NotFound
from lis.drivers import Profile, registry
from lis.drivers.outgoing import OutgoingPort
from lis.orders.analyzer_steps import (
    broadcast_new,
    destination_of,
    settle,
    withdraw_not_needed,
    work_to_tell,
)
from lis.store.definitions import catalog_in_force
from lis.store.lock import Priority
from lis.store.outbox import claim_due, next_due
from lis.store.step_queries import steps_not_needed
from lis.store.traffic_rows import Device
from lis.store.unit import Store, Unit
from lis.transport import LinkLost
from lis.wire.hl7 import Message

log = structlog.get_logger()

PACE_S: Final = 1.0  # how long to wait without news
REPLY_WAIT_S: Final = 30.0  # hl7.md, M9: what analyzers are usually set to

T = TypeVar("T")
Wait = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """One claimed message, out of the database."""

    outbox_id: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class OrderSender:
    """Sends what is due for one analyzer."""

    store: Store
    executor: Executor
    link: ConfiguredLink
    port: OutgoingPort
    reply_wait_s: float = REPLY_WAIT_S
    _is_lost: bool = field(default=False, init=False)

    async def run(self, wait: Wait) -> None:
        """Send until cancelled; `wait(seconds)` returns early when there may be news."""
        while True:
            await self.port.until_open()
            if not await self.run_once():
                await wait(PACE_S)

    async def run_once(self) -> bool:
        """Send the next message that is due; True if it was answered."""
        letter = await self._in_thread(self._claim)
        if letter is None:
            return False
        reply, error = await self._exchange(letter)
        await self._in_thread(lambda: self._settle(letter, reply, error))
        return reply is not None

    async def _exchange(self, letter: _Letter) -> tuple[bytes | None, str]:
        control_id = Message.parse(letter.body).control_id
        try:
            reply = await self.port.exchange(
                letter.body, control_id=control_id, wait_s=self.reply_wait_s
            )
        except LinkLost as lost:
            return None, self._lost(str(lost))
        if reply is not None:
            self._is_lost = False
            return reply, ""
        if self.link.has_orders_link:
            await self.port.hang_up()
        return None, self._lost(f"no answer within {self.reply_wait_s:g} s")

    def _lost(self, reason: str) -> str:
        if not self._is_lost:
            log.warning("orders_unanswered", link=self.link.name, reason=reason)
        self._is_lost = True
        return reason

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function)

    # --- in threads -----------------------------------------------------------------------------

    def _claim(self) -> _Letter | None:
        if not self._has_work():  # a look costs no write lock
            return None
        with self.store.unit(f"orders:{self.link.name}", priority=Priority.OUTBOX) as unit:
            device = unit.session.get_one(Device, self.link.device_id)
            self._prepare(unit, device)
            lease = timedelta(seconds=self.reply_wait_s * 2 + PACE_S)
            destination = destination_of(device.name)
            rows = claim_due(unit.session, destination, unit.now, 1, lease=lease)
            return _Letter(outbox_id=rows[0].id, body=rows[0].body or b"") if rows else None

    def _settle(self, letter: _Letter, reply: bytes | None, error: str) -> None:
        with self.store.unit(f"orders:{self.link.name}", priority=Priority.OUTBOX) as unit:
            settle(
                unit,
                self._profile(),
                unit.session.get_one(Device, self.link.device_id),
                letter.outbox_id,
                reply,
                random=random.random(),  # noqa: S311  # jitter, no secret
                error=error,
            )

    def _has_work(self) -> bool:
        with self.store.read() as session:
            now, device = self.store.clock.now(), session.get_one(Device, self.link.device_id)
            due = next_due(session, destination_of(device.name))
            if (due is not None and due <= now) or steps_not_needed(session, device.id):
                return True
            return self.link.broadcasts and self._has_news(session, device, now)

    def _has_news(self, session: Session, device: Device, now: datetime) -> bool:
        try:
            catalog = catalog_in_force(session, now)
        except NotFound:
            return False
        return bool(work_to_tell(session, catalog, device, now))

    def _prepare(self, unit: Unit, device: Device) -> None:
        """What this analyzer must hear that nobody has written yet."""
        try:
            catalog = catalog_in_force(unit.session, unit.now)
        except NotFound:
            return  # a laboratory before its first catalog has no work
        withdraw_not_needed(unit, catalog, self._profile(), device)
        if self.link.broadcasts:
            broadcast_new(unit, catalog, self._profile(), device)
        unit.session.flush()

    def _profile(self) -> Profile:
        return registry.get(self.link.driver)
