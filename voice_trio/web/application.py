"""The ASGI application: WebSockets go to the endpoints directly, HTTP to Quart, and the lifespan has nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from voice_trio.web.asgi_link import respond
from voice_trio.web.handshake import hide_secrets
from voice_trio.web.realtime_endpoint import RealtimeEndpoint
from voice_trio.web.routes import make_http_app
from voice_trio.web.voice_endpoint import VoiceEndpoint

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
    from hypercorn.typing import Scope as HypercornScope

    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.gateway import Gateway

VOICE_PATHS = frozenset({"/v1/ws/voice", "/api/v1/ws/voice"})
REALTIME_PATHS = frozenset({"/v1/realtime", "/api/v1/realtime", "/openai/v1/realtime", "/openai/realtime"})
_NOT_FOUND = b'{"error":{"code":"not_found","message":"There is no WebSocket here."}}'


class Application:
    """The gateway of one process as an ASGI application; its services are open before the lifespan begins."""

    def __init__(self, gateway: Gateway) -> None:
        self._voice = VoiceEndpoint(gateway)
        self._realtime = RealtimeEndpoint(gateway)
        self._http = make_http_app(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, one request, or the lifespan."""
        match scope["type"]:
            case "websocket" if scope["path"] in VOICE_PATHS:
                await self._voice(scope, receive, send)
            case "websocket" if scope["path"] in REALTIME_PATHS:
                await self._realtime(scope, receive, send)
            case "websocket":
                hide_secrets(scope)
                await receive()
                await respond(scope, send, 404, _NOT_FOUND)
            case "http":
                hide_secrets(scope)
                await self._http(
                    cast("HypercornScope", scope), cast("ASGIReceiveCallable", receive), cast("ASGISendCallable", send)
                )
            case "lifespan":
                await _complete_lifespan(receive, send)
            case kind:
                raise NotImplementedError(f"ASGI scope {kind!r}")


async def _complete_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
