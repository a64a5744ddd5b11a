"""The live channel: `WebSocket /api/v1/live?topics=observation,device`.

    {"topic": "observation", "key": "17", "row": {...}}   a worklist row as it is now; null = left the list
    {"topic": "device", "key": "3"}                       something changed: ask again if you show it
    {"topic": "reload"}                                   you are behind: re-read what you show
    {"topic": "session"}                                  the session has ended: sign in again

Theory of operation. One hub task per process reads the bus. For a batch of hints it reads the rows once
per language that somebody listens in, encodes each message once and hands the same text to every socket
that may see it: 50 screens cost little more than one. A socket has a bounded queue; one that is too
slow loses its queue and is told to reload, so memory stays bounded and truth stays in the database.
There is no replay: a client that reconnects re-reads its list.

A session may hold `SOCKETS_PER_SESSION_MAX` sockets. Each looks at its session every
`SESSION_CHECK_S`, without counting as use of it, and closes when it has ended.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.datastructures import Headers

from lis.access import Actor, actor_of
from lis.api.deps import language_of, session_token
from lis.api.metrics import Metrics
from lis.api.protection import is_own_origin
from lis.app.laboratory import Laboratory
from lis.app.supervisor import supervise
from lis.domain.roles import Permission
from lis.store.unit import Hint

QUEUE_MESSAGES_MAX: Final = 512  # per socket: ten seconds of a busy laboratory
SOCKETS_PER_SESSION_MAX: Final = 12  # tabs of one person
SOCKETS_MAX: Final = 500  # of this process
ROWS_AT_ONCE_MAX: Final = 200  # a larger batch: clients re-read their list instead
SESSION_CHECK_S: Final = 15.0
CLOSE_NOT_SIGNED_IN: Final = 4401
CLOSE_NOT_ALLOWED: Final = 4403
CLOSE_TOO_MANY: Final = 4429

# Who may listen to what; a topic that is not here does not exist for browsers.
TOPICS: Final = {
    "observation": Permission.SEE_WORKLIST,
    "order": Permission.ENTER_ORDERS,
    "device": Permission.SEE_INSTRUMENTS,
    "link": Permission.SEE_INSTRUMENTS,
    "inbox": Permission.SEE_INSTRUMENTS,
    "outbox": Permission.SEE_INSTRUMENTS,
    "gate": Permission.SEE_QC,
}
RELOAD: Final = '{"topic":"reload"}'
SESSION_ENDED: Final = '{"topic":"session"}'

# Fresh worklist rows by observation key in a language; a key that is missing has left the list.
RowReader = Callable[[Laboratory, tuple[int, ...], str], dict[int, dict[str, Any]]]


@dataclass(eq=False, slots=True)
class Listener:
    """One socket's place in the hub."""

    session: str
    language: str
    topics: frozenset[str]
    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(QUEUE_MESSAGES_MAX))

    def offer(self, message: str) -> None:
        """Queue a message; a socket that is too far behind is told to reload instead."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            message = RELOAD
        self.queue.put_nowait(message)


class LiveHub:
    """Reads the bus once and serves every socket of this process."""

    def __init__(self, laboratory: Laboratory, metrics: Metrics, read_rows: RowReader) -> None:
        self._laboratory = laboratory
        self._metrics = metrics
        self._read_rows = read_rows
        self._listeners: set[Listener] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The hub's task lives as long as the block."""
        task = asyncio.create_task(
            supervise("live-hub", self._run, on_crash=self._after_crash), name="live-hub"
        )
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def has_room(self, session: str) -> bool:
        """Whether one more socket of this session may open."""
        own = sum(listener.session == session for listener in self._listeners)
        return own < SOCKETS_PER_SESSION_MAX and len(self._listeners) < SOCKETS_MAX

    @contextlib.contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Serve a socket while the block lasts."""
        self._listeners.add(listener)
        self._metrics.live_sockets = len(self._listeners)
        try:
            yield
        finally:
            self._listeners.discard(listener)
            self._metrics.live_sockets = len(self._listeners)

    def _after_crash(self, _name: str, _reason: str) -> None:
        """Some news was lost: every screen reads again."""
        for listener in self._listeners:
            listener.offer(RELOAD)

    async def _run(self) -> None:
        with self._laboratory.bus.subscribe(*TOPICS) as subscription:
            async for hints in subscription.batches():
                if self._listeners:
                    await self._serve(hints)

    async def _serve(self, hints: tuple[Hint, ...]) -> None:
        keys = tuple(int(hint.key) for hint in hints if _is_row(hint))
        for language in {listener.language for listener in self._listeners}:
            messages = await self._messages(hints, keys, language)
            for listener in tuple(self._listeners):
                if listener.language == language:
                    for topic, message in messages:
                        if topic in listener.topics:
                            listener.offer(message)

    async def _messages(
        self, hints: tuple[Hint, ...], keys: tuple[int, ...], language: str
    ) -> list[tuple[str, str]]:
        """(topic, encoded message) for one language; rows are read in a worker thread."""
        messages = [
            (hint.topic, _encode({"topic": hint.topic, "key": hint.key}))
            for hint in hints
            if not _is_row(hint)
        ]
        if len(keys) > ROWS_AT_ONCE_MAX:
            return [*messages, ("observation", RELOAD)]
        wanted = any(
            listener.language == language and "observation" in listener.topics
            for listener in self._listeners
        )
        if keys and wanted:
            rows = await asyncio.to_thread(self._read_rows, self._laboratory, keys, language)
            messages += [
                (
                    "observation",
                    _encode({"topic": "observation", "key": str(key), "row": rows.get(key)}),
                )
                for key in keys
            ]
        return messages


def _is_row(hint: Hint) -> bool:
    return hint.topic == "observation" and hint.key.isdigit()


def _encode(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def live_router(hub: LiveHub) -> APIRouter:
    """The socket's route. It checks its own session: it answers with close codes, not problems."""
    router = APIRouter()

    @router.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()  # a close code reaches scripts only after the handshake
        laboratory: Laboratory = socket.app.state.laboratory
        token = session_token(socket) or ""
        actor = await asyncio.to_thread(actor_of, laboratory.store, token)
        refusal = _refusal(socket, actor, hub, token)
        if actor is None or refusal:
            await socket.close(refusal or CLOSE_NOT_SIGNED_IN)
            return
        socket.state.actor = actor
        listener = Listener(
            session=token,
            language=language_of(socket),
            topics=_allowed_topics(socket, actor),
        )
        with hub.listening(listener):
            await _talk(socket, listener, laboratory, token)

    return router


