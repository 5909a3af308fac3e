"""A session is resumed by many connections in any order, on any instance: exactly one has it (I15)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.instances_fixture import SESSION, USER, Instance, Instances
from voice_trio import limits
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

SEEDS = range(40)


@asynccontextmanager
async def running(instances: Instances) -> AsyncIterator[trio.Nursery]:
    await instances.begin()
    async with trio.open_nursery() as nursery:
        for instance in instances.all:
            nursery.start_soon(instance.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def resume_at_random(instances: Instances, random: Random, within: float, **how: bool) -> list[str]:
    """Twelve connections; returns what came of those that are over after some seconds."""
    outcomes: list[str] = []

    async def connect(instance: Instance, after: float) -> None:
        await trio.sleep(after)
        outcomes.append(await instance.connect(**how))

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(connect, instances.all[number % len(instances.all)], random.uniform(0.0, within))
        await trio.sleep(within + 8.0)
        nursery.cancel_scope.cancel()
    return outcomes


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("within", [0.0, 0.5, 5.0])
async def test_of_twelve_resumes_exactly_one_is_live_under_any_schedule_F11(
    autojump_clock: MockClock, count: int, within: float
) -> None:
    for seed in SEEDS:
        random = Random(seed)
        instances = Instances(random, count)
        async with running(instances):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(resume_at_random, instances, random, within)
                await trio.sleep(within + 7.0)
                assert len(instances.live) == 1, seed
                nursery.cancel_scope.cancel()
            assert instances.live_most == 1, seed
            if within == 0.0:
                assert instances.dials <= 2 * count, seed


async def test_a_call_that_fails_after_it_took_effect_leaves_the_session_to_be_resumed(
    autojump_clock: MockClock,
) -> None:
    for seed in SEEDS:
        random = Random(seed)
        instances = Instances(random, 3)
        instances.shared.failures = 0.3
        async with running(instances) as nursery:
            await resume_at_random(instances, random, 2.0)
            assert instances.live_most <= 1, seed
            instances.shared.failures = 0.0
            nursery.start_soon(instances.all[0].connect)
            await trio.sleep(6.0)
            assert instances.live == [instances.all[0]], seed


async def test_a_winner_whose_upstream_is_away_leaves_the_session_to_be_resumed(autojump_clock: MockClock) -> None:
    instances = Instances(Random(1), 2, MAX_CONCURRENT_SESSIONS_PER_USER="1")
    async with running(instances) as nursery:
        assert await instances.all[0].connect(upstream_is_away=True) == "upstream_unavailable"
        assert await instances.shared.store.admit(USER, "vs_2") == Granted()
        await instances.shared.store.end(USER, "vs_2")
        nursery.start_soon(instances.all[1].connect)
        await trio.sleep(3.0)
        assert instances.live == [instances.all[1]]


async def test_a_connection_that_leaves_while_it_resumes_takes_nothing_with_it(autojump_clock: MockClock) -> None:
    for seed in SEEDS:
        random = Random(seed)
        instances = Instances(random, 2)
        async with running(instances) as nursery:
            for instance in instances.all:
                with trio.move_on_after(random.uniform(0.0, 0.15)):
                    await instance.connect()
            nursery.start_soon(instances.all[0].connect)
            await trio.sleep(6.0)
            assert [len(instance.holders) for instance in instances.all] == [1, 0], seed
            assert [instance.capacity.taken for instance in instances.all] == [1, 0], seed
            assert instances.live == [instances.all[0]], seed


async def test_a_holder_that_gets_no_request_ends_at_its_next_renewal(autojump_clock: MockClock) -> None:
    instances = Instances(Random(1), 2)
    instances.shared.loses_requests = True
    async with running(instances) as nursery:
        nursery.start_soon(instances.all[0].connect)
        await trio.sleep(1.0)
        nursery.start_soon(instances.all[1].connect)
        await trio.sleep(limits.LEASE_RENEW_SECONDS + 1.0)
        assert instances.live == [instances.all[1]]


async def test_the_holder_of_an_instance_that_is_gone_is_replaced_at_once_F64(autojump_clock: MockClock) -> None:
    instances = Instances(Random(1), 2)
    async with running(instances) as nursery:
        nursery.start_soon(instances.all[0].connect)
        await trio.sleep(1.0)
        instances.crash(instances.all[0])
        began_at = trio.current_time()
        nursery.start_soon(instances.all[1].connect)
        while len(instances.live) < 2:  # noqa: ASYNC110  # the crashed one is listed too
            await trio.sleep(0.01)
        assert trio.current_time() - began_at < 0.6  # the upstream's handshake included


async def test_a_resume_needs_a_lease_and_its_token_stays_valid_F12(autojump_clock: MockClock) -> None:
    instances = Instances(Random(1), 2, MAX_CONCURRENT_SESSIONS_PER_USER="2")
    store = instances.shared.store
    async with running(instances) as nursery:
        for other in ("vs_2", "vs_3"):
            assert await store.admit(USER, other) == Granted()
        for instance in instances.all:
            assert await instance.connect() == "too_many_sessions"
        await store.end(USER, "vs_2")
        nursery.start_soon(instances.all[0].connect)
        await trio.sleep(3.0)
        assert instances.live == [instances.all[0]]
        assert await store.claim(USER, "vs_2", "x.y") == LimitReached(Limit.CONCURRENCY)
        assert await store.claim(USER, SESSION, "x.y", replacing="") != Granted()


@pytest.mark.parametrize(("away_seconds", "outcome"), [(1.0, "ended"), (60.0, "resume_invalid")])
async def test_a_resume_waits_for_a_store_that_is_away_for_a_moment_F70(
    autojump_clock: MockClock, away_seconds: float, outcome: str
) -> None:
    instances = Instances(Random(1), 2)
    async with running(instances) as nursery:
        instances.shared.away_until = trio.current_time() + away_seconds
        outcomes: list[str] = []

        async def connect(instance: Instance) -> None:
            outcomes.append(await instance.connect())

        nursery.start_soon(connect, instances.all[0])
        await trio.sleep(5.0)
        nursery.start_soon(connect, instances.all[1])
        await trio.sleep(5.0)
        assert outcomes[:1] == [outcome]


async def test_a_draining_instance_ends_no_session_that_it_cannot_continue(autojump_clock: MockClock) -> None:
    instances = Instances(Random(1), 2)
    async with running(instances) as nursery:
        nursery.start_soon(instances.all[0].connect)
        await trio.sleep(1.0)
        instances.all[1].capacity.drain()
        assert await instances.all[1].connect() == "draining"
        await trio.sleep(1.0)
        assert instances.live == [instances.all[0]]
