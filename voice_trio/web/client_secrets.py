"""`POST /v1/realtime/client_secrets`: exchanges a user's token for a secret that a page may hold.

Request, response and errors have the form of OpenAI's API, so that its clients can be used for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from quart import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies, origin_is_allowed
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.signed_tokens import ClientSecrets
from voice_trio.auth.tokens import User, user_hash
from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols import json_text
from voice_trio.protocols.openai_client import ClientSettings, refusal_json
from voice_trio.protocols.realtime import sessions
from voice_trio.protocols.realtime.client_events import UpdateSession, read_client_event
from voice_trio.web.handshake import head_of_scope, read_handshake
from voice_trio.web.realtime_endpoint import UPSTREAM_SPEAKS_ANOTHER
from voice_trio.web.responses import cors_headers, json_response
from voice_trio.web.session_config import realtime_config_for

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from voice_trio.web.asgi_link import Scope
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

_ORIGIN_NOT_ALLOWED = Refusal("not_allowed", 1008, "", "Pages of this origin may not request secrets.", 403)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    # "*" includes every header that SDKs add except Authorization.
    "Access-Control-Allow-Headers": "Authorization, Content-Type, *",
    "Access-Control-Max-Age": "600",
}


def add_client_secret_routes(app: QuartTrio, gateway: Gateway) -> None:
    """The route, also under /api and at Azure's path, with the preflight that browsers send before it."""
    routes = _ClientSecretRoutes(gateway)
    for prefix, name in (("", ""), ("/api", "api_"), ("/openai", "openai_")):
        path = f"{prefix}/v1/realtime/client_secrets"
        app.add_url_rule(
            path, f"{name}client_secrets", routes.create, methods=["POST"], provide_automatic_options=False
        )
        app.add_url_rule(path, f"{name}client_secrets_preflight", routes.preflight, methods=["OPTIONS"])


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """How many seconds the secret is valid, and the settings with which its sessions begin."""

    seconds: int
    session: dict[str, Any] | None


def read_request(body: str | bytes) -> SecretRequest:
    """The request's body, which may be empty; raises `InvalidEvent`, whose `param` is the wrong field."""
    try:
        fields = json_text.decode(body or b"{}")
    except json_text.UNREADABLE as error:
        raise InvalidEvent("The body is not valid JSON.", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise InvalidEvent("The body must be a JSON object.", code="invalid_json")
    return SecretRequest(_seconds(fields.get("expires_after")), _session(fields.get("session")))


class _ClientSecretRoutes:
    def __init__(self, gateway: Gateway) -> None:
        self._admission = gateway.admission
        self._gateway = gateway
        self._settings = gateway.settings
        self._client_secrets = ClientSecrets(gateway.settings.signing_secret)

    async def preflight(self) -> Response:
        return self._cross_origin(Response(b"", status=204, headers=_PREFLIGHT))

    async def create(self) -> Response:
        handshake = read_handshake(head_of_scope(cast("Scope", request.scope)), TrustedProxies.of(self._settings.web))
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            return self._refuse(_ORIGIN_NOT_ALLOWED, handshake.address)
        if not self._settings.upstream.profile.speaks_openai:
            return self._refuse(UPSTREAM_SPEAKS_ANOTHER, handshake.address)
        user = await self._admission.authenticate(handshake.key, handshake.address)
        if isinstance(user, Refusal):
            return self._refuse(user, handshake.address)
        try:
            wanted = read_request(await request.get_data())
            session = self._session_object(user, wanted.session)
            secret = self._client_secrets.issue(user, seconds=wanted.seconds, session=wanted.session)
        except InvalidEvent as error:
            return self._refused(400, error.code, str(error), error.param)
        except BadMessage as error:
            return self._refused(400, "invalid_value", str(error), "session")
        except RequestEntityTooLarge:
            return self._refused(413, "invalid_value", "The body is too large.")
        log.info("client_secret_issued", user=user_hash(user.id, self._settings.signing_secret), seconds=wanted.seconds)
        return self._cross_origin(
            json_response({"value": secret.value, "expires_at": secret.expires_at, "session": session})
        )

    def _session_object(self, user: User, preset: dict[str, Any] | None) -> sessions.Session:
        """The session as it will begin; raises `InvalidEvent` if the preset contains unsupported settings."""
        config = realtime_config_for(user, self._settings)
        # `expires_at` is 0: the session has not begun.
        fresh = sessions.new_session(f"sess_{secrets.token_hex(12)}", config.model, 0, voice=config.voice)
        fresh["max_output_tokens"] = config.max_output_tokens
        client_settings = ClientSettings(config, frozenset(self._settings.web.client_config))
        if preset is not None:
            fresh = sessions.merged(fresh, client_settings.request_update("preset", preset))
            client_settings.accept_oldest()
        return client_settings.visible_session(msgspec.json.encode(fresh).decode(), 0)

    def _refuse(self, refusal: Refusal, address: str) -> Response:
        self._gateway.report_refusal(refusal, address, request="client_secret", at_handshake=True)
        return self._refused(refusal.http_status, refusal.code, refusal.message, retry_after=refusal.retry_after)

    def _refused(
        self, status: int, code: str, message: str, param: str | None = None, *, retry_after: int | None = None
    ) -> Response:
        body = refusal_json(code, message, status, param)
        response = Response(body, status=status, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return self._cross_origin(response)

    def _cross_origin(self, response: Response) -> Response:
        """A page of an allowed origin may read the response and its `Retry-After`."""
        response.headers.update(cors_headers(request.headers.get("Origin"), self._settings.web.allowed_origins))
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        return response


def _seconds(expires_after: Any) -> int:
    if expires_after is None:
        return limits.CLIENT_SECRET_SECONDS
    if not isinstance(expires_after, dict):
        raise InvalidEvent("expires_after must be an object.", code="invalid_type", param="expires_after")
    if expires_after.get("anchor", "created_at") != "created_at":
        raise InvalidEvent("The anchor can only be 'created_at'.", param="expires_after.anchor")
    seconds = expires_after.get("seconds", limits.CLIENT_SECRET_SECONDS)
    # In Python True is an int.
    if type(seconds) is not int or not limits.CLIENT_SECRET_SECONDS_MIN <= seconds <= limits.CLIENT_SECRET_SECONDS_MAX:
        lowest, highest = limits.CLIENT_SECRET_SECONDS_MIN, limits.CLIENT_SECRET_SECONDS_MAX
        message = f"Expected a whole number of seconds from {lowest} to {highest}."
        raise InvalidEvent(message, param="expires_after.seconds")
    return seconds


def _session(value: Any) -> dict[str, Any] | None:
    """Session settings in the form of `session.update`; whether they are allowed is checked when the session begins."""
    if value is None:
        return None
    event = read_client_event(msgspec.json.encode({"type": "session.update", "session": value}))
    assert isinstance(event, UpdateSession)
    if event.session["type"] != "realtime":
        raise InvalidEvent("Only session type 'realtime' is supported.", param="session.type")
    return event.session