def _asked_topics(socket: WebSocket) -> frozenset[str]:
    return frozenset(topic for topic in socket.query_params.get("topics", "").split(",") if topic)


def _allowed_topics(socket: WebSocket, actor: Actor) -> frozenset[str]:
    return frozenset(topic for topic in _asked_topics(socket) if actor.may(TOPICS[topic]))


def _refusal(socket: WebSocket, actor: Actor | None, hub: LiveHub, token: str) -> int:
    """The close code that says no, or 0. Cross-site pages could open sockets with our cookie: Origin."""
    if not is_own_origin(Headers(scope=socket.scope)):
        return CLOSE_NOT_ALLOWED
    if actor is None:
        return CLOSE_NOT_SIGNED_IN
    asked = _asked_topics(socket)
    if not asked or not asked <= TOPICS.keys() or not _allowed_topics(socket, actor):
        return CLOSE_NOT_ALLOWED
    return 0 if hub.has_room(token) else CLOSE_TOO_MANY


async def _talk(socket: WebSocket, listener: Listener, laboratory: Laboratory, token: str) -> None:
    """Send what comes until the client leaves or the session ends."""
    ended = asyncio.create_task(_until_ended(laboratory, token))
    tasks = {
        ended,
        asyncio.create_task(_until_left(socket)),
        asyncio.create_task(_send_all(socket, listener)),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if ended in done:
            await socket.send_text(SESSION_ENDED)
            await socket.close(CLOSE_NOT_SIGNED_IN)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_all(socket: WebSocket, listener: Listener) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await listener.queue.get())


async def _until_ended(laboratory: Laboratory, token: str) -> None:
    # a session may end in another process: there is nothing to wait for but time
    while await asyncio.to_thread(actor_of, laboratory.store, token, is_use=False):  # noqa: ASYNC110
        await asyncio.sleep(SESSION_CHECK_S)


async def _until_left(socket: WebSocket) -> None:
    """Read until the client is gone; what a client says is ignored."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
