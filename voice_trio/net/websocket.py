"""WebSockets that we open: a `Link` over trio-websocket.

It knows URLs, headers and TLS; it does not know what is said over the wire. Every foreign exception ends here: above it
there are `LinkClosed`, `ModelUnavailable` and `ModelRefused`. No header's value is ever logged.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

import h11
import structlog
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, wrap_client_stream
from wsproto.utilities import ProtocolError

from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import LinkClosed, ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trio_websocket import WebSocketConnection

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
RECEIVE_BYTES = 64 * 1024
# The library reads no further while its queue is full, and then answers no ping and sees no close. Its default is 1.
MESSAGES_QUEUED_MAX = 32
CLOSE_SECONDS_MAX = 0.5  # for the peer's half of the closing handshake; then the socket is dropped (I8)
ABNORMAL_CLOSURE = 1006  # never on the wire: the library's word for "it just ended"
REFUSED_STATUSES = frozenset({400, 401, 403, 404})


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A ping every `interval_seconds` of a link's life; without a pong within `patience_seconds` the peer is gone."""

    interval_seconds: float = 20.0
    patience_seconds: float = 10.0


class WebSocketLink:
    """A `Link` over trio-websocket, kept open by a task in the nursery that `open_link` was given."""

    def __init__(self, connection: WebSocketConnection, scope: trio.CancelScope, gone: trio.Event) -> None:
        self._connection = connection
        self._scope = scope
        self._gone = gone

    @classmethod
    def of_server(cls, connection: WebSocketConnection) -> Self:
        """A server's end: whoever accepted the connection keeps its socket and its background task."""
        gone = trio.Event()
        gone.set()
        return cls(connection, trio.CancelScope(), gone)

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed`. A cancelled send tears the stream: close the link then."""
        try:
            await self._connection.send_message(message)
        except _LOST as error:
            raise _closed(error) from error

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed`. Cancelling loses nothing."""
        try:
            message: str | bytes = await self._connection.get_message()
        except _LOST as error:
            raise _closed(error) from error
        return message

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye for at most half a second and drop the socket; when cancelled, drop it at once."""
        try:
            with trio.move_on_after(CLOSE_SECONDS_MAX):
                await self._connection.aclose(code, reason or None)
        except _LOST:
            pass
        finally:
            self._scope.cancel(reason="link closed")
        await self._gone.wait()

    async def _watch(self, keepalive: Keepalive) -> None:
        """Ping until the link is over; returns when the peer is gone."""
        while True:
            await trio.sleep(keepalive.interval_seconds)
            try:
                with trio.fail_after(keepalive.patience_seconds):
                    await self._connection.ping()
            except trio.TooSlowError:
                log.warning("link_vanished", patience_s=keepalive.patience_seconds)
                return
            except _LOST:
                return


