"""Running a wired laboratory in this process: web on the main loop, links and workers beside it.

    main thread     uvicorn: pages, endpoints, live sockets
    links thread    the house: links, workers, delivery (its own event loop)

Two loops, so that a slow page can never delay an acknowledgement.
"""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from lis.api.server import create_app
from lis.app.settings import WebSettings
from lis.app.wiring import ALL_ROLES, House, RunRole
from ui.pages import mount_pages

log = structlog.get_logger()

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
START_WAIT_S = 10.0
STOP_WAIT_S = 30.0


def freeze_what_stays() -> None:
    """Take what was built at start out of the garbage collector's sight.

    A full collection over all imported modules and mappers stops every link for some 70 ms (measured with
    50 analyzers); none of it will ever be garbage.
    """
    gc.collect()
    gc.freeze()


class HouseThread:
    """Runs a house on an event loop of its own."""

    def __init__(self, house: House, roles: frozenset[RunRole] = ALL_ROLES) -> None:
        self._house = house
        self._roles = roles
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="house", daemon=True)

    def start(self) -> None:
        """Start and wait until the loop runs."""
        self._thread.start()
        self._is_up.wait(START_WAIT_S)
        freeze_what_stays()

    def stop(self) -> None:
        """Close links and workers, commit what waits, close the store."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._house.stop)
            self._thread.join(STOP_WAIT_S)
        self._house.close()

    def _run(self) -> None:
        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._is_up.set()
            await self._house.run(self._roles)

        asyncio.run(run())


class _Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM and returns; uvicorn's own way raises the signal again, and a SIGTERM
    would then end the process before the house is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def web_server(house: House, web: WebSettings) -> uvicorn.Server:
    """The web server of a house, not yet started."""
    app = create_app(house.laboratory)
    mount_pages(app, house.laboratory)
    certificate = Path(web.tls_certificate) if web.tls_certificate else None
    config = uvicorn.Config(
        app,
        host=web.host,
        port=web.port,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=web.tls_key or None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        ws_max_size=65_536,
    )
    return _Server(config)


def address_of(web: WebSettings) -> str:
    """The address a person opens."""
    scheme = "https" if web.is_https else "http"
    return f"{scheme}://{web.listen}"


def free_port(host: str, wanted: int) -> int:
    """`wanted` if it is free, else any free port: the demo starts beside whatever runs here."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")
