"""How the HTTP routes answer: JSON, never cached, errors in one shape; and who counts as an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from quart import Response, request

from voice_trio.errors import TokenInvalid, TokenUncheckable
from voice_trio.web.handshake import bearer

if TYPE_CHECKING:
    from voice_trio.auth.tokens import TokenVerifier, User


def json_answer(body: dict[str, Any], status: int = 200) -> Response:
    """`body` as JSON."""
    response = Response(msgspec.json.encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def error_answer(status: int, code: str, message: str, **more: Any) -> Response:
    """The shape of the voice protocol's errors; `more` stands beside `error`."""
    response = json_answer({"error": {"code": code, "message": message}} | more, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def administrator(verifier: TokenVerifier) -> User | Response:
    """Who asks, if that is an administrator; else the answer that refuses them."""
    token = bearer(request.headers.get("Authorization", "")) or ""
    try:
        user = await verifier.verify(token)
    except TokenUncheckable:
        return error_answer(503, "token_invalid", "The token could not be checked just now.")
    except TokenInvalid as error:
        return error_answer(401, "token_invalid", str(error))
    return user if user.is_admin else error_answer(403, "not_allowed", "This needs an administrator's token.")
