"""One or several instances beside a Redis, for tests that take it away from them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from tests.support.redis_servers import becomes
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.state.redis.state import RedisState
from voice_trio.state.rollout import Rollout
from voice_trio.state.state import Granted, Quotas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROLLOUT = Rollout(enabled=True, percent=100, beta_users=(), plans=("elite",), version=0)
HEALTH_SECONDS_MAX = 10.0


@asynccontextmanager
async def instance(url: str, *, limit: int = 5, concurrent: int = 100, **options: Any) -> AsyncIterator[RedisState]:
    """A gateway's state, open while the block runs."""
    state = RedisState(parse_redis_url(url), Quotas(limit, concurrent), ROLLOUT, **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(state.run)
        try:
            yield state
        finally:
            nursery.cancel_scope.cancel()
            state.disconnect()


async def granted(state: RedisState, user: str = "ann", tries: int = 10, prefix: str = "s") -> int:
    """How many of `tries` new sessions are granted; each ends at once."""
    count = 0
    for number in range(tries):
        session = f"{prefix}{state.instance}{number}"
        if isinstance(await state.admit(user, session), Granted):
            count += 1
            await state.end(user, session)
    return count


async def is_lost(state: RedisState, fault: str) -> float:
    """Wait until health names `fault`; returns the seconds that took."""
    return await becomes(lambda: fault in (state.health.fault or ""), HEALTH_SECONDS_MAX)


async def is_back(state: RedisState) -> float:
    """Wait until health says that Redis is there; returns the seconds that took."""
    return await becomes(lambda: state.health.available, HEALTH_SECONDS_MAX)
