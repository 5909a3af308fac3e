"""What a killed instance had expected to bill is counted by those that go on: once, whoever notices it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.redis_fixture import ROLLOUT, instance
from tests.support.redis_servers import RedisServer, redis_server
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.redis.keys import alive_key
from voice_trio.state.state import Quotas, Spenders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from voice_trio.state.redis.state import RedisState

DAY = "2026-11-30"

pytestmark = pytest.mark.usefixtures("redis_is_here")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def survivors(redis: RedisServer) -> AsyncIterator[tuple[RedisState, RedisState]]:
    async with instance(redis.url) as one, instance(redis.url) as two:
        yield one, two


def forget_alive(redis: RedisServer, state: RedisState) -> None:
    """As after ten seconds of its death."""
    redis.do("DEL", alive_key(state.instance))


async def test_what_a_killed_instance_had_expected_is_counted_once_F62(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            async with instance(redis.url) as killed:
                await killed.add_spent(DAY, 100, {"ann": 60, "bob": 40})
                await killed.expected_spend.expect(DAY, {"ann": 95, "eve": 7})
                await one.add_spent(DAY, 10, {"ann": 10})
            forget_alive(redis, killed)
            counted: list[dict[str, int]] = []

            async def settle(state: RedisState) -> None:
                counted.append(await state.expected_spend.settle_lost(DAY))

            async with trio.open_nursery() as nursery:
                for state in (one, two, one, two):
                    nursery.start_soon(settle, state)
            assert sorted(counted, key=bool) == [{}, {}, {}, {killed.instance: 42}]
            assert await one.spent(DAY) == await two.spent(DAY) == 152
            assert await one.spenders(DAY, 5, "eve") == Spenders((("ann", 105), ("bob", 40), ("eve", 7)), asked_for=7)


async def test_an_instance_that_runs_is_left_alone(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            await two.expected_spend.expect(DAY, {"ann": 95})
            assert await one.expected_spend.settle_lost(DAY) == {}
            assert await two.expected_spend.settle_lost(DAY) == {}
            assert await one.spent(DAY) == 0


async def test_what_was_billed_after_all_leaves_nothing_to_count(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            await two.expected_spend.expect(DAY, {"ann": 95})
            await two.add_spent(DAY, 80, {"ann": 80})
            await two.expected_spend.expect(DAY, {})
            forget_alive(redis, two)
            assert await one.expected_spend.settle_lost(DAY) == {}
            assert await one.spent(DAY) == 80


async def test_an_instance_that_only_seemed_gone_counts_nothing_twice(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            await two.add_spent(DAY, 50, {"ann": 50})
            await two.expected_spend.expect(DAY, {"ann": 80})
            forget_alive(redis, two)
            assert await one.expected_spend.settle_lost(DAY) == {two.instance: 30}
            await two.add_spent(DAY, 20, {"ann": 20})
            assert await one.spent(DAY) == 80  # the expected sum still covers it
            await two.add_spent(DAY, 25, {"ann": 25})
            assert await one.spent(DAY) == 95
            assert (await one.spenders(DAY, 1)).top == (("ann", 95),)


async def test_without_redis_nothing_is_promised_and_nothing_fails(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as state:
            redis.kill()
            assert await state.expected_spend.expect(DAY, {"ann": 1}) is False
            assert await state.expected_spend.settle_lost(DAY) == {}
    memory = MemoryState(Quotas(5, 2), ROLLOUT)
    assert await memory.expected_spend.expect(DAY, {"ann": 1}) is True
    assert await memory.expected_spend.settle_lost(DAY) == {}


async def test_every_key_expires(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            await two.expected_spend.expect(DAY, {"ann": 95})
            keys = [key for key in redis.keys() if "expect" in key]  # noqa: SIM118  # a server, not a mapping
            assert len(keys) == 2
            assert all(redis.do("PTTL", key) > 0 for key in keys)
            forget_alive(redis, two)
            await one.expected_spend.settle_lost(DAY)
            spent = [key for key in redis.keys() if "spent" in key]  # noqa: SIM118  # a server, not a mapping
            assert len(spent) == 3
            assert all(redis.do("PTTL", key) > 0 for key in spent)
