"""OpenAI's own protocol, for any client that speaks it: pointed here, with a token of ours in place of its key.

Every refusal comes before the upgrade, as OpenAI's HTTP API would word it: its clients read nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from voice_trio.admission import refusals
from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.protocols.realtime.errors import refusal_json
from voice_trio.web.endpoint import Endpoint
from voice_trio.web.http_refusals import respond
from voice_trio.web.session_config import passthrough_config_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.admission.refusals import Refusal
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.endpoint import ConnectionAttempt

log = structlog.get_logger(__name__)

NOT_SERVED = ("intent", "call_id")
"""Transcription sessions, and calls that run elsewhere."""


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    message: str
    status: int
    param: str | None = None


class RealtimeEndpoint(Endpoint):
    """Handles the WebSockets of OpenAI's clients of one process."""

    message_bytes_max = 16 * 1024 * 1024

    async def _welcome(self, knock: ConnectionAttempt) -> None:
        handshake = knock.handshake
        if fault := self._fault(knock):
            self._gateway.statistics.refused(fault.code)
            log.info("refused", code=fault.code, at_handshake=True)
            await self._tell(knock, fault.code, fault.message, fault.status, param=fault.param)
            return
        if early := await self._refused_without_token(knock):
            await self._refuse(knock, early)
            return
        outcome = await self._gateway.admission.admit(handshake.key, handshake.address, client_secrets=True)
        await self._settle(knock, outcome)

    def _fault(self, knock: ConnectionAttempt) -> _Fault | None:
        """What is wrong with the request itself, whoever asks."""
        handshake = knock.handshake
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            return _Fault("not_allowed", "Pages of this origin may not connect.", 403)
        if unserved := next((name for name in NOT_SERVED if name in handshake.wishes), None):
            return _Fault("invalid_value", f"'{unserved}' is not served here.", 400, unserved)
        if self._model(knock) is None:
            return _Fault("model_not_found", "This model cannot be had here.", 403, "model")
        return None

    async def _refused_without_token(self, knock: ConnectionAttempt) -> Refusal | None:
        """A caller without any token is told so, and costs no look at the limits."""
        if knock.handshake.key:
            return None
        early = await self._gateway.admission.refuse_before_token(knock.handshake.address)
        return early or refusals.token_invalid("the token is missing")

    async def _refuse(self, knock: ConnectionAttempt, refusal: Refusal) -> None:
        self._note(refusal, at_handshake=True)
        await self._tell(knock, refusal.code, refusal.message, refusal.http_status, retry_after=refusal.retry_after)

    async def _tell(
        self,
        knock: ConnectionAttempt,
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
        await respond(knock.scope, knock.send, status, refusal_json(code, message, status, param), headers)

    def _terms(self, knock: ConnectionAttempt, admitted: SessionGrant) -> SessionConfig:
        model = self._model(knock) or self._settings.upstream.model
        return passthrough_config_for(admitted, self._settings, model)

    def _model(self, knock: ConnectionAttempt) -> str | None:
        """The model for this caller; None if it asks for one it may not have. Azure's clients call it a deployment."""
        wishes, allowed = knock.handshake.wishes, self._settings.web.client_models
        asked = wishes.get("model") or wishes.get("deployment")
        if not allowed or not asked or asked == self._settings.upstream.model:
            return self._settings.upstream.model
        return asked if asked in allowed else None
