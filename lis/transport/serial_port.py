"""Serial ports through pyserial: any URL it knows, one reader thread and one writer thread a port.

pyserial blocks, asyncio must not. The reader thread waits for the first byte (0.17 ms from a pty to the
loop), takes what else is there, and puts it into a small buffer; the loop is woken by
`call_soon_threadsafe`. When the buffer is full the thread stops reading and the driver's own buffer and flow
control take over, so a line of noise costs 64 kB and no more. Writing happens in a pool of one thread, in
slices short enough for 300 baud.

What goes wrong on real cables:

* An unplugged USB adapter: reading or writing fails, the pipe ends as `LinkLost`, and the loop above opens
  the port again when the device is back, within five seconds (`backoff.BACKOFF_LOCAL_HIGHEST_S`).
* A second program on the same port: the port is locked (`exclusive`), the second opener gets an error.
* Parity and framing errors: pyserial leaves the kernel's checks off, the damaged byte arrives as it is; the
  checksum above finds it.

Nothing else imports pyserial.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import serial
from serial.tools import list_ports

from lis.transport.address import SerialTarget
from lis.transport.base import RECEIVE_LIMIT_BYTES, SEND_TIMEOUT_S, LinkLost, slices

# How long one blocking read waits before it looks whether the port is being closed. Bytes do not wait for
# it; it only bounds closing of pySerial URLs that cannot be woken (socket://).
READ_POLL_S = 0.2

# One read of the thread. The kernel's own serial buffer holds 4,096 bytes.
READ_CHUNK_BYTES = 4_096

# Bytes kept for a slow loop before the thread stops reading.
SERIAL_BUFFER_BYTES = 65_536

# 256 bytes take 8.5 s at 300 baud, the slowest line LIS01-A2 knows: within the send time-out.
WRITE_SLICE_BYTES = 256

# What pyserial lets through when a port fails. Its own errors are OSError, termios has one beside them.
try:
    from termios import error as _terminal_error
except ImportError:  # no termios on Windows
    _PORT_ERRORS: tuple[type[Exception], ...] = (OSError,)
else:
    _PORT_ERRORS = (OSError, _terminal_error)

# A URL or a setting that pyserial does not know is a ValueError; a full loop:// cannot be woken.
_OPEN_ERRORS: tuple[type[Exception], ...] = (*_PORT_ERRORS, ValueError)
_WAKE_ERRORS: tuple[type[Exception], ...] = (*_PORT_ERRORS, queue.Full)


class SerialPipe:
    """One open serial port."""

    def __init__(self, port: serial.SerialBase, name: str, writer: ThreadPoolExecutor) -> None:
        self.peer = name
        self._port = port
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._buffer_changed = threading.Condition()
        self._news = asyncio.Event()
        self._error: str | None = None
        self._is_closing = False
        self._reader_ended = asyncio.Event()
        self._shutting: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._reader = threading.Thread(
            target=self._read_until_closed, name=f"serial {name}", daemon=True
        )
        self._reader.start()

    async def receive(self) -> bytes:
        while True:
            self._news.clear()
            if self._is_closing:
                return b""
            data = self._take()
            if data:
                return data
            if self._error is not None:
                raise LinkLost(f"{self.peer}: {self._error}")
            await self._news.wait()

    async def send(self, data: bytes) -> None:
        async with self._sending:
            for piece in slices(data, WRITE_SLICE_BYTES):
                await self._send_piece(piece)

    async def close(self) -> None:
        # A task of its own: a caller who is cancelled leaves no half-closed port, and a second one waits too.
        if self._shutting is None:
            self._shutting = asyncio.create_task(self._shut())
        await asyncio.shield(self._shutting)

    async def _shut(self) -> None:
        self._is_closing = True
        self._news.set()
        with self._buffer_changed:
            self._buffer_changed.notify()
        _wake(self._port, "cancel_read")
        _wake(self._port, "cancel_write")
        await self._reader_ended.wait()
        self._reader.join()
        await self._loop.run_in_executor(self._writer, _close_quietly, self._port)
        self._writer.shutdown()

    def _take(self) -> bytes:
        with self._buffer_changed:
            data = bytes(self._buffer[:RECEIVE_LIMIT_BYTES])
            del self._buffer[:RECEIVE_LIMIT_BYTES]
            self._buffer_changed.notify()
        return data

    async def _send_piece(self, piece: bytes) -> None:
        if self._is_closing:
            raise LinkLost(f"{self.peer}: port is closed")
        if self._error is not None:
            raise LinkLost(f"{self.peer}: {self._error}")
        try:
            written = await self._loop.run_in_executor(self._writer, self._port.write, piece)
        except _PORT_ERRORS as error:
            self._error = _cause(error)
            self._news.set()
            raise LinkLost(f"{self.peer}: {self._error}") from error
        # None comes from handlers that do not count; a short count from a write that was cancelled.
        if written is not None and written < len(piece):
            raise LinkLost(f"{self.peer}: port closed while writing")

    # ---- in the reader thread

    def _read_until_closed(self) -> None:
        error: str | None = "reader failed, see the log"  # for what we did not foresee
        try:
            while not self._is_closing:
                self._keep(self._read_some())
            error = None
        except _PORT_ERRORS as failure:
            error = _cause(failure)
        finally:
            # Whatever happened: a reader that ends unseen would leave the link deaf.
            self._tell_loop(lambda: self._end_reading(error))

    def _read_some(self) -> bytes:
        first: bytes = self._port.read(1)
        if not first:
            return b""
        rest: bytes = self._port.read(min(self._port.in_waiting, READ_CHUNK_BYTES - 1))
        return first + rest

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        with self._buffer_changed:
            self._buffer_changed.wait_for(
                lambda: len(self._buffer) < SERIAL_BUFFER_BYTES or self._is_closing
            )
            self._buffer += data
        self._tell_loop(self._news.set)

    def _tell_loop(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is gone without closing us: nobody will read, so there is nothing to go on for.
            self._is_closing = True

    # ---- back in the loop

    def _end_reading(self, error: str | None) -> None:
        self._error = self._error or error
        self._reader_ended.set()
        self._news.set()


async def open_serial(
    target: SerialTarget, *, send_timeout_s: float = SEND_TIMEOUT_S
) -> SerialPipe:
    """Open the port. Raises `LinkLost` with the cause: absent, no rights, taken, unknown URL."""
    writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"serial write {target.port}")
    opening: Future[Any] = writer.submit(_open, target, send_timeout_s)
    try:
        port = await asyncio.wrap_future(opening)
        return SerialPipe(port, target.port, writer)
    except asyncio.CancelledError:
        # A thread cannot be cancelled; whatever it still opens is closed again.
        opening.add_done_callback(_close_if_opened)
        writer.shutdown(wait=False)
        raise
    except _OPEN_ERRORS as error:
        writer.shutdown(wait=False)
        raise LinkLost(f"{target.port}: {_cause(error)}") from error


def present_ports() -> tuple[str, ...]:
    """Device names of the serial ports of this machine, for `lis doctor`."""
    return tuple(sorted(port.device for port in list_ports.comports()))


def _open(target: SerialTarget, send_timeout_s: float) -> Any:
    return serial.serial_for_url(
        target.port,
        baudrate=target.baudrate,
        bytesize=target.bytesize,
        parity=target.parity,
        stopbits=target.stopbits,
        rtscts=target.rtscts,
        xonxoff=target.xonxoff,
        timeout=READ_POLL_S,
        write_timeout=send_timeout_s,
        exclusive=True,
    )


def _wake(port: serial.SerialBase, name: str) -> None:
    """Call `cancel_read` or `cancel_write` where the handler has them; elsewhere the time-outs end the wait."""
    cancel = getattr(port, name, None)
    if cancel is None:
        return
    try:
        cancel()
    except _WAKE_ERRORS:
        # The port is gone, or loop:// is full: then nobody waits in it.
        return


def _close_if_opened(opening: "Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        _close_quietly(opening.result())


def _close_quietly(port: serial.SerialBase) -> None:
    try:
        port.close()
    except _PORT_ERRORS:
        # An unplugged device cannot be closed properly; its descriptor is released all the same.
        return


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
