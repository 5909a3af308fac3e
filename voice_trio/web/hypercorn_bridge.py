"""Everything that the gateway knows of hypercorn's insides; `tests/wire` checks it against each release.

Our own server gives hypercorn one HTTP request at a time: `HttpApplication`. Under the bare hypercorn command the other
functions do what ASGI has no term for: contain a failed connection, decline compression, bound messages, and learn that
the server is stopping. `send`, as hypercorn passes it to an application, is a method of its WebSocket stream. That
stream holds the handshake it will send, the buffer of the current message, and the context that knows when the server
stops. Under another server these functions do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, cast

import h11
import structlog
import trio
import wsproto.events
import wsproto.utilities
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WebsocketBuffer, WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hypercorn.config import Config
    from hypercorn.protocol.events import Event
    from hypercorn.typing import ASGIFramework

log = structlog.get_logger(__name__)

_STREAM_ID = 1

UPGRADE_FAILURES = (h11.LocalProtocolError, wsproto.utilities.LocalProtocolError)
"""What `send` raises for an upgrade behind which the client sent a frame too early: hypercorn has refused it."""


@dataclass(frozen=True, slots=True)
class HttpHead:
    """A request without its body, and the two ends of its connection."""

    method: str
    target: bytes
    version: str
    headers: Sequence[tuple[bytes, bytes]]
    client: tuple[str, int]
    server: tuple[str, int]
    is_tls: bool


class HttpExchangePort(Protocol):
    """The connection of one request, as `HttpApplication` uses it."""

    async def receive_body(self) -> bytes | None:
        """The next part of the body, None at its end."""
        ...

    async def send_head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the status line and the headers."""
        ...

    async def send_body(self, data: bytes) -> None:
        """Send a part of the body."""
        ...

    async def send_end(self) -> None:
        """End the body."""
        ...


class HttpApplication:
    """An ASGI application that answers HTTP requests, each run by hypercorn's HTTP stream."""

    def __init__(self, application: ASGIFramework, config: Config) -> None:
        self._app = wrap_app(application, config.wsgi_max_body_size, "asgi")
        self._config = config
        self._context = WorkerContext(None)

    async def answer(self, head: HttpHead, exchange: HttpExchangePort) -> None:
        """Answer one request; returns once the response is sent. An unread body stays unread."""
        is_answered = trio.Event()

        async def send(event: Event) -> None:
            if isinstance(event, Response):
                await exchange.send_head(event.status_code, [*event.headers, *self._config.response_headers("h11")])
            elif isinstance(event, Body):
                await exchange.send_body(event.data)
            elif isinstance(event, EndBody):
                await exchange.send_end()
            elif isinstance(event, StreamClosed):
                is_answered.set()

        async with TaskGroup() as tasks:
            stream = HTTPStream(
                self._app,
                self._config,
                self._context,
                tasks,
                head.is_tls,
                head.client,
                head.server,
                send,
                _STREAM_ID,
            )
            await stream.handle(
                Request(_STREAM_ID, list(head.headers), head.version, head.method, head.target, ConnectionState({}))
            )
            async with trio.open_nursery() as reading:
                reading.start_soon(_pass_body, exchange, stream)
                await is_answered.wait()
                reading.cancel_scope.cancel(reason="answered")


async def _pass_body(exchange: HttpExchangePort, stream: HTTPStream) -> None:
    while (data := await exchange.receive_body()) is not None:
        await stream.handle(Body(_STREAM_ID, data))
    await stream.handle(EndBody(_STREAM_ID))


def contain_failures() -> None:
    """From now on a failure of one of hypercorn's connections ends that connection only.

    Hypercorn starts each connection in the nursery of its server: an exception that its protocol code does not expect,
    of which some packets cause one, would end the process with every session in it.
    """
    run = TCPServer.run
    if hasattr(run, "__wrapped__"):
        return

    @wraps(run)
    async def contained(server: TCPServer) -> None:
        try:
            await run(server)
        except* Exception as failures:  # the frame that contains a connection
            log.warning("connection_failed", error=describe_failure(failures))
            await trio.aclose_forcefully(server.stream)

    cast("Any", TCPServer).run = contained


def describe_failure(error: BaseException) -> str:
    """The first exception in a group, by type and the place that raised it; no text, which may quote the request."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return type(error).__name__
    name = traceback.tb_frame.f_globals.get("__name__", "?")
    return f"{type(error).__name__} at {name}:{traceback.tb_lineno}"


def decline_compression(send: Callable[..., Awaitable[None]]) -> None:
    """Remove the client's offer of permessage-deflate; call it before the upgrade is accepted.

    Hypercorn accepts every offer. Compressing base64 audio costs about 100 µs of CPU for 40 ms of audio and saves a
    quarter of the bytes (measured).
    """
    if (stream := _websocket_stream(send)) is not None:
        stream.handshake.extensions = None


def bound_messages(send: Callable[..., Awaitable[None]], length_max: int) -> None:
    """Cut each message to `length_max` + 1 characters or bytes, so that the application can refuse it.

    Beyond its own limit hypercorn sends 1009 without a reason, loses the client's close frame, and does not notify the
    application. A second call changes the bound, also of the current message.
    """
    stream = _websocket_stream(send)
    if stream is None:
        return
    if not isinstance(stream.buffer, _BoundedBuffer):
        stream.buffer = _BoundedBuffer(length_max)
    stream.buffer.max_length = length_max + 1  # one above the limit, which the base class still accepts


async def wait_until_stopping(send: Callable[..., Awaitable[None]]) -> None:
    """Return when the server has begun to stop; under a server other than hypercorn, never."""
    if (stream := _websocket_stream(send)) is not None:
        await stream.context.terminated.wait()
    else:
        await trio.sleep_forever()


def _websocket_stream(send: Callable[..., Awaitable[None]]) -> WSStream | None:
    stream = getattr(send, "__self__", None)
    return stream if isinstance(stream, WSStream) else None


class _BoundedBuffer(WebsocketBuffer):
    def extend(self, event: wsproto.events.Message[Any]) -> None:
        room = max(0, self.max_length - self.length)
        super().extend(replace(event, data=event.data[:room]))
