"""A serial cable between two programs of this machine: two ptys whose far ends are joined.

    laboratory -- pySerial -- pty A slave   A master <-> B master   pty B slave -- pySerial -- analyzer

Both sides open a real serial device through pySerial, so the demo uses the code that a cable uses. Linux
and macOS only.
"""

import os
import pty
import select
import threading
import tty
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 4096
LOOK_UP_S: Final = 0.2  # how soon a closed cable is noticed


class NullModem:
    """Two device names, `a` and `b`: what is written to one is read from the other."""

    def __init__(self) -> None:
        self._masters: list[int] = []
        self._slaves: list[
            int
        ] = []  # kept open, so that a master does not fail while nobody is there
        for _ in range(2):
            master, slave = pty.openpty()
            tty.setraw(slave)
            self._masters.append(master)
            self._slaves.append(slave)
        self.a, self.b = (os.ttyname(slave) for slave in self._slaves)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="null-modem", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed.set()
        self._thread.join()
        for descriptor in (*self._masters, *self._slaves):
            os.close(descriptor)

    def _carry(self) -> None:
        other = dict(zip(self._masters, reversed(self._masters), strict=True))
        while not self._is_closed.is_set():
            readable, _, _ = select.select(self._masters, [], [], LOOK_UP_S)
            for descriptor in readable:
                os.write(other[descriptor], os.read(descriptor, CHUNK_BYTES))
