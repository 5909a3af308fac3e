"""WebSockets that the gateway opens: a `Link` over trio-websocket.

It knows URLs, headers and TLS, and nothing of the protocol above. It maps every foreign exception to `LinkClosed`,
`ModelUnavailable` or `ModelRefused`. No value of a header is ever logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

import h11
import structlog
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, wrap_client_stream
from wsproto.utilities import ProtocolError

from voice_trio import limits
from voice_trio.errors import LinkClosed, ModelUnavailable
from voice_trio.net.dial import shared_ssl_context
from voice_trio.net.keepalive import Keepalive
from voice_trio.net.link import Link
from voice_trio.net.refusals import connect_error, leaf_errors, refusal_error, tls_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from trio_websocket import WebSocketConnection

log = structlog.get_logger(__name__)

ABNORMAL_CLOSURE = 1006  # never on the wire: the library reports a lost connection so (RFC 6455 §7.4.1)


class TrioWebSocketLink(Link):
    """A `Link` over trio-websocket, kept open by a task in the nursery that `open_link` was given."""

    def __init__(self, connection: WebSocketConnection, scope: trio.CancelScope, gone: trio.Event) -> None:
        self._connection = connection
        self._scope = scope
        self._gone = gone

    @classmethod
    def of_server(cls, connection: WebSocketConnection) -> Self:
        """The server's end of an accepted connection; the server owns the socket and its background task."""
        gone = trio.Event()
        gone.set()
        return cls(connection, trio.CancelScope(), gone)

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed`. A cancelled send leaves the link unusable: close it."""
        try:
            await self._connection.send_message(message)
        except _DISCONNECTED as error:
            raise _link_closed(error) from error

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed`. Cancellation loses no frame."""
        try:
            message: str | bytes = await self._connection.get_message()
        except _DISCONNECTED as error:
            raise _link_closed(error) from error
        return message

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close with a closing handshake of at most half a second; when cancelled, close the socket at once."""
        try:
            with trio.move_on_after(limits.LINK_CLOSE_SECONDS_MAX):
                await self._connection.aclose(code, reason or None)
        except _DISCONNECTED:
            pass
        finally:
            self._scope.cancel(reason="link closed")
        await self._gone.wait()

    async def _ping(self, keepalive: Keepalive) -> None:
        """Ping until the connection is lost, then return."""
        while True:
            await trio.sleep(keepalive.interval_seconds)
            try:
                with trio.fail_after(keepalive.pong_seconds_max):
                    await self._connection.ping()
            except trio.TooSlowError:
                log.warning("pong_timed_out", timeout_s=keepalive.pong_seconds_max)
                return
            except _DISCONNECTED:
                return


