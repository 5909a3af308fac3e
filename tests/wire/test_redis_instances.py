"""Gateways as deployed, several processes or one, beside a real Redis that comes and goes."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import (
    SERVE_COMMAND,
    Deployment,
    GatewayProcess,
    environment,
    fill_knowledge,
    gateway,
    gateway_process,
    model_on_tcp,
    token,
)
from tests.support.redis_servers import RedisServer, SlowProxy, redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from voice_trio.testing import FakeClient

HEALTH_SECONDS_MAX = 10.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server(password="never shown") as server:
        server.password = "never shown"
        yield server


def url(redis: RedisServer) -> str:
    return f"redis://:never%20shown@{redis.address}/0"


@asynccontextmanager
async def two_gateways(tmp_path: Path, **variables: str) -> AsyncIterator[tuple[Deployment, Deployment]]:
    """Two processes with one model behind them."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with model_on_tcp() as (model, model_url), trio.open_nursery() as nursery:
        environ = environment(model_url, knowledge, LOG_FORMAT="json", **variables)
        processes = [GatewayProcess(SERVE_COMMAND, environ) for _ in range(2)]
        for process in processes:
            await nursery.start(process.run)
        one, two = (Deployment(process.port, model, process) for process in processes)
        yield one, two
        for process in processes:
            process.kill()


async def ready(client: FakeClient) -> dict[str, Any]:
    event: dict[str, Any] = (await client.hears("connection.ready")).event
    await client.hears("session.updated")
    return event


async def is_refused(deployment: Deployment, nursery: trio.Nursery, code: str, **how: Any) -> dict[str, Any]:
    client = await deployment.join(nursery, **how)
    error: dict[str, Any] = (await client.hears("error")).event["error"]
    assert error["code"] == code
    await client.is_closed()
    return error


async def redis_health(deployment: Deployment) -> dict[str, Any]:
    health = (await deployment.get("/v1/voice/health")).json
    return {**health["redis"], "status": health["status"]}


async def health_says(deployment: Deployment, *, available: bool) -> None:
    with trio.fail_after(HEALTH_SECONDS_MAX):
        while (await redis_health(deployment))["redis_available"] is not available:  # noqa: ASYNC110  # one can only ask
            await trio.sleep(0.1)


