"""The routes that need an administrator's token: statistics, the rollout document, and deletion of a user's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from quart import Response, request

from voice_trio.admission.client_address import TrustedProxies
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.tokens import User, user_hash
from voice_trio.errors import BadMessage, StateUnavailable
from voice_trio.protocols import json_text
from voice_trio.state.rollout import Rollout, parse_rollout, rollout_as_json
from voice_trio.web.admin.session_routes import SessionRoutes
from voice_trio.web.responses import bearer_and_address, error_response, json_response, refusal_response

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from voice_trio.admission.operator_tokens import OperatorTokens
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.process_stats import WorkerFacts

log = structlog.get_logger(__name__)

TOP_USERS_MAX = 10


def add_admin_routes(app: QuartTrio, gateway: Gateway, tokens: OperatorTokens) -> None:
    """`/v1/voice/stats`, `/v1/voice/rollout` and `/v1/voice/sessions`, also under /api."""
    routes = _AdminRoutes(gateway, tokens)
    sessions = SessionRoutes(gateway, routes.administrator)
    for prefix, name in (("", ""), ("/api", "api_")):
        app.add_url_rule(f"{prefix}/v1/voice/stats", f"{name}stats", routes.stats, methods=["GET"])
        app.add_url_rule(f"{prefix}/v1/voice/rollout", f"{name}rollout", routes.rollout, methods=["GET"])
        app.add_url_rule(f"{prefix}/v1/voice/rollout", f"{name}set_rollout", routes.set_rollout, methods=["PUT"])
        app.add_url_rule(f"{prefix}/v1/voice/sessions", f"{name}delete", routes.delete_records, methods=["DELETE"])
        sessions.add_to(app, prefix, name)


class _AdminRoutes:
    def __init__(self, gateway: Gateway, tokens: OperatorTokens) -> None:
        self._gateway = gateway
        self._tokens = tokens
        self._state = gateway.state
        self._secret = gateway.settings.signing_secret

    async def stats(self) -> Response:
        user = await self.administrator()
        if isinstance(user, Response):
            return user
        return json_response(await _stats(self._gateway, request.args.get("user")))

    async def rollout(self) -> Response:
        user = await self.administrator()
        return user if isinstance(user, Response) else json_response(rollout_as_json(await self._state.rollout()))

    async def set_rollout(self) -> Response:
        user = await self.administrator()
        if isinstance(user, Response):
            return user
        try:
            document, before = msgspec.json.decode(await request.get_data()), await self._state.rollout()
            wanted = parse_rollout(_with_barred(document, before))
            # Without the version in force it is not known which users are barred, so none may be dropped.
            is_known = "barred" in document or wanted.version == before.version
            after = await self._state.replace_rollout(wanted) if is_known else None
        except BadMessage as error:
            return error_response(400, error.code, str(error))
        except json_text.UNREADABLE:
            return error_response(400, "bad_message", "The body is not valid JSON.")
        except StateUnavailable as error:
            return error_response(503, "state_unavailable", str(error))
        if after is None:
            in_force = rollout_as_json(await self._state.rollout())
            message = f"version: {wanted.version} is not in force any more; look at what is, and try again."
            return error_response(409, "conflict", message, rollout=in_force)
        self._log_change(user, before, after)
        return json_response(rollout_as_json(after))

    async def delete_records(self) -> Response:
        admin = await self.administrator()
        if isinstance(admin, Response):
            return admin
        user_id = request.args.get("user", "")
        if not user_id:
            return error_response(400, "bad_message", "user: say whose records are to be deleted.")
        try:
            count = await self._state.delete_records(user_id)
        except StateUnavailable as error:
            return error_response(503, "state_unavailable", str(error))
        by, of = user_hash(admin.id, self._secret), user_hash(user_id, self._secret)
        log.info("records_deleted", by=by, of=of, count=count)
        return json_response({"deleted": count})

    async def administrator(self) -> User | Response:
        """The administrator that the current request's token names, or the response that refuses the request."""
        token, address = bearer_and_address(TrustedProxies.of(self._gateway.settings.web))
        outcome = await self._tokens.check_administrator(token, address)
        return refusal_response(outcome) if isinstance(outcome, Refusal) else outcome

    def _log_change(self, user: User, before: Rollout, after: Rollout) -> None:
        by = user_hash(user.id, self._secret)
        log.info("rollout_changed", by=by, version=after.version, **rollout_changes(before, after))


