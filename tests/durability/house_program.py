"""A house to be hurt: the product, whole, in a process of its own.

    python -m tests.durability.house_program FOLDER [--synchronous FULL] PORT_MLLP... -- PORT_ASTM...

It says `up` on stdout when it listens, and ends when stdin does. `synchronous` exists for the power-cut harness
only, which must show that it sees a loss where there is one.
"""

import logging
import multiprocessing
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from lis.app.clock import SystemClock
from lis.app.settings import Settings, parse_settings
from lis.app.wiring import House, build_house
from lis.cli.serving import HouseThread
from lis.store import engine

DRIVERS = {"mllp": "mindray-bc", "astm": "sysmex-xp-100"}
HOST = "127.0.0.1"
STORE = "lis.db"
START_WAIT_S = 60.0

Ports = dict[str, list[int]]  # by protocol


def settings_of(folder: Path, ports: Ports) -> Settings:
    return parse_settings(
        {
            "store": {"url": f"sqlite:///{folder / STORE}"},
            "instrument": [
                {
                    "name": f"{wire}-{number}",
                    "driver": DRIVERS[wire],
                    "link": f"tcp-listen://{HOST}:{port}",
                    "timezone": "UTC",
                }
                for wire, listed in ports.items()
                for number, port in enumerate(listed)
            ],
        },
        where="durability",
    )


def open_house(folder: Path, ports: Ports) -> House:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return build_house(settings_of(folder, ports), clock=SystemClock())


def serve_for_ever(folder: Path, ports: Ports, up: Connection) -> None:
    """The body of a process that is going to be killed."""
    thread = HouseThread(open_house(folder, ports))
    thread.start()
    up.send("up")
    thread._thread.join()


@dataclass
class Victim:
    """A house in a process that can be killed and started anew on the same store.

    The processes are forked from a server that has everything imported: a start takes a fraction of a second.
    """

    folder: Path
    ports: Ports
    _process: BaseProcess | None = None

    def start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        here, there = context.Pipe()
        self._process = context.Process(
            target=serve_for_ever, args=(self.folder, self.ports, there), daemon=True
        )
        self._process.start()
        there.close()
        with here:
            assert here.poll(START_WAIT_S), "the house did not start"
            here.recv()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no handler runs, no buffer is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def main() -> None:
    folder, synchronous, listed = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    engine.SYNCHRONOUS = synchronous
    cut = listed.index("--")
    ports = {"mllp": [int(port) for port in listed[:cut]]}
    ports["astm"] = [int(port) for port in listed[cut + 1 :]]
    thread = HouseThread(open_house(folder, ports))
    thread.start()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.read()
    thread.stop()


if __name__ == "__main__":
    main()