async def open_link(
    nursery: trio.Nursery,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    keepalive: Keepalive | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> TrioWebSocketLink:
    """Open a link to a ws:// or wss:// URL; raises `ModelUnavailable`, or `ModelRefused` for HTTP 400, 401, 403, 404.

    An HTTP response in place of the upgrade is the cause of the error, a `trio_websocket.ConnectionRejected`. One task
    in `nursery` owns the socket, sends the pings, and ends with the link.
    """
    link: TrioWebSocketLink = await nursery.start(
        _keep_open, url, headers or {}, keepalive or Keepalive(), ssl_context or _ssl_context_for(url)
    )
    return link


def _ssl_context_for(url: str) -> ssl.SSLContext | None:
    return shared_ssl_context() if urlsplit(url).scheme == "wss" else None


# What trio-websocket raises when a connection ends, on either side, in any state.
_DISCONNECTED = (
    ConnectionClosed,
    ProtocolError,
    h11.ProtocolError,
    UnicodeError,  # of headers, which the library decodes as ASCII
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
)


async def _keep_open(  # started by `open_link` only
    url: str,
    headers: Mapping[str, str],
    keepalive: Keepalive,
    ssl_context: ssl.SSLContext | None,
    *,
    task_status: trio.TaskStatus[TrioWebSocketLink],
) -> None:
    """Own one socket: connect, return the link through `task_status`, ping, and close in every case."""
    host = urlsplit(url).hostname or ""
    stream = _HandshakeStream(await _open_stream(host, urlsplit(url).port, ssl_context))
    gone = trio.Event()
    try:
        await stream.secure(host)
        await _upgrade_and_watch(stream, url, headers, keepalive, gone, lambda link: task_status.started(link))
    finally:
        try:
            await trio.aclose_forcefully(stream)  # it closes, and raises if an outer scope is cancelled too
        finally:
            gone.set()


async def _upgrade_and_watch(
    stream: _HandshakeStream,
    url: str,
    headers: Mapping[str, str],
    keepalive: Keepalive,
    gone: trio.Event,
    on_open: Callable[[TrioWebSocketLink], None],
) -> None:
    parts = urlsplit(url)
    link: TrioWebSocketLink | None = None
    refusals: list[BaseException] = []
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.cancel_when_ended, nursery.cancel_scope)
            connection = await wrap_client_stream(
                nursery,
                cast("trio.SocketStream", stream),  # the library accepts any Stream, but is annotated otherwise
                parts.netloc.rpartition("@")[2],
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                message_queue_size=limits.LINK_MESSAGES_QUEUED_MAX,
                max_message_size=limits.MESSAGE_BYTES_MAX,
                receive_buffer_size=limits.RECEIVE_BYTES,
            )
            stream.handshake_is_over = True
            link = TrioWebSocketLink(connection, nursery.cancel_scope, gone)
            on_open(link)
            await link._ping(keepalive)
            nursery.cancel_scope.cancel(reason="link over")
    except* ConnectionRejected as group:
        refusals.extend(leaf_errors(group))
    except* _DISCONNECTED as group:
        # The library's reader failed on what the peer sent; users of the link get `LinkClosed`.
        log.debug("link_failed", errors=[type(error).__name__ for error in leaf_errors(group)])
    if link is None:
        raise _refusal(refusals) from next(iter(refusals), None)


async def _open_stream(
    host: str, port: int | None, ssl_context: ssl.SSLContext | None
) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    try:
        if ssl_context is None:
            return await trio.open_tcp_stream(host, port or 80)
        return await trio.open_ssl_over_tcp_stream(host, port or 443, ssl_context=ssl_context, https_compatible=True)
    except OSError as error:
        raise connect_error(host, error) from error


class _HandshakeStream(trio.abc.Stream):
    """A stream that detects the end of the connection during the handshake, where the library would wait forever."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.handshake_is_over = False
        self._stream = stream
        self._ended = trio.Event()

    async def secure(self, host: str) -> None:
        """Do the TLS handshake of a wss:// URL here, where its error still has a cause."""
        if isinstance(self._stream, trio.SSLStream):
            try:
                await self._stream.do_handshake()
            except trio.BrokenResourceError as error:
                raise tls_error(host, error.__cause__ or error) from error

    async def cancel_when_ended(self, scope: trio.CancelScope) -> None:
        await self._ended.wait()
        if not self.handshake_is_over:
            scope.cancel(reason="the connection ended during the handshake")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                self._ended.set()
        return data

    async def aclose(self) -> None:
        self._ended.set()
        await self._stream.aclose()


def _link_closed(error: BaseException) -> LinkClosed:
    reason = error.reason if isinstance(error, ConnectionClosed) else None
    if reason is None or reason.code == ABNORMAL_CLOSURE:
        return LinkClosed()
    return LinkClosed(reason.code, reason.reason or "")


def _refusal(refusals: list[BaseException]) -> ModelUnavailable:
    """The error for a failed handshake."""
    for refusal in refusals:
        if isinstance(refusal, ConnectionRejected):
            return refusal_error(refusal.status_code, refusal.body)
    return ModelUnavailable("the connection ended during the handshake")
