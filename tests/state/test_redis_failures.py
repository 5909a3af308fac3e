"""A real Redis that is killed, frozen, filled, demoted or slow: limits hold, nobody waits, health says what it is."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.support.redis_fixture import ROLLOUT, granted, instance, is_back, is_lost
from tests.support.redis_servers import RedisServer, SlowProxy, redis_server
from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.state.instance_registry import InstanceInfo
from voice_trio.state.redis.keys import UserKeys
from voice_trio.state.redis.supervisor import KnownServers
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.state.redis.state import RedisState

SCHEDULING_SECONDS = 0.15  # other processes use this machine too


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def seconds_to_admit(state: RedisState, session: str) -> float:
    began_at = time.perf_counter()
    await state.admit("waiting", session)
    return time.perf_counter() - began_at


async def test_killed_and_restarted_empty_it_gets_its_grants_back_and_nobody_a_second_allowance(
    redis: RedisServer,
) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            assert await granted(state, tries=3) == 3
            redis.kill()
            assert await granted(state, tries=1, prefix="away") == 1
            assert state.health.using_fallback
            assert not state.health.available
            assert "unreachable" in (state.health.fault or "")
            redis.start()
            assert redis.keys() == []
            assert await is_back(state) < 5
            assert redis.do("ZCARD", UserKeys("ann").slots) == 4
            assert await granted(state, tries=5, prefix="back") == 1
            async with instance(redis.url) as other:
                refused = await other.admit("ann", "elsewhere")
            assert isinstance(refused, LimitReached)
            assert refused.limit is Limit.RATE


async def test_restarted_between_two_calls_it_is_recognised_before_it_decides_anything(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            assert await granted(state, tries=5) == 5
            redis.kill()
            redis.start()
            assert await granted(state, tries=5, prefix="after") == 0
            await is_back(state)
            assert await granted(state, tries=5, prefix="later") == 0


async def test_while_it_is_away_a_user_gets_at_most_one_allowance_of_each_instance(redis: RedisServer) -> None:
    """The bound that docs/state.md states: with n instances, n times the limit within any hour, and no more after."""
    with trio.fail_after(40):
        async with instance(redis.url) as one, instance(redis.url) as two:
            assert await granted(one, tries=3) == 3
            redis.kill()
            assert await granted(one, prefix="away") == 2
            assert await granted(two, prefix="away") == 5
            redis.start()
            await is_back(one)
            await is_back(two)
            assert redis.do("ZCARD", UserKeys("ann").slots) == 10
            assert await granted(one, prefix="back") == await granted(two, prefix="back") == 0


async def test_what_was_given_back_while_it_was_away_is_given_back_there_too(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url, limit=2) as state:
            await state.admit("ann", "ends")
            await state.admit("ann", "never-ready")
            redis.freeze()
            await state.end("ann", "ends")
            await state.release("ann", "never-ready")
            redis.thaw()
            await is_back(state)
            keys = UserKeys("ann")
            assert redis.do("ZRANGE", keys.slots, "0", "-1") == [b"ends"]
            assert redis.do("ZRANGE", keys.leases, "0", "-1") == []


async def test_a_cancelled_admission_leaves_nothing_taken(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url, limit=1) as state:
            redis.freeze()
            with trio.move_on_after(0.05):
                await state.admit("ann", "cancelled")
            redis.thaw()
            await is_back(state)
            with trio.fail_after(8):
                while isinstance(await state.admit("ann", "next"), LimitReached):  # noqa: ASYNC110  # Redis tells nobody
                    await trio.sleep(0.1)


async def test_frozen_it_costs_one_call_a_quarter_second_and_the_next_ones_nothing(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            await state.admit("ann", "before")
            redis.freeze()
            assert await seconds_to_admit(state, "s1") < limits.REDIS_CALL_SECONDS_MAX + SCHEDULING_SECONDS
            assert await seconds_to_admit(state, "s2") < SCHEDULING_SECONDS / 5
            assert await is_lost(state, "hanging") < 10
            assert await seconds_to_admit(state, "s3") < SCHEDULING_SECONDS / 5
            redis.thaw()
            assert await is_back(state) < 10


async def test_a_process_that_is_late_itself_does_not_take_redis_for_slow_F70(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.freeze()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(late_by_itself, state)
                await trio.testing.wait_all_tasks_blocked()
                redis.thaw()
                time.sleep(0.4)  # noqa: ASYNC251  # the loop stands still, and so sees no reply
            assert state.health.available


async def late_by_itself(state: RedisState) -> None:
    with pytest.raises(StateUnavailable, match="asked more"):
        await state.admit("ann", "s1")


async def test_calls_under_way_are_given_up_together(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.freeze()
            began_at = trio.current_time()
            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(state.admit, f"user{number}", "s")
            assert trio.current_time() - began_at < limits.REDIS_CALL_SECONDS_MAX + SCHEDULING_SECONDS
            redis.thaw()


@pytest.mark.slow
async def test_paused_clients_are_a_hanging_redis_too(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.do("CLIENT", "PAUSE", "4000", "ALL")
            assert await seconds_to_admit(state, "s1") < limits.REDIS_CALL_SECONDS_MAX + SCHEDULING_SECONDS
            assert await is_lost(state, "hanging") < 10
            assert await is_back(state) < 10


async def test_a_full_redis_is_named_and_done_without_until_it_has_room(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.fill()
            assert await is_lost(state, "maxmemory") < 10
            assert await granted(state, tries=6) == 5
            redis.make_room()
            assert await is_back(state) < 10
            assert await granted(state, tries=6, prefix="back") == 0


async def test_a_replica_is_named_read_only_and_used_once_it_is_promoted(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.do("REPLICAOF", "127.0.0.1", "1")
            assert isinstance(await state.admit("ann", "s1"), Granted)
            assert await is_lost(state, "read-only") < 10
            redis.do("REPLICAOF", "NO", "ONE")
            assert await is_back(state) < 10


@pytest.mark.usefixtures("redis_is_here")
async def test_a_wrong_password_is_named_and_never_shown() -> None:
    with trio.fail_after(30), redis_server(password="right and secret") as redis:
        url = redis.url.replace("right and secret", "wrong%20but%20secret")
        async with instance(url) as state:
            assert "wrong password" in (state.health.fault or "")
            assert state.health.url == f"redis://:***@{redis.address}/0"
            assert await granted(state, tries=6) == 5
            redis.do("CONFIG", "SET", "requirepass", "wrong but secret")
            redis.password = "wrong but secret"
            assert await is_back(state) < 10


async def test_a_second_of_latency_is_named_slow_and_delays_one_admission_only(redis: RedisServer) -> None:
    with trio.fail_after(50):
        async with trio.open_nursery() as nursery:
            proxy = SlowProxy(redis.port)
            await nursery.start(proxy.run)
            async with instance(f"redis://127.0.0.1:{proxy.port}/0") as state:
                assert state.health.available
                proxy.seconds = 1.0
                assert await seconds_to_admit(state, "s1") < limits.REDIS_CALL_SECONDS_MAX + SCHEDULING_SECONDS
                assert await seconds_to_admit(state, "s2") < SCHEDULING_SECONDS / 5
                await trio.sleep(6)
                assert "slow" in (state.health.fault or "")
                proxy.seconds = 0.0
                assert await is_back(state) < 10
            nursery.cancel_scope.cancel()


async def test_denying_it_refuses_while_redis_is_away_and_takes_nothing(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url, policy="deny", limit=1) as state:
            redis.kill()
            for _ in range(2):
                with pytest.raises(StateUnavailable):
                    await state.admit("ann", "s1")
            with pytest.raises(StateUnavailable):
                await state.replace_rollout(ROLLOUT)
            assert await state.rollout() == ROLLOUT
            assert not state.health.using_fallback
            await state.renew("bob", "running")
            await state.end("bob", "running")
            redis.start()
            await is_back(state)
            assert isinstance(await state.admit("ann", "s2"), Granted)


async def test_an_open_session_keeps_its_place_over_a_restart(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url, concurrent=1) as state, instance(redis.url, concurrent=1) as other:
            await state.admit("ann", "open")
            redis.kill()
            redis.start()
            await state.renew("ann", "open")
            await is_back(state)
            await is_back(other)
            assert await other.admit("ann", "second") == LimitReached(Limit.CONCURRENCY)


async def test_a_killed_instance_frees_its_users_places_when_the_lease_lapses(redis: RedisServer) -> None:
    async with instance(redis.url, concurrent=1) as state:
        await state.admit("ann", "open")
        keys = UserKeys("ann")
        assert 25_000 < redis.do("PTTL", keys.leases) <= 30_000


async def test_another_instances_rollout_is_in_force_within_two_seconds(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one, instance(redis.url) as two:
            changed = await one.replace_rollout(msgspec.structs.replace(ROLLOUT, enabled=False, percent=5))
            assert changed is not None
            with trio.fail_after(2):
                assert await two.wait_rollout_change(ROLLOUT) == changed
            assert await two.replace_rollout(ROLLOUT) is None


async def test_a_rollout_changed_while_it_is_away_holds_here_and_everywhere_afterwards(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one, instance(redis.url) as two:
            redis.kill()
            changed = await one.replace_rollout(msgspec.structs.replace(ROLLOUT, enabled=False))
            assert (await one.rollout(), await two.rollout()) == (changed, ROLLOUT)
            redis.start()
            with trio.fail_after(10):
                assert await two.wait_rollout_change(ROLLOUT) == changed


async def test_a_redis_that_restarted_empty_gets_the_document_back_not_the_seed(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one:
            changed = await one.replace_rollout(msgspec.structs.replace(ROLLOUT, percent=7))
            redis.kill()
            redis.start()
            async with instance(redis.url) as newcomer:  # it seeds version 0
                await is_back(one)
                with trio.fail_after(5):
                    assert await newcomer.wait_rollout_change(ROLLOUT) == changed


async def test_spending_is_told_once_however_often_redis_goes_away(redis: RedisServer) -> None:
    with trio.fail_after(40):
        async with instance(redis.url) as one, instance(redis.url) as two:
            await one.add_spent("2026-11-21", 100, {"ann": 60, "bob": 40})
            assert await two.add_spent("2026-11-21", 10, {"ann": 10}) == 110
            for _ in range(2):
                redis.kill()
                await two.add_spent("2026-11-21", 10, {"bob": 10})
                assert (await two.spenders("2026-11-21", 1, "ann")).asked_for == 10  # its own alone, meanwhile
                redis.start()
                await is_back(one)
                await is_back(two)
            assert await one.spent("2026-11-21") == await two.spent("2026-11-21") == 130
            assert (await one.spenders("2026-11-21", 5)).top == (("ann", 70), ("bob", 60))


def a_record(**changes: object) -> SessionRecord:
    record = SessionRecord(
        session_id="s1", user_id="ann", instance="a", started=time.time() - 5, duration_seconds=600.0, revision=1
    )
    return msgspec.structs.replace(record, **changes)


async def test_records_written_while_it_is_away_are_there_for_others_when_it_is_back(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one, instance(redis.url) as two:
            await one.put_record(a_record())
            redis.kill()
            await one.put_record(a_record(revision=2, language="zh"))
            redis.start()
            await is_back(one)
            await is_back(two)
            with trio.fail_after(5):
                found = await _as_soon_as_known(two)
            assert found is not None
            assert (found.revision, found.language) == (2, "zh")


async def _as_soon_as_known(state: RedisState) -> SessionRecord | None:
    while True:
        try:
            return await state.record("ann", "s1")
        except StateUnavailable:
            await trio.sleep(0.02)


async def test_a_short_outage_does_not_say_that_a_session_of_another_instance_has_no_record_F70(
    redis: RedisServer,
) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as one, instance(redis.url) as two:
            assert await two.record("ann", "s1") is None
            await one.put_record(a_record())
            redis.kill()
            with pytest.raises(StateUnavailable):
                await two.record("ann", "s1")
            assert await one.record("ann", "s1") == a_record(started=(await _kept(one)).started)
            redis.start()  # empty
            found = await _as_soon_as_known(two)
            assert found is not None
            assert found.revision == 1


async def _kept(state: RedisState) -> SessionRecord:
    found = await state.record("ann", "s1")
    assert found is not None
    return found


async def test_after_a_long_outage_a_session_without_a_record_is_begun_anew_F70(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REDIS_SHORT_OUTAGE_SECONDS", 0.3)
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.kill()
            with pytest.raises(StateUnavailable):
                await state.record("ann", "s1")
            await trio.sleep(0.4)
            assert await state.record("ann", "s1") is None


async def test_a_deletion_while_it_is_away_is_admitted_and_made_good(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            await state.put_record(a_record())
            redis.freeze()
            with pytest.raises(StateUnavailable, match="as soon as it is back"):
                await state.delete_records("ann")
            assert await state.record("ann", "s1") is None
            redis.thaw()
            await is_back(state)
            assert await state.record("ann", "s1") is None
            assert redis.do("EXISTS", UserKeys("ann").record("s1")) == 0


async def test_a_key_of_the_wrong_kind_harms_one_user_only(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            redis.do("SET", UserKeys("ann").slots, "not ours")
            assert isinstance(await state.admit("ann", "s1"), Granted)
            assert state.health.available
            await trio.sleep(4)  # the next look tells what is owed
            assert state.health.available


async def test_everything_it_holds_has_our_prefix_and_lapses_by_itself(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            await state.admit("ann@example.com", "s1")
            await state.reset("ann@example.com")
            await state.admit("ann@example.com", "s2")
            await state.put_record(a_record(user_id="ann@example.com"))
            await state.put_record(a_record(user_id="bob"))
            await state.delete_records("bob")
            await state.add_spent("2026-11-21", 5, {"4f1d": 5})
            await state.announce(
                InstanceInfo(instance="i", host="h", pid=7, version="1", started=5, active=2, places=60)
            )
            keys = redis.keys()
            assert len(keys) >= 13
            for key in keys:
                assert key.startswith("voice:")
                assert "ann" not in key
                assert redis.do("PTTL", key) > 0, key


async def test_an_admission_is_one_round_trip(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url, limit=10_000) as state:
            await state.admit("ann", "first")
            before = redis.commands_processed()
            for number in range(100):
                await state.admit("ann", f"s{number}")
            scripts = int(redis.do("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
            # A script's own commands count as well; looks and polls are a handful.
            assert scripts <= 100 + 10
            assert redis.commands_processed() - before < 100 * 12 + 50


async def test_a_crowd_of_one_user_costs_redis_hardly_more_than_one_attempt(redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with instance(redis.url) as state:
            decisions: list[Granted | LimitReached] = []

            async def attempt(number: int) -> None:
                decisions.append(await state.admit("ann", f"s{number}"))

            async with trio.open_nursery() as nursery:
                for number in range(500):
                    nursery.start_soon(attempt, number)
            assert sum(isinstance(decision, Granted) for decision in decisions) == 5
            assert len(decisions) == 500
            scripts = redis.do("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
            assert scripts < 20
            await state.reset("ann")
            assert await granted(state, tries=6, prefix="again") == 5


async def test_no_words_reach_redis_where_none_may_be_kept(redis: RedisServer) -> None:
    turn = RecordedTurn(said=(RecordedItem(item_id="i1", text="how warm?"),))
    with trio.fail_after(30):
        async with instance(redis.url, store_transcripts=False) as state:
            await state.put_record(a_record(turns=(turn,), usage={"total_tokens": 3}))
            stored = redis.do("HGET", UserKeys("ann").record("s1"), "json")
            assert b"how warm" not in stored
            assert b'"total_tokens":3' in stored


def test_a_server_that_comes_after_the_meeting_is_not_trusted() -> None:
    servers = KnownServers()
    assert not servers.admits("first")
    servers.begin()
    assert servers.admits_probe("first")
    servers.freeze()
    assert not servers.admits_probe("restarted while it was being told")
    servers.accept_probed()

    assert servers.admits("first")
    assert not servers.admits("restarted while it was being told")
    servers.begin()
    assert servers.admits_probe("second")
    assert servers.admits("first")  # until the new one was told everything
    servers.freeze()
    servers.accept_probed()
    assert not servers.admits("first")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_to_redis_the_bound_holds_and_nothing_granted_is_forgotten(
    redis: RedisServer, seed: int
) -> None:
    chance = random.Random(seed)
    kept: dict[str, set[str]] = {"one": set(), "two": set()}
    with trio.fail_after(55):
        async with instance(redis.url, limit=4) as one, instance(redis.url, limit=4) as two:
            states = {"one": one, "two": two}
            for step in range(60):
                name = chance.choice(["one", "two"])
                match chance.choice(["admit"] * 6 + ["give back", "kill", "start", "freeze", "thaw", "wait"]):
                    case "admit":
                        if isinstance(await states[name].admit("ann", f"s{step}"), Granted):
                            kept[name].add(f"s{step}")
                    case "give back" if kept[name]:
                        session = chance.choice(sorted(kept[name]))
                        kept[name].remove(session)
                        await states[name].release("ann", session)
                    case "kill":
                        redis.kill()
                    case "start" if not redis.is_running:
                        redis.start()
                    case "freeze" if redis.is_running:
                        redis.freeze()
                    case "thaw" if redis.is_running:
                        redis.thaw()
                    case _:
                        await trio.sleep(chance.random() * 0.5)
                assert max(map(len, kept.values())) <= 4, f"step {step}"
            redis.kill()
            redis.start()
            for state in states.values():
                await state.renew("ann", "anything")  # finds out that it was restarted
                await is_back(state)
            stored = {session.decode() for session in redis.do("ZRANGE", UserKeys("ann").slots, "0", "-1")}
            assert stored == kept["one"] | kept["two"]


@pytest.mark.parametrize("seconds_before", [0.12, 0.0], ids=["from the start", "later on"])
async def test_a_redis_at_120_ms_is_not_used_and_does_not_flap_F70(redis: RedisServer, seconds_before: float) -> None:
    with trio.fail_after(30), capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            proxy = SlowProxy(redis.port, seconds_before)
            await nursery.start(proxy.run)
            async with instance(f"redis://127.0.0.1:{proxy.port}/0") as state:
                proxy.seconds = 0.12
                for number in range(10):
                    await state.admit(f"user{number}", f"s{number}")
                    await trio.sleep(0.5)
                assert state.health.fault is not None
                assert "slow" in state.health.fault
                lines = [line["event"] for line in logged if line["event"] in ("redis_up", "redis_down")]
                assert lines == (["redis_up", "redis_down"] if seconds_before == 0 else ["redis_down"])
                proxy.seconds = 0.0
                assert await is_back(state) < 10
            nursery.cancel_scope.cancel()
