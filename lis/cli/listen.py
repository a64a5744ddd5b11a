"""`lis listen` and `lis capture`: the field engineer's tools, without a database.

Both serve one link as the laboratory would, with every liberty of the protocols allowed, and put everything
that passes into a capture file. What came in is on disk (fsync) before it is acknowledged; a full disk is a NAK.
`lis listen` prints each message as one line of JSON; `lis capture` prints only that something came, so that no
patient is on the screen.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, BinaryIO, Self

import orjson
import structlog
import typer

from lis.app.clock import SystemClock
from lis.cli.administration import DEFAULT_CONFIG
from lis.cli.learning import drivers_folder, use_drivers
from lis.cli.message import texts_of
from lis.domain.clock import Clock
from lis.domain.errors import Malformed, NotFound
from lis.domain.ids import InboxId
from lis.domain.traffic import KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.drivers import order_records, registry, translate
from lis.drivers.profile import Profile
from lis.drivers.session import run_session
from lis.drivers.session_events import InputRejected, SessionEvent, StoreUnavailable
from lis.transport import AddressError, LinkAddress, LinkState, Pipe, serve_link
from lis.transport.address import SerialTarget, TcpListen
from lis.wire.capture import HEADING, Chunk, Direction, line_of

USAGE = 2
CONTROL_ID = "LISTEN"  # of the answers that say there is nothing to do


class CaptureFile:
    """A capture that is on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = self.path.open("ab", buffering=0)
        if self._file.tell() == 0:
            self._write(f"{HEADING}\n".encode("ascii"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, lines: Sequence[TrafficLine]) -> None:
        """Raises `KeepFailed` when the disk does not take it."""
        chunks = [
            Chunk(at=line.at, direction=Direction(line.direction.value), data=line.data)
            for line in lines
            if line.data
        ]
        try:
            self._write("".join(f"{line_of(chunk)}\n" for chunk in chunks).encode("ascii"))
        except OSError as error:
            raise KeepFailed(f"{self.path}: {error.strerror}") from error

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())


class Listener:
    """One link, one capture file, one line of JSON for each thing that happens."""

    def __init__(
        self,
        address: LinkAddress,
        capture: CaptureFile,
        *,
        profile: Profile | None,
        clock: Clock,
        shows_content: bool,
    ) -> None:
        self._address = address
        self._capture = capture
        self._profile = profile
        self._clock = clock
        self._shows_content = shows_content
        self._is_announced = False
        self._kept = 0
        self._requests: dict[InboxId, bytes] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the link until `stop` is set. Raises `AddressError`."""
        await serve_link(self._address, self._serve, on_state=self._on_state, stop=stop)

    async def _serve(self, pipe: Pipe) -> None:
        await run_session(
            pipe,
            profile=self._profile,
            keep=self._keep,
            answer=self._answer,
            clock=self._clock,
            on_event=_report,
            closes_after_fault=not isinstance(self._address.target, SerialTarget),
            lines_carry_all=True,
        )

    def _on_state(self, state: LinkState, detail: str) -> None:
        is_open = state in {LinkState.LISTENING, LinkState.CONNECTED}
        if is_open and not self._is_announced:
            self._is_announced = True
            is_real_port = (
                isinstance(self._address.target, TcpListen) and state is LinkState.LISTENING
            )
            link = f"tcp-listen://{detail}" if is_real_port else self._address.url
            emit({"event": "listening", "link": link})
        _say(f"{state.value} {detail}".strip())

    async def _keep(
        self, lines: Sequence[TrafficLine], units: Sequence[ReceivedUnit]
    ) -> tuple[Receipt, ...]:
        self._capture.append(lines)
        receipts = []
        for unit in units:
            self._kept += 1
            inbox_id = InboxId(self._kept)
            self._requests = {inbox_id: unit.raw}  # only the newest can still be asked about
            receipts.append(Receipt(inbox_id=inbox_id))
            emit(self._shown(unit))
        return tuple(receipts)

    def _shown(self, unit: ReceivedUnit) -> dict[str, Any]:
        head = {"event": "message", "protocol": unit.protocol.value, "complete": unit.is_complete}
        records = texts_of(
            unit.protocol, unit.raw, profile=self._profile, is_complete=unit.is_complete
        )
        if self._shows_content:
            return {**head, "records": records}
        return {**head, "count": len(records), "bytes": len(unit.raw)}

    async def _answer(self, receipt: Receipt) -> tuple[bytes, ...]:
        """Nothing to do: the instrument hears it in the way its profile says; without one, silence."""
        profile, raw = self._profile, self._requests.get(receipt.inbox_id)
        if profile is None or raw is None:
            return ()
        at = self._clock.now()
        asked = translate(profile, raw, zone=UTC, received_at=at).queries
        if not asked:
            return ()
        return order_records(profile, (), at=at, control_id=CONTROL_ID, query=asked[0])


def emit(value: dict[str, Any]) -> None:
    """One line of JSON on stdout, at once."""
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _report(event: SessionEvent) -> None:
    match event:
        case InputRejected():
            _say(f"refused: {event.reason} ({event.size_bytes} bytes)")
        case StoreUnavailable():
            _say(f"not kept, so not acknowledged: {event.reason}")
        case _:
            pass


def listen(link: str, driver: str | None, save: Path | None, *, shows_content: bool = True) -> int:
    """Listen until interrupted; the exit code."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    clock = SystemClock()
    try:
        address = LinkAddress.parse(link)
        use_drivers(drivers_folder(None, DEFAULT_CONFIG))
        profile = registry.get(driver) if driver else None
    except (AddressError, NotFound, Malformed) as error:
        _say(str(error))
        return USAGE
    path = save or Path(f"listen-{clock.now():%Y%m%dT%H%M%SZ}.cap")
    try:
        with CaptureFile(path) as capture:
            _say(f"saving to {path}")
            listener = Listener(
                address, capture, profile=profile, clock=clock, shows_content=shows_content
            )
            asyncio.run(_until_interrupted(listener))
    except AddressError as error:
        _say(str(error))
        return USAGE
    except OSError as error:
        _say(f"{path}: {error.strerror}")
        return USAGE
    return 0


async def _until_interrupted(listener: Listener) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stop.set)
    try:
        await listener.run(stop)
    finally:
        for wanted in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(wanted)


LinkArgument = Annotated[
    str,
    typer.Argument(
        help="tcp-listen://host:port, tcp-connect://host:port or serial:///dev/ttyUSB0?baudrate=9600",
        metavar="LINK",
    ),
]
DriverOption = Annotated[str | None, typer.Option(help="Driver key; see SUPPORTED.md.")]
SaveOption = Annotated[Path | None, typer.Option(help="Capture file to append to.")]


def register(app: typer.Typer) -> None:
    """Add `lis listen` and `lis capture`."""

    @app.command("listen")
    def _listen(link: LinkArgument, driver: DriverOption = None, save: SaveOption = None) -> None:
        """Listen on a link without a database: print every message as JSON, save it before its ACK."""
        raise typer.Exit(listen(link, driver, save))

    @app.command("capture")
    def _capture(link: LinkArgument, driver: DriverOption = None, save: SaveOption = None) -> None:
        """Record a link to a file without showing what the messages say."""
        raise typer.Exit(listen(link, driver, save, shows_content=False))


__all__ = ["CaptureFile", "Listener", "listen", "register"]
