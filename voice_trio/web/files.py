"""The files that browsers fetch: the JavaScript client for any front end, the console page for people.

They are read once, when the process starts; nobody waits for a disk, and no path of a request reaches one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from quart import Response, request
from werkzeug.exceptions import NotFound

from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.protocols.voice.schema import voice_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quart_trio import QuartTrio

    from voice_trio.settings import Web

CLIENT_FILES = ("voice.js", "voice.d.ts", "voice-capture.js", "voice-playback.js", "react.js", "react.d.ts")
CONSOLE_FILES = ("console.js", "console.css", "palette.css", "conversation.js", "timeline.js", "words.js", "icon.svg")
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/schema+json",
}
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(frozen=True, slots=True)
class File:
    """What is sent, as what, and the tag by which a browser asks whether it has changed."""

    body: bytes
    content_type: str
    etag: str


def add_file_routes(app: QuartTrio, web: Web) -> None:
    """`/client/…` and the schema for everybody, `/` and `/console/…` where the console is switched on."""
    routes = _FileRoutes(web)
    app.add_url_rule("/client/<name>", "client_file", routes.client_file)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/schema.json", f"{name}schema", routes.schema)
    if web.console:
        app.add_url_rule("/", "console", routes.page)
        app.add_url_rule("/console/<name>", "console_file", routes.console_file)


class _FileRoutes:
    def __init__(self, web: Web) -> None:
        self._origins = web.allowed_origins
        self._client = {name: _read(name) for name in CLIENT_FILES}
        self._console = {name: _read(name) for name in CONSOLE_FILES} if web.console else {}
        self._page = _read("index.html")
        self._schema = _file("schema.json", voice_schema())

    async def client_file(self, name: str) -> Response:
        return self._shared(_known(self._client, name))

    async def schema(self) -> Response:
        return self._shared(self._schema)

    async def console_file(self, name: str) -> Response:
        return _answer(_known(self._console, name))

    async def page(self) -> Response:
        response = _answer(self._page)
        response.headers["Content-Security-Policy"] = content_policy(request.host)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response

    def _shared(self, file: File) -> Response:
        """A front end of another origin may load it, modules and worklets included, if its origin is allowed."""
        response = _answer(file)
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers.update(cors_headers(request.headers.get("Origin"), self._origins))
        return response


def cors_headers(origin: str | None, allowed: Sequence[str]) -> dict[str, str]:
    """What lets a page of `origin` read an answer; nothing if it may not."""
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*"}
    if origin is None or not origin_is_allowed(origin, allowed):
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def content_policy(host: str) -> str:
    """The console's Content-Security-Policy: this server's own files, and its WebSocket under the name it was asked by.

    The WebSocket is spelled out because older Safaris do not take 'self' to include it.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _answer(file: File) -> Response:
    is_known = file.etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(","))
    response = Response(b"" if is_known else file.body, status=304 if is_known else 200, content_type=file.content_type)
    # Always asked for again, seldom sent again: the parts of a client must be of one version.
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = file.etag
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _known(served: dict[str, File], name: str) -> File:
    if name not in served:
        raise NotFound("there is no such file")
    return served[name]


@cache
def _read(name: str) -> File:
    return _file(name, (files("voice_trio.web") / "static" / name).read_bytes())


def _file(name: str, body: bytes) -> File:
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return File(body, _TYPES[name[name.rindex(".") :]], etag)
