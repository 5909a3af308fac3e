"""An upgrade to a WebSocket on a connection of our own: what makes a request one, and its answers (RFC 6455 §4.2)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.dial import accept_key
from voice_trio.net.websocket import WebSocketLink
from voice_trio.server.head_rules import path_and_query
from voice_trio.web.handshake import RequestHead, error_body, header_values, json_headers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import h11

    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.server.unadmitted import Unadmitted
    from voice_trio.web.handshake import Headers

_VERSION = "13"
_KEY_BYTES = 16


def is_upgrade(request: h11.Request) -> bool:
    """Whether `request` asks for a WebSocket. Any other `Upgrade` is ignored, as RFC 9110 §7.8 allows."""
    headers = list(request.headers)
    return (
        request.method == b"GET"
        and request.http_version == b"1.1"
        and "websocket" in _tokens(headers, b"upgrade")
        and "upgrade" in _tokens(headers, b"connection")
    )


def path_of(request: h11.Request) -> str:
    """The decoded path of `request`."""
    return unquote(path_and_query(request).partition(b"?")[0].decode("ascii"))


@dataclass(frozen=True, slots=True)
class UpgradeError:
    """Why an upgrade is not valid, as an HTTP response."""

    status: int
    message: str
    headers: Headers = ()


def upgrade_error(request: h11.Request) -> UpgradeError | None:
    """What is wrong with a request that `is_upgrade`; None if it is valid."""
    headers = list(request.headers)
    if header_values(headers, b"sec-websocket-version") != [_VERSION]:
        version = (b"sec-websocket-version", _VERSION.encode())
        return UpgradeError(426, "Only version 13 of the WebSocket protocol is served.", [version])
    keys = header_values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return UpgradeError(400, "Sec-WebSocket-Key must be 16 bytes in base64.")
    lengths = header_values(headers, b"content-length")
    if header_values(headers, b"transfer-encoding") or any(length != "0" for length in lengths):
        return UpgradeError(400, "The request of an upgrade must not have a body.")
    return None


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _tokens(headers: Headers, name: bytes) -> list[str]:
    """The elements of every header called `name`, in lower case."""
    return [element.lower() for element in _elements(headers, name)]


def _elements(headers: Headers, name: bytes) -> list[str]:
    elements = (element.strip() for value in header_values(headers, name) for element in value.split(","))
    return [element for element in elements if element]


class UpgradeRequest:
    """A valid upgrade that waits for its answer; `early`, which the client sent behind it, is the link's first data."""

    def __init__(
        self, request: h11.Request, early: bytes, stream: ByteStream, slot: Unadmitted, nursery: trio.Nursery, peer: str
    ) -> None:
        headers = list(request.headers)
        offered = _elements(headers, b"sec-websocket-protocol")
        self.head = RequestHead(request.target.partition(b"?")[2], headers, offered, peer)
        self.was_refused = False
        self._early = early
        self._stream = stream
        self._slot = slot
        self._nursery = nursery

    async def accept(self, subprotocol: str | None, *, bytes_max: int) -> WebSocketLink:
        """Complete the upgrade; `subprotocol` is one of those offered. Raises `LinkClosed`."""
        key = header_values(self.head.headers, b"sec-websocket-key")[0]
        headers = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", accept_key(key)),
        ]
        if subprotocol is not None:
            headers.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        await self._send(_head(101, headers))
        link = WebSocketLink(self._stream, is_client=False, bytes_max=bytes_max)
        link.feed(self._early)
        self._early = b""
        link.keep_alive_in(self._nursery)
        return link

    async def respond(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a JSON response in place of the upgrade; the connection then closes. Raises `LinkClosed`."""
        self.was_refused = True
        date = formatdate(usegmt=True).encode()
        every = [*json_headers(body), (b"connection", b"close"), (b"date", date), *headers]
        await self._send(_head(status, every) + body)

    async def respond_with_error(self, error: UpgradeError) -> None:
        """Send the response to an upgrade that is not valid."""
        body = error_body("bad_request", error.message)
        await self.respond(error.status, body, error.headers)

    def waiting(self, seconds_max: float) -> AbstractContextManager[trio.CancelScope]:
        """A block that waits for the client; it is cancelled after `seconds_max`, or to make room for another one."""
        return self._slot.receiving(seconds_max)

    @property
    def has_made_room(self) -> bool:
        """Whether such a block was cancelled to make room: the connection should end."""
        return self._slot.is_released

    def note_session(self) -> None:
        """A session begins: the connection no longer counts among those without one."""
        self._slot.release()

    async def _send(self, data: bytes) -> None:
        try:
            self._stream.send_nowait(data)
            with trio.move_on_after(limits.RESPONSE_SEND_SECONDS_MAX):
                await self._stream.drain()
        except OSError as error:
            raise LinkClosed from error
        if self._stream.unsent:
            raise LinkClosed


def _head(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
