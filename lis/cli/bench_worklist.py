"""`lis bench worklist`: how long a technician waits for the first screen and for a verification.

A temporary store with `HELD_ROWS` waiting results behind the real server on loopback; one signed-in client. The
first screen is the page, then its list: what a browser asks for before rows can stand (scripts and styles are
kept by browsers for ever). Verify is one POST until its answer, committed with fsync.
"""

import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import uvicorn

from lis.access.users import create_user
from lis.api.server import create_app
from lis.app.bus import Bus
from lis.app.laboratory import Laboratory
from lis.app.settings import parse_settings
from lis.cli.bench_timing import Figure, alone
from lis.cli.serving import freeze_what_stays
from lis.cli.worklist_seed import Bench
from lis.domain.clock import Clock, ManualClock
from lis.domain.roles import Role
from lis.store.unit import Store
from ui.pages import mount_pages

HELD_ROWS: Final = 500
TUBES: Final = 76  # some seven waiting results a tube
SCREENS: Final = 40
VERIFIED: Final = 60
WARM_UP: Final = 3
PASSWORD: Final = "bench of five hundred rows"  # noqa: S105 - of a store that is thrown away
START_WAIT_S: Final = 10.0


class Client:
    """One browser's worth of requests over one kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Origin": f"http://127.0.0.1:{port}"}

    def sign_in(self, login: str) -> None:
        session = self.ask("POST", "/api/v1/session", {"login": login, "password": PASSWORD})
        self._headers["X-CSRF-Token"] = session["csrf"]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request; raises if the answer is no success."""
        headers = dict(self._headers)
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        if cookie := answer.headers.get("Set-Cookie", ""):
            self._headers["Cookie"] = cookie.partition(";")[0]
        is_json = "json" in answer.headers.get("Content-Type", "")
        return json.loads(content) if is_json else content

    def close(self) -> None:
        self._connection.close()


def figures() -> list[Figure]:
    """Measure; each figure is {"what", "value", "unit", "peer", "ratio"}."""
    with tempfile.TemporaryDirectory(prefix="lis-bench-") as folder, _running(Path(folder)) as port:
        client = Client(port)
        try:
            client.sign_in("technician")
            screens = [_timed(lambda: _first_screen(client)) for _ in range(WARM_UP + SCREENS)]
            rows = client.ask("GET", f"/api/v1/worklist?limit={HELD_ROWS}")["rows"]
            clear = [row for row in rows if row["lane"] == "clear"][:VERIFIED]
            verified = [_timed(lambda row=row: _verify(client, row)) for row in clear]  # type: ignore[misc]
        finally:
            client.close()
    return [
        alone("first_screen_p95_ms", _p95(screens[WARM_UP:]), "ms"),
        alone("first_screen_median_ms", statistics.median(screens[WARM_UP:]), "ms"),
        alone("verify_p95_ms", _p95(verified), "ms"),
        alone("verify_median_ms", statistics.median(verified), "ms"),
    ]


def _first_screen(client: Client) -> None:
    client.ask("GET", "/worklist")
    rows = client.ask("GET", f"/api/v1/worklist?limit={HELD_ROWS}")["rows"]
    assert len(rows) == HELD_ROWS, f"expected {HELD_ROWS} waiting rows, got {len(rows)}"


def _verify(client: Client, row: dict[str, Any]) -> None:
    seen = {"id": row["id"], "version": row["row_version"], "hash": row["shown_hash"]}
    client.ask("POST", f"/api/v1/observations/{row['id']}/verify", seen)


@contextmanager
def _running(folder: Path) -> Iterator[int]:
    clock = ManualClock()
    store = Store.open(f"sqlite:///{folder / 'lis.db'}", clock=clock)
    store.create_all()
    bench = Bench(store, clock)
    bench.furnish()
    bench.fill(TUBES)
    with store.unit("bench") as unit:
        create_user(
            unit,
            login="technician",
            name="Technician",
            password=PASSWORD,
            roles=frozenset({Role.TECHNICIAN}),
        )
    try:
        with serve_store(store, clock) as port:
            yield port
    finally:
        store.close()


@contextmanager
def serve_store(store: Store, clock: Clock | None = None) -> Iterator[int]:
    """Serve a store on a free loopback port as `lis serve` does; yields the port."""
    bus = Bus()
    store.on_commit(bus.publish)
    laboratory = Laboratory(
        settings=parse_settings({}, where="bench"),
        store=store,
        bus=bus,
        clock=clock or store.clock,
        installation="bench",
    )
    app = create_app(laboratory)
    mount_pages(app, laboratory)
    # the protocol named, as for `lis serve`: only then does asyncio send small answers at once
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],), name="web", daemon=True)
    thread.start()
    try:
        _wait_until(lambda: server.started)
        freeze_what_stays()  # as `lis serve` does
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(START_WAIT_S)
        listener.close()


def _wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_WAIT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not start")
        time.sleep(0.01)


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
