"""The body of `GET /v1/voice/stats`: the figures of this instance, all its workers together, and how it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway


async def stats_of(gateway: Gateway) -> dict[str, Any]:
    """Asks the other workers, for at most a second."""
    own = gateway.snapshot()
    others = await gateway.siblings.ask()
    workers = sorted([own.facts, *(other.facts for other in others)], key=lambda facts: facts.slot)
    dated = gateway.treasury.prices.dated
    return gateway.statistics.as_json(*(other.figures for other in others)) | {
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
        "workers": {"count": gateway.siblings.count, "answered": [msgspec.to_builtins(worker) for worker in workers]},
        "prices": {"dated": dated.isoformat() if dated else None},
        "configuration": gateway.settings.described(),
    }
