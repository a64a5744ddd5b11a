"""What every byte pipe promises, and the words this floor uses.

A pipe moves bytes and knows nothing else: no frame, no record, no acknowledgement. The machines of
`lis.wire` sit on top and do not know whether their bytes came from a socket, a serial cable or a test.

Rules that every pipe keeps:

* One read is not one frame. A pipe may cut and join as it likes; only the order of bytes is kept.
* `receive` gives at most `RECEIVE_LIMIT_BYTES`; `b""` means that no more bytes will come: the peer closed
  its side, or we closed ours. Asking again gives `b""` again.
* `send` returns when the bytes are out of our hands (kernel, driver, other end). A peer that takes nothing
  for `SEND_TIMEOUT_S` is gone: the pipe is closed and `LinkLost` raised.
* `close` may be called at any time, twice, and from another task; it wakes a waiting `receive`, raises
  nothing and returns within `CLOSE_TIMEOUT_S`.
* `LinkLost` is the only error. Its text names the peer and the cause, never bytes: bytes may name a patient.

Errors of this floor:

    LinkError
    ├── AddressError     the link URL is wrong; retrying cannot help
    └── LinkLost         the pipe broke or could not be opened; opening again may help
"""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Protocol

# One read: a whole ASTM frame of LIS1-A (64,000 bytes) fits, and 50 busy links stay under 4 MB.
RECEIVE_LIMIT_BYTES = 65_536

# Large messages are handed over in pieces, each with its own time-out, so that a slow peer is served and
# only a stuck one is dropped.
SEND_SLICE_BYTES = 65_536

# LIS01-A2 6.5.2 gives a peer 15 s to answer; one that cannot even take bytes for as long is not there.
SEND_TIMEOUT_S = 15.0

# Time to flush and say goodbye (TCP FIN, TLS close_notify) before the connection is simply cut.
CLOSE_TIMEOUT_S = 2.0


class LinkError(Exception):
    """Something is wrong with a link."""


class AddressError(LinkError, ValueError):
    """A link URL cannot be used as it stands; the message says what was expected and what came."""


class LinkLost(LinkError):
    """The pipe broke, or could not be opened."""


class LinkState(Enum):
    """What a link is doing now, as shown on the instrument board."""

    LISTENING = "listening"  # waiting for a peer; the detail is our real address
    CONNECTED = "connected"  # a peer is served; the detail is the peer
    LOST = "lost"  # not open, opening again with back-off; the detail is the cause
    STOPPED = "stopped"  # asked to stop, everything is closed


OnState = Callable[[LinkState, str], None]


class Pipe(Protocol):
    """One open byte pipe."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for logs: `127.0.0.1:51234`, `/dev/ttyUSB0`."""
        ...

    async def receive(self) -> bytes:
        """The next bytes; `b""` when no more will come. Raises `LinkLost`."""
        ...

    async def send(self, data: bytes) -> None:
        """Hand all bytes over. Raises `LinkLost`; then some of them may have left."""
        ...

    async def close(self) -> None:
        """Close for good; harmless when closed already."""
        ...


class ArrivingPipe(Pipe, Protocol):
    """A pipe that a listener was given, and may have to refuse where it cannot wait."""

    def abort(self) -> None:
        """Cut at once, without flushing or waiting."""
        ...


def slices(data: bytes, size_bytes: int) -> Iterator[bytes]:
    """`data` in order, in pieces of at most `size_bytes`."""
    for start in range(0, len(data), size_bytes):
        yield data[start : start + size_bytes]