async def open_link(
    nursery: trio.Nursery,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    keepalive: Keepalive | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> WebSocketLink:
    """A link to a ws:// or wss:// URL; raises `ModelUnavailable`, or `ModelRefused` for HTTP 400, 401, 403 and 404.

    An HTTP answer in place of the upgrade is the error's cause, a `trio_websocket.ConnectionRejected`.
    One task in `nursery` keeps the socket, pings and all, and ends with the link.
    """
    link: WebSocketLink = await nursery.start(
        _keep_open, url, headers or {}, keepalive or Keepalive(), ssl_context or shared_ssl_context(url)
    )
    return link


_ssl_contexts: list[ssl.SSLContext] = []


def shared_ssl_context(url: str) -> ssl.SSLContext | None:
    """The process's context for wss:// URLs, made once: reading the system's certificates takes tens of ms."""
    if urlsplit(url).scheme != "wss":
        return None
    if not _ssl_contexts:
        _ssl_contexts.append(ssl.create_default_context())
    return _ssl_contexts[0]


# Whatever trio-websocket lets through when a connection is over, on either side, in the middle of anything.
_LOST = (
    ConnectionClosed,
    ProtocolError,
    h11.ProtocolError,
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
    task_status: trio.TaskStatus[WebSocketLink],
) -> None:
    """The life of one socket: connect, hand out the link, ping, and let go whatever happens."""
    host = urlsplit(url).hostname or ""
    stream = _Watched(await _open_stream(host, urlsplit(url).port, ssl_context))
    gone = trio.Event()
    try:
        await stream.secure(host)
        await _upgrade_and_watch(stream, url, headers, keepalive, gone, lambda link: task_status.started(link))
    finally:
        try:
            await trio.aclose_forcefully(stream)  # raises, although it has closed, when all around is cancelled too
        finally:
            gone.set()


async def _upgrade_and_watch(
    stream: _Watched,
    url: str,
    headers: Mapping[str, str],
    keepalive: Keepalive,
    gone: trio.Event,
    hand_out: Callable[[WebSocketLink], None],
) -> None:
    parts = urlsplit(url)
    link: WebSocketLink | None = None
    refusals: list[BaseException] = []
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.cancel_when_ended, nursery.cancel_scope)
            connection = await wrap_client_stream(
                nursery,
                cast("trio.SocketStream", stream),  # the library uses what every Stream has, and annotates less
                parts.netloc.rpartition("@")[2],
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                message_queue_size=MESSAGES_QUEUED_MAX,
                max_message_size=MESSAGE_BYTES_MAX,
                receive_buffer_size=RECEIVE_BYTES,
            )
            stream.handshake_is_over = True
            link = WebSocketLink(connection, nursery.cancel_scope, gone)
            hand_out(link)
            await link._watch(keepalive)
            nursery.cancel_scope.cancel(reason="link over")
    except* ConnectionRejected as group:
        refusals.extend(_leaves(group))
    except* _LOST as group:
        # The library's reader stumbled over what the peer sent; whoever uses the link sees it closed.
        log.debug("link_broke", errors=[type(error).__name__ for error in _leaves(group)])
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
        raise ModelUnavailable(
            f"no connection to {host}: {_first_words(_leaves(error.__cause__ or error)[-1])}"
        ) from error


class _Watched(trio.abc.Stream):
    """A stream that notices when the connection ends during the handshake: there the library would wait for ever."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.handshake_is_over = False
        self._stream = stream
        self._ended = trio.Event()

    async def secure(self, host: str) -> None:
        """The TLS handshake, where there is one: made here, its failures can still say why."""
        if isinstance(self._stream, trio.SSLStream):
            try:
                await self._stream.do_handshake()
            except trio.BrokenResourceError as error:
                raise ModelUnavailable(f"no TLS with {host}: {_first_words(error.__cause__ or error)}") from error

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


def _closed(error: BaseException) -> LinkClosed:
    reason = error.reason if isinstance(error, ConnectionClosed) else None
    if reason is None or reason.code == ABNORMAL_CLOSURE:
        return LinkClosed()
    return LinkClosed(reason.code, reason.reason or "")


def _refusal(refusals: list[BaseException]) -> ModelUnavailable:
    """Why there is no link. Of an answer's body only the code is shown: messages quote pieces of keys."""
    for refusal in refusals:
        if isinstance(refusal, ConnectionRejected):
            code = _error_code(refusal.body)
            told = f"refused with HTTP {refusal.status_code}" + (f" {code}" if code else "")
            if refusal.status_code in REFUSED_STATUSES or code in FATAL_CODES:
                return ModelRefused(told)
            return ModelUnavailable(told)
    return ModelUnavailable("the connection ended during the handshake")


def _error_code(body: bytes | None) -> str:
    try:
        answer: Any = json.loads(body or b"")
        code = answer["error"]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code[:64] if isinstance(code, str) else ""


def _first_words(error: BaseException) -> str:
    """What an error says, without what it was caused by."""
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
