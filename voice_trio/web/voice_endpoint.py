"""The endpoint of the voice protocol.

A refusal is an `error` event and a close frame with a reason that people can read. A repeated refusal is an HTTP
response in place of the upgrade, so that clients that reconnect after every close frame do not loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.admission.refusals import Refusal
from voice_trio.errors import BadMessage, LinkClosed
from voice_trio.protocols.voice import client_events, writer
from voice_trio.session.endings import Ending
from voice_trio.web.endpoint import Endpoint
from voice_trio.web.session_config import session_config_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.net.link import Link
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.endpoint import ConnectionAttempt


TOO_BIG = 1009
_TOO_BIG = Refusal("bad_message", TOO_BIG, Ending.TOO_BIG.value.close_reason, Ending.TOO_BIG.value.message, 413)
_ORIGIN_NOT_ALLOWED = Refusal("not_allowed", 1008, "Origin not allowed", "Pages of this origin may not connect.", 403)


class VoiceEndpoint(Endpoint):
    """Serves the WebSockets of the voice protocol."""

    message_bytes_max = limits.VOICE_MESSAGE_BYTES_MAX

    async def _authenticate(self, attempt: ConnectionAttempt) -> None:
        handshake, admission = attempt.handshake, self._gateway.admission
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            await self._refuse_at_handshake(attempt, _ORIGIN_NOT_ALLOWED)
        elif handshake.token is not None:
            outcome = await admission.admit(handshake.token, handshake.address, resume=handshake.resume)
            await self._run_or_refuse(attempt, outcome)
        elif early := await admission.refuse_before_token(handshake.address):
            await self._refuse(attempt, early)
        else:
            await self._authenticate_by_message(attempt)

    async def _authenticate_by_message(self, attempt: ConnectionAttempt) -> None:
        handshake = attempt.handshake
        link = await attempt.accept()
        try:
            token = attempt.late_token = await _first_message_token(link)
        except LinkClosed as closed:
            if closed.code != TOO_BIG:
                raise
            await _send_refusal(attempt, _TOO_BIG)
            return
        outcome = await self._gateway.admission.admit(token, handshake.address, is_late=True, resume=handshake.resume)
        await self._run_or_refuse(attempt, outcome)

    async def _refuse(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        if refusal.at_handshake and not attempt.is_accepted:
            await self._refuse_at_handshake(attempt, refusal)
            return
        self._note(refusal, at_handshake=False)
        await _send_refusal(attempt, refusal)

    async def _refuse_at_handshake(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        """Respond with 403 or 429 and `Retry-After` in place of the upgrade; the body equals the `error` event."""
        self._note(refusal, at_handshake=True)
        retry = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
        body = writer.refusal(refusal.code, refusal.message, refusal.retry_after).encode()
        await attempt.request.respond(refusal.handshake_status, body, retry)

    def _session_config(self, attempt: ConnectionAttempt, grant: SessionGrant) -> SessionConfig:
        wants_metrics = attempt.handshake.parameters.get("metrics") == "1"
        return replace(session_config_for(grant, self._settings), metrics=wants_metrics)


async def _send_refusal(attempt: ConnectionAttempt, refusal: Refusal) -> None:
    """Send a refusal as an `error` event, and close."""
    link = await attempt.accept()
    await link.send(writer.refusal(refusal.code, refusal.message, refusal.retry_after))
    await link.aclose(refusal.close_code, refusal.reason)


async def _first_message_token(link: Link) -> str | None:
    """The token of the first message; None if that is another message, or does not come in time."""
    with trio.move_on_after(limits.TOKEN_MESSAGE_SECONDS_MAX):
        try:
            event = client_events.read_client(await link.receive())
        except BadMessage:
            return None
        return event.token if isinstance(event, client_events.Auth) else None
    return None
