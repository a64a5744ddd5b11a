"""`lis doctor`: does this machine have what a laboratory needs? Each finding says what to do."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from lis.app.settings import Settings
from lis.transport import LinkAddress
from lis.transport.address import SerialTarget, TcpListen
from lis.transport.serial_port import present_ports

DISK_FREE_MIN_BYTES: Final = 2 * 1024**3  # a busy laboratory writes about 1 GiB a month
FSYNC_SLOW_S: Final = 0.1  # an ACK waits for one; analyzers wait 15 s
FSYNC_TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_good: bool
    found: str
    advice: str = ""


def examine(settings: Settings | None) -> tuple[Finding, ...]:
    """Look at everything; with settings also at what they name."""
    findings = [_disk(settings), _fsync(settings), _clock(), _serial()]
    if settings is not None:
        findings.append(_database(settings))
        findings += _ports(settings)
    return tuple(findings)


def _folder(settings: Settings | None) -> Path:
    url = settings.store.url if settings else ""
    return (
        Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite:///") else Path.cwd()
    )


def _disk(settings: Settings | None) -> Finding:
    folder = _folder(settings)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(what="disk", is_good=False, found=str(error), advice=f"Create {folder}.")
    return Finding(
        what="disk",
        is_good=free >= DISK_FREE_MIN_BYTES,
        found=f"{free / 1024**3:.1f} GiB free in {folder}",
        advice="Free space: a full disk stops acknowledging.",
    )


def _fsync(settings: Settings | None) -> Finding:
    probe = _folder(settings) / ".lis-fsync-probe"
    try:
        with probe.open("wb", buffering=0) as file:
            started_s = time.perf_counter()
            for _ in range(FSYNC_TRIES):
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
            each_s = (time.perf_counter() - started_s) / FSYNC_TRIES
        probe.unlink()
    except OSError as error:
        return Finding(
            what="fsync",
            is_good=False,
            found=str(error),
            advice="The data folder must be writable.",
        )
    return Finding(
        what="fsync",
        is_good=each_s < FSYNC_SLOW_S,
        found=f"{each_s * 1000:.1f} ms",
        advice="Each acknowledgement waits for one: move the data to a faster disk.",
    )


def _clock() -> Finding:
    year = time.gmtime().tm_year
    synchronised = (
        Path("/run/systemd/timesync/synchronized").exists() or shutil.which("chronyc") is not None
    )
    return Finding(
        what="clock",
        is_good=year >= 2025,
        found=f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
        + ("" if synchronised else ", no time service seen"),
        advice="Set the clock and run a time service.",
    )


def _serial() -> Finding:
    ports = present_ports()
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    return Finding(
        what="serial ports",
        is_good=not closed,
        found=", ".join(ports) or "none on this machine",
        advice=f"No right to {', '.join(closed)}: add the user to the group dialout.",
    )


def _database(settings: Settings) -> Finding:
    shown = settings.store.url.split("@")[-1]
    try:
        engine = create_engine(settings.store.url)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        reason = str(error).splitlines()[0]
        return Finding(
            what="database", is_good=False, found=reason, advice=f"Check [store] url: {shown}."
        )
    return Finding(what="database", is_good=True, found=shown)


def _ports(settings: Settings) -> Iterator[Finding]:
    named = [(one.name, one.link) for one in settings.instrument]
    named += [(one.name, one.receive) for one in settings.emr if one.receive]
    for name, link in named:
        target = LinkAddress.parse(link).target
        if isinstance(target, TcpListen) and target.port:
            yield _listening(name, target.host, target.port)
        elif isinstance(target, SerialTarget) and target.port.startswith("/"):
            is_there = os.access(target.port, os.R_OK | os.W_OK)
            yield Finding(
                what=f"link {name}",
                is_good=is_there,
                found=target.port,
                advice=f"{target.port} is missing or closed to this user.",
            )


def _listening(name: str, host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                what=f"link {name}",
                is_good=False,
                found=f"{host}:{port}: {error.strerror}",
                advice="Another program holds the port, or a laboratory is running already.",
            )
    return Finding(what=f"link {name}", is_good=True, found=f"{host}:{port} is free")
