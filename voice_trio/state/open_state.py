"""Opens the `State` that the settings configure."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.redis.state import RedisState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.settings import Settings
    from voice_trio.state.state import State


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncIterator[State]:
    """Open the state for one block: in memory, or in Redis if REDIS_URL is set and REDIS_ENABLED.

    Redis has been checked once when the block begins. An unavailable Redis does not prevent the start.
    """
    shared = settings.shared
    quotas, rollout = Quotas.of(settings.limits), first_rollout(settings.access)
    if shared.redis_url is None or not shared.redis_enabled:
        yield MemoryState(quotas, rollout, store_transcripts=shared.store_transcripts)
        return
    state = RedisState(
        parse_redis_url(shared.redis_url.get_secret_value()),
        quotas,
        rollout,
        policy=shared.redis_failure_policy,
        attempts=shared.retry_max_attempts,
        backoff_factor=shared.retry_backoff_factor,
        store_transcripts=shared.store_transcripts,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(state.run)
        try:
            yield state
        finally:
            with trio.move_on_after(limits.DISCONNECT_SECONDS_MAX, shield=True):
                await state.flush()
            nursery.cancel_scope.cancel(reason="the state is closed")
            state.disconnect()
