"""A session resumed many times at once, or after its gateway died: processes over a real Redis (I15)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from tests.support.deployment import (
    SERVE_COMMAND,
    Deployment,
    GatewayProcess,
    environment,
    fill_knowledge,
    model_on_tcp,
    token,
)
from tests.support.redis_servers import redis_server
from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from voice_trio.testing import FakeClient

AT_ONCE = 12
SETTLED_SECONDS_MAX = 4.0  # takeovers, and the close frames of those who lost


@asynccontextmanager
async def gateways(tmp_path: Path, count: int, **variables: str) -> AsyncIterator[list[Deployment]]:
    """Several processes with one model and one Redis behind them."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    with redis_server() as redis:
        async with model_on_tcp() as (model, model_url), trio.open_nursery() as nursery:
            environ = environment(model_url, knowledge, LOG_FORMAT="json", REDIS_URL=redis.url, **variables)
            processes = [GatewayProcess(SERVE_COMMAND, environ) for _ in range(count)]
            async with trio.open_nursery() as starting:
                for process in processes:
                    starting.start_soon(nursery.start, process.run)
            yield [Deployment(process.port, model, process) for process in processes]
            for process in processes:
                process.kill()


async def ready(client: FakeClient) -> dict[str, Any]:
    event: dict[str, Any] = (await client.hears("connection.ready")).event
    return event


async def resume(deployment: Deployment, nursery: trio.Nursery, left: dict[str, Any], user: str = "ada") -> FakeClient:
    url = f"{deployment.url}?resume={left['resume_token']}"
    return await deployment.join(nursery, url, shown=token(user))


async def test_twelve_resumes_at_once_leave_exactly_one_live_on_one_two_and_three_instances_F11(
    tmp_path: Path,
) -> None:
    with trio.fail_after(40):
        async with gateways(tmp_path, 3) as deployments:
            for count in (1, 2, 3):
                for is_live in (True, False):
                    await resume_twelve_times(deployments[:count], f"user {count} {is_live}", is_live=is_live)


def still_open(clients: list[FakeClient]) -> list[FakeClient]:
    return [client for client in clients if client.closed_with is None]


async def resume_twelve_times(deployments: list[Deployment], user: str, *, is_live: bool) -> None:
    """All at once, spread over `deployments`, while the session's own connection is live, or has been left."""
    model = deployments[0].model
    connections_before = model.connections
    async with trio.open_nursery() as nursery:
        first = await deployments[0].join(nursery, shown=token(user))
        left = await ready(first)
        if not is_live:
            await first.hang_up(1001)
        clients: list[FakeClient] = []

        async def arrive(number: int) -> None:
            clients.append(await resume(deployments[number % len(deployments)], nursery, left, user))

        async with trio.open_nursery() as arriving:
            for number in range(AT_ONCE):
                arriving.start_soon(arrive, number)
        with trio.fail_after(SETTLED_SECONDS_MAX):
            while len(live := still_open(clients)) > 1:  # noqa: ASYNC110  # other processes: no event to wait for
                await trio.sleep(0.05)
        await trio.sleep(0.3)  # and it stays so
        assert still_open(clients) == live
        assert {client.closed_with.code for client in clients if client.closed_with is not None} == {4001}
        assert first.closed_with is not None
        await live[0].ping("here")
        await live[0].hears("pong")
        assert sum([await one.active_sessions() for one in deployments]) == 1
        # Paid for: the first, and few of the twelve.
        assert model.connections - connections_before <= 1 + 2 * len(deployments)
        await live[0].end_session()
        await live[0].is_closed()
        nursery.cancel_scope.cancel()


async def test_a_resume_waits_at_most_0_7_s_for_a_gateway_that_was_killed_F64(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with gateways(tmp_path, 2) as (one, two), trio.open_nursery() as nursery:
            sessions = {user: await ready(await one.join(nursery, shown=token(user))) for user in ("ada", "bob")}
            assert one.process is not None
            await trio.sleep(0.5)  # their records are written
            one.process.kill()
            killed_at = trio.current_time()
            seconds: dict[str, float] = {}
            for user, after in (("ada", 0.0), ("bob", limits.REDIS_SILENT_SECONDS + 0.5)):
                await trio.sleep_until(killed_at + after)
                began_at = trio.current_time()
                back = await ready(await resume(two, nursery, sessions[user], user))
                seconds[user] = trio.current_time() - began_at
                assert back["session_id"] == sessions[user]["session_id"]
            assert seconds["ada"] < limits.TAKE_OVER_SECONDS_MAX + 0.8  # the rest is the upstream's handshake
            assert seconds["bob"] < limits.TAKE_OVER_SECONDS_MAX
            nursery.cancel_scope.cancel()


async def test_a_crowd_that_resumes_at_once_after_a_kill_is_live_to_the_last_one_F70(tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(40)]
    with trio.fail_after(40):
        async with gateways(tmp_path, 2) as (one, two), trio.open_nursery() as nursery:
            sessions = {user: await ready(await one.join(nursery, shown=token(user))) for user in users}
            await trio.sleep(0.5)  # their records are written
            assert one.process is not None
            one.process.kill()
            back: dict[str, str] = {}

            async def come_back(user: str) -> None:
                back[user] = (await ready(await resume(two, nursery, sessions[user], user)))["session_id"]

            async with trio.open_nursery() as crowd:
                for user in users:
                    crowd.start_soon(come_back, user)
            assert back == {user: sessions[user]["session_id"] for user in users}
            assert await two.active_sessions() == len(users)
            nursery.cancel_scope.cancel()
