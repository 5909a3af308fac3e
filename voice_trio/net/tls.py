"""A stream of bytes over TLS, for both ends of a connection. It knows no certificate and no address.

TLS itself runs in memory (`ssl.SSLObject` between two buffers) and the ciphertext goes through a `TcpStream`. So TLS
costs no further system call and no further pass of the scheduler.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.net.byte_stream import TcpStream

if TYPE_CHECKING:
    import socket

# Three rules keep such a stream from stopping in the middle.
#
# 1. One read from the socket may hold many records, and the handshake's last read may hold a request as well. The
#    socket becomes readable once for all of them. So everything is decrypted before the socket is waited for.
# 2. Reading can make TLS want to write: the last message of a handshake, the answer to a key update, an alert. So what
#    it wants to write leaves after each read, not with the next send.
# 3. Writing never needs to read, because renegotiation (TLS 1.2) is switched off. Go and rustls never allow it either.
#    A key update (TLS 1.3) needs no answer before the next record.


class TlsStream:
    """A `ByteStream` over TLS; `open_tls` makes one. `unsent` counts ciphertext.

    The end of the TCP stream counts as the end of the data, with or without the peer's close_notify: the protocol
    above, WebSocket or HTTP, has an ending of its own.
    """

    def __init__(self, tcp: TcpStream, context: ssl.SSLContext, server_hostname: str | None, server_side: bool) -> None:
        self._tcp = tcp
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        self._may_hold_plaintext = True
        self._is_ended = False
        self._error: ssl.SSLError | None = None

    @property
    def unsent(self) -> int:
        """Bytes of ciphertext that the kernel has not taken; 0 after sending has failed."""
        return self._tcp.unsent

    def send_nowait(self, data: bytes) -> None:
        """Encrypt `data` and give it to the kernel; what it does not take waits here, in order. Raises `OSError`."""
        if len(data) <= limits.TLS_RECORD_BYTES:
            if data:  # OpenSSL leaves undefined what writing nothing does
                self._tls.write(data)
                self._tcp.send_nowait(self._outgoing.read())
            return
        # In pieces, since a buffer of OpenSSL never shrinks: one large message would cost memory for a whole session.
        pieces = memoryview(data)
        ciphertext: list[bytes] = []
        while pieces:
            pieces = pieces[self._tls.write(pieces[: limits.TLS_RECORD_BYTES]) :]
            ciphertext.append(self._outgoing.read())
        self._tcp.send_nowait(b"".join(ciphertext))

    async def drain(self) -> None:
        """Wait until nothing is unsent; raises `OSError`. Cancellation loses nothing."""
        await self._tcp.drain()

    async def receive(self) -> bytes:
        """The next decrypted bytes; `b""` at the end of the stream. Raises `OSError`. Cancellation loses nothing."""
        if self._may_hold_plaintext:
            self._may_hold_plaintext = False
            if plaintext := self._decrypt(b""):
                return plaintext
        while not self._is_ended:
            if self._error:
                raise ssl.SSLError(*self._error.args) from self._error
            ciphertext = await self._tcp.receive()
            if not ciphertext:
                break
            if plaintext := self._decrypt(ciphertext):
                return plaintext
        return b""

    def close(self) -> None:
        """Close the socket at once, with a close_notify if the kernel takes it; a task that waits gets `OSError`."""
        with suppress(OSError):
            if not self.unsent:
                self._say_close_notify()
        self._tcp.close()

    def _decrypt(self, ciphertext: bytes) -> bytes:
        """All plaintext up to the end of `ciphertext`; an error of TLS is kept until that was received."""
        plaintext: list[bytes] = []
        try:
            # In pieces for the reason given in `send_nowait`.
            for start in range(0, len(ciphertext) or 1, limits.TLS_RECORD_BYTES):
                self._incoming.write(ciphertext[start : start + limits.TLS_RECORD_BYTES])
                self._decrypt_piece(plaintext)
        except ssl.SSLError as error:
            self._error = error
        if self._outgoing.pending:
            # A failure of sending must not hide what the peer sent last; the next send reports it.
            with suppress(OSError):
                self._tcp.send_nowait(self._outgoing.read())
        return plaintext[0] if len(plaintext) == 1 else b"".join(plaintext)

    def _decrypt_piece(self, plaintext: list[bytes]) -> None:
        try:
            while data := self._tls.read(limits.TLS_RECORD_BYTES):
                plaintext.append(data)
                # OpenSSL takes one record at a time out of its buffer, so nothing is hidden elsewhere. Without this
                # line each read would end with an exception, half of its cost.
                if not self._incoming.pending and not self._tls.pending():
                    return
        except ssl.SSLWantReadError:
            return
        self._is_ended = True  # by a close_notify

    async def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_outgoing()
            except ssl.SSLError:
                with suppress(OSError):
                    self._tcp.send_nowait(self._outgoing.read())  # the alert, which says what is wrong
                raise
            else:
                await self._send_outgoing()
                return
            ciphertext = await self._tcp.receive()
            if not ciphertext:
                raise ConnectionResetError("the connection ended during the TLS handshake")
            self._incoming.write(ciphertext)

    async def _send_outgoing(self) -> None:
        self._tcp.send_nowait(self._outgoing.read())
        await self._tcp.drain()

    def _say_close_notify(self) -> None:
        with suppress(ssl.SSLError):  # raised to wait for the peer's, and while the handshake is not over
            self._tls.unwrap()
        self._tcp.send_nowait(self._outgoing.read())


async def open_tls(
    connection: socket.socket,
    context: ssl.SSLContext,
    *,
    server_hostname: str | None = None,
    server_side: bool = False,
) -> TlsStream:
    """Do the handshake on a connected TCP socket, which the stream owns; raises `OSError` (an `ssl.SSLError` is one).

    A client gives `server_hostname`. The caller bounds the time. An error or a cancellation closes the socket.
    Switches off renegotiation in `context`.
    """
    tcp = TcpStream(connection)
    try:
        context.options |= ssl.OP_NO_RENEGOTIATION
        stream = TlsStream(tcp, context, server_hostname, server_side)
        await stream._handshake()
    except BaseException:
        tcp.close()
        raise
    return stream
