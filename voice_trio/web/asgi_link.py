"""A WebSocket under ASGI as a `Link`, an HTTP response in its place, and what only hypercorn can do for it.

ASGI has no term for three things that we need: to decline compression, to bound messages, and to learn that the server
is stopping. `send`, as hypercorn passes it to an application, is a method of its WebSocket stream. That stream holds
the handshake it will send, the buffer of the current message, and the context that knows when the server stops. Only
this module uses those internals, and `tests/wire` checks them against each release of hypercorn. Under another server
the three functions do nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import trio
from hypercorn.protocol.ws_stream import WebsocketBuffer, WSStream

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.link import Link
from voice_trio.protocols.voice import writer

if TYPE_CHECKING:
    import wsproto.events

    from voice_trio.admission.refusals import Refusal

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

TOO_BIG = 1009
ABNORMAL_CLOSURE = 1006


class AsgiLink(Link):
    """A `Link` to a client. Receiving more than `bytes_max` bytes raises `LinkClosed` (1009); sending still works."""

    def __init__(self, receive: Receive, send: Send, *, bytes_max: int) -> None:
        self._receive = receive
        self._send = send
        self._bytes_max = bytes_max
        self._lost: LinkClosed | None = None
        self._is_closed = False

    async def accept(self, subprotocol: str | None = None) -> None:
        """Complete the upgrade; `subprotocol` is one of those that the client offered."""
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

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


async def refuse_at_handshake(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Respond with 403 or 429 and `Retry-After` in place of the upgrade; the body equals the `error` event.

    A server without the ASGI extension `websocket.http.response` sends 403 without a body.
    """
    retry = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
    body = writer.refusal(refusal.code, refusal.message, refusal.retry_after).encode()
    await respond(scope, send, refusal.handshake_status, body, retry)


async def respond(
    scope: Scope, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send a JSON response in place of the upgrade."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    usual = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    usual += [(b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": usual + (headers or [])})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


def decline_compression(send: Send) -> None:
    """Remove the client's offer of permessage-deflate; call it before `accept`.

    Hypercorn accepts every offer. Compressing base64 audio costs about 100 µs of CPU for 40 ms of audio and saves a
    quarter of the bytes (measured).
    """
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.handshake.extensions = None


def bound_messages(send: Send, length_max: int) -> None:
    """Cut each message to `length_max` + 1 characters or bytes, so that the application can refuse it.

    Beyond its own limit hypercorn sends 1009 without a reason, loses the client's close frame, and does not notify the
    application.
    """
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.buffer = _BoundedBuffer(length_max)


async def wait_until_stopping(send: Send) -> None:
    """Return when the server has begun to stop; under a server other than hypercorn, never."""
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        await stream.context.terminated.wait()
    else:
        await trio.sleep_forever()


class _BoundedBuffer(WebsocketBuffer):
    def __init__(self, length_max: int) -> None:
        super().__init__(length_max + 1)

    def extend(self, event: wsproto.events.Message[Any]) -> None:
        # One above the limit, which the base class still accepts.
        room = max(0, self.max_length - self.length)
        super().extend(replace(event, data=event.data[:room]))
