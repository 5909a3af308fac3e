"""The body of `GET /v1/voice/stats`: the figures of this instance, all its workers together, and how it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.auth.tokens import user_hash

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.process_stats import WorkerFacts

SPENDERS_SHOWN = 10


async def stats_of(gateway: Gateway, user: str | None = None) -> dict[str, Any]:
    """Asks the other workers, for at most a second, and the shared state; `user` is an id whose costs are wanted."""
    others = await gateway.peers.ask()
    figures = gateway.statistics.as_json(*(other.figures for other in others))
    figures["cost"] |= await _spenders(gateway, user)
    return figures | await _setup(gateway, [gateway.snapshot().facts, *(other.facts for other in others)])


async def _spenders(gateway: Gateway, user: str | None) -> dict[str, Any]:
    asked = None if user is None else user_hash(user, gateway.settings.signing_secret)
    spenders = await gateway.state.spenders(gateway.daily_budget.today, SPENDERS_SHOWN, asked)
    told: dict[str, Any] = {"top_users": [{"user": name, "usd": micro / 1e6} for name, micro in spenders.top]}
    if asked is not None:
        told["user"] = {"user": asked, "usd": spenders.asked_for / 1e6}
    return told


async def _setup(gateway: Gateway, facts: list[WorkerFacts]) -> dict[str, Any]:
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
        "instances": [msgspec.to_builtins(presence) for presence in await gateway.state.instances()],
        "prices": {"dated": dated.isoformat() if dated else None},
        "configuration": gateway.settings.described(),
    }
