"""Sessions of a killed instance are ended and posted by those that go on: each once, and resumed ones not at all."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.redis_fixture import ROLLOUT, instance
from tests.support.redis_servers import RedisServer, redis_server
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.redis.keys import alive_key
from voice_trio.state.session_directory import LiveSession
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord
from voice_trio.state.state import Quotas
from voice_trio.web.lost_sessions import LostSessionWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from voice_trio.state.redis.state import RedisState

pytestmark = [pytest.mark.usefixtures("redis_is_here"), pytest.mark.flaky(reruns=1)]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@dataclass
class Sent:
    """In place of the webhook: what is posted."""

    records: list[SessionRecord] = field(default_factory=list)

    def send(self, record: SessionRecord) -> None:
        self.records.append(record)


def watch(state: RedisState | MemoryState, sent: Sent) -> LostSessionWatch:
    return LostSessionWatch(state, sent)  # type: ignore[arg-type]  # only `send` is used


async def begin(state: RedisState, session_id: str) -> SessionRecord:
    """A session in mid-answer, as its instance lists it."""
    listed = LiveSession(
        session_id=session_id,
        user="hash",
        plan="elite",
        since=time.time(),
        connected_seconds=1.0,
        cost_usd=0.0,
        state="speaking",
        protocol="voice",
        instance=state.instance,
        turns=0,
    )
    assert await state.directory.report([listed], {session_id: "ann"})
    turn = RecordedTurn(said=(RecordedItem(item_id="u1", text="how warm?"),), status="open")
    record = SessionRecord(
        session_id=session_id,
        user_id="ann",
        instance=state.instance,
        started=time.time() - 5,
        duration_seconds=600.0,
        turns=(turn,),
        turn_count=1,
        cost_micro_usd=500,
        reserved_micro_usd=70,
        revision=7,
    )
    await state.put_record(record)
    return record


@asynccontextmanager
async def survivors(redis: RedisServer) -> AsyncIterator[tuple[RedisState, RedisState]]:
    async with instance(redis.url) as one, instance(redis.url) as two:
        yield one, two


async def test_the_session_of_a_killed_instance_is_ended_and_posted_once_F62(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            async with instance(redis.url) as killed:
                await begin(killed, "s1")
            sent = Sent()
            watches = [watch(one, sent), watch(two, sent)]
            for each in watches:
                await each.look()
            assert sent.records == []  # its key lives for some seconds
            redis.do("DEL", alive_key(killed.instance))
            async with trio.open_nursery() as nursery:
                for each in (*watches, *watches):
                    nursery.start_soon(each.look)
            [record] = sent.records
            assert (record.end_reason, record.resumable, record.revision) == ("lost", True, 8)
            assert (record.cost_micro_usd, record.reserved_micro_usd) == (570, 0)
            assert [turn.status for turn in record.turns] == ["lost"]
            assert await two.record("ann", "s1") == record


async def test_a_session_that_was_resumed_elsewhere_or_had_ended_is_left_alone(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            async with instance(redis.url) as killed:
                resumed = (await begin(killed, "s1")).taken_up()
            await two.put_record(
                SessionRecord(
                    session_id="s1",
                    user_id="ann",
                    instance=two.instance,
                    started=resumed.started,
                    duration_seconds=600.0,
                    revision=resumed.revision + 1,
                )
            )
            redis.do("DEL", alive_key(killed.instance))
            sent = Sent()
            await watch(one, sent).look()
            assert sent.records == []


async def test_a_session_is_found_after_its_instance_is_listed_no_more(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, _):
            sent = Sent()
            noticing = watch(one, sent)
            async with instance(redis.url) as killed:
                await begin(killed, "s1")
                await noticing.look()
                await killed.directory.withdraw()
            redis.do("DEL", alive_key(killed.instance))
            await noticing.look()
            assert [record.session_id for record in sent.records] == ["s1"]


async def test_sessions_of_instances_that_run_are_left_alone(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with survivors(redis) as (one, two):
            await begin(two, "s1")
            sent = Sent()
            for state in (one, two):
                await watch(state, sent).look()
            assert sent.records == []


async def test_without_redis_nothing_counts_as_lost(redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with instance(redis.url) as state:
            sent = Sent()
            noticing = watch(state, sent)
            redis.kill()
            await noticing.look()
            assert await state.lost_sessions.gone({"x"}) == frozenset()
            assert await state.lost_sessions.claim("s1", 1) is False
            await watch(MemoryState(Quotas(5, 2), ROLLOUT), sent).look()
            assert sent.records == []
