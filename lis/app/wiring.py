"""Who is connected to whom: the one place that knows every floor.

    settings -> store -> configured rows -> writer, links, workers, senders -> laboratory for pages

One process runs all roles (`lis serve`), or some of them on PostgreSQL (`--role links|work|web`):

    links   listeners and their sessions, the inbox writer, the request lane
    work    intake, delivery to EMRs, the audit sealer
    web     pages and endpoints (mounted by `lis.cli`)

Everything that may block runs in threads; the event loop carries sockets only.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from lis.app.bus import Bus
from lis.app.configuring import Configured, ConfiguredEmr, ConfiguredLink, configure
from lis.app.dispatcher import work
from lis.app.label_printer import LabelPrinter
from lis.app.laboratory import Laboratory
from lis.app.links import LinkRunner
from lis.app.mqtt import Broker, MqttBridge
from lis.app.order_sender import OrderSender
from lis.app.requests import RequestLane
from lis.app.router import Router
from lis.app.settings import PrinterSettings, Settings
from lis.app.silence_watch import SilenceWatch
from lis.app.supervisor import supervise
from lis.domain.clock import Clock
from lis.domain.messages import Translation
from lis.drivers import registry, translate
from lis.drivers.outgoing import OutgoingPort
from lis.emr.delivery import EmrSender
from lis.results.intake import Intake
from lis.store.audit import seal
from lis.store.inbox import InboxWriter
from lis.store.inbox_recovery import recover_open_sessions
from lis.store.lock import Priority
from lis.store.retention import Retention
from lis.store.traffic_queries import open_alarm
from lis.store.traffic_rows import Device, Inbox
from lis.store.unit import Store
from lis.transport import LinkAddress
from lis.transport.base import AddressError

log = structlog.get_logger()

Task = Callable[[], Coroutine[object, object, None]]

THREADS_MAX: Final = 8  # blocking work of links and workers; SQLite has one writer anyway
INTAKE_BATCH_MAX: Final = 200
RETENTION_PACE_S: Final = 60.0  # between two looks whether there is old traffic
SILENCE_PACE_S: Final = 15.0  # an alarm of silence ends that long after a message at most
STOP_WAIT_S: Final = 15.0  # links get 10 s to say goodbye
# Python's own 5 ms are long where a writer calls SQLite ten times for one ACK, and intake computes
# meanwhile: each call gives the interpreter away and waits that long to have it back.
SWITCH_INTERVAL_S: Final = 0.001


class RunRole(StrEnum):
    """What a process of this laboratory does."""

    LINKS = "links"
    WORK = "work"
    WEB = "web"


ALL_ROLES: Final = frozenset(RunRole)


@dataclass(slots=True, kw_only=True)
class House:
    """A wired laboratory: open it, run its roles, close it."""

    laboratory: Laboratory
    configured: Configured
    writer: InboxWriter
    executor: ThreadPoolExecutor
    intake: Intake
    accepts_simulators: bool
    addresses: dict[str, str] = field(default_factory=dict)  # link name -> real listening address
    ports: dict[int, OutgoingPort] = field(default_factory=dict)  # of LAW analyzers, by device
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def store(self) -> Store:
        return self.laboratory.store

    async def run(self, roles: frozenset[RunRole] = ALL_ROLES) -> None:
        """Run the tasks of these roles until `stop` is called; then everything is closed in order."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        workers = [asyncio.create_task(self._supervised(*task)) for task in self._workers(roles)]
        links = []
        if RunRole.LINKS in roles:
            self._recover()
            self.writer.start()
            links = [asyncio.create_task(self._keep_link(link)) for link in self.configured.links]
            workers += [
                asyncio.create_task(
                    self._supervised(f"orders:{link.name}", self._order_sender(link))
                )
                for link in self.configured.links
                if link.purpose == "instrument" and self._port(link) is not None
            ]
        try:
            await self._stop.wait()
        finally:
            if links:  # they hear `stop` themselves and close their pipes
                await asyncio.wait(links, timeout=STOP_WAIT_S)
            for task in (*workers, *links):
                task.cancel()
            await asyncio.gather(*workers, *links, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to end; call on its loop."""
        self._stop.set()

    def close(self) -> None:
        """Commit what waits and close the store."""
        self.writer.stop()
        self.executor.shutdown(wait=True)
        self.store.close()

    def _recover(self) -> None:
        """File what sessions left open when the last process died; before any link opens."""
        with self.store.unit("recovery") as unit:
            recovered = recover_open_sessions(unit)
        if recovered:
            log.warning("incomplete_messages_recovered", inbox=list(recovered))

    def _supervised(self, name: str, task: Task) -> Coroutine[object, object, None]:
        return supervise(name, task, on_crash=self._alarm)

    def _workers(self, roles: frozenset[RunRole]) -> list[tuple[str, Task]]:
        workers: list[tuple[str, Task]] = []
        if RunRole.WORK in roles:
            workers.append(("intake", self._worker(self.intake_step, "inbox", "gate")))
            routing = Router(self.store)
            workers.append(("routing", self._worker(routing.step, "order", "gate", "device")))
            workers.append(("sealer", self._worker(self._seal_step, "observation", "order")))
            keep_days = self.laboratory.settings.journal.keep_days
            retention = Retention(self.store, keep_days=keep_days)
            workers.append(("retention", self._slow_worker(retention.step, RETENTION_PACE_S)))
            silence = SilenceWatch(self.store)
            workers.append(("silence", self._slow_worker(silence.step, SILENCE_PACE_S)))
            workers += [
                (f"deliver:{emr.name}", self._sender(emr)) for emr in self.configured.destinations
            ]
            printers = self.laboratory.settings.printer
            workers += [(f"print:{printer.name}", self._printer(printer)) for printer in printers]
        if url := self.laboratory.settings.mqtt.url:
            bridge = MqttBridge(
                self.laboratory.bus, Broker.parse(url), installation=self.laboratory.installation
            )
            workers.append(("mqtt", lambda: bridge.run(listen_to_store=self.store.on_commit)))
        return workers

    def _worker(self, step: Callable[[], bool], *topics: str) -> Task:
        return lambda: work(step, bus=self.laboratory.bus, topics=topics, executor=self.executor)

    def _slow_worker(self, step: Callable[[], bool], pace_s: float) -> Task:
        """A worker that no news wakes: it looks at its own pace."""
        return lambda: work(
            step, bus=self.laboratory.bus, topics=("none",), executor=self.executor, pace_s=pace_s
        )

    def intake_step(self) -> bool:
        """Process what waits in the result lane; True while there may be more."""
        return self.intake.run_once(INTAKE_BATCH_MAX).claimed > 0

    def _seal_step(self) -> bool:
        seal(self.store)
        return False

    def _sender(self, emr: ConfiguredEmr) -> Task:
        sender = EmrSender(
            store=self.store,
            destination=f"emr:{emr.name}",
            address=LinkAddress.parse(emr.address),
            facility=self.laboratory.settings.laboratory.name,
            executor=self.executor,
            security=emr.security,
        )

        async def run() -> None:
            with self.laboratory.bus.subscribe("outbox") as news:
                await sender.run(news.next)

        return run

    def _printer(self, settings: PrinterSettings) -> Task:
        printer = LabelPrinter(
            store=self.store,
            executor=self.executor,
            printer=settings,
            site=self.laboratory.settings.site_of(settings.site),
            language=self.laboratory.settings.laboratory.language,
        )
        printer.begin()

        async def run() -> None:
            with self.laboratory.bus.subscribe("outbox", "order") as news:
                await printer.run(news.next)

        return run

    def _port(self, link: ConfiguredLink) -> OutgoingPort | None:
        """The way by which messages of our own reach a LAW analyzer; one for all its links."""
        if link.device_id is None or registry.get(link.driver).law is None:
            return None
        return self.ports.setdefault(link.device_id, OutgoingPort())

    def _order_sender(self, link: ConfiguredLink) -> Task:
        port = self._port(link)
        assert port is not None, "only LAW analyzers have a sender"
        sender = OrderSender(store=self.store, executor=self.executor, link=link, port=port)

        async def run() -> None:
            with self.laboratory.bus.subscribe("outbox") as news:
                await sender.run(news.next)

        return run

    async def _keep_link(self, link: ConfiguredLink) -> None:
        runner = LinkRunner(
            link=link,
            port=self._port(link),
            store=self.store,
            writer=self.writer,
            requests=RequestLane(
                store=self.store,
                executor=self.executor,
                accepts_test_traffic=self.accepts_simulators,
            ),
            clock=self.laboratory.clock,
            executor=self.executor,
            on_listening=self.addresses.__setitem__,
        )

        async def run() -> None:
            try:
                await runner.run(self._stop)
            except AddressError as error:  # retrying cannot help; check-config says so beforehand
                log.error("link_address", link=link.name, reason=str(error))
                await self._stop.wait()

        await supervise(f"link:{link.name}", run, on_crash=self._alarm, stop=self._stop)

    def _alarm(self, name: str, reason: str) -> None:
        self.executor.submit(self._store_alarm, name, reason)

    def _store_alarm(self, name: str, reason: str) -> None:
        with self.store.unit("supervisor", priority=Priority.BACKGROUND) as unit:
            open_alarm(unit, kind="task_crashed", subject=name, parameters={"reason": reason})


def translate_row(row: Inbox, device: Device) -> Translation:
    """What one kept message says, by the profile its device has now."""
    return translate(
        registry.get(device.driver),
        row.raw,
        zone=ZoneInfo(device.timezone or "UTC"),
        charset=device.charset,
        received_at=row.received_at,
    )


def build_house(settings: Settings, *, clock: Clock, is_demo: bool = False) -> House:
    """Open the store, bring it to the newest schema, write the configured rows, wire everything."""
    folder = settings.drivers.folder
    registry.use_folder(Path(folder) if folder else None)
    store = Store.open(settings.store.url, clock=clock)
    store.migrate()
    with store.unit("system") as unit:
        configured = configure(unit, settings, are_simulators=is_demo)
    bus = Bus()
    store.on_commit(bus.publish)
    laboratory = Laboratory(
        settings=settings,
        store=store,
        bus=bus,
        clock=clock,
        installation="demo" if is_demo else "main",
        is_demo=is_demo,
        started_at=clock.now(),
    )
    return House(
        laboratory=laboratory,
        configured=configured,
        writer=InboxWriter(store),
        # CPU time of its thread, not the wall's: a slow disk must not make batches small
        intake=Intake(store, translate_row, accepts_simulators=is_demo, elapsed=time.thread_time),
        executor=ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="lis"),
        accepts_simulators=is_demo,
    )
