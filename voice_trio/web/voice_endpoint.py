"""The endpoint of the voice protocol.

A refusal is an `error` event and a close frame with a reason that people can read. A repeated refusal is an HTTP
response in place of the upgrade, so that clients that reconnect after every close frame do not loop. Where it has to
come after the upgrade, its close frame waits.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.admission import refusals
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
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.handshake import OpeningRequest


TOO_BIG = 1009
_TOO_BIG = Refusal("bad_message", TOO_BIG, Ending.TOO_BIG.value.close_reason, Ending.TOO_BIG.value.message, 413)
_ORIGIN_NOT_ALLOWED = Refusal("not_allowed", 1008, "Origin not allowed", "Pages of this origin may not connect.", 403)
"""At the handshake, but for a request that resumes a session."""


class VoiceEndpoint(Endpoint):
    """Serves the WebSockets of the voice protocol."""

    message_bytes_max = limits.VOICE_MESSAGE_BYTES_MAX
    request_kind = "voice"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._held = trio.CapacityLimiter(limits.REPEATED_REFUSALS_HELD_MAX)

    async def _authenticate(self, attempt: ConnectionAttempt) -> None:
        handshake, admission = attempt.handshake, self._gateway.admission
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            is_new = not admission.resumed_session(handshake.resume)
            await self._refuse(attempt, replace(_ORIGIN_NOT_ALLOWED, at_handshake=is_new))
        elif handshake.token is not None:
            outcome = await admission.admit(handshake.token, handshake.address, resume=handshake.resume)
            await self._run_or_refuse(attempt, outcome)
        else:
            await self._authenticate_by_message(attempt)

    async def _authenticate_by_message(self, attempt: ConnectionAttempt) -> None:
        handshake = attempt.handshake
        link = await attempt.accept()
        try:
            token = await _first_message_token(attempt.request, link)
        except LinkClosed as closed:
            if closed.code != TOO_BIG:
                raise
            await self._refuse(attempt, _TOO_BIG)
            return
        if attempt.request.has_made_room:
            await self._refuse(attempt, refusals.at_capacity())
            return
        outcome = await self._gateway.admission.admit(token, handshake.address, is_late=True, resume=handshake.resume)
        await self._run_or_refuse(attempt, outcome)

    async def _refuse(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        if refusal.at_handshake and not attempt.is_accepted:
            await self._refuse_at_handshake(attempt, refusal)
            return
        self._report(attempt, refusal, at_handshake=False)
        link = await attempt.accept()
        await link.send(writer.refusal(refusal.code, refusal.message, refusal.retry_after))
        if refusal.is_repeated:
            await self._hold(attempt)
        # A client may leave the close unanswered. One that has made room is not counted any more: it gets little time.
        is_brief = attempt.request.has_made_room
        with attempt.request.waiting(limits.DISPLACED_CLOSE_SECONDS if is_brief else limits.SESSION_CLOSE_SECONDS_MAX):
            await link.aclose(refusal.close_code, refusal.reason)

    async def _hold(self, attempt: ConnectionAttempt) -> None:
        """Wait before the close frame of a repeated refusal, so that a client that reconnects after it is slow.

        Few connections wait at a time, and less if another one needs the room: a loop must not cost others a place.
        """
        with suppress(trio.WouldBlock):
            self._held.acquire_on_behalf_of_nowait(attempt)
            try:
                with attempt.request.waiting(limits.REPEATED_REFUSAL_SECONDS):
                    await trio.sleep_forever()
            finally:
                self._held.release_on_behalf_of(attempt)

    async def _refuse_at_handshake(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        """Respond with 403 or 429 and `Retry-After` in place of the upgrade; the body equals the `error` event."""
        self._report(attempt, refusal, at_handshake=True)
        retry = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
        body = writer.refusal(refusal.code, refusal.message, refusal.retry_after).encode()
        await attempt.request.respond(refusal.handshake_status, body, retry)

    def _session_config(self, attempt: ConnectionAttempt, grant: SessionGrant) -> SessionConfig:
        wants_metrics = attempt.handshake.parameters.get("metrics") == "1"
        return replace(session_config_for(grant, self._settings), metrics=wants_metrics)


async def _first_message_token(request: OpeningRequest, link: Link) -> str | None:
    """The token of the first message; None if that is another message, or does not come in time."""
    message: str | bytes = ""
    with request.waiting(limits.TOKEN_MESSAGE_SECONDS_MAX):
        message = await link.receive()
    try:
        event = client_events.read_client(message)
    except BadMessage:
        return None
    return event.token if isinstance(event, client_events.Auth) else None
