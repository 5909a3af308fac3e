"""A WebSocket under ASGI: its opening request, its `Link`, and an HTTP response in place of the upgrade.

This serves `hypercorn -k trio voice_trio.asgi:app` and every other ASGI server. `voice-trio serve` has its own
connections: `server.connection`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.background import contain
from voice_trio.web.handshake import ClientLink, OpeningRequest, error_body, head_of_scope, hide_secrets, json_headers
from voice_trio.web.hypercorn_bridge import UPGRADE_FAILURES, bound_messages, decline_compression, wait_until_stopping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.web.gateway import Gateway
    from voice_trio.web.handshake import Headers

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

TOO_BIG = 1009
ABNORMAL_CLOSURE = 1006
_ONLY_HTTP_1 = error_body("not_allowed", "WebSockets are served over HTTP/1.1 only.")


async def serve_websocket(
    endpoint: Callable[[OpeningRequest], Awaitable[None]],
    gateway: Gateway,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Serve one WebSocket of an ASGI server at `endpoint`."""
    request = AsgiOpeningRequest(scope, receive, send)
    hide_secrets(scope)
    decline_compression(send)
    await receive()  # websocket.connect
    if scope.get("http_version", "1.1") != "1.1":
        # HTTP/2 and later have flow control of their own, which hides a client that stops reading.
        with suppress(LinkClosed):
            await request.respond(505, _ONLY_HTTP_1)
        return
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drain_when_stopping, gateway, send)
            await endpoint(request)
            nursery.cancel_scope.cancel(reason="connection over")
    finally:
        gateway.nursery.start_soon(contain, request.link.discard_messages, limits.DISCARD_SECONDS_MAX)


async def _drain_when_stopping(gateway: Gateway, send: Send) -> None:
    # Under the bare hypercorn command this process receives no signal; its connections are the first to see it.
    await wait_until_stopping(send)
    gateway.drain()


class AsgiOpeningRequest:
    """The opening request of an ASGI scope."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.link = AsgiLink(receive, send)
        self.head = head_of_scope(scope)
        self._send = send
        self._can_respond = "websocket.http.response" in (scope.get("extensions") or {})

    async def accept(self, subprotocol: str | None, *, bytes_max: int) -> AsgiLink:
        """Complete the upgrade; `subprotocol` is one of those that the client offered.

        Raises `LinkClosed`.
        """
        self.link.bytes_max = bytes_max
        await self._answer({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        return self.link

    async def respond(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a JSON response in place of the upgrade.

        A server without the ASGI extension `websocket.http.response` sends 403 without a body. Raises `LinkClosed`.
        """
        if not self._can_respond:
            await self._answer({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        head = [*json_headers(body), (b"connection", b"close"), *headers]
        await self._answer({"type": "websocket.http.response.start", "status": status, "headers": head})
        await self._answer({"type": "websocket.http.response.body", "body": body, "more_body": False})

    @contextmanager
    def waiting(self, seconds_max: float) -> Iterator[trio.CancelScope]:
        """A block that waits for the client; it is cancelled after `seconds_max`."""
        with trio.move_on_after(seconds_max) as scope:
            yield scope

    @property
    def has_made_room(self) -> bool:
        """False: the server bounds its connections itself."""
        return False

    def note_session(self) -> None:
        """The server counts its connections itself."""

    async def _answer(self, message: Message) -> None:
        try:
            await self._send(message)
        except UPGRADE_FAILURES as error:
            raise LinkClosed from error


class AsgiLink(ClientLink):
    """A `Link` to a client."""

    def __init__(self, receive: Receive, send: Send, *, bytes_max: int = limits.FIRST_MESSAGE_BYTES_MAX) -> None:
        self._receive = receive
        self._send = send
        self.bytes_max = bytes_max
        self._lost: LinkClosed | None = None
        self._is_closed = False

    @property
    def bytes_max(self) -> int:
        """A longer message raises `LinkClosed` (1009) in `receive`; sending and closing still work."""
        return self._bytes_max

    @bytes_max.setter
    def bytes_max(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        bound_messages(self._send, bytes_max)

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed` once the client has disconnected.

        Hypercorn shields the write from cancellation: only TCP_USER_TIMEOUT on the listening socket ends it.
        """
        self._check_open()
        if isinstance(message, str):
            await self._send({"type": "websocket.send", "text": message, "bytes": None})
        else:
            await self._send({"type": "websocket.send", "bytes": message, "text": None})

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed`. Safe to cancel: no frame is lost."""
        self._check_open()
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code")
            self._lost = LinkClosed(None if code == ABNORMAL_CLOSURE else code, message.get("reason") or "")
            self._check_open()
        text, data = message.get("text"), message.get("bytes")
        frame: str | bytes = text if text is not None else data or b""
        if _is_longer(frame, self._bytes_max):
            raise LinkClosed(TOO_BIG, "message over the limit")
        return frame

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close, and read until the client has sent its close frame: the kernel resets a socket that is closed with
        unread data, and the reset may overtake our close frame."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._lost is None:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
            with trio.move_on_after(limits.CLIENT_CLOSE_SECONDS_MAX):
                await self._wait_disconnect()

    async def discard_messages(self, seconds_max: float) -> None:
        """Discard messages until the client disconnects: hypercorn's reader waits for ever behind a full queue."""
        with trio.move_on_after(seconds_max), suppress(trio.EndOfChannel, trio.ClosedResourceError):
            await self._wait_disconnect()

    @property
    def is_lost(self) -> bool:
        """Whether the client has disconnected."""
        return self._lost is not None

    async def _wait_disconnect(self) -> None:
        while self._lost is None:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._lost = LinkClosed()

    def _check_open(self) -> None:
        if self._lost is not None:
            raise LinkClosed(self._lost.code, self._lost.reason)
        if self._is_closed:
            raise LinkClosed()


def _is_longer(frame: str | bytes, bytes_max: int) -> bool:
    """Whether `frame` has more than `bytes_max` bytes on the wire; encodes only text that may."""
    if isinstance(frame, bytes) or len(frame) > bytes_max:
        return len(frame) > bytes_max
    return len(frame) * 4 > bytes_max and len(frame.encode("utf-8", "surrogatepass")) > bytes_max
