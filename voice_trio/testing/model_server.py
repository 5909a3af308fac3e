"""The scripted model on TCP, for tests with real sockets and for gateways in other processes."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, HandshakeError, wrap_server_stream
from wsproto.utilities import ProtocolError

from voice_trio import limits
from voice_trio.net.trio_websocket_link import TrioWebSocketLink
from voice_trio.testing.recorder import ModelHandshake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_websocket import WebSocketConnection, WebSocketRequest

    from voice_trio.testing.model import ScriptedModel

MESSAGES_QUEUED_MAX = 64
_LOST = (ConnectionClosed, HandshakeError, trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError)


async def serve_scripted_model(
    model: ScriptedModel,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `model` on TCP until cancelled; `await nursery.start(…)` returns the URL to connect to.

    Port 0 means any free one. `?intent=transcription` connects to `model.transcriber`.
    """

    async def answer(request: WebSocketRequest, stream: trio.SocketStream) -> None:
        await _answer(model, request, stream)

    await serve_connections(answer, model.speaks.path, host, port, task_status=task_status)


async def serve_connections(
    answer: Callable[[WebSocketRequest, trio.SocketStream], Awaitable[None]],
    path: str,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[str],
) -> None:
    """Serve TCP until cancelled: `answer` accepts or rejects each request for a WebSocket, and serves it."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    address = listeners[0].socket.getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]

    async def serve(stream: trio.SocketStream) -> None:
        await _serve_one(answer, stream)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        task_status.started(f"ws://{name}:{address[1]}{path}")


async def _serve_one(
    answer: Callable[[WebSocketRequest, trio.SocketStream], Awaitable[None]], stream: trio.SocketStream
) -> None:
    try:
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(
                nursery,
                stream,
                message_queue_size=MESSAGES_QUEUED_MAX,
                max_message_size=limits.MESSAGE_BYTES_MAX,
            )
            await answer(request, stream)
            nursery.cancel_scope.cancel()
    except* _LOST:
        # Clients of tests disappear in every possible way; the session has seen a lost link.
        pass
    finally:
        with trio.move_on_after(limits.PEER_CLOSE_SECONDS_MAX, shield=True):
            await stream.aclose()


async def _answer(model: ScriptedModel, request: WebSocketRequest, stream: trio.SocketStream) -> None:
    headers = {name.decode().lower(): value.decode() for name, value in request.headers}
    handshake = ModelHandshake(request.path, headers, tuple(request.proposed_subprotocols))
    model.handshakes.append(handshake)
    if (refusal := model.behaviour.upgrade_refusal or model.speaks.refuses(handshake)) is not None:
        status, code = refusal
        error = {"error": {"message": "Refused.", "type": "invalid_request_error", "code": code, "param": None}}
        await request.reject(status, body=msgspec.json.encode(error))
        return
    subprotocol = "realtime" if "realtime" in request.proposed_subprotocols else None
    only_transcribes = parse_qs(urlsplit(request.path).query).get("intent") == ["transcription"]
    serve = model.transcriber.serve if only_transcribes else model.serve
    await serve(SocketLink.over(await request.accept(subprotocol=subprotocol), stream))


def handshake_of(request: WebSocketRequest) -> ModelHandshake:
    """What the client asked for."""
    headers = {name.decode().lower(): value.decode() for name, value in request.headers}
    return ModelHandshake(request.path, headers, tuple(request.proposed_subprotocols))


class SocketLink(TrioWebSocketLink):
    """A server's `Link` that can lose its connection on purpose."""

    @classmethod
    def over(cls, connection: WebSocketConnection, stream: trio.SocketStream) -> Self:
        """The link of a connection that was accepted on `stream`."""
        link = cls.of_server(connection)
        link._stream = stream
        return link

    _stream: trio.SocketStream

    def reset(self) -> None:
        """Lose the connection: the peer gets a reset, not a close frame."""
        # Lingering for zero seconds makes the kernel send RST when the socket is closed.
        self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()
