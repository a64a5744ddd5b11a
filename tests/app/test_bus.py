"""Hints reach every subscriber of a process, and other processes through a real broker."""

import asyncio
import threading
import uuid

import pytest

from lis.app.bus import QUEUE_HINTS_MAX, Bus
from lis.app.mqtt import Broker, MqttBridge
from lis.store.unit import Hint


async def test_a_subscriber_gets_its_topics_from_any_thread():
    bus = Bus()
    with bus.subscribe("gate") as news:
        thread = threading.Thread(
            target=bus.publish, args=((Hint("gate", "1"), Hint("inbox", "2")),)
        )
        thread.start()
        assert await news.next(2.0) == Hint("gate", "1")
        assert await news.next(0.01) is None
        thread.join()


async def test_waiting_hints_come_in_one_batch_without_repetition():
    bus = Bus()
    with bus.subscribe() as news:
        bus.publish((Hint("a", "1"), Hint("a", "1"), Hint("b", "2")))
        async for batch in news.batches():
            assert batch == (Hint("a", "1"), Hint("b", "2"))
            break


async def test_a_slow_subscriber_forgets_the_oldest_and_memory_stays_bounded():
    bus = Bus()
    with bus.subscribe() as news:
        bus.publish(tuple(Hint("a", str(number)) for number in range(QUEUE_HINTS_MAX + 5)))
        assert await news.next(2.0) == Hint("a", "5")
        assert news.forgotten == 5


async def test_after_the_block_nobody_is_told():
    bus = Bus()
    with bus.subscribe() as news:
        pass
    bus.publish((Hint("a", "1"),))
    assert await news.next(0.01) is None


async def test_a_worker_that_is_stopped_just_as_a_hint_arrives_stops():
    async def work(news):
        while True:
            await news.next(60.0)

    bus = Bus()
    with bus.subscribe("inbox") as news:
        working = asyncio.create_task(work(news))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it waits in the queue now
        news._put([Hint("inbox", "1")])
        await asyncio.sleep(0)  # the hint is on its way to it
        working.cancel()
        done, _ = await asyncio.wait({working}, timeout=2.0)
        working.cancel()
        assert done == {working}


async def test_hints_cross_processes_over_mqtt_and_do_not_echo(mqtt_url):
    installation = uuid.uuid4().hex
    here, there = Bus(), Bus()
    listeners = []
    bridges = [
        MqttBridge(bus, Broker.parse(mqtt_url), installation=installation) for bus in (here, there)
    ]
    tasks = [
        asyncio.create_task(bridges[0].run(listen_to_store=listeners.append)),
        asyncio.create_task(bridges[1].run(listen_to_store=lambda _: None)),
    ]
    try:
        await asyncio.wait_for(
            asyncio.gather(*(bridge.is_connected.wait() for bridge in bridges)), 10
        )
        with here.subscribe() as own, there.subscribe() as other:
            listeners[0]((Hint("observation", "17"),))
            assert await other.next(5.0) == Hint("observation", "17")
            assert await own.next(0.2) is None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "broker"])
def test_a_broker_address_is_checked(url):
    with pytest.raises(ValueError, match="mqtt://host:port"):
        Broker.parse(url)
