"""`/v1/voice/dashboard`: an open shell of files; the figures come from `/v1/voice/stats`, which asks for a token."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from quart import Response, request
from werkzeug.exceptions import NotFound

if TYPE_CHECKING:
    from quart_trio import QuartTrio

PAGE = "dashboard.html"
TYPES = {
    PAGE: "text/html; charset=utf-8",
    "dashboard.css": "text/css; charset=utf-8",
    "palette.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_dashboard_routes(app: QuartTrio) -> None:
    """The page and what it loads; read once, when the process starts."""
    routes = _DashboardRoutes()
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/dashboard", f"{name}dashboard", routes.page)
        app.add_url_rule(f"{prefix}/v1/voice/dashboard/<name>", f"{name}dashboard_file", routes.file)


class _DashboardRoutes:
    def __init__(self) -> None:
        folder = files("voice_trio.web") / "static"
        self._bodies = {name: (folder / name).read_bytes() for name in TYPES}

    async def page(self) -> Response:
        return _answer(self._bodies[PAGE], PAGE)

    async def file(self, name: str) -> Response:
        if name not in self._bodies or name == PAGE:
            raise NotFound("there is no such file")
        return _answer(self._bodies[name], name)


def _answer(body: bytes, name: str) -> Response:
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    is_known = etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(","))
    response = Response(b"" if is_known else body, status=304 if is_known else 200, content_type=TYPES[name])
    response.headers.update(HEADERS)
    response.headers["ETag"] = etag
    return response
