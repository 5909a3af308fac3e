"""Links of every kind, each with a peer made of other code: the sans-I/O protocol of `websockets`, or a memory link."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import hypercorn.trio
import trio
import websockets.protocol
from hypercorn.config import Config
from websockets.frames import Frame, Opcode

from tests.support.byte_streams import Peer, connect
from voice_trio.errors import LinkClosed
from voice_trio.net.websocket import WebSocketLink
from voice_trio.testing.links import MemoryLink, memory_link_pair
from voice_trio.web.asgi_link import AsgiOpeningRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.net.link import Link
    from voice_trio.server.server import Tls

OWN = ("plain client", "plain server", "TLSv1.3 client", "TLSv1.3 server", "TLSv1.2 client")
"""Our own WebSocket, by the end that it is."""
DIRECT = ("memory", *OWN)
"""Links that can send without waiting."""
ALL = (*DIRECT, "ASGI server")
BYTES_MAX = 2_000_000

OPENING_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class LinkPeer(Protocol):
    """The other end of a link. It reads only when told to."""

    async def send(self, message: str | bytes) -> None: ...

    async def receive(self) -> str | bytes:
        """The next message; raises `LinkClosed` with the code and reason of the close frame, if one came."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Send the close, and wait for nothing."""
        ...

    def reset(self) -> None:
        """Lose the connection without a close."""
        ...


class MemoryPeer:
    def __init__(self, link: MemoryLink) -> None:
        self.reset = link.reset
        self.send = link.send
        self.receive = link.receive
        self.close = link.aclose


class WebSocketPeer:
    """A peer on a real connection. `send_frame` sends what no correct peer would."""

    def __init__(self, wire: Peer, side: websockets.protocol.Side, data: bytes = b"") -> None:
        self._wire = wire
        self._protocol = websockets.protocol.Protocol(side, state=websockets.protocol.State.OPEN, max_size=None)
        self._protocol.receive_data(data)
        self._frames: list[Frame] = []
        self._sending = trio.Lock()
        self.pongs: list[bytes] = []
        """Payloads of the pongs that were received."""

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def send_frame(self, opcode: Opcode, data: bytes, fin: bool = True, rsv1: bool = False) -> None:
        is_client = self._protocol.side is websockets.protocol.Side.CLIENT
        frame = bytearray(Frame(opcode, data, fin).serialize(mask=is_client))
        frame[0] |= rsv1 << 6
        await self._send_all(bytes(frame))

    async def receive(self) -> str | bytes:
        message = b""
        opcode = Opcode.CONT
        try:
            while frame := await self._next_frame():
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    opcode = opcode or frame.opcode
                    message += frame.data
                    if frame.fin:
                        return message.decode() if opcode is Opcode.TEXT else message
                elif frame.opcode is Opcode.PONG:
                    self.pongs.append(bytes(frame.data))
        except trio.BrokenResourceError:
            pass
        if goodbye := self._protocol.close_rcvd:
            raise LinkClosed(None if goodbye.code == 1005 else int(goodbye.code), goodbye.reason)
        raise LinkClosed

    async def close(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        await self._flush()

    def reset(self) -> None:
        self._wire.reset()

    def send_fin(self) -> None:
        """End the stream to us without a close frame."""
        self._wire.send_fin()

    async def _next_frame(self) -> Frame | None:
        while not self._frames:
            data = await self._wire.stream.receive_some(65536)
            if not data:
                return None
            self._protocol.receive_data(bytes(data))
            self._frames += [event for event in self._protocol.events_received() if isinstance(event, Frame)]
            await self._flush()
        return self._frames.pop(0)

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                await self._send_all(data)
            else:
                with suppress(OSError):
                    self._wire.send_fin()

    async def _send_all(self, data: bytes) -> None:
        async with self._sending:
            await self._wire.send(data)


@asynccontextmanager
async def connected(
    kind: str, certificate: Tls, *, peer_uses_single_bytes: bool = False
) -> AsyncIterator[tuple[Link, Any]]:
    """A link of one of the kinds `ALL`, and its `LinkPeer`; a `WebSocketPeer` unless the link is a memory link.

    Only the peer of our own WebSocket can be one that reads and writes single bytes.
    """
    if kind == "memory":
        link, other = memory_link_pair()
        yield link, MemoryPeer(other)
    elif kind == "ASGI server":
        async with _connected_over_asgi() as ends:
            yield ends
    else:
        is_client = kind.endswith("client")
        stream, wire = await connect(
            "plain" if kind.startswith("plain") else kind, certificate, peer_uses_single_bytes=peer_uses_single_bytes
        )
        side = websockets.protocol.Side.SERVER if is_client else websockets.protocol.Side.CLIENT
        try:
            yield WebSocketLink(stream, is_client=is_client, bytes_max=BYTES_MAX), WebSocketPeer(wire, side)
        finally:
            stream.close()
            await trio.aclose_forcefully(wire.stream)


@asynccontextmanager
async def _connected_over_asgi() -> AsyncIterator[tuple[Link, WebSocketPeer]]:
    opened, accepted = trio.open_memory_channel[Any](1)
    over = trio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            await trio.sleep_forever()
        else:
            await opened.send(await AsgiOpeningRequest(scope, receive, send).accept(None, bytes_max=BYTES_MAX))
            await over.wait()

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(hypercorn.trio.serve, application, config)
        port = int(urls[0].rpartition(":")[2])
        tcp = await trio.open_tcp_stream("127.0.0.1", port)
        tcp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        try:
            await tcp.send_all(OPENING_REQUEST)
            head = b""
            while b"\r\n\r\n" not in head:
                head += await tcp.receive_some()
            peer = WebSocketPeer(Peer(tcp.socket, tcp), websockets.protocol.Side.CLIENT, head.partition(b"\r\n\r\n")[2])
            yield await accepted.receive(), peer
            over.set()
        finally:
            await trio.aclose_forcefully(tcp)
        nursery.cancel_scope.cancel()
