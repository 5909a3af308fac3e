"""What ASGI's messages look like to us, and a WebSocket over them as a `Link`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

import trio

from voice_trio.errors import LinkClosed

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

GOODBYE_SECONDS_MAX = 0.8  # for the client's half of the closing handshake (I8)
TOO_BIG = 1009
ABNORMAL_CLOSURE = 1006


class AsgiLink:
    """A `Link` to a client. A message of more than `bytes_max` bytes reads as closed with 1009, and can be told so."""

    def __init__(self, receive: Receive, send: Send, *, bytes_max: int) -> None:
        self._receive = receive
        self._send = send
        self._bytes_max = bytes_max
        self._lost: LinkClosed | None = None
        self._is_closed = False

    async def accept(self, subprotocol: str | None = None) -> None:
        """Finish the upgrade; `subprotocol` is one of those the client offered."""
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed` once the client is known to be gone.

        Under hypercorn the write itself cannot be cancelled: TCP_USER_TIMEOUT on the listening socket ends it.
        """
        self._check_open()
        if isinstance(message, str):
            await self._send({"type": "websocket.send", "text": message, "bytes": None})
        else:
            await self._send({"type": "websocket.send", "bytes": message, "text": None})

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed`. Cancelling loses nothing."""
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
        """Close, and read on for a moment until the client has answered: a socket closed with unread data is reset,
        and a reset may overtake the close frame."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._lost is None:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
            with trio.move_on_after(GOODBYE_SECONDS_MAX):
                await self._wait_until_gone()

    async def read_to_the_end(self, seconds_max: float) -> None:
        """Throw away what still comes. The server's reader waits for ever behind a full queue that nobody empties."""
        with trio.move_on_after(seconds_max), suppress(trio.EndOfChannel, trio.ClosedResourceError):
            await self._wait_until_gone()

    @property
    def is_lost(self) -> bool:
        """Whether the client is known to be gone."""
        return self._lost is not None

    async def _wait_until_gone(self) -> None:
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
    """Whether `frame` has more than `bytes_max` bytes on the wire; encodes only what may."""
    if isinstance(frame, bytes) or len(frame) > bytes_max:
        return len(frame) > bytes_max
    return len(frame) * 4 > bytes_max and len(frame.encode("utf-8", "surrogatepass")) > bytes_max