def _with_barred(document: Any, in_force: Rollout) -> Any:
    """The document with today's barred users if it has no such field: it may come from an earlier version."""
    if isinstance(document, dict) and "barred" not in document and document.get("version") == in_force.version:
        return document | {"barred": list(in_force.barred)}
    return document


def rollout_changes(before: Rollout, after: Rollout) -> dict[str, Any]:
    """The fields that differ, as [old, new]; of lists of users only how many were added and removed, for the log."""
    changes: dict[str, Any] = {}
    for name in ("enabled", "percent", "plans", "message", "end_sessions"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            changes[name] = [old, new]
    for name in ("beta_users", "barred"):
        old, new = set(getattr(before, name)), set(getattr(after, name))
        if old != new:
            changes[name] = f"+{len(new - old)} -{len(old - new)}"
    return changes


async def _stats(gateway: Gateway, user: str | None) -> dict[str, Any]:
    """The body of `GET /v1/voice/stats`: counts of all workers of this instance, and its configuration.

    Waits for the other workers for at most a second, and for the shared state. `user` is an id whose cost is wanted.
    """
    others = await gateway.peers.ask()
    stats = gateway.statistics.as_json(*(other.stats for other in others))
    stats["cost"] |= await _top_users(gateway, user)
    knowledge = await gateway.health.check_knowledge()
    stats["knowledge"] = {"available": knowledge.is_available, "empty": knowledge.is_empty}
    return stats | await _instance(gateway, [gateway.facts(), *(other.facts for other in others)])


async def _top_users(gateway: Gateway, user: str | None) -> dict[str, Any]:
    hashed = None if user is None else user_hash(user, gateway.settings.signing_secret)
    spenders = await gateway.state.spenders(gateway.daily_budget.today, TOP_USERS_MAX, hashed)
    costs: dict[str, Any] = {"top_users": [{"user": name, "usd": micro / 1e6} for name, micro in spenders.top]}
    if hashed is not None:
        costs["user"] = {"user": hashed, "usd": spenders.asked_for / 1e6}
    return costs


async def _instance(gateway: Gateway, facts: list[WorkerFacts]) -> dict[str, Any]:
    workers = sorted(facts, key=lambda worker: worker.slot)
    dated = gateway.daily_budget.prices.dated
    return {
        "limiter": {
            "state": "redis" if gateway.state.health.available else "memory",
            "places_taken": sum(worker.taken for worker in workers),
            "places": sum(worker.places for worker in workers),
            "draining": all(worker.draining for worker in workers),
        },
        "instance": {
            "id": gateway.state.instance,
            "version": gateway.settings.observability.app_version,
            "loop_lag_ms": max(worker.loop_lag_ms for worker in workers),
        },
        "workers": {"count": gateway.peers.count, "answered": [msgspec.to_builtins(worker) for worker in workers]},
        "instances": [_with_facts(instance, facts) for instance in await gateway.state.instances()],
        "prices": {"dated": dated.isoformat() if dated else None},
        "configuration": gateway.settings.described(),
    }


def _with_facts(instance: InstanceInfo, facts: list[WorkerFacts]) -> dict[str, Any]:
    """What an instance announced some seconds ago; of a worker that has answered, what it is now."""
    now = next((worker for worker in facts if worker.instance == instance.instance), None)
    if now is not None:
        instance = msgspec.structs.replace(
            instance, active=now.active, draining=now.draining, loop_lag_ms=now.loop_lag_ms, seen_seconds=0.0
        )
    described: dict[str, Any] = msgspec.to_builtins(instance)
    return described
