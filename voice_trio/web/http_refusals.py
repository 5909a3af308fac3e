"""A refusal as an HTTP answer in place of the upgrade; the body says what the `error` event would have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.protocols.voice import client_events

if TYPE_CHECKING:
    from voice_trio.admission.refusals import Refusal
    from voice_trio.web.asgi_link import Scope, Send


async def refuse_at_handshake(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer 403 or 429 with `Retry-After`; a server without that ASGI extension answers a bare 403."""
    retry = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
    body = client_events.refusal(refusal.code, refusal.message, refusal.retry_after).encode()
    await respond(scope, send, refusal.handshake_status, body, retry)


async def respond(
    scope: Scope, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Any JSON answer in place of the upgrade."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    usual = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    usual += [(b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": usual + (headers or [])})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
