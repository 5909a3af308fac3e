"""Shares of budgets between instances: the same contract for the ledger in memory and for Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.redis_fixture import instance, is_back, is_lost
from tests.support.redis_servers import RedisServer, redis_server
from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.state.budget_shares import DAY_SCOPE, BudgetShares, MemoryShares, Share, ShareLedger, ShareRequest
from voice_trio.state.redis.driver import RedisFault
from voice_trio.state.redis.scripts import RedisScripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DAY = "2026-11-21"
LIMIT = 1_000_000
CLOCK = "local now = tonumber(redis.call('GET', 'voice:{spent:2026-11-21}:clock') or 0)\n"


class Instances:
    """Three instances and the clock of their leases."""

    def __init__(self, shares: list[BudgetShares], redis: RedisServer | None) -> None:
        self._shares = shares
        self._redis = redis
        self.now = 1000.0

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self._redis is not None:
            self._redis.do("SET", "voice:{spent:2026-11-21}:clock", str(round(self.now * 1_000_000)))

    async def renew(
        self, number: int, used: int = 0, reserved: int = 0, weight: int = 1, *, scope: str = DAY_SCOPE, day: str = DAY
    ) -> Share:
        (share,) = await self._shares[number].renew(day, [ShareRequest(scope, LIMIT, used, reserved, weight)])
        return share

    async def renew_all(self, number: int, requests: list[ShareRequest]) -> list[Share]:
        return await self._shares[number].renew(DAY, requests)


@pytest.fixture(params=["memory", "redis"])
async def instances(request: pytest.FixtureRequest) -> AsyncIterator[Instances]:
    if request.param == "memory":
        made = Instances([], None)
        ledger = ShareLedger(lambda: made.now)
        made._shares = [MemoryShares(name, ledger) for name in "abc"]
        yield made
        return
    server: RedisServer = request.getfixturevalue("redis")
    server.do("FLUSHALL")
    scripts = RedisScripts(CLOCK)
    async with (
        instance(server.url, scripts=scripts) as one,
        instance(server.url, scripts=scripts) as two,
        instance(server.url, scripts=scripts) as three,
    ):
        made = Instances([one.shares, two.shares, three.shares], server)
        made.pass_time(0.0)
        yield made


async def test_alone_an_instance_has_three_quarters_and_the_rest_as_it_goes_on(instances: Instances) -> None:
    assert await instances.renew(0) == Share(750_000, 0, is_alone=True)
    assert await instances.renew(0, used=600_000) == Share(900_000, 0, is_alone=True)
    assert await instances.renew(0, used=600_000, reserved=200_000) == Share(950_000, 0, is_alone=True)
    assert await instances.renew(0, used=999_999) == Share(1_000_000, 0, is_alone=True)
    assert await instances.renew(0, used=1_000_001) == Share(1_000_001, 0, is_alone=True)


async def test_a_newcomer_finds_something_at_once_and_its_part_when_the_others_have_renewed(
    instances: Instances,
) -> None:
    await instances.renew(0)
    assert (await instances.renew(1)).ceiling == 187_500
    assert await instances.renew(0) == Share(500_000, 0, is_alone=False)
    assert (await instances.renew(1)).ceiling == 375_000
    assert (await instances.renew(2, weight=6)).ceiling == 93_750
    assert [(await instances.renew(0)).ceiling, (await instances.renew(1)).ceiling] == [125_000, 125_000]
    assert (await instances.renew(2, weight=6)).ceiling == 562_500


async def test_what_one_does_not_use_flows_to_the_others(instances: Instances) -> None:
    for _ in range(2):
        await instances.renew(0)
        await instances.renew(1)
    share = await instances.renew(0, used=300_000)
    assert share.ceiling == 300_000 + 243_750
    assert (await instances.renew(1)).used_elsewhere == 300_000
    await instances.renew(1, weight=0)
    assert await instances.renew(0, used=300_000) == Share(824_999, 0, is_alone=True)


async def test_whatever_is_asked_for_the_shares_never_exceed_the_budget_but_for_a_millionth_each(
    instances: Instances,
) -> None:
    used, ceilings = [0, 0, 0], [0, 0, 0]
    for turn in range(30):
        number = turn * 7 % 3
        room = ceilings[number] - used[number]
        reserved = room // (turn % 4 + 1)
        used[number] += room - reserved
        ceilings[number] = (await instances.renew(number, used[number], reserved, weight=turn * 13 % 4)).ceiling
    assert LIMIT * 9 // 10 < sum(ceilings) <= LIMIT + 3


async def test_until_the_budget_is_spent_every_instance_can_have_one_response(instances: Instances) -> None:
    await instances.renew(0, used=400_000, reserved=599_990)
    assert (await instances.renew(1, weight=0)).ceiling == 1
    assert (await instances.renew(2, used=10, weight=5)).ceiling == 10
    assert (await instances.renew(1)).ceiling == 0


async def test_a_dead_instances_share_comes_back_but_for_what_it_had_used_and_reserved(instances: Instances) -> None:
    await instances.renew(0, used=200_000, reserved=100_000)
    assert (await instances.renew(1)).ceiling == 131_250  # three quarters of what was left
    instances.pass_time(limits.SHARE_LEASE_SECONDS + 1)
    assert await instances.renew(1) == Share(525_000, 200_000, is_alone=True)
    assert await instances.renew(0, used=350_000) == Share(350_000 + 93_750, 0, is_alone=False)


async def test_a_repeated_report_counts_once_and_a_lower_one_changes_nothing(instances: Instances) -> None:
    for _ in range(3):
        await instances.renew(0, used=500_000)
    await instances.renew(0, used=400_000)
    assert (await instances.renew(1)).used_elsewhere == 500_000


async def test_each_user_and_each_day_has_a_budget_of_its_own(instances: Instances) -> None:
    await instances.renew(0, used=900_000)
    assert (await instances.renew(1, scope="ann")).used_elsewhere == 0
    assert (await instances.renew(1, day="2026-11-22")).used_elsewhere == 0
    asked = [ShareRequest("ann", LIMIT, 5, 0, 1), ShareRequest(DAY_SCOPE, LIMIT, 0, 0, 1)]
    assert [share.used_elsewhere for share in await instances.renew_all(2, asked)] == [0, 900_000]
    assert (await instances.renew(0, scope="ann")).used_elsewhere == 5
    assert await instances.renew_all(0, []) == []


async def test_without_redis_each_instance_has_what_the_others_had_not_used(redis: RedisServer) -> None:
    request = ShareRequest(DAY_SCOPE, LIMIT, 100_000, 0, 1)
    with redis_server() as server:
        async with instance(server.url) as here, instance(server.url) as there, instance(server.url) as new:
            for state in (there, here, there):
                await state.shares.renew(DAY, [request])
            assert (await here.shares.renew(DAY, [request]))[0].ceiling < 500_000
            server.kill()
            await is_lost(here, "")
            assert await here.shares.renew(DAY, [request]) == [Share(900_000, 100_000)]
            assert await new.shares.renew(DAY, [request]) == [Share(LIMIT)]


async def test_with_the_policy_deny_no_share_is_renewed_without_redis() -> None:
    with redis_server() as server:
        async with instance(server.url, policy="deny") as state:
            server.kill()
            with pytest.raises(StateUnavailable):
                await state.shares.renew(DAY, [ShareRequest(DAY_SCOPE, LIMIT, 0, 0, 1)])


async def test_a_redis_that_forgot_everything_knows_it_again_when_all_have_renewed(redis: RedisServer) -> None:
    async with instance(redis.url) as one, instance(redis.url) as two:
        await is_back(one)
        for state, used in ((one, 300_000), (two, 100_000), (one, 300_000)):
            await state.shares.renew(DAY, [ShareRequest("u", LIMIT, used, 0, 1)])
        redis.do("FLUSHALL")
        for _ in range(2):
            for state, used in ((one, 300_000), (two, 100_000)):
                (share,) = await state.shares.renew(DAY, [ShareRequest("u", LIMIT, used, 0, 1)])
        assert share == Share(100_000 + 225_000, 300_000, is_alone=False)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 400_000), st.integers(0, 100_000), st.integers(0, 5)), max_size=40
    )
)
@settings(deadline=None)
def test_an_instance_that_keeps_to_its_share_never_overruns_the_budget(steps: list[tuple[int, int, int, int]]) -> None:
    ledger, used, ceilings = ShareLedger(lambda: 0.0), [0] * 4, [0] * 4
    for number, more, reserved, weight in steps:
        used[number] = min(used[number] + more, max(ceilings[number], used[number]))
        request = ShareRequest(DAY_SCOPE, LIMIT, used[number], min(reserved, ceilings[number] - used[number]), weight)
        ceilings[number] = ledger.renew(str(number), DAY, request).ceiling
        assert sum(used) <= LIMIT + 4


async def test_a_busy_redis_leaves_the_last_share_as_it_is(redis: RedisServer) -> None:
    async with instance(redis.url) as state:
        threads = state._connection._threads._limiter
        callers = [object() for _ in range(limits.REDIS_THREADS_MAX)]
        for caller in callers:
            await threads.acquire_on_behalf_of(caller)
        state._connection._replied_at = float("inf")  # it answers, to others
        with pytest.raises(StateUnavailable, match=RedisFault.BUSY.value):
            await state.shares.renew(DAY, [ShareRequest(DAY_SCOPE, LIMIT, 0, 0, 1)])
        for caller in callers:
            threads.release_on_behalf_of(caller)
        assert (await state.shares.renew(DAY, [ShareRequest("v", LIMIT, 0, 0, 1)]))[0].ceiling == 750_000
