"""Connected sockets for tests of byte streams: one end of ours, and a peer made of other code (trio's own streams)."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.net.byte_stream import ByteStream, TcpStream
from voice_trio.net.tls import open_tls

if TYPE_CHECKING:
    from voice_trio.server.server import Tls

KINDS = ("plain", "TLSv1.3 client", "TLSv1.3 server", "TLSv1.2 client", "TLSv1.2 server")
"""What our end is; the peer is the other one."""


def connected_sockets() -> tuple[socket.socket, socket.socket]:
    """The two ends of a TCP connection over the loopback, both blocking, with buffers that fill soon."""
    one = socket.socket()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for end in (listener, one):  # accepted connections inherit the options
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    return one, other


def server_context(certificate: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    return context


def client_context(certificate: Tls) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.certfile)


class SingleByteStream(trio.abc.HalfCloseableStream):
    """Reads and writes the socket one byte at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        for byte in bytes(data):
            await self._stream.send_all(bytes([byte]))

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(1)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass
class Peer:
    """The other end. It sends and reads as told, and goes away in every way that TCP knows."""

    socket: trio.socket.SocketType
    stream: trio.abc.Stream

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive_exactly(self, count: int) -> bytes:
        """`count` bytes, or fewer at the end of the stream."""
        received = bytearray()
        while len(received) < count:
            data = await self.stream.receive_some(min(count - len(received), 65536))
            if not data:
                break
            received += data
        return bytes(received)

    def send_fin(self) -> None:
        """Close the direction from the peer to us, without a close_notify."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


async def connect(kind: str, certificate: Tls, *, peer_uses_single_bytes: bool = False) -> tuple[ByteStream, Peer]:
    """A stream of ours of that kind, and its peer, connected; close both."""
    one, other = connected_sockets()
    peer_socket = trio.socket.from_stdlib_socket(other)
    tcp = trio.SocketStream(peer_socket)
    wire: trio.abc.Stream = SingleByteStream(tcp) if peer_uses_single_bytes else tcp
    if kind == "plain":
        return TcpStream(one), Peer(peer_socket, wire)
    version, side = kind.split()
    ours, theirs = client_context(certificate), server_context(certificate)
    if is_server := side == "server":
        ours, theirs = theirs, ours
    ours.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    peer = trio.SSLStream(wire, theirs, server_hostname="localhost", server_side=not is_server, https_compatible=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.do_handshake)
        stream = await open_tls(one, ours, server_hostname=None if is_server else "localhost", server_side=is_server)
    return stream, Peer(peer_socket, peer)


async def receive_exactly(stream: ByteStream, count: int) -> bytes:
    """`count` bytes or a few more, or fewer at the end of the stream."""
    received = bytearray()
    while len(received) < count and (data := await stream.receive()):
        received += data
    return bytes(received)
