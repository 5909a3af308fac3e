"""The HTTP routes, by Quart-Trio: health, statistics, and what orchestrators and Prometheus ask for."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, Unauthorized

from voice_trio.observability.prometheus import EXPOSITION_CONTENT_TYPE
from voice_trio.web.admin import add_admin_routes
from voice_trio.web.client_secrets import add_client_secret_routes
from voice_trio.web.dashboard import add_dashboard_routes
from voice_trio.web.files import add_file_routes
from voice_trio.web.handshake import bearer
from voice_trio.web.responses import administrator, error_answer, json_answer
from voice_trio.web.stats import stats_of

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 1024 * 1024  # a rollout document names up to 10,000 people


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
    add_admin_routes(app, gateway)
    add_client_secret_routes(app, gateway)
    add_dashboard_routes(app)
    add_file_routes(app, gateway.settings.web)
    app.register_error_handler(HTTPException, routes.say_in_json)
    app.register_error_handler(Exception, routes.say_nothing_of_it)
    return app


class _Routes:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def health(self) -> Response:
        return json_answer(await self._gateway.health.report())

    async def stats(self) -> Response:
        user = await administrator(self._gateway.verifier)
        if isinstance(user, Response):
            return user
        return json_answer(await stats_of(self._gateway, request.args.get("user")))

    async def livez(self) -> Response:
        return json_answer({"status": "alive"})

    async def readyz(self) -> Response:
        reason = await self._unready()
        return json_answer({"status": "ready"}) if reason is None else json_answer({"status": reason}, 503)

    async def _unready(self) -> str | None:
        """Callers are taken by whichever worker has room: one that is ready is enough."""
        own = self._gateway.health.unready
        if own is None or any(one.facts.unready is None for one in await self._gateway.peers.ask()):
            return None
        return own

    async def metrics(self) -> Response:
        wanted = self._gateway.settings.web.metrics_token
        if wanted is not None:
            given = bearer(request.headers.get("Authorization", "")) or ""
            if not hmac.compare_digest(given.encode(), wanted.get_secret_value().encode()):
                raise Unauthorized("a bearer token is needed")
        return Response(self._gateway.statistics.meters.exposition(), content_type=EXPOSITION_CONTENT_TYPE)

    async def say_in_json(self, error: HTTPException) -> Response:
        return error_answer(
            error.code or 500, (error.name or "error").lower().replace(" ", "_"), error.description or ""
        )

    async def say_nothing_of_it(self, error: Exception) -> Response:
        log.error("page_crashed", path=request.path, exc_info=error)
        return error_answer(500, "internal_error", "Something went wrong on our side.")
