"""The live channel: who may listen, what comes, and when it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lis.access.users import change_user, list_users
from lis.api import live
from lis.app.laboratory import Laboratory
from lis.domain.roles import Role
from tests.api.conftest import OpenBrowser

WAIT_S = 5


@contextmanager
def listening(browser: httpx.Client, topics: str, **headers: str) -> Iterator[ClientConnection]:
    base = str(browser.base_url).rstrip("/")
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    address = base.replace("http", "ws", 1) + f"/api/v1/live?topics={topics}"
    sent = {"Origin": base, "Cookie": cookies} | headers
    with connect(address, additional_headers=sent, proxy=None) as socket:
        yield socket


def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=WAIT_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_nobody_listens_without_a_session(open_browser: OpenBrowser):
    with listening(open_browser(), "device") as socket:
        assert close_code(socket) == live.CLOSE_NOT_SIGNED_IN


def test_another_origin_cannot_listen_with_our_cookie(open_browser: OpenBrowser):
    browser = open_browser("technician")
    with listening(browser, "device", Origin="http://evil.example") as socket:
        assert close_code(socket) == live.CLOSE_NOT_ALLOWED


@pytest.mark.parametrize("topics", ["", "observation", "nonsense"])
def test_topics_need_their_permission(open_browser: OpenBrowser, topics: str):
    with listening(open_browser("doctor"), topics) as socket:
        assert close_code(socket) == live.CLOSE_NOT_ALLOWED


def test_news_arrive_by_topic(open_browser: OpenBrowser, laboratory: Laboratory):
    with listening(open_browser("technician"), "device,order") as socket:
        socket.ping().wait(WAIT_S)
        publish_until_heard(laboratory, socket, "device", "3")


def publish_until_heard(
    laboratory: Laboratory, socket: ClientConnection, topic: str, key: str
) -> None:
    """The place in the hub is taken just after the handshake: the first news may come too early."""
    for _ in range(50):
        with laboratory.store.unit("test") as unit:
            unit.publish("gate", "not asked for")
            unit.publish(topic, key)
        try:
            message = json.loads(socket.recv(timeout=0.1))
        except TimeoutError:
            continue
        assert message == {"topic": topic, "key": key}
        return
    pytest.fail("nothing was heard")


def test_a_session_opens_a_bounded_number_of_sockets(open_browser: OpenBrowser):
    browser = open_browser("technician")
    hub = live.LiveHub.__new__(live.LiveHub)  # only the count is looked at
    hub._listeners = {
        live.Listener(session="s", language="en", topics=frozenset())
        for _ in range(live.SOCKETS_PER_SESSION_MAX)
    }
    assert not hub.has_room("s")
    assert hub.has_room("another")
    assert browser.get("/metrics").status_code == 200


async def test_a_slow_socket_is_told_to_reload_and_memory_stays_bounded():
    listener = live.Listener(session="s", language="en", topics=frozenset({"device"}))
    for number in range(live.QUEUE_MESSAGES_MAX + 10):
        listener.offer(str(number))
    assert listener.queue.qsize() <= live.QUEUE_MESSAGES_MAX
    assert listener.queue.get_nowait() == live.RELOAD


def test_the_channel_ends_with_its_session(
    open_browser: OpenBrowser, laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "SESSION_CHECK_S", 0.05)
    with listening(open_browser("technician"), "device") as socket:
        with laboratory.store.unit("admin") as unit:
            user = next(user for user in list_users(unit) if user.login == "technician")
            change_user(
                unit,
                user.id,
                version=user.version,
                name=user.name,
                roles=frozenset({Role.TECHNICIAN}),
                is_active=False,
                language="",
            )
        assert json.loads(socket.recv(timeout=WAIT_S)) == {"topic": "session"}
        assert close_code(socket) == live.CLOSE_NOT_SIGNED_IN
