"""The foreign analyzer's cable: a socket, a pty or a serial port, as a plain blocking descriptor."""

import os
import select
import socket
import time
from collections.abc import Callable

import serial

READ_BYTES = 4096


class LineClosed(Exception):
    """The host hung up."""


class Line:
    """Bytes in and out of one descriptor. Not for use by two threads at once."""

    def __init__(self, descriptor: int, close: Callable[[], object]) -> None:
        self._descriptor = descriptor
        self._close = close
        self._unread = b""

    @classmethod
    def call(cls, host: str, port: int, *, timeout_s: float = 5.0) -> "Line":
        """The instrument as TCP client, as the standard wants it (L1-02)."""
        return cls.on_socket(socket.create_connection((host, port), timeout=timeout_s))

    @classmethod
    def on_socket(cls, connection: socket.socket) -> "Line":
        """A connected socket, for instance one accepted where the instrument is the server."""
        connection.setblocking(True)
        return cls(connection.fileno(), connection.close)

    @classmethod
    def on_descriptor(cls, descriptor: int) -> "Line":
        """The master side of a pty, whose other side the host opened as its serial port."""
        return cls(descriptor, lambda: os.close(descriptor))

    @classmethod
    def on_serial(cls, device: str, *, baudrate: int = 9600) -> "Line":
        """A serial device, or the slave side of a pty, 8N1."""
        port = serial.Serial(device, baudrate)
        return cls(port.fileno(), port.close)

    def write(self, data: bytes) -> None:
        while data:
            select.select([], [self._descriptor], [])
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                raise LineClosed(f"host hung up: {error}") from error

    def read_byte(self, timeout_s: float) -> bytes:
        """The next byte, or `b""` when none came in time. Raises `LineClosed`."""
        if not self._unread and self._is_readable(timeout_s):
            self._unread = self._read()
        byte, self._unread = self._unread[:1], self._unread[1:]
        return byte

    def read_until(self, end: bytes, timeout_s: float) -> bytes:
        """Bytes up to and with `end`, or what came when the time was over."""
        over_at = time.monotonic() + timeout_s
        data = b""
        while not data.endswith(end):
            byte = self.read_byte(max(0.0, over_at - time.monotonic()))
            if not byte:
                break
            data += byte
        return data

    def close(self) -> None:
        self._close()

    def _is_readable(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        return bool(ready)

    def _read(self) -> bytes:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError as error:  # a pty says EIO where a socket says b""
            raise LineClosed(f"host hung up: {error}") from error
        if not data:
            raise LineClosed("host hung up")
        return data
