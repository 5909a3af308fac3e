"""The endpoint of OpenAI's Realtime protocol, for any client that speaks it, with our token in place of an API key.

Every refusal is an HTTP response before the upgrade, in the form of OpenAI's HTTP API: its clients read nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from voice_trio import limits
from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.protocols.openai_client import refusal_json
from voice_trio.web.endpoint import Endpoint
from voice_trio.web.session_config import passthrough_config_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.admission.refusals import Refusal
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.endpoint import ConnectionAttempt

log = structlog.get_logger(__name__)

UNSUPPORTED_PARAMETERS = ("intent", "call_id")
"""Of transcription sessions, and of calls that run on another server."""


@dataclass(frozen=True, slots=True)
class _RequestError:
    code: str
    message: str
    status: int
    param: str | None = None


class RealtimeEndpoint(Endpoint):
    """Serves the WebSockets of OpenAI's clients."""

    message_bytes_max = limits.MESSAGE_BYTES_MAX

    async def _authenticate(self, attempt: ConnectionAttempt) -> None:
        handshake = attempt.handshake
        if error := self._request_error(attempt):
            self._gateway.statistics.count_refusal(error.code)
            log.info("refused", code=error.code, at_handshake=True)
            await self._respond(attempt, error.code, error.message, error.status, param=error.param)
            return
        outcome = await self._gateway.admission.admit(handshake.key, handshake.address, client_secrets=True)
        await self._run_or_refuse(attempt, outcome)

    def _request_error(self, attempt: ConnectionAttempt) -> _RequestError | None:
        """The error of the request itself, for any user; None if it is valid."""
        handshake = attempt.handshake
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            return _RequestError("not_allowed", "Pages of this origin may not connect.", 403)
        if unsupported := next((name for name in UNSUPPORTED_PARAMETERS if name in handshake.parameters), None):
            return _RequestError("invalid_value", f"Parameter '{unsupported}' is not supported.", 400, unsupported)
        if self._model(attempt) is None:
            return _RequestError("model_not_found", "This model is not available.", 403, "model")
        return None

    async def _refuse(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        self._note(refusal, at_handshake=True)
        await self._respond(
            attempt, refusal.code, refusal.message, refusal.http_status, retry_after=refusal.retry_after
        )

    async def _respond(
        self,
        attempt: ConnectionAttempt,
        code: str,
        message: str,
        status: int,
        *,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        headers = [] if retry_after is None else [(b"retry-after", str(retry_after).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await attempt.request.respond(status, refusal_json(code, message, status, param), headers)

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
