"""What an administrator may change while the gateway runs: the rollout document, and what is kept of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

import msgspec
import structlog
import trio
from quart import Response, request

from voice_trio.auth.tokens import User, user_hash
from voice_trio.errors import BadMessage, StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.state.rollout import Rollout, parse_rollout, rollout_as_json
from voice_trio.web.responses import administrator, error_answer, json_answer

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from voice_trio.state.state import State
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.live_sessions import LiveSessions

log = structlog.get_logger(__name__)


def add_admin_routes(app: QuartTrio, gateway: Gateway) -> None:
    """`GET|PUT /v1/voice/rollout` and `DELETE /v1/voice/sessions`, also under /api."""
    routes = _AdminRoutes(gateway)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/rollout", f"{name}rollout", routes.rollout, methods=["GET"])
        app.add_url_rule(f"{prefix}/v1/voice/rollout", f"{name}set_rollout", routes.set_rollout, methods=["PUT"])
        app.add_url_rule(f"{prefix}/v1/voice/sessions", f"{name}forget", routes.forget, methods=["DELETE"])


async def obey_rollout(state: State, live: LiveSessions) -> Never:
    """End every session, and whoever still slips in, as long as the document in force wants none: until cancelled."""
    rollout = await state.rollout()
    while True:
        if rollout.ends_sessions:
            log.warning("rollout_ends_sessions", sessions=len(live), version=rollout.version)
        live.end_all(Ending.SWITCHED_OFF if rollout.ends_sessions else None)
        rollout = await state.wait_rollout_change(rollout)


async def obey_takeovers(state: State, live: LiveSessions) -> Never:
    """Let go of sessions that were resumed on another instance: until cancelled."""
    async with trio.open_nursery() as nursery:
        while True:
            nursery.start_soon(live.evict, await state.wait_takeover())


class _AdminRoutes:
    def __init__(self, gateway: Gateway) -> None:
        self._verifier = gateway.verifier
        self._state = gateway.state
        self._secret = gateway.settings.signing_secret

    async def rollout(self) -> Response:
        user = await administrator(self._verifier)
        return user if isinstance(user, Response) else json_answer(rollout_as_json(await self._state.rollout()))

    async def set_rollout(self) -> Response:
        user = await administrator(self._verifier)
        if isinstance(user, Response):
            return user
        try:
            wanted = parse_rollout(msgspec.json.decode(await request.get_data()))
            before = await self._state.rollout()
            after = await self._state.replace_rollout(wanted)
        except BadMessage as error:
            return error_answer(400, error.code, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return error_answer(400, "bad_message", "The body is not valid JSON.")
        except StateUnavailable as error:
            return error_answer(503, "state_unavailable", str(error))
        if after is None:
            in_force = rollout_as_json(await self._state.rollout())
            message = f"version: {wanted.version} is not in force any more; look at what is, and try again."
            return error_answer(409, "conflict", message, rollout=in_force)
        self._audit(user, before, after)
        return json_answer(rollout_as_json(after))

    async def forget(self) -> Response:
        user = await administrator(self._verifier)
        if isinstance(user, Response):
            return user
        whose = request.args.get("user", "")
        if not whose:
            return error_answer(400, "bad_message", "user: say whose records are to be deleted.")
        try:
            count = await self._state.delete_records(whose)
        except StateUnavailable as error:
            return error_answer(503, "state_unavailable", str(error))
        log.info("records_deleted", by=user_hash(user.id, self._secret), of=user_hash(whose, self._secret), count=count)
        return json_answer({"deleted": count})

    def _audit(self, user: User, before: Rollout, after: Rollout) -> None:
        log.info(
            "rollout_changed", by=user_hash(user.id, self._secret), version=after.version, **changes(before, after)
        )


def changes(before: Rollout, after: Rollout) -> dict[str, Any]:
    """What differs, field by field, as [old, new]; of people only how many came and went: logs name nobody."""
    told: dict[str, Any] = {}
    for name in ("enabled", "percent", "plans", "message", "end_sessions"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            told[name] = [old, new]
    came, went = set(after.beta_users) - set(before.beta_users), set(before.beta_users) - set(after.beta_users)
    if came or went:
        told["beta_users"] = f"+{len(came)} -{len(went)}"
    return told
