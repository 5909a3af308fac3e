"""The Quart application: health, probes and metrics here, all other routes in their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies
from voice_trio.admission.operator_tokens import OperatorTokens
from voice_trio.observability.prometheus import EXPOSITION_CONTENT_TYPE
from voice_trio.web.admin.routes import add_admin_routes
from voice_trio.web.client_secrets import add_client_secret_routes
from voice_trio.web.console.introduction import add_introduction_route
from voice_trio.web.files import add_file_routes
from voice_trio.web.responses import bearer_and_address, error_response, json_response, refusal_response

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)


def make_http_app(gateway: Gateway) -> QuartTrio:
    """The Quart application of one process."""
    app = QuartTrio("voice_trio", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.BODY_BYTES_MAX
    metrics_token = gateway.settings.web.metrics_token
    tokens = OperatorTokens(
        gateway.verifier,
        None if metrics_token is None else metrics_token.get_secret_value(),
        gateway.statistics.count_failed_token,
    )
    routes = _StatusRoutes(gateway, tokens)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/health", f"{name}health", routes.health)
    app.add_url_rule("/livez", "livez", routes.livez)
    app.add_url_rule("/readyz", "readyz", routes.readyz)
    app.add_url_rule("/metrics", "metrics", routes.metrics)
    add_admin_routes(app, gateway, tokens)
    add_client_secret_routes(app, gateway)
    add_file_routes(app, gateway.settings.web)
    add_introduction_route(app, gateway)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)
    return app


class _StatusRoutes:
    def __init__(self, gateway: Gateway, tokens: OperatorTokens) -> None:
        self._gateway = gateway
        self._tokens = tokens

    async def health(self) -> Response:
        return json_response(await self._gateway.health.report())

    async def livez(self) -> Response:
        return json_response({"status": "alive"})

    async def readyz(self) -> Response:
        reason = await self._unready()
        return json_response({"status": "ready"}) if reason is None else json_response({"status": reason}, 503)

    async def _unready(self) -> str | None:
        """Why the instance is not ready. One ready worker is enough: it accepts what the others cannot."""
        own = self._gateway.health.unready
        if own is None or any(peer.facts.unready is None for peer in await self._gateway.peers.ask()):
            return None
        return own

    async def metrics(self) -> Response:
        token, address = bearer_and_address(TrustedProxies.of(self._gateway.settings.web))
        if refusal := self._tokens.check_metrics(token, address):
            return refusal_response(refusal)
        return Response(self._gateway.statistics.metrics.exposition(), content_type=EXPOSITION_CONTENT_TYPE)


# Quart would run a synchronous handler in a thread, so both of these are async and have a checkpoint.


async def _http_error(error: HTTPException) -> Response:
    await trio.lowlevel.checkpoint()
    code = (error.name or "error").lower().replace(" ", "_")
    return error_response(error.code or 500, code, error.description or "")


async def _internal_error(error: Exception) -> Response:
    """The response to a bug: the log has the error, the client does not."""
    await trio.lowlevel.checkpoint()
    log.error("route_crashed", path=request.path, exc_info=error)
    return error_response(500, "internal_error", "Something went wrong on our side.")
