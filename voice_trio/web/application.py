"""The gateway of one process: its endpoints by path, and the same as an ASGI application with Quart for HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from voice_trio.web.asgi_link import serve_websocket
from voice_trio.web.handshake import error_body, head_of_scope, hide_secrets, json_headers
from voice_trio.web.realtime_endpoint import RealtimeEndpoint
from voice_trio.web.routes import make_http_app
from voice_trio.web.voice_endpoint import VoiceEndpoint

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
    from hypercorn.typing import Scope as HypercornScope

    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.endpoint import Endpoint
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.handshake import OpeningRequest

VOICE_PATHS = frozenset({"/v1/ws/voice", "/api/v1/ws/voice"})
REALTIME_PATHS = frozenset({"/v1/realtime", "/api/v1/realtime", "/openai/v1/realtime", "/openai/realtime"})
WEBSOCKET_PATHS = VOICE_PATHS | REALTIME_PATHS
_UPGRADE_REQUIRED = (
    "This path is a WebSocket, and the request has no `Connection: Upgrade` and `Upgrade: websocket`. If the client"
    " sent them, a proxy in between has removed them: it must pass both on."
)


class Application:
    """The gateway of one process as an ASGI application; its services are open before the lifespan begins."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._voice = VoiceEndpoint(gateway)
        self._realtime = RealtimeEndpoint(gateway)
        self._http = make_http_app(gateway)

    def endpoint(self, path: str) -> Endpoint | _NoEndpoint:
        """The endpoint of the WebSockets at `path`; one that responds with 404 where there is none."""
        if path in VOICE_PATHS:
            return self._voice
        return self._realtime if path in REALTIME_PATHS else _NoEndpoint(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, one request, or the lifespan."""
        match scope["type"]:
            case "websocket":
                await serve_websocket(self.endpoint(scope["path"]), self._gateway, scope, receive, send)
            case "http" if _websocket_path(scope["path"]) is not None:
                hide_secrets(scope)
                await _respond_upgrade_required(scope["path"], send)
            case "http":
                head = head_of_scope(scope)
                self._gateway.forwarded_for.look_at(
                    head.peer, head.headers, self._gateway.settings.web.trusted_proxy_hops
                )
                hide_secrets(scope)
                await self._http(
                    cast("HypercornScope", scope), cast("ASGIReceiveCallable", receive), cast("ASGISendCallable", send)
                )
            case "lifespan":
                await _complete_lifespan(receive, send)
            case kind:
                raise NotImplementedError(f"ASGI scope {kind!r}")


class _NoEndpoint:
    """Responds with 404 to an upgrade on a path without WebSockets."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def __call__(self, request: OpeningRequest) -> None:
        await request.respond(
            404, error_body("not_found", f"There is no WebSocket here.{_right_path_hint(self._path)}")
        )


async def _respond_upgrade_required(path: str, send: Send) -> None:
    """Respond to a request on the path of a WebSocket: often a proxy has removed the headers of an upgrade."""
    if path in WEBSOCKET_PATHS:
        status, body = 426, error_body("upgrade_required", _UPGRADE_REQUIRED)
        extra = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    else:
        status, body = 404, error_body("not_found", f"There is nothing at this path.{_right_path_hint(path)}")
        extra = []
    await send({"type": "http.response.start", "status": status, "headers": json_headers(body) + extra})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _websocket_path(path: str) -> str | None:
    """The path of the WebSockets that `path` means: without double and trailing slashes; None if it means none."""
    meant = re.sub("/+", "/", path).rstrip("/")
    return meant if meant in WEBSOCKET_PATHS else None


def _right_path_hint(path: str) -> str:
    meant = _websocket_path(path)
    return f" The WebSocket is at {meant} (no double or trailing slash)." if meant else ""


async def _complete_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
