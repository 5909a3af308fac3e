"""The routes of live sessions and barred users, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from quart import Response, request

from voice_trio import limits
from voice_trio.auth.tokens import User, user_hash
from voice_trio.errors import BadMessage, StateUnavailable
from voice_trio.web.admin.bars import set_barred
from voice_trio.web.admin.session_control import UNKNOWN_SESSION, EndOutcome, SessionControl
from voice_trio.web.responses import error_response, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from quart_trio import QuartTrio

    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

_SWITCH = {"true": True, "1": True, "false": False, "0": False}


class SessionRoutes:
    """`administrator` gives the one that the current request's token names, or the response that refuses it."""

    def __init__(self, gateway: Gateway, administrator: Callable[[], Awaitable[User | Response]]) -> None:
        self._state = gateway.state
        self._secrets = gateway.settings.hashing_secrets
        self._control = SessionControl(gateway.state, self._secrets, gateway.live)
        self._administrator = administrator

    def add_to(self, app: QuartTrio, prefix: str, name: str) -> None:
        """`GET /v1/voice/sessions`, `GET|DELETE …/sessions/ID`, `PUT|DELETE …/rollout/barred`, `DELETE …/limits`."""
        one, barred = f"{prefix}/v1/voice/sessions/<session_id>", f"{prefix}/v1/voice/rollout/barred"
        app.add_url_rule(f"{prefix}/v1/voice/sessions", f"{name}sessions", self.sessions, methods=["GET"])
        app.add_url_rule(one, f"{name}session", self.session, methods=["GET"])
        app.add_url_rule(one, f"{name}end_session", self.end, methods=["DELETE"])
        app.add_url_rule(barred, f"{name}bar", self.bar, methods=["PUT"])
        app.add_url_rule(barred, f"{name}unbar", self.unbar, methods=["DELETE"])
        app.add_url_rule(f"{prefix}/v1/voice/limits", f"{name}reset_limit", self.reset_limit, methods=["DELETE"])

    async def sessions(self) -> Response:
        return await self._answer(lambda _: self._sessions())

    async def session(self, session_id: str) -> Response:
        return await self._answer(lambda admin: self._session(admin, session_id))

    async def end(self, session_id: str) -> Response:
        return await self._answer(lambda admin: self._end(admin, session_id))

    async def bar(self) -> Response:
        return await self._answer(lambda admin: self._set_barred(admin, barred=True))

    async def unbar(self) -> Response:
        return await self._answer(lambda admin: self._set_barred(admin, barred=False))

    async def reset_limit(self) -> Response:
        return await self._answer(self._reset_limit)

    async def _answer(self, make: Callable[[User], Awaitable[Response]]) -> Response:
        admin = await self._administrator()
        if isinstance(admin, Response):
            return admin
        try:
            return await make(admin)
        except BadMessage as error:
            return error_response(400, error.code, str(error))
        except StateUnavailable as error:
            return error_response(503, "state_unavailable", str(error))

    async def _sessions(self) -> Response:
        return json_response(await self._control.listed(request.args.get("user")))

    async def _session(self, admin: User, session_id: str) -> Response:
        words = _SWITCH.get(request.args.get("words", "false").lower())
        if words is None:
            raise BadMessage("words: must be true or false")
        found = await self._control.described(session_id, words=words)
        if found is None:
            return _unknown("No session has this id, or its record has expired.")
        if words:
            log.info("session_words_shown", by=self._hash(admin), session_id=session_id)
        return json_response(found)

    async def _end(self, admin: User, session_id: str) -> Response:
        outcome = await self._control.end(session_id)
        if outcome is EndOutcome.UNKNOWN:
            return _unknown("No live session has this id.")
        log.info("session_end_requested", by=self._hash(admin), session_id=session_id, outcome=outcome.value)
        return json_response({"session_id": session_id, "outcome": outcome.value})

    async def _set_barred(self, admin: User, *, barred: bool) -> Response:
        change = await set_barred(self._state, self._secrets, request.args.get("user", ""), barred=barred)
        if change.changed:
            event = "user_barred" if barred else "user_unbarred"
            log.info(event, by=self._hash(admin), of=change.hashes, version=change.rollout.version)
        return json_response(change.as_json())

    async def _reset_limit(self, admin: User) -> Response:
        user_id = request.args.get("user", "")
        if not 0 < len(user_id) <= limits.ID_CHARS_MAX:
            raise BadMessage("user: say whose rate slots are to be free.")
        await self._state.reset(user_id)
        hashed = user_hash(user_id, self._secrets[0])
        log.info("limit_reset", by=self._hash(admin), of=hashed)
        return json_response({"user": hashed})

    def _hash(self, admin: User) -> str:
        return user_hash(admin.id, self._secrets[0])


def _unknown(message: str) -> Response:
    return error_response(404, UNKNOWN_SESSION, message)