async def ask(port: int, method: str, path: str, body: object = None, *, admin: bool = True) -> tuple[int, Any]:
    """An HTTP request with a body, by an administrator."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(data)}", "Connection: close"]
    lines.append(f"Authorization: Bearer {token('root', is_admin=admin)}")
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode() + data)
        answer = b""
        while not (length := re.search(rb"content-length: (\d+)", answer.partition(b"\r\n\r\n")[0])) or (
            len(answer.partition(b"\r\n\r\n")[2]) < int(length[1])
        ):
            chunk = await stream.receive_some()
            assert chunk, answer
            answer += chunk
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_the_sixth_session_is_refused_wherever_it_lands(tmp_path: Path, redis: RedisServer) -> None:
    limits = {"MAX_SESSIONS_PER_USER_PER_HOUR": "5", "REDIS_URL": url(redis)}
    with trio.fail_after(30):
        async with two_gateways(tmp_path, **limits) as deployments, trio.open_nursery() as nursery:
            for number in range(5):
                client = await deployments[number % 2].join(nursery)
                await ready(client)
                await client.end_session()
                await client.is_closed()
            error = await is_refused(deployments[1], nursery, "rate_limited")
            assert 3500 < error["retry_after"] <= 3600
            await is_refused(deployments[0], nursery, "rate_limited")
            nursery.cancel_scope.cancel()


async def test_a_session_whose_gateway_was_killed_goes_on_at_another_with_its_history(
    tmp_path: Path, redis: RedisServer
) -> None:
    limits = {"MAX_SESSIONS_PER_USER_PER_HOUR": "1", "MAX_CONCURRENT_SESSIONS_PER_USER": "1", "REDIS_URL": url(redis)}
    with trio.fail_after(30):
        async with two_gateways(tmp_path, **limits) as (one, two), trio.open_nursery() as nursery:
            one.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            first = await one.join(nursery)
            left = await ready(first)
            await first.type("how warm must the brooder be")
            await first.hears("response.done")
            await trio.sleep(0.5)  # played to its end, and written
            assert one.process is not None
            one.process.kill()
            await first.is_closed()
            second = await two.join(nursery, f"{two.url}?resume={left['resume_token']}")
            back = await ready(second)
            assert back["session_id"] == left["session_id"]
            await second.type("and for ducks?")
            await second.hears("response.done")
            words = [
                part.get("text") or part.get("transcript")
                for item in two.model.items
                if item["role"] != "system"
                for part in item["content"]
            ]
            assert words[:3] == ["how warm must the brooder be", "Thirty-four degrees.", "and for ducks?"]
            nursery.cancel_scope.cancel()


async def test_a_resume_elsewhere_takes_a_live_connection_over(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with two_gateways(tmp_path, REDIS_URL=url(redis)) as (one, two), trio.open_nursery() as nursery:
            first = await one.join(nursery)
            left = await ready(first)
            await trio.sleep(0.3)
            with trio.fail_after(4):
                second = await two.join(nursery, f"{two.url}?resume={left['resume_token']}")
                assert (await ready(second))["session_id"] == left["session_id"]
            closed = await first.is_closed()
            assert (closed.code, closed.reason) == (4001, "Resumed elsewhere")
            await second.ping("here")
            await second.hears("pong")
            nursery.cancel_scope.cancel()


async def test_redis_is_killed_in_mid_session_and_nobody_in_it_notices(tmp_path: Path, redis: RedisServer) -> None:
    variables = {
        "REDIS_URL": url(redis),
        "MAX_SESSIONS_PER_USER_PER_HOUR": "2",
        "MAX_CONCURRENT_SESSIONS_PER_USER": "9",
    }
    with trio.fail_after(40):
        async with gateway(tmp_path, **variables) as deployment, trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            client = await deployment.join(nursery)
            await ready(client)
            before = await redis_health(deployment)
            assert (before["status"], before["using_fallback"]) == ("healthy", False)
            assert before["redis_version"].startswith(("6", "7", "8"))
            redis.kill()
            await health_says(deployment, available=False)
            during = await redis_health(deployment)
            assert (during["status"], during["using_fallback"], during["fault"]) == ("degraded", True, "unreachable")
            assert "never" not in json.dumps(during)
            await client.type("how warm must the brooder be")
            await client.hears("response.done")
            await ready(await deployment.join(nursery))
            await is_refused(deployment, nursery, "rate_limited")
            redis.start()
            await health_says(deployment, available=True)
            assert (await redis_health(deployment))["status"] == "healthy"
            await is_refused(deployment, nursery, "rate_limited")
            client.forget()
            await client.type("and for ducks?")
            await client.hears("response.done")
            nursery.cancel_scope.cancel()


def wrong_password(redis: RedisServer) -> None:
    redis.do("CONFIG", "SET", "requirepass", "another")
    redis.password = "another"
    redis.do("CLIENT", "KILL", "TYPE", "normal")


TROUBLES: dict[str, Callable[[RedisServer, SlowProxy], object]] = {
    "frozen": lambda redis, _: redis.freeze(),
    "full": lambda redis, _: redis.fill(),
    "read-only": lambda redis, _: redis.do("REPLICAOF", "127.0.0.1", "1"),
    "wrong password": lambda redis, _: wrong_password(redis),
    "slow": lambda _, proxy: setattr(proxy, "seconds", 1.0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_redis_in_trouble_delays_no_audio(tmp_path: Path, redis: RedisServer, trouble: str) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            proxy = SlowProxy(redis.port)
            await nursery.start(proxy.run)
            async with gateway(tmp_path, REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0") as deployment:
                deployment.model.answers_with("Thirty-four degrees.", audio_ms=1500, first_audio_after=0)
                client = await deployment.join(nursery)
                await ready(client)
                TROUBLES[trouble](redis, proxy)
                other = await deployment.join(nursery, shown=token("grace"))
                with trio.fail_after(1.0):  # 250 ms at most for Redis
                    await other.hears("connection.ready")
                asked_at = trio.current_time()
                await client.type("how warm must the brooder be")
                await client.hears("response.audio.delta")
                assert trio.current_time() - asked_at < 0.2 + 0.3
                await client.hears("response.done")
                if trouble == "frozen":
                    redis.thaw()
                proxy.seconds = 0.0
            nursery.cancel_scope.cancel()


async def test_audio_costs_no_call_to_redis(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_trio.limits.REDIS_POLL_SECONDS", 60.0)  # else it would be most of what is counted
    with trio.fail_after(30):
        async with gateway(tmp_path, REDIS_URL=url(redis)) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await ready(client)
            await trio.sleep(0.3)
            before = redis.commands_processed()
            await client.speak(3.0)
            # 75 frames; a look at its health, a lease, the record: no more.
            assert redis.commands_processed() - before < 50
            nursery.cancel_scope.cancel()


DOCUMENT = {"enabled": True, "percent": 100, "beta_users": [], "plans": ["elite"], "version": 0}


async def test_the_plug_pulled_at_one_gateway_ends_sessions_at_the_other(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(30):
        async with two_gateways(tmp_path, REDIS_URL=url(redis)) as (one, two), trio.open_nursery() as nursery:
            client = await two.join(nursery)
            await ready(client)
            status, _ = await ask(
                one.port, "PUT", "/v1/voice/rollout", DOCUMENT | {"enabled": False, "message": "back soon"}
            )
            assert status == 200
            with trio.fail_after(2):
                while (await ask(two.port, "GET", "/api/v1/voice/rollout"))[1]["enabled"]:  # noqa: ASYNC110  # one asks
                    await trio.sleep(0.05)
            await is_refused(two, nursery, "feature_disabled", shown=token("grace"))
            await client.ping("still here")
            await client.hears("pong")
            off = DOCUMENT | {"enabled": False, "end_sessions": True, "version": 1}
            status, now = await ask(one.port, "PUT", "/v1/voice/rollout", off)
            assert (status, now["version"]) == (200, 2)
            with trio.fail_after(5):
                assert (await client.hears("session.ending")).event["reason"] == "switched_off"
                closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1008, "Voice realtime feature disabled")
            assert one.process is not None
            [first, second] = one.process.events("rollout_changed")
            assert (first["enabled"], second["end_sessions"]) == ([True, False], [False, True])
            nursery.cancel_scope.cancel()


async def test_a_bad_rollout_is_refused_by_field_and_changes_nothing(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway(tmp_path) as deployment:
            put = partial(ask, deployment.port, "PUT", "/v1/voice/rollout")
            before = await ask(deployment.port, "GET", "/v1/voice/rollout")
            for field, value in (("percent", 101), ("enabled", "yes"), ("colour", "red"), ("plans", None)):
                status, told = await put(DOCUMENT | {field: value})
                assert (status, field in told["error"]["message"]) == (400, True)
            assert (await put(b"{"))[0] == 400
            assert (await put(b"\xff"))[0] == 400
            assert (await put(b"[" * 100_000))[0] == 400
            status, told = await put(DOCUMENT | {"version": 7})
            assert (status, told["error"]["code"], told["rollout"]["version"]) == (409, "conflict", 0)
            assert (await put(DOCUMENT, admin=False))[0] == 403
            assert await ask(deployment.port, "GET", "/v1/voice/rollout") == before


async def test_records_are_deleted_by_user_and_only_by_administrators(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(20):
        async with gateway(tmp_path, REDIS_URL=url(redis)) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await ready(client)
            await trio.sleep(0.2)
            assert [key for key in redis.keys() if ":record:" in key]  # noqa: SIM118  # a server, not a mapping
            assert (await ask(deployment.port, "DELETE", "/v1/voice/sessions?user=ada", admin=False))[0] == 403
            assert (await ask(deployment.port, "DELETE", "/v1/voice/sessions"))[0] == 400
            assert await ask(deployment.port, "DELETE", "/api/v1/voice/sessions?user=ada") == (200, {"deleted": 1})
            await client.end_session()
            await client.is_closed()
            assert not [key for key in redis.keys() if ":record:" in key]  # noqa: SIM118  # a server, not a mapping
            nursery.cancel_scope.cancel()


async def test_a_gateway_starts_without_its_redis_and_finds_it_later(tmp_path: Path, redis: RedisServer) -> None:
    redis.kill()
    with trio.fail_after(30):
        async with gateway_process(tmp_path, REDIS_URL=url(redis)) as deployment:
            assert (await redis_health(deployment))["using_fallback"]
            redis.start()
            await health_says(deployment, available=True)
            assert deployment.process is not None
            assert not [line for line in deployment.process.log if "never" in line and "shown" in line]
