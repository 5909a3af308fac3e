"""The live sessions of all instances, for operators (F18): in memory, through Redis, and while Redis is away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.redis_fixture import ROLLOUT, instance
from tests.support.redis_servers import RedisServer, becomes, redis_server
from voice_trio import limits
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.redis.scripts import RedisScripts
from voice_trio.state.redis.state import RedisState
from voice_trio.state.session_directory import LiveSession, SessionList
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.state.state import State

REDIS_CLOCK = "local now = tonumber(redis.call('GET', 'voice:test:clock'))\n"


class Subject:
    """One state, with a clock of its own that Redis follows."""

    def __init__(self, server: RedisServer | None) -> None:
        self.now = 1000.0
        self._server = server

    def clock(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self._server is not None:
            self._server.do("SET", "voice:test:clock", str(round(self.now * 1_000_000)))


@pytest.fixture(params=["memory", "redis", "redis away"])
async def subject(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[tuple[State, Subject]]:
    quotas = Quotas(5, 2)
    if request.param == "memory":
        clock = Subject(None)
        yield MemoryState(quotas, ROLLOUT, clock.clock), clock
        return
    server: RedisServer | None = request.getfixturevalue("redis") if request.param == "redis" else None
    url = "redis://127.0.0.1:1"
    if server is not None:
        server.do("FLUSHALL")
        url = server.url
    clock = Subject(server)
    clock.pass_time(0)
    state = RedisState(parse_redis_url(url), quotas, ROLLOUT, clock=clock.clock, scripts=RedisScripts(REDIS_CLOCK))
    await nursery.start(state.run)
    yield state, clock
    nursery.cancel_scope.cancel()
    state.disconnect()


def live(number: int = 1, **changes: Any) -> LiveSession:
    usual: dict[str, Any] = {
        "session_id": f"vs_{number}",
        "user": "0f" * 16,
        "plan": "elite",
        "since": 1_800_000_000.0 + number,
        "connected_seconds": 12.5,
        "cost_usd": 0.25,
        "state": "answering",
        "protocol": "voice",
        "instance": "a",
        "turns": 3,
    }
    return LiveSession(**(usual | changes))


async def listed(state: State) -> list[str]:
    return [session.session_id for session in (await state.directory.sessions()).sessions]


async def test_a_report_takes_the_place_of_the_one_before_F18(subject: tuple[State, Subject]) -> None:
    state, _ = subject
    await state.directory.report([live(2), live(1)], {})
    assert (await state.directory.sessions()).sessions == (live(1), live(2))
    await state.directory.report([live(3)], {})
    assert await listed(state) == ["vs_3"]
    await state.directory.withdraw()
    assert await listed(state) == []


async def test_the_sessions_of_an_instance_that_died_are_gone_within_thirty_seconds_F18(
    subject: tuple[State, Subject],
) -> None:
    state, clock = subject
    await state.directory.report([live()], {})
    clock.pass_time(limits.DIRECTORY_EXPIRY_SECONDS - 0.1)
    assert await listed(state) == ["vs_1"]
    clock.pass_time(0.2)
    assert await listed(state) == []
    assert limits.DIRECTORY_EXPIRY_SECONDS <= 30


async def test_a_report_is_bounded_F18(subject: tuple[State, Subject]) -> None:
    state, _ = subject
    await state.directory.report([live(number) for number in range(limits.DIRECTORY_SESSIONS_MAX + 5)], {})
    assert len(await listed(state)) == limits.DIRECTORY_SESSIONS_MAX


@pytest.mark.parametrize("name", ["vs_1", "", "*", "é" * 300, "x" * 100_000, "a\x00b"])
async def test_a_record_is_found_by_the_sessions_id_alone_F18(subject: tuple[State, Subject], name: str) -> None:
    state, _ = subject
    record = SessionRecord(
        session_id=name, user_id="ann", instance="a", started=time.time(), duration_seconds=60.0, revision=1
    )
    assert await state.directory.record(name) is None
    await state.directory.report([], {name: "ann"})
    await state.put_record(record)
    assert await state.directory.record(name) == record
    assert await state.directory.record(f"{name}0") is None


async def test_instances_see_each_others_sessions_and_records_F18(redis: RedisServer) -> None:
    redis.do("FLUSHALL")
    async with instance(redis.url) as one, instance(redis.url) as other:
        await one.directory.report([live(2)], {"vs_2": "ann"})
        await other.directory.report([live(1)], {})
        await one.put_record(
            SessionRecord(
                session_id="vs_2", user_id="ann", instance="a", started=time.time(), duration_seconds=60.0, revision=1
            )
        )
        assert await listed(one) == await listed(other) == ["vs_1", "vs_2"]
        found = await other.directory.record("vs_2")
        assert found is not None
        assert found.user_id == "ann"
        await one.directory.withdraw()
        assert await listed(other) == ["vs_1"]


async def test_a_report_of_a_later_version_hides_no_other_F18(redis: RedisServer) -> None:
    redis.do("FLUSHALL")
    async with instance(redis.url) as one:
        await one.directory.report([live()], {})
        redis.do("HSET", "voice:{sessions}:told", "later", '[{"session_id": 1}]')
        assert await listed(one) == ["vs_1"]


async def test_keys_expire_and_hold_no_user_F18(redis: RedisServer) -> None:
    redis.do("FLUSHALL")
    async with instance(redis.url) as one:
        await one.directory.report([live()], {"vs_1": "ann@example.com"})
        stored = redis.keys()
        keys = [key for key in stored if "{sessions}" in key]
        assert len(keys) == 3
        assert all(0 < int(redis.do("PTTL", key)) <= 4 * 3_600_000 for key in keys)
        assert "ann" not in str([redis.do("HGETALL", key) for key in keys if not key.endswith(":seen")])


async def test_without_redis_the_list_says_that_it_is_not_complete_F18() -> None:
    with trio.fail_after(20), redis_server() as server:
        async with instance(server.url) as one:
            await one.directory.report([live()], {})
            assert await one.directory.sessions() == SessionList((live(),), is_complete=True)
            server.kill()
            await becomes(lambda: not one.health.available, 10)
            assert await one.directory.sessions() == SessionList((live(),), is_complete=False)
            assert await one.directory.report([live(2)], {}) is False
            assert await listed(one) == ["vs_2"]
