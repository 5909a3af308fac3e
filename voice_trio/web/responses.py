"""The responses of the HTTP routes: JSON that is never cached, files by ETag, errors in one form; and CORS."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec
from quart import Response, request

from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.web.handshake import bearer, head_of_scope, read_handshake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.admission.client_address import TrustedProxies
    from voice_trio.admission.refusals import Refusal
    from voice_trio.web.asgi_link import Scope

_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/schema+json",
}


def json_response(body: dict[str, Any], status: int = 200) -> Response:
    """`body` as JSON."""
    response = Response(msgspec.json.encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def error_response(status: int, code: str, message: str, **fields: Any) -> Response:
    """An error in the form of the voice protocol's `error` event, with `fields` beside it."""
    response = json_response({"error": {"code": code, "message": message}} | fields, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def bearer_and_address(proxies: TrustedProxies) -> tuple[str, str]:
    """The bearer token of the current request ("" without one), and the client's address."""
    handshake = read_handshake(head_of_scope(cast("Scope", request.scope)), proxies)
    return bearer(request.headers.get("Authorization", "")) or "", handshake.address


def refusal_response(refusal: Refusal) -> Response:
    """A refusal, with its time to wait in `Retry-After`."""
    response = error_response(refusal.http_status, refusal.code, refusal.message)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file in memory; a browser sends `etag` back to ask whether it has changed."""

    body: bytes
    content_type: str
    etag: str


def static_file(name: str, body: bytes) -> StaticFile:
    """A file whose content type follows from the extension of `name`."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return StaticFile(body, _CONTENT_TYPES[name[name.rindex(".") :]], etag)


def file_response(file: StaticFile) -> Response:
    """`file`, or 304 if the current request's `If-None-Match` names it."""
    is_known = file.etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(","))
    response = Response(b"" if is_known else file.body, status=304 if is_known else 200, content_type=file.content_type)
    # Revalidated at each use: all files of a client must be of one version.
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = file.etag
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def cors_headers(origin: str | None, allowed: Sequence[str]) -> dict[str, str]:
    """The headers that let a page of `origin` read the response, if `allowed` contains it."""
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*"}
    if origin is None or not origin_is_allowed(origin, allowed):
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
