"""Orders on the wire of one LAW analyzer: the same bytes until an answer comes, and nothing while nobody listens."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from lis.app.configuring import ConfiguredLink
from lis.app.order_sender import OrderSender
from lis.domain.clock import ManualClock
from lis.drivers import registry
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.session import run_session
from lis.orders.analyzer_steps import destination_of
from lis.store import Store
from lis.store.people_rows import Site
from lis.store.rows import Outbox, OutboxState
from lis.store.traffic_rows import Device
from lis.transport import LinkLost, memory_pair
from lis.wire.law_messages import Head, Specimen, nothing_to_do, order_reply
from lis.wire.mllp import frame
from tests.drivers.test_mllp_session import Peer
from tests.drivers.wires import Host

DRIVER = "roche-cobas-pro"


@pytest.fixture
def threads_of_the_tools() -> str:
    return "lis-orders"


class Bench:
    """One analyzer with one message in the outbox."""

    def __init__(self, store: Store, clock: ManualClock, pool: ThreadPoolExecutor) -> None:
        self.store, self.clock, self.port = store, clock, OutgoingPort()
        with store.unit("author") as unit:
            unit.session.add(Site(name="main", timezone="UTC"))
            unit.session.flush()
            device = Device(public_id=unit.ids.new(), site_id=1, name="pro", driver=DRIVER)
            unit.session.add(device)
            unit.session.flush()
            specimen = Specimen(container="1900000014", role="U")
            self.order = nothing_to_do(Head(control_id="T1", at=unit.now), specimen)
            row = Outbox(
                destination=destination_of("pro"),
                key="orders:pro:T1",
                order_key=destination_of("pro"),
                payload={},
                created_at=unit.now,
                not_before=unit.now,
                body=self.order,
            )
            unit.session.add(row)
        self.sender = self._sender(pool, has_orders_link=False)
        self.calling = self._sender(pool, has_orders_link=True)

    def _sender(self, pool: ThreadPoolExecutor, *, has_orders_link: bool) -> OrderSender:
        link = ConfiguredLink(
            link_id=1,
            name="pro",
            address="memory://pro",
            purpose="instrument",
            site_id=1,
            device_id=1,
            driver=DRIVER,
            has_orders_link=has_orders_link,
        )
        return OrderSender(
            store=self.store, executor=pool, link=link, port=self.port, reply_wait_s=0.2
        )

    def row(self) -> Outbox:
        with self.store.read() as session:
            return session.scalars(select(Outbox)).one()

    @asynccontextmanager
    async def analyzer(self) -> AsyncIterator[Peer]:
        ours, theirs = memory_pair()
        host = Host()
        session = asyncio.create_task(
            run_session(
                ours,
                profile=registry.get(DRIVER),
                keep=host.shelf.keep,
                answer=host.answer,
                clock=host.clock,
                on_event=host.events.append,
                port=self.port,
            )
        )
        await self.port.until_open()
        try:
            yield Peer(theirs)
        finally:
            with suppress(LinkLost):
                await theirs.close()
                await session


@pytest.fixture
def bench(tmp_path: Path, manual_clock: ManualClock):
    store = Store.open(f"sqlite:///{tmp_path / 'lis.db'}", clock=manual_clock)
    store.create_all()
    with ThreadPoolExecutor(2, thread_name_prefix="lis-orders") as pool:
        yield Bench(store, manual_clock, pool)
    store.close()


def reply(to: str = "T1", control_id: str = "r1") -> bytes:
    return frame(order_reply(Head(control_id=control_id, at=ManualClock().now()), to))


async def test_a_message_is_sent_answered_and_settled(bench: Bench) -> None:
    async with bench.analyzer() as peer:
        sending = asyncio.create_task(bench.sender.run_once())
        [order] = await peer.answers(1)
        await peer.pipe.send(reply())
        assert await sending

    assert order.raw == bench.order
    assert bench.row().state is OutboxState.ACKNOWLEDGED


async def test_an_unanswered_message_goes_again_with_the_same_bytes(bench: Bench) -> None:
    async with bench.analyzer() as peer:
        assert not await bench.sender.run_once()
        bench.clock.advance(seconds=10)
        sending = asyncio.create_task(bench.sender.run_once())
        first, again = await peer.answers(2)
        await peer.pipe.send(reply())
        assert await sending

    assert first.raw == again.raw == bench.order
    assert bench.row().attempts == 2


async def test_a_late_answer_to_another_message_settles_nothing(bench: Bench) -> None:
    async with bench.analyzer() as peer:
        sending = asyncio.create_task(bench.sender.run_once())
        await peer.answers(1)
        await peer.pipe.send(reply(to="T0"))
        assert not await sending

    assert bench.row().state is OutboxState.NEW


async def test_nothing_is_sent_before_its_pause_is_over(bench: Bench) -> None:
    async with bench.analyzer() as peer:
        await bench.sender.run_once()
        await peer.answers(1)
        assert not await bench.sender.run_once()

    assert bench.row().attempts == 1


async def test_a_connection_of_our_own_is_closed_after_silence(bench: Bench) -> None:
    async with bench.analyzer() as peer:
        assert not await bench.calling.run_once()
        await peer.answers(1)
        assert await peer.pipe.receive() == b""
        assert not bench.port.is_open


async def test_without_a_connection_the_message_keeps_its_place(bench: Bench) -> None:
    assert not await bench.sender.run_once()

    assert bench.row().state is OutboxState.NEW
    assert "no connection" in bench.row().last_error
