"""The HTTP routes, by Quart-Trio: health, statistics, and what orchestrators and Prometheus ask for."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, Unauthorized

from voice_trio.errors import TokenInvalid, TokenUncheckable
from voice_trio.web.files import add_file_routes
from voice_trio.web.handshake import bearer

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 64 * 1024


def make_pages(gateway: Gateway) -> QuartTrio:
    """The Quart application for one process."""
    app = QuartTrio("voice_trio", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    routes = _Routes(gateway)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/health", f"{name}health", routes.health)
        app.add_url_rule(f"{prefix}/v1/voice/stats", f"{name}stats", routes.stats)
    app.add_url_rule("/livez", "livez", routes.livez)
    app.add_url_rule("/readyz", "readyz", routes.readyz)
    app.add_url_rule("/metrics", "metrics", routes.metrics)
    add_file_routes(app, gateway.settings.web)
    app.register_error_handler(HTTPException, routes.say_in_json)
    app.register_error_handler(Exception, routes.say_nothing_of_it)
    return app


class _Routes:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def health(self) -> Response:
        return _json(await self._gateway.health.report())

    async def stats(self) -> Response:
        refused = await self._refuse_non_admins()
        if refused is not None:
            return refused
        gateway = self._gateway
        limiter = {
            "state": "memory",
            "places_taken": gateway.capacity.taken,
            "places": gateway.capacity.places_max,
            "draining": gateway.capacity.is_draining,
        }
        return _json(gateway.statistics.as_json() | {"limiter": limiter, "configuration": gateway.settings.described()})

    async def livez(self) -> Response:
        return _json({"status": "alive"})

    async def readyz(self) -> Response:
        if self._gateway.health.is_ready:
            return _json({"status": "ready"})
        return _json({"status": "draining" if self._gateway.capacity.is_draining else "at_capacity"}, 503)

    async def metrics(self) -> Response:
        wanted = self._gateway.settings.web.metrics_token
        if wanted is not None:
            given = bearer(request.headers.get("Authorization", "")) or ""
            if not hmac.compare_digest(given.encode(), wanted.get_secret_value().encode()):
                raise Unauthorized("a bearer token is needed")
        body = generate_latest(self._gateway.statistics.registry)
        return Response(body, content_type=CONTENT_TYPE_LATEST)

    async def say_in_json(self, error: HTTPException) -> Response:
        return _error(error.code or 500, (error.name or "error").lower().replace(" ", "_"), error.description or "")

    async def say_nothing_of_it(self, error: Exception) -> Response:
        log.error("page_crashed", path=request.path, exc_info=error)
        return _error(500, "internal_error", "Something went wrong on our side.")

    async def _refuse_non_admins(self) -> Response | None:
        token = bearer(request.headers.get("Authorization", "")) or ""
        try:
            user = await self._gateway.verifier.verify(token)
        except TokenUncheckable:
            return _error(503, "token_invalid", "The token could not be checked just now.")
        except TokenInvalid as error:
            return _error(401, "token_invalid", str(error))
        return None if user.is_admin else _error(403, "not_allowed", "This needs an administrator's token.")


def _error(status: int, code: str, message: str) -> Response:
    response = _json({"error": {"code": code, "message": message}}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json(body: dict[str, Any], status: int = 200) -> Response:
    response = Response(msgspec.json.encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
