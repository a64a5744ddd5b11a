"""A laboratory behind a real HTTP server on a free loopback port, for tests of the API and of pages.

Real sockets, real headers, real WebSockets: what a browser and a hostile client meet. One user of each role is
made once a run, because hashing passwords is slow on purpose; each test gets a copy of that database.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from lis.access.users import create_user
from lis.api.server import create_app
from lis.app.bus import Bus
from lis.app.laboratory import Laboratory
from lis.app.settings import parse_settings
from lis.domain.clock import Clock, ManualClock
from lis.domain.roles import Role
from lis.store.unit import Store
from ui.pages import mount_pages

PASSWORD = "correct horse battery"
START_WAIT_S = 10.0
NAMES = {
    Role.TECHNICIAN: "Смирнова О. В.",
    Role.DOCTOR: "Орлов П. С.",
    Role.QC_OFFICER: "Лебедева Н. И.",
    Role.ADMINISTRATOR: "Васильев А. А.",
}


def document(language: str = "en") -> dict[str, Any]:
    return {
        "laboratory": {"name": "Central laboratory", "language": language},
        "site": [{"name": "main", "timezone": "Europe/Moscow"}],
    }


def make_template(path: Path) -> None:
    """A database with one user of each role, whose login is the role's name."""
    store = Store.open(f"sqlite:///{path}", clock=ManualClock())
    store.create_all()
    with store.unit("test") as unit:
        for role, name in NAMES.items():
            create_user(
                unit, login=role.value, name=name, password=PASSWORD, roles=frozenset({role})
            )
    store.close()


@contextmanager
def open_laboratory(
    template: Path, path: Path, clock: Clock, language: str = "en"
) -> Iterator[Laboratory]:
    path.write_bytes(template.read_bytes())
    store = Store.open(f"sqlite:///{path}", clock=clock)
    bus = Bus()
    store.on_commit(bus.publish)
    try:
        yield Laboratory(
            settings=parse_settings(document(language), where="test"),
            store=store,
            bus=bus,
            clock=clock,
            installation="test",
        )
    finally:
        store.close()


class _Server(uvicorn.Server):
    """Says when it listens, and leaves the signals of the test run alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listens.set()


@contextmanager
def served(laboratory: Laboratory) -> Iterator[str]:
    """Serve API and pages; yields the address, such as http://127.0.0.1:45123."""
    app = create_app(laboratory)
    mount_pages(app, laboratory)
    with served_app(app) as address:
        yield address


@contextmanager
def served_app(app: FastAPI) -> Iterator[str]:
    # with the protocol named, as asyncio does for its own: only then are small answers sent at once
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="web", daemon=True)
    thread.start()
    try:
        assert server.listens.wait(START_WAIT_S), "the server did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_WAIT_S)
        listener.close()


@dataclass
class Browser:
    """Sends what a browser sends: cookies, an Origin, and the page's token with unsafe requests."""

    address: str
    http: httpx.Client

    @classmethod
    def at(cls, address: str) -> "Browser":
        return cls(address, httpx.Client(base_url=address, headers={"Origin": address}))

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        answer = self.http.post("/api/v1/session", json={"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf"]
