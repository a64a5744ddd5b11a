"""Links: each configured connection kept open, its traffic kept, its requests answered.

A link runs under the supervisor on the links' event loop. Its handler is the session of `lis.drivers`; what
this module adds is the wiring: `keep` goes to the one inbox writer, `answer` to the request lane, what
happened to the link row and to the log. Whoever waits for new messages hears of them from the writer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import structlog

from lis.app.complaints import Complaints
from lis.app.configuring import ConfiguredLink
from lis.app.requests import RequestLane
from lis.domain.clock import Clock
from lis.domain.messages import Protocol
from lis.domain.traffic import Keep, Receipt, ReceivedUnit, TrafficLine
from lis.drivers import Profile, registry
from lis.drivers.astm_session import settings_of
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.session import run_session
from lis.drivers.session_events import (
    AnswerFailed,
    InputRejected,
    LibertyTaken,
    SessionClosed,
    SessionEvent,
    StoreUnavailable,
)
from lis.store.inbox import InboxWriter
from lis.store.lock import Priority
from lis.store.traffic_queries import note_link_state
from lis.store.unit import Store
from lis.transport import LinkAddress, LinkSettings, LinkState, Pipe, serve_link
from lis.transport.address import SerialTarget, TcpConnect

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRunner:
    """Runs one configured link."""

    link: ConfiguredLink
    store: Store
    writer: InboxWriter
    requests: RequestLane
    clock: Clock
    executor: Executor  # for the short writes of link states
    on_listening: Callable[[str, str], None]  # (link name, real address)
    port: OutgoingPort | None = None  # where messages of our own leave (LAW)
    complaints: Complaints = field(default_factory=lambda: Complaints(time.monotonic))
    liberties: set[str] = field(default_factory=set)  # said in the log since the start

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the link until `stop` is set; raises `AddressError` for one that cannot be served."""
        address = LinkAddress.parse(self.link.address)
        await serve_link(
            address,
            self._serve,
            on_state=self._note_state,
            stop=stop,
            settings=self._secured(address),
        )

    def _secured(self, address: LinkAddress) -> LinkSettings:
        security, name = self.link.security, self.link.name
        if isinstance(address.target, TcpConnect):
            return security.calling(name)
        return security.listening(name, single_peer=self.link.is_instrument)

    async def _serve(self, pipe: Pipe) -> None:
        profile, protocol = self._spoken()
        await run_session(
            pipe,
            profile=profile,
            protocol=protocol,
            keep=self._keeping(profile),
            answer=self.requests.answering(self.link),
            clock=self.clock,
            on_event=self._note_event,
            charset=self.link.charset,
            astm_settings=settings_of(
                profile, password=self.link.password, bytes_per_s=self._bytes_per_s()
            ),
            closes_after_fault=not self._is_serial(),
            port=self.port,
            carries_orders=self._carries_orders(),
        )

    def _is_serial(self) -> bool:
        return isinstance(LinkAddress.parse(self.link.address).target, SerialTarget)

    def _bytes_per_s(self) -> float:
        """Of a serial line: the reply timer of a frame starts with its last character (LIS01-A2 6.5.2.3)."""
        target = LinkAddress.parse(self.link.address).target
        return target.bytes_per_s if isinstance(target, SerialTarget) else 0.0

    def _carries_orders(self) -> bool:
        """Orders leave by this link, unless the analyzer has another for them."""
        return not self.link.has_orders_link or self.link.purpose == "instrument_orders"

    def _spoken(self) -> tuple[Profile | None, Protocol]:
        if not self.link.is_instrument:
            return None, Protocol.HL7
        profile = registry.get(self.link.driver)
        return profile, profile.protocol

    def _keeping(self, profile: Profile | None) -> Keep:
        link, version = self.link, profile.version if profile is not None else ""

        def keep(
            lines: Sequence[TrafficLine], units: Sequence[ReceivedUnit]
        ) -> Awaitable[tuple[Receipt, ...]]:
            return self.writer.keep(
                link_id=link.link_id,
                device_id=link.device_id,
                driver=link.driver,
                driver_version=version,
                lines=lines,
                units=units,
            )

        return keep

    def _note_event(self, event: SessionEvent) -> None:
        match event:
            case SessionClosed(inbox_ids=ids, is_clean=is_clean):
                self.writer.end_session(ids, is_closed=is_clean)
            case InputRejected(reason=reason, size_bytes=size_bytes):
                self._complain(log.warning, "input_rejected", reason=reason, size_bytes=size_bytes)
            case StoreUnavailable(reason=reason):
                self._complain(log.error, "not_kept", reason=reason)
            case AnswerFailed(inbox_id=inbox_id, reason=reason):
                self._complain(log.warning, "answer_failed", inbox=inbox_id, reason=reason)
            case LibertyTaken(name=name) if name not in self.liberties:
                self.liberties.add(name)  # an instrument may come with a connection a message
                log.info("liberty_taken", link=self.link.name, liberty=name)
            case _:
                pass

    def _complain(self, say: Callable[..., object], event: str, **facts: object) -> None:
        unsaid = self.complaints.admit()
        if unsaid is None:
            return
        if unsaid:
            facts["not_logged_before"] = unsaid
        say(event, link=self.link.name, **facts)

    def _note_state(self, state: LinkState, detail: str) -> None:
        if state is LinkState.LISTENING:
            self.on_listening(self.link.name, detail)
        self.executor.submit(self._store_state, state, detail)

    def _store_state(self, state: LinkState, detail: str) -> None:
        with self.store.unit(f"link:{self.link.name}", priority=Priority.BACKGROUND) as unit:
            note_link_state(unit, self.link.link_id, state.value, detail)
