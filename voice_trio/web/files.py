"""The files that browsers load: the JavaScript client for any front end, the console, and the operators' dashboard.

All files are read when the process starts: a request waits for no disk and can name no path.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from quart import Response, request
from werkzeug.exceptions import NotFound

from voice_trio.protocols.voice.schema import voice_schema
from voice_trio.web.responses import cors_headers, file_response, static_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quart_trio import QuartTrio

    from voice_trio.settings import Web
    from voice_trio.web.responses import StaticFile

_FOLDER = files("voice_trio.web")
_CONSOLE, _DASHBOARD = "static/console", "static/dashboard"
_SHARED_FILES = ("palette.css", "icon.svg", "token.js")
CLIENT_FILES = tuple(sorted(each.name for each in (_FOLDER / "client").iterdir() if each.name.endswith((".js", ".ts"))))
CONSOLE_FILES, DASHBOARD_FILES = (
    tuple(sorted(each.name for each in (_FOLDER / folder).iterdir() if each.name.endswith((".js", ".css"))))
    for folder in (_CONSOLE, _DASHBOARD)
)

_DASHBOARD_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
}
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


def add_file_routes(app: QuartTrio, web: Web) -> None:
    """`/client/…`, the two schemas and the dashboard always; `/` and `/console/…` if the console is enabled.

    The dashboard's files are public: its numbers come from `/v1/voice/stats`, which requires a token.
    """
    routes = _FileRoutes(web)
    app.add_url_rule("/client/<name>", "client_file", routes.client_file)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/schema.json", f"{name}schema", routes.schema)
        app.add_url_rule(f"{prefix}/v1/voice/openapi.json", f"{name}openapi", routes.openapi)
        app.add_url_rule(f"{prefix}/v1/voice/dashboard", f"{name}dashboard", routes.dashboard)
        app.add_url_rule(f"{prefix}/v1/voice/dashboard/<name>", f"{name}dashboard_file", routes.dashboard_file)
    if web.console:
        app.add_url_rule("/", "console", routes.console)
        app.add_url_rule("/console/<name>", "console_file", routes.console_file)


class _FileRoutes:
    def __init__(self, web: Web) -> None:
        self._origins = web.allowed_origins
        self._client_files = {name: _read(name, "client") for name in CLIENT_FILES}
        self._console_files = _read_all(CONSOLE_FILES, _CONSOLE) if web.console else {}
        self._dashboard_files = _read_all(DASHBOARD_FILES, _DASHBOARD)
        self._console = _read("index.html", _CONSOLE)
        self._dashboard = _read("dashboard.html", _DASHBOARD)
        self._schema = static_file("schema.json", voice_schema())
        self._openapi = replace(_read("openapi.json"), content_type="application/json")

    async def client_file(self, name: str) -> Response:
        return self._cross_origin(_find(self._client_files, name))

    async def schema(self) -> Response:
        return self._cross_origin(self._schema)

    async def openapi(self) -> Response:
        return self._cross_origin(self._openapi)

    async def console_file(self, name: str) -> Response:
        return file_response(_find(self._console_files, name))

    async def console(self) -> Response:
        response = file_response(self._console)
        response.headers["Content-Security-Policy"] = content_policy(request.host)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response

    async def dashboard(self) -> Response:
        return _with_dashboard_headers(self._dashboard)

    async def dashboard_file(self, name: str) -> Response:
        return _with_dashboard_headers(_find(self._dashboard_files, name))

    def _cross_origin(self, file: StaticFile) -> Response:
        """`file` for pages of allowed origins, as a module or a worklet too."""
        response = file_response(file)
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers.update(cors_headers(request.headers.get("Origin"), self._origins))
        return response


def content_policy(host: str) -> str:
    """The console's Content-Security-Policy: files of this server, and WebSockets to `host`, the requested name.

    The WebSocket URLs are listed because 'self' does not include them in older versions of Safari.
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


def _with_dashboard_headers(file: StaticFile) -> Response:
    response = file_response(file)
    response.headers.update(_DASHBOARD_HEADERS)
    return response


def _find(served: dict[str, StaticFile], name: str) -> StaticFile:
    if name not in served:
        raise NotFound("there is no such file")
    return served[name]


def _read_all(names: Sequence[str], folder: str) -> dict[str, StaticFile]:
    """The files of a page by name, and those that both pages use."""
    return {name: _read(name, folder) for name in names} | {name: _read(name) for name in _SHARED_FILES}


@cache
def _read(name: str, folder: str = "static") -> StaticFile:
    return static_file(name, (_FOLDER / folder / name).read_bytes())
