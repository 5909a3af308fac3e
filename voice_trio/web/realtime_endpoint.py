"""The endpoint of OpenAI's Realtime protocol, for any client that speaks it, with our token in place of an API key.

Every refusal is an HTTP response before the upgrade, in the form of OpenAI's HTTP API: its clients read nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.admission.refusals import Refusal
from voice_trio.protocols.openai_client import refusal_json
from voice_trio.web.endpoint import Endpoint
from voice_trio.web.session_config import passthrough_config_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.endpoint import ConnectionAttempt

UNSUPPORTED_PARAMETERS = ("intent", "call_id")
"""Of transcription sessions, and of calls that run on another server."""


def _request_refusal(code: str, message: str, status: int) -> Refusal:
    """A refusal that comes before the upgrade, so that its close code is never sent."""
    return Refusal(code, 1008, message, message, status, at_handshake=True)


UPSTREAM_SPEAKS_ANOTHER = _request_refusal(
    "not_allowed",
    "OpenAI's protocol is not available here: this gateway's upstream speaks another one. Use /v1/ws/voice.",
    403,
)


class RealtimeEndpoint(Endpoint):
    """Serves the WebSockets of OpenAI's clients."""

    message_bytes_max = limits.MESSAGE_BYTES_MAX
    request_kind = "realtime"

    async def _authenticate(self, attempt: ConnectionAttempt) -> None:
        handshake = attempt.handshake
        if (found := self._request_error(attempt)) is not None:
            error, param = found
            await self._refuse(attempt, error, param)
            return
        outcome = await self._gateway.admission.admit(handshake.key, handshake.address, client_secrets=True)
        await self._run_or_refuse(attempt, outcome)

    def _request_error(self, attempt: ConnectionAttempt) -> tuple[Refusal, str | None] | None:
        """The refusal of the request itself, for any user, and the wrong parameter; None if it is valid."""
        handshake = attempt.handshake
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            return _request_refusal("not_allowed", "Pages of this origin may not connect.", 403), None
        if not self._settings.upstream.profile.speaks_openai:
            return UPSTREAM_SPEAKS_ANOTHER, None
        if unsupported := next((name for name in UNSUPPORTED_PARAMETERS if name in handshake.parameters), None):
            message = f"Parameter '{unsupported}' is not supported."
            return _request_refusal("invalid_value", message, 400), unsupported
        if self._model(attempt) is None:
            return _request_refusal("model_not_found", "This model is not available.", 403), "model"
        return None

    async def _refuse(self, attempt: ConnectionAttempt, refusal: Refusal, param: str | None = None) -> None:
        self._report(attempt, refusal, at_handshake=True)
        status, wait = refusal.http_status, refusal.retry_after
        headers = [] if wait is None else [(b"retry-after", str(wait).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        body = refusal_json(refusal.code, refusal.message, status, param)
        await attempt.request.respond(status, body, headers)

    def _session_config(self, attempt: ConnectionAttempt, grant: SessionGrant) -> SessionConfig:
        model = self._model(attempt) or self._settings.upstream.model
        return passthrough_config_for(grant, self._settings, model)

    def _model(self, attempt: ConnectionAttempt) -> str | None:
        """The model of this session; None if the client may not use the one it requests.

        Azure's clients call the parameter `deployment`.
        """
        parameters, allowed = attempt.handshake.parameters, self._settings.web.client_models
        requested = parameters.get("model") or parameters.get("deployment")
        if not allowed or not requested or requested == self._settings.upstream.model:
            return self._settings.upstream.model
        return requested if requested in allowed else None
