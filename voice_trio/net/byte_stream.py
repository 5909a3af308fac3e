"""A stream of bytes under a WebSocket: over a non-blocking TCP socket here, over TLS in `net.tls`.

It sends without waiting what the kernel takes, and keeps the rest. So a sender pays one system call, and no pass of the
scheduler, as long as the peer reads; and no cancellation can lose a byte or cut a frame in two.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol

import trio

from voice_trio import limits

if TYPE_CHECKING:
    import socket

# Why not `trio.SocketStream`. Its `receive_some` first reads in vain, which costs a system call and an exception. Every
# `send_all` ends with a checkpoint, which costs a pass of the scheduler: itself a system call. Here a read waits first,
# because in the steady state nothing is there yet; a write does not wait at all.


class ByteStream(Protocol):
    """A connected stream. One task may send while another receives; all methods but the two `async` ones are atomic.

    After sending has failed once, sending and draining always raise `OSError`. Receiving still returns what has
    arrived, since the last bytes of a peer that went away often say why; then it raises `OSError` or returns `b""`.
    """

    @property
    def unsent(self) -> int:
        """Bytes that were given to `send_nowait` and not yet to the kernel; 0 after sending has failed."""
        ...

    def send_nowait(self, data: bytes) -> None:
        """Give `data` to the kernel; what it does not take waits here, in order. Raises `OSError`."""
        ...

    async def drain(self) -> None:
        """Wait until nothing is unsent; raises `OSError`. No checkpoint if nothing is. Cancellation loses nothing.

        Several tasks may wait here: one that closes the connection may meet one that sends.
        """
        ...

    async def receive(self) -> bytes:
        """The next bytes, at most about `RECEIVE_BYTES`; `b""` at the end of the stream. Raises `OSError`.

        Cancellation loses nothing.
        """
        ...

    def close(self) -> None:
        """Close the socket at once; a task that waits here gets an `OSError`. No effect the second time."""
        ...


class TcpStream:
    """A `ByteStream` over a connected TCP socket, which it owns and makes non-blocking."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._fd = connection.fileno()
        self._rest = bytearray()
        self._send_errno = 0
        self._draining = trio.Lock()
        self.unsent = 0

    def send_nowait(self, data: bytes) -> None:
        """Give `data` to the kernel; what it does not take waits here, in order. Raises `OSError`."""
        sent = 0
        if not self.unsent:
            sent = self._send(data)
            if sent == len(data):
                return
        self._rest += memoryview(data)[sent:]
        self.unsent = len(self._rest)

    async def drain(self) -> None:
        """Wait until nothing is unsent; raises `OSError`. Cancellation loses nothing."""
        self._require_sending()
        if not self.unsent:
            return
        async with self._draining:  # trio lets only one task wait for a socket
            while self.unsent:
                await self._wait_writable()
                del self._rest[: self._send(self._rest)]
                self.unsent = len(self._rest)
            self._require_sending()

    async def receive(self) -> bytes:
        """The next bytes; `b""` at the end of the stream. Raises `OSError`. Cancellation loses nothing."""
        while self._fd >= 0:
            try:
                await trio.lowlevel.wait_readable(self._fd)
                return self._socket.recv(limits.RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except trio.ClosedResourceError as error:
                raise _closed() from error
        raise _closed()

    def close(self) -> None:
        """Close the socket at once; a task that waits here gets an `OSError`. No effect the second time."""
        if self._fd >= 0:
            trio.lowlevel.notify_closing(self._fd)
            self._socket.close()
            self._fd = -1
            self._stop_sending(errno.EBADF)

    async def _wait_writable(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self._fd)
        except trio.ClosedResourceError as error:
            raise _closed() from error

    def _send(self, data: bytes | bytearray) -> int:
        """How many bytes of `data` the kernel took. Raises `OSError`, and every later send does too.

        A transient error must not be followed by success: the peer would miss bytes in the middle of the stream.
        """
        if self._send_errno:
            self._require_sending()
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._stop_sending(error.errno or errno.EPIPE)
            raise

    def _require_sending(self) -> None:
        if self._send_errno:
            raise OSError(self._send_errno, os.strerror(self._send_errno))

    def _stop_sending(self, error: int) -> None:
        self._send_errno = error
        self._rest.clear()
        self.unsent = 0


def _closed() -> OSError:
    return OSError(errno.EBADF, "the stream was closed")
