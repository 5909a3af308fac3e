"""Several processes, Sentinels, a Cluster: what only shows when there are more than one of something."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.certificates import certificate
from tests.support.redis_fixture import granted, instance, is_back
from tests.support.redis_servers import RedisServer, free_port, redis_cluster, redis_server, redis_with_sentinels
from voice_trio.state.instance_registry import InstanceInfo
from voice_trio.state.redis.keys import UserKeys
from voice_trio.state.state import Granted, Limit, LimitReached, Spenders

if TYPE_CHECKING:
    from voice_trio.state.redis.state import RedisState

pytestmark = pytest.mark.usefixtures("redis_is_here")

ROOT = Path(__file__).parents[2]


def test_of_a_thousand_simultaneous_attempts_from_four_processes_exactly_five_pass() -> None:
    command = [sys.executable, "-m", "tests.support.crowd"]
    with redis_server() as redis, ExitStack() as stack:
        crowd = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, redis.url, "250"], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            for _ in range(4)
        ]
        for process in crowd:
            stack.callback(process.kill)
            wait_for_line(process, "ready")
        for process in crowd:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [int(wait_for_line(process, "granted").split()[1]) for process in crowd]
        assert sum(counts) == 5
        assert redis.do("ZCARD", UserKeys("ann").slots) == 5


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """The next line of that kind; the process logs to the same stream."""
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(start):
        assert line, "the process ended early"
    return line


async def test_two_instances_count_together() -> None:
    with trio.fail_after(20), redis_server() as redis:
        async with instance(redis.url) as one, instance(redis.url) as two:
            assert await granted(one, tries=3) == 3
            assert await granted(two, tries=3) == 2
            refused = await one.admit("ann", "sixth")
            assert isinstance(refused, LimitReached)
            assert refused.limit is Limit.RATE
            assert 3590 < (refused.retry_after or 0) <= 3600
            await two.reset("ann")
            assert isinstance(await one.admit("ann", "sixth"), Granted)


async def test_an_open_session_counts_on_every_instance() -> None:
    with trio.fail_after(20), redis_server() as redis:
        async with instance(redis.url, concurrent=2) as one, instance(redis.url, concurrent=2) as two:
            await one.admit("ann", "s1")
            await two.admit("ann", "s2")
            assert await one.admit("ann", "s3") == LimitReached(Limit.CONCURRENCY)
            await two.end("ann", "s2")
            assert await one.admit("ann", "s3") == Granted()


async def test_over_tls_only_a_server_with_a_right_certificate_is_believed(tmp_path: Path) -> None:
    tls, tls_port = certificate(tmp_path), free_port()
    options = ("--tls-port", str(tls_port), "--tls-cert-file", tls.certfile, "--tls-key-file", tls.keyfile)
    with trio.fail_after(20), redis_server(*options, "--tls-auth-clients", "no"):
        async with instance(f"rediss://localhost:{tls_port}/0?ca={tls.certfile}") as state:
            assert state.health.available
            assert await granted(state) == 5
        async with instance(f"rediss://localhost:{tls_port}/0") as state:
            assert not state.health.available
            assert "certificate" in (state.health.fault or "")


def presence(instance_id: str) -> InstanceInfo:
    return InstanceInfo(instance=instance_id, host="h", pid=7, version="1", started=5.0, active=2, places=60)


async def test_a_redis_that_was_flushed_gives_nobody_a_second_allowance_F70() -> None:
    with trio.fail_after(30), redis_server() as redis:
        async with instance(redis.url) as one, instance(redis.url) as two, instance(redis.url) as three:
            for state in (one, two, three, one):
                await state.announce(presence(state.instance))
            assert await granted(one, tries=3) == 3
            assert await granted(two, tries=2) == 2
            for _ in range(2):
                redis.do("FLUSHALL")
                async with trio.open_nursery() as nursery:
                    for state in (three, one, two):
                        nursery.start_soon(granted_none, state)
                assert redis.do("ZCARD", UserKeys("ann").slots) == 5
            assert all(state.health.available for state in (one, two, three))


async def granted_none(state: RedisState) -> None:
    assert await granted(state, tries=3, prefix="more") == 0


def cluster_url(nodes: list[RedisServer]) -> str:
    return f"redis+cluster://{','.join(node.address for node in nodes)}"


async def test_a_cluster_of_three_keeps_the_limits_of_users_all_over_it() -> None:
    with trio.fail_after(40), redis_cluster() as nodes:
        async with instance(cluster_url(nodes)) as one, instance(cluster_url(nodes[1:])) as two:
            assert one.health.available
            for number in range(12):
                assert await granted(one, f"user{number}", tries=3) == 3
                assert await granted(two, f"user{number}", tries=3) == 2
            assert await one.add_spent("2026-11-21", 5, {"ann": 5}) == 5
            assert await two.add_spent("2026-11-21", 7, {"ann": 3, "bob": 4}) == 12
            assert await one.spenders("2026-11-21", 5, "ann") == Spenders((("ann", 8), ("bob", 4)), asked_for=8)
            await one.announce(presence(one.instance))
            assert {one.instance, two.instance} == {
                each.instance for each in await two.announce(presence(two.instance))
            }
            await one.withdraw()
            assert [each.instance for each in await two.instances()] == [two.instance]
            assert await one.delete_records("user1") == 0
        holding = [len([key for key in node.keys() if key.endswith(":slots")]) for node in nodes]  # noqa: SIM118  # theirs
        assert sum(holding) == 12
        assert all(holding), "the users lie on all nodes"


@pytest.mark.slow
async def test_a_cluster_that_loses_a_node_is_done_without_and_taken_up_again() -> None:
    with trio.fail_after(55), redis_cluster() as nodes:
        async with instance(cluster_url(nodes)) as state:
            assert await granted(state, tries=3) == 3
            nodes[2].kill()
            for number in range(20):  # some of them lived there
                await state.admit(f"user{number}", "s")
            assert state.health.using_fallback
            assert await granted(state, tries=5, prefix="away") == 2
            nodes[2].start()
            await is_back(state)
            assert await granted(state, tries=5, prefix="back") == 0


@pytest.mark.slow
async def test_a_failover_by_sentinels_is_followed_and_gives_nobody_a_second_allowance() -> None:
    with trio.fail_after(58), redis_with_sentinels() as servers:
        async with instance(servers.url) as one, instance(servers.url) as two:
            assert await granted(one, tries=3) == 3
            servers.master.kill()
            assert await granted(one, tries=5, prefix="away") == 2
            with trio.fail_after(20):
                while servers.replica.do("INFO", "replication")["role"] != "master":  # noqa: ASYNC110  # theirs to tell
                    await trio.sleep(0.1)
            await is_back(one)
            await is_back(two)
            assert await granted(two, tries=5, prefix="back") == 0
            assert servers.replica.do("ZCARD", UserKeys("ann").slots) == 5
