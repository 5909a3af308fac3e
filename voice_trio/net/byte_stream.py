"""A stream of bytes under a WebSocket: over a non-blocking TCP socket here, over TLS in `net.tls`.

It sends without waiting what the kernel takes, and keeps the rest. So a sender pays one system call, and no pass of the
scheduler, as long as the peer reads; and no cancellation can lose a byte or cut a frame in two.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

import trio

from voice_trio import limits

if TYPE_CHECKING:
    import socket

# Why not `trio.SocketStream`. Its `receive_some` first reads in vain, which costs a system call and an exception, and
# every `send_all` ends with a checkpoint, which costs a pass of the scheduler: itself a system call. Here a read waits
# first, because in the steady state nothing is there yet; a write does not wait at all.


class ByteStream(Protocol):
    """A connected stream. One task may send while another receives; all methods but the two `async` ones are atomic.

    After the connection is lost, sending raises `OSError` and receiving raises it too or returns `b""`.
    """

    unsent: int
    """Bytes that were given to `send_nowait` and not yet to the kernel."""

    def send_nowait(self, data: bytes) -> None:
        """Give `data` to the kernel; what it does not take waits here, in order. Raises `OSError`."""
        ...

    async def drain(self) -> None:
        """Wait until nothing is unsent; raises `OSError`. Cancellation loses nothing."""
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
        self.unsent = 0

    def send_nowait(self, data: bytes) -> None:
        """Give `data` to the kernel; what it does not take waits here, in order. Raises `OSError`."""
        if not self.unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._rest += data
        self.unsent = len(self._rest)

    async def drain(self) -> None:
        """Wait until nothing is unsent; raises `OSError`. Cancellation loses nothing."""
        while self.unsent:
            try:
                await trio.lowlevel.wait_writable(self._fd)
                sent = self._socket.send(self._rest)
            except BlockingIOError:
                continue
            except trio.ClosedResourceError as error:
                raise OSError(errno.EBADF, "closed meanwhile") from error
            del self._rest[:sent]
            self.unsent = len(self._rest)

    async def receive(self) -> bytes:
        """The next bytes; `b""` at the end of the stream. Raises `OSError`. Cancellation loses nothing."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._fd)
                return self._socket.recv(limits.RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except trio.ClosedResourceError as error:
                raise OSError(errno.EBADF, "closed meanwhile") from error

    def close(self) -> None:
        """Close the socket at once; a task that waits here gets an `OSError`. No effect the second time."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        self._fd = -1
