"""What cables and serial-to-TCP boxes do to a stream, on purpose.

They cut and join the bytes at any place. `byte_by_byte` and `randomly_cut` wrap a pipe so that whoever reads
it gets the same bytes in other pieces. Nothing is lost or changed: a protocol that reads differently through
them has taken one read for one frame.
"""

import random
from collections.abc import Callable

from lis.transport.base import Pipe

# Random pieces are kept short, so that an ASTM frame of 247 bytes is cut several times.
RANDOM_PIECE_BYTES_MAX = 40


class CutPipe:
    """A pipe whose reads are cut to the lengths that `next_length` gives (1 or more)."""

    def __init__(self, pipe: Pipe, next_length: Callable[[], int]) -> None:
        self._pipe = pipe
        self._next_length = next_length
        self._left = b""

    @property
    def peer(self) -> str:
        return self._pipe.peer

    async def receive(self) -> bytes:
        if not self._left:
            self._left = await self._pipe.receive()
        length = self._next_length()
        piece, self._left = self._left[:length], self._left[length:]
        return piece

    async def send(self, data: bytes) -> None:
        await self._pipe.send(data)

    async def close(self) -> None:
        self._left = b""
        await self._pipe.close()


def byte_by_byte(pipe: Pipe) -> CutPipe:
    """Each read gives one byte."""
    return CutPipe(pipe, lambda: 1)


def randomly_cut(pipe: Pipe, dice: random.Random) -> CutPipe:
    """Each read gives from one to `RANDOM_PIECE_BYTES_MAX` bytes."""
    return CutPipe(pipe, lambda: dice.randint(1, RANDOM_PIECE_BYTES_MAX))
