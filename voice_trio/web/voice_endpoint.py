"""The voice WebSocket: who knocks is looked at, refused in the contract's words, or given a session.

A refusal is an `error` event and a close with a reason, so that people can read it; one that is repeated comes as an
HTTP answer instead of the upgrade, so that clients which reconnect after every close do not loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.admission.client_address import origin_is_allowed
from voice_trio.admission.refusals import Refusal
from voice_trio.errors import BadMessage, LinkClosed
from voice_trio.protocols.voice import client_events
from voice_trio.session.endings import Ending
from voice_trio.web.asgi_link import TOO_BIG
from voice_trio.web.endpoint import Endpoint
from voice_trio.web.http_refusals import refuse_at_handshake
from voice_trio.web.session_config import session_config_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.asgi_link import AsgiLink
    from voice_trio.web.endpoint import ConnectionAttempt

TOKEN_MESSAGE_SECONDS_MAX = 5.0

_TOO_BIG = Refusal("bad_message", TOO_BIG, Ending.TOO_BIG.value.close_reason, Ending.TOO_BIG.value.message, 413)
_FOREIGN_ORIGIN = Refusal("not_allowed", 1008, "Origin not allowed", "Pages of this origin may not connect.", 403)


class VoiceEndpoint(Endpoint):
    """Handles the voice protocol's WebSockets of one process."""

    message_bytes_max = 1024 * 1024

    async def _welcome(self, knock: ConnectionAttempt) -> None:
        handshake = knock.handshake
        if not origin_is_allowed(handshake.origin, self._settings.web.allowed_origins):
            await self._refuse_at_handshake(knock, _FOREIGN_ORIGIN)
        elif handshake.token is not None:
            outcome = await self._gateway.admission.admit(handshake.token, handshake.address, resume=handshake.resume)
            await self._settle(knock, outcome)
        elif early := await self._gateway.admission.refuse_before_token(handshake.address):
            await self._refuse(knock, early)
        else:
            await knock.accept()
            try:
                token = knock.late_token = await _first_message_token(knock.link)
            except LinkClosed as closed:
                if closed.code != TOO_BIG:
                    raise
                await _say(knock, _TOO_BIG)
                return
            outcome = await self._gateway.admission.admit(
                token, handshake.address, is_late=True, resume=handshake.resume
            )
            await self._settle(knock, outcome)

    async def _refuse(self, knock: ConnectionAttempt, refusal: Refusal) -> None:
        if refusal.at_handshake and not knock.is_accepted:
            await self._refuse_at_handshake(knock, refusal)
            return
        self._note(refusal, at_handshake=False)
        await _say(knock, refusal)

    async def _refuse_at_handshake(self, knock: ConnectionAttempt, refusal: Refusal) -> None:
        self._note(refusal, at_handshake=True)
        await refuse_at_handshake(knock.scope, knock.send, refusal)

    def _terms(self, knock: ConnectionAttempt, admitted: SessionGrant) -> SessionConfig:
        return replace(
            session_config_for(admitted, self._settings), metrics=knock.handshake.wishes.get("metrics") == "1"
        )


async def _say(knock: ConnectionAttempt, refusal: Refusal) -> None:
    """Tell a refusal so that people can read it, and close."""
    await knock.accept()
    await knock.link.send(client_events.refusal(refusal.code, refusal.message, refusal.retry_after))
    await knock.link.aclose(refusal.close_code, refusal.reason)


async def _first_message_token(link: AsgiLink) -> str | None:
    """The token of the first message; None if that is something else or does not come in time."""
    with trio.move_on_after(TOKEN_MESSAGE_SECONDS_MAX):
        try:
            event = client_events.read_client(await link.receive())
        except BadMessage:
            return None
        return event.token if isinstance(event, client_events.Auth) else None
    return None
