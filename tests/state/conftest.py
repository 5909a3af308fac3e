"""The kinds of shared state, each as a `Subject`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.redis_servers import RedisServer, redis_server
from tests.support.state_fixture import ROLLOUT, Clock, Subject
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.redis.scripts import RedisScripts
from voice_trio.state.redis.state import RedisState
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import trio


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis", "redis away"])
def kind(request: pytest.FixtureRequest) -> str | RedisServer:
    """The same contract for all three: in memory, through Redis, and through a Redis that is not there."""
    if request.param != "redis":
        return str(request.param)
    server: RedisServer = request.getfixturevalue("redis")
    server.do("FLUSHALL")
    return server


@pytest.fixture
async def subject(kind: str | RedisServer, nursery: trio.Nursery) -> AsyncIterator[Subject]:
    quotas, clock = Quotas(5, 2, window_seconds=3600.0, lease_seconds=30.0), Clock()
    if kind == "memory":
        yield Subject(MemoryState(quotas, ROLLOUT, clock), clock)
        return
    server = kind if isinstance(kind, RedisServer) else None
    url = server.url if server is not None else "redis://127.0.0.1:1"
    scripts = RedisScripts("local now = tonumber(redis.call('GET', 'voice:test:clock'))\n")
    state = RedisState(parse_redis_url(url), quotas, ROLLOUT, clock=clock, scripts=scripts)
    made = Subject(state, clock, server)
    await made.pass_time(0.0)
    await nursery.start(state.run)
    assert state.health.available == (server is not None)
    yield made
    nursery.cancel_scope.cancel()
    state.disconnect()
