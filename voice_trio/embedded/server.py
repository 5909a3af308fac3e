"""The embedded server on TCP: paths, credentials, and how many clients at once.

Paths, queries and credentials are those of OpenAI's service, so that its clients need nothing but another base URL:
`/v1/realtime?model=…` is a conversation, `?intent=transcription` only transcribes. Refusals before the upgrade are HTTP
answers with the API's error object.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
import trio
from trio_websocket import ConnectionClosed, HandshakeError, wrap_server_stream
from wsproto.utilities import ProtocolError

from voice_trio import limits
from voice_trio.embedded.connection import Connection, Pace
from voice_trio.embedded.session import EmbeddedConfig
from voice_trio.net.listeners import open_listener
from voice_trio.net.trio_websocket_link import TrioWebSocketLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio_websocket import WebSocketConnection, WebSocketRequest

    from voice_trio.embedded.engines import Engines

log = structlog.get_logger(__name__)

NORMAL, GOING_AWAY, INTERNAL_ERROR = 1000, 1001, 1011
PATHS = frozenset({"/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime"})
SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
HANDSHAKE_SECONDS_MAX = 10.0
PING_SECONDS, PONG_SECONDS_MAX = 20.0, 20.0
MESSAGE_BYTES_MAX = 21 * 1024 * 1024
"""15 MiB of audio, which the API allows an event, in base64."""
MESSAGES_QUEUED_MAX = 16
RECEIVE_BYTES = 16 * 1024
_LOST = (ConnectionClosed, HandshakeError, ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Every client must bring `token`, if there is one; at most `sessions_max` are served at once."""

    token: str | None = None
    sessions_max: int = 32
    model: str = "voice-trio-embedded"
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class UpgradeRefusal:
    """A refusal before the upgrade, as an HTTP answer."""

    status: int
    code: str
    message: str


async def serve_embedded(
    host: str,
    port: int,
    engines: Engines,
    settings: ServerSettings | None = None,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; `await nursery.start(…)` returns the URL to connect to. Port 0: any free one.

    Raises `ConfigurationError` if it cannot listen there.
    """
    listener = open_listener(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    address = listener.getsockname()
    server = EmbeddedServer(engines, settings or ServerSettings())
    # The listener owns the socket from here on and closes it however this ends.
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, server.serve_stream, listeners)
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        task_status.started(f"ws://{name}:{address[1]}/v1/realtime")


class EmbeddedServer:
    """Serves streams; `sessions` is how many are open."""

    def __init__(self, engines: Engines, settings: ServerSettings) -> None:
        self.sessions = 0
        self._engines = engines
        self._settings = settings

    async def serve_stream(self, stream: trio.SocketStream) -> None:
        """Serve one client; none of its errors reaches another."""
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(HANDSHAKE_SECONDS_MAX):
                    request = await wrap_server_stream(
                        nursery,
                        stream,
                        message_queue_size=MESSAGES_QUEUED_MAX,
                        max_message_size=MESSAGE_BYTES_MAX,
                        receive_buffer_size=RECEIVE_BYTES,
                    )
                await self._answer(request, nursery)
                nursery.cancel_scope.cancel(reason="session over")
        except* (*_LOST, trio.TooSlowError):
            pass  # clients vanish in every possible way
        except* Exception:
            log.exception("session_crashed")
        finally:
            with trio.move_on_after(limits.PEER_CLOSE_SECONDS_MAX, shield=True):
                await stream.aclose()

    async def _answer(self, request: WebSocketRequest, nursery: trio.Nursery) -> None:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
        refusal = self._refusal(request.path, headers, request.proposed_subprotocols)
        if refusal is not None:
            log.info("session_refused", code=refusal.code)
            await request.reject(
                refusal.status, extra_headers=[(b"content-type", b"application/json")], body=_error_body(refusal)
            )
            return
        self.sessions += 1
        try:
            offered = SUBPROTOCOL in request.proposed_subprotocols
            connection = await request.accept(subprotocol=SUBPROTOCOL if offered else None)
            nursery.start_soon(_keep_alive, connection, nursery.cancel_scope)
            await self._serve(connection, _query(request.path))
        finally:
            self.sessions -= 1

    def _refusal(self, path: str, headers: Mapping[str, str], subprotocols: tuple[str, ...]) -> UpgradeRefusal | None:
        if urlsplit(path).path.rstrip("/") not in PATHS:
            return UpgradeRefusal(404, "not_found", "There is only /v1/realtime here.")
        if not _has_token(self._settings.token, headers, subprotocols):
            return UpgradeRefusal(401, "invalid_api_key", "Incorrect API key provided.")
        if headers.get("openai-beta") == "realtime=v1":
            return UpgradeRefusal(
                400, "beta_api_shape_disabled", "The beta interface is gone: send no OpenAI-Beta header."
            )
        if "call_id" in _query(path):
            return UpgradeRefusal(
                400, "invalid_value", "There are no calls here: connect with ?model= instead of ?call_id=."
            )
        if self.sessions >= self._settings.sessions_max:
            message = f"This server holds {self._settings.sessions_max} sessions at once, and all are in use."
            return UpgradeRefusal(429, "session_limit_reached", message)
        return None

    async def _serve(self, connection: WebSocketConnection, query: Mapping[str, str]) -> None:
        link = TrioWebSocketLink.of_server(connection)
        config = EmbeddedConfig(
            tag=secrets.token_hex(4),
            unix_time=int(time.time()),
            model=query.get("model") or query.get("deployment") or self._settings.model,
            transcription=query.get("intent") == "transcription",
            missing=self._engines.missing,
        )
        code = GOING_AWAY
        try:
            await Connection(link, self._engines, config, self._settings.pace).run()
            code = NORMAL
        except Exception:
            code = INTERNAL_ERROR
            raise
        finally:
            with trio.move_on_after(limits.PEER_CLOSE_SECONDS_MAX, shield=True):
                await link.aclose(code)


async def _keep_alive(connection: WebSocketConnection, scope: trio.CancelScope) -> None:
    """End the session of a client that answers no ping."""
    while True:
        await trio.sleep(PING_SECONDS)
        with trio.move_on_after(PONG_SECONDS_MAX) as patience:
            await connection.ping()
        if patience.cancelled_caught:
            scope.cancel(reason="no pong")


def _has_token(token: str | None, headers: Mapping[str, str], subprotocols: tuple[str, ...]) -> bool:
    """Whether a client brought the token, in any of the three places where OpenAI's clients put it."""
    if token is None:
        return True
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    brought = [bearer if scheme.lower() == "bearer" else "", headers.get("api-key", "")]
    brought += [name.removeprefix(KEY_SUBPROTOCOL) for name in subprotocols if name.startswith(KEY_SUBPROTOCOL)]
    return any(hmac.compare_digest(each.strip().encode(), token.encode()) for each in brought)


def _query(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}


def _error_body(refusal: UpgradeRefusal) -> bytes:
    error = {"message": refusal.message, "type": "invalid_request_error", "code": refusal.code, "param": None}
    return msgspec.json.encode({"error": error})
