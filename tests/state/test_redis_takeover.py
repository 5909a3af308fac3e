"""Sessions that move between instances over a real Redis, which is lost, emptied or late meanwhile (I15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from tests.support.redis_fixture import instance, is_back, is_lost
from tests.support.redis_servers import RedisServer, redis_server
from voice_trio import limits
from voice_trio.state.redis.keys import UserKeys
from voice_trio.state.session_claims import HeldBy, InstanceRequest, Verb, new_holder
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Granted
from voice_trio.state.takeover import take_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.state.redis.state import RedisState
    from voice_trio.state.state import LimitReached

RECORD = SessionRecord(session_id="s1", user_id="ann", instance="", started=1e9, duration_seconds=600.0, revision=1)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def take(state: RedisState, holder: str) -> tuple[Granted | LimitReached | None, float]:
    began_at = trio.current_time()
    decision = await take_session(state, "ann", "s1", holder, lambda: False)
    return decision, trio.current_time() - began_at


async def test_a_holder_that_gives_the_session_up_is_replaced_within_a_poll(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as one, instance(redis.url) as two, trio.open_nursery() as nursery:
            held = new_holder(one.instance)
            await one.admit("ann", "s1", held)

            async def give_up_when_asked() -> None:
                request = await one.wait_request()
                assert request == InstanceRequest(Verb.TAKE_OVER, "s1", held)
                await one.end("ann", "s1", held)

            nursery.start_soon(give_up_when_asked)
            decision, seconds = await take(two, new_holder(two.instance))
            assert decision == Granted()
            assert seconds < limits.TAKE_OVER_SECONDS_MAX
            assert not await one.renew("ann", "s1", held)


async def test_a_holder_that_does_not_answer_has_0_7_s_and_one_that_is_gone_none_F64(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as one, instance(redis.url) as two:
            held = new_holder(one.instance)
            await one.admit("ann", "s1", held)
            decision, seconds = await take(two, new_holder(two.instance))
            assert decision == Granted()
            assert limits.TAKE_OVER_SECONDS_MAX <= seconds < limits.TAKE_OVER_SECONDS_MAX + 0.5
            assert await two.claim("ann", "s1", "gone.x", replacing="nobody's") != Granted()
            await two.reset("ann")
            await two.admit("ann", "s2", "gone.x")
            assert not await two.request("gone", InstanceRequest(Verb.END, "s2"))


async def test_a_record_of_an_instance_that_lost_the_session_is_ignored(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as one, instance(redis.url) as two:
            await one.admit("ann", "s1", new_holder(one.instance))
            await one.put_record(msgspec.structs.replace(RECORD, instance=one.instance))
            await take(two, new_holder(two.instance))
            await one.put_record(msgspec.structs.replace(RECORD, instance=one.instance, revision=9))
            await two.put_record(msgspec.structs.replace(RECORD, instance=two.instance, revision=2))
            for state in (one, two):
                found = await state.record("ann", "s1")
                assert found is not None
                assert (found.instance, found.revision) == (two.instance, 2)


async def test_of_two_holders_during_an_outage_the_later_one_stays(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one, instance(redis.url) as two:
            first, second = new_holder(one.instance), new_holder(two.instance)
            redis.kill()
            await is_lost(one, "unreachable")
            await is_lost(two, "unreachable")
            assert await one.claim("ann", "s1", first) == Granted()
            await trio.sleep(0.2)
            assert await two.claim("ann", "s1", second) == Granted()
            redis.start()
            await is_back(two)
            await is_back(one)
            assert await two.renew("ann", "s1", second)
            assert not await one.renew("ann", "s1", first)
            assert redis.do("ZCARD", UserKeys("ann").leases) == 1


async def test_a_cancelled_claim_leaves_the_session_free(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as one, instance(redis.url) as two:
            for number in range(20):
                session, was_granted = f"s{number}", False
                with trio.move_on_after(0.0002 * number):
                    was_granted = await one.claim("ann", session, "one.x") == Granted()
                await trio.sleep(0.02)  # the abandoned call may still take effect
                await one.flush()
                decision = await two.claim("ann", session, "two.x")
                assert decision == (HeldBy("one.x") if was_granted else Granted()), number


async def test_a_holder_survives_a_redis_that_lost_its_data(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as one, instance(redis.url) as two:
            held = new_holder(one.instance)
            await one.admit("ann", "s1", held)
            for state in (one, two, one):
                await state.instances()
            redis.do("FLUSHALL")
            await trio.sleep(limits.REDIS_POLL_SECONDS + limits.REDIS_RESTORE_SECONDS + 0.3)
            assert await two.claim("ann", "s1", new_holder(two.instance)) == HeldBy(held)
