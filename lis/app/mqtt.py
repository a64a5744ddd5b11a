"""The bus between processes: ids over MQTT, nothing retained, no patient data.

Topic `lis/<installation>/hint/<topic>`, payload = the id. QoS 0: a lost hint costs latency only. Each
process marks its messages with its own origin and ignores its echo. aiomqtt is imported here only.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiomqtt
import structlog

from lis.app.bus import Bus
from lis.store.unit import Hint

log = structlog.get_logger()

RECONNECT_MIN_S: Final = 1.0
RECONNECT_MAX_S: Final = 30.0
KEY_LENGTH_MAX: Final = 200  # ids are short; anything longer is not ours
OUTGOING_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> "Broker":
        """Read `mqtt://[user:password@]host[:port]`."""
        parts = urlsplit(url)
        if parts.scheme != "mqtt" or not parts.hostname:
            raise ValueError(f"mqtt url: expected mqtt://host:port, got {url!r}")
        return cls(
            host=parts.hostname,
            port=parts.port or 1883,
            username=parts.username,
            password=parts.password,
        )


class MqttBridge:
    """Carries hints between this process's bus and a broker, reconnecting for ever."""

    def __init__(self, bus: Bus, broker: Broker, *, installation: str) -> None:
        self._bus = bus
        self._broker = broker
        self._root = f"lis/{installation}/hint"
        self._origin = secrets.token_hex(8)
        self.is_connected = asyncio.Event()

    async def run(
        self, *, listen_to_store: Callable[[Callable[[tuple[Hint, ...]], None]], None]
    ) -> None:
        """Bridge until cancelled. `listen_to_store` registers for this process's own commits only."""
        outgoing: asyncio.Queue[Hint] = asyncio.Queue(OUTGOING_MAX)
        loop = asyncio.get_running_loop()
        listen_to_store(lambda hints: _hand_over(loop, outgoing, hints))
        wait_s = RECONNECT_MIN_S
        while True:
            try:
                await self._connected(outgoing)
                wait_s = RECONNECT_MIN_S
            except aiomqtt.MqttError as error:
                log.warning("mqtt_lost", reason=str(error), retry_in_s=wait_s)
            self.is_connected.clear()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RECONNECT_MAX_S)

    async def _connected(self, outgoing: asyncio.Queue[Hint]) -> None:
        broker = self._broker
        async with aiomqtt.Client(
            broker.host, broker.port, username=broker.username, password=broker.password
        ) as client:
            await client.subscribe(f"{self._root}/+")
            self.is_connected.set()
            log.info("mqtt_connected", broker=broker.host)
            sending = asyncio.create_task(self._send(client, outgoing))
            try:
                async for message in client.messages:
                    self._take(message)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, client: aiomqtt.Client, outgoing: asyncio.Queue[Hint]) -> None:
        while True:
            hint = await outgoing.get()
            payload = f"{self._origin} {hint.key}".encode()
            await client.publish(f"{self._root}/{hint.topic}", payload, qos=0, retain=False)

    def _take(self, message: aiomqtt.Message) -> None:
        payload = message.payload
        if len(payload) > KEY_LENGTH_MAX:
            return
        origin, _, key = payload.decode("utf-8", "replace").partition(" ")
        topic = message.topic.value.rpartition("/")[2]
        if origin != self._origin and key:
            self._bus.publish((Hint(topic, key),))


def _hand_over(
    loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[Hint], hints: tuple[Hint, ...]
) -> None:
    def put() -> None:
        for hint in hints:
            if not queue.full():  # the broker is away: hints may be lost, the database is the truth
                queue.put_nowait(hint)

    if not loop.is_closed():
        loop.call_soon_threadsafe(put)
