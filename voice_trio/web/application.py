"""The ASGI application: voice WebSockets are handled here directly, HTTP by Quart, the lifespan by whoever owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from voice_trio.web.asgi_link import respond
from voice_trio.web.handshake import hide_secrets
from voice_trio.web.realtime_endpoint import RealtimeEndpoint
from voice_trio.web.routes import make_pages
from voice_trio.web.voice_endpoint import VoiceEndpoint

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
    from hypercorn.typing import Scope as HypercornScope

    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.gateway import Gateway

VOICE_PATHS = frozenset({"/v1/ws/voice", "/api/v1/ws/voice"})
REALTIME_PATHS = frozenset({"/v1/realtime", "/api/v1/realtime", "/openai/v1/realtime", "/openai/realtime"})
_NO_SUCH_PAGE = b'{"error":{"code":"not_found","message":"There is no WebSocket here."}}'


class Application:
    """One process's gateway as ASGI; its services are there already, so its lifespan has nothing to do."""

    def __init__(self, gateway: Gateway) -> None:
        self._voice = VoiceEndpoint(gateway)
        self._realtime = RealtimeEndpoint(gateway)
        self._pages = make_pages(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, one request, or the lifespan."""
        match scope["type"]:
            case "websocket" if scope["path"] in VOICE_PATHS:
                await self._voice(scope, receive, send)
            case "websocket" if scope["path"] in REALTIME_PATHS:
                await self._realtime(scope, receive, send)
            case "websocket":
                hide_secrets(scope)
                await receive()
                await respond(scope, send, 404, _NO_SUCH_PAGE)
            case "http":
                hide_secrets(scope)
                await self._pages(
                    cast("HypercornScope", scope), cast("ASGIReceiveCallable", receive), cast("ASGISendCallable", send)
                )
            case "lifespan":
                await _answer_lifespan(receive, send)
            case kind:
                raise NotImplementedError(f"ASGI scope {kind!r}")


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
