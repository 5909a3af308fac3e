"""Opens WebSockets to the upstream: the connection, the upgrade of HTTP/1.1, and the errors of both.

No value of a header is ever logged: one of them has the key.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import h11
import trio

from voice_trio import limits
from voice_trio.errors import ModelUnavailable
from voice_trio.net.byte_stream import TcpStream
from voice_trio.net.keepalive import UPSTREAM_KEEPALIVE
from voice_trio.net.listeners import set_timeouts
from voice_trio.net.refusals import connect_error, refusal_error, tls_error
from voice_trio.net.tls import open_tls
from voice_trio.net.websocket import WebSocketLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.net.keepalive import Keepalive

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class UpstreamDial:
    """Opens links to the upstream at a ws:// or wss:// `url`, for sessions a `Dial`."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        keepalive: Keepalive = UPSTREAM_KEEPALIVE,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self._keepalive = keepalive
        self._ssl_context = ssl_context

    def fork_of(self, session_id: str) -> UpstreamDial:
        """The dial of a session that goes on with the session `session_id`, which the upstream has kept."""
        parts = urlsplit(self._url)
        path = f"{parts.path.rstrip('/')}/{quote(session_id, safe='')}/fork"
        url = parts._replace(path=path).geturl()
        return UpstreamDial(url, self._headers, keepalive=self._keepalive, ssl_context=self._ssl_context)

    async def __call__(self, nursery: trio.Nursery) -> WebSocketLink:
        """Open a link that is kept alive, if need be in `nursery`; raises `ModelUnavailable` or `ModelRefused`.

        The caller bounds the time. A cancelled call leaves no task and no socket.
        """
        link = await open_websocket(self._url, headers=self._headers, ssl_context=self._ssl_context)
        link.keep_alive_in(nursery, self._keepalive)
        return link


def with_query(url: str, **parameters: str | None) -> str:
    """`url` with `parameters` in its query; each replaces one of the same name, None removes it."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | parameters
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})).geturl()


async def open_websocket(
    url: str, *, headers: Mapping[str, str] | None = None, ssl_context: ssl.SSLContext | None = None
) -> WebSocketLink:
    """Open a link to a ws:// or wss:// URL; raises `ModelUnavailable`, or `ModelRefused` for HTTP 400, 401, 403, 404.

    The caller bounds the time. A cancelled call leaves no socket.
    """
    stream = await _connect(url, ssl_context)
    try:
        early = await _upgrade(stream, url, headers or {})
    except OSError as error:
        stream.close()
        raise ModelUnavailable("the connection ended during the handshake") from error
    except BaseException:
        stream.close()
        raise
    link = WebSocketLink(stream, is_client=True)
    link.feed(early)
    return link


_ssl_contexts: list[ssl.SSLContext] = []


def shared_ssl_context() -> ssl.SSLContext:
    """The TLS context of the process, made once: loading the system's certificates takes tens of milliseconds."""
    if not _ssl_contexts:
        _ssl_contexts.append(ssl.create_default_context())
    return _ssl_contexts[0]


async def _connect(url: str, ssl_context: ssl.SSLContext | None) -> ByteStream:
    parts = urlsplit(url)
    host, is_secure = parts.hostname or "", parts.scheme == "wss"
    try:
        opened = await trio.open_tcp_stream(host, parts.port or (443 if is_secure else 80))
    except OSError as error:
        raise connect_error(host, error) from error
    # The descriptor moves into a socket of the standard library, with its options: `TCP_NODELAY` is set already.
    connection = socket.socket(fileno=opened.socket.detach())
    set_timeouts(connection)
    if not is_secure:
        return TcpStream(connection)
    try:
        return await open_tls(connection, ssl_context or shared_ssl_context(), server_hostname=host)
    except OSError as error:
        raise tls_error(host, error) from error


def accept_key(key: str) -> bytes:
    """The `Sec-WebSocket-Accept` that responds to a `Sec-WebSocket-Key` (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT_GUID, usedforsecurity=False).digest())


async def _upgrade(stream: ByteStream, url: str, headers: Mapping[str, str]) -> bytes:
    """Upgrade the connection; returns what the server sent after its response. Raises `OSError` at an early end."""
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.HEAD_BYTES_MAX)
    request = h11.Request(
        method="GET",
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=[
            ("Host", parts.netloc.rpartition("@")[2]),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
            *headers.items(),
        ],
    )
    stream.send_nowait(http.send(request) or b"")
    stream.send_nowait(http.send(h11.EndOfMessage()) or b"")
    await stream.drain()
    try:
        response = await _next_event(http, stream)
        if isinstance(response, h11.InformationalResponse) and response.status_code == 101:
            _check_accepted(response, key)
            return http.trailing_data[0]
        if isinstance(response, h11.Response):
            raise refusal_error(response.status_code, await _read_body(http, stream))
    except h11.RemoteProtocolError as error:
        raise ModelUnavailable("the server does not speak HTTP/1.1") from error
    raise ModelUnavailable("the connection ended during the handshake")


async def _next_event(http: h11.Connection, stream: ByteStream) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    """The next event that is not an interim response (RFC 9110 §15.2)."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive())
        elif not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
            return event


async def _read_body(http: h11.Connection, stream: ByteStream) -> bytes:
    """The first bytes of the response's body: enough for an error in JSON."""
    body = b""
    while len(body) < limits.ERROR_BODY_BYTES_MAX:
        event = await _next_event(http, stream)
        if not isinstance(event, h11.Data):
            break
        body += event.data
    return body


def _check_accepted(response: h11.InformationalResponse, key: str) -> None:
    """RFC 6455 §4.1: what the response must have, and must not have."""
    headers: dict[bytes, list[bytes]] = {}
    for name, value in response.headers:
        headers.setdefault(name, []).append(value)
    upgrade, connection = headers.get(b"upgrade", []), b",".join(headers.get(b"connection", []))
    is_upgraded = [value.lower() for value in upgrade] == [b"websocket"]
    is_upgraded &= b"upgrade" in (token.strip() for token in connection.lower().split(b","))
    if not is_upgraded or headers.get(b"sec-websocket-accept") != [accept_key(key)]:
        raise ModelUnavailable("the server did not accept the WebSocket")
    if b"sec-websocket-extensions" in headers or b"sec-websocket-protocol" in headers:
        raise ModelUnavailable("the server chose an extension or a subprotocol that was not offered")
