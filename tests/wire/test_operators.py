"""Live sessions listed, shown and ended, and users barred, on real gateways (F18): over HTTP, and through Redis."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import SCRIPTS, SECRET, Deployment, gateway, inherited, token
from tests.support.redis_servers import RedisServer, redis_server
from tests.wire.test_redis_instances import ask, is_refused, ready, two_gateways
from voice_trio.auth.tokens import user_hash
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = str(SCRIPTS / "voice-trio")
ADA, CARL = (user_hash(name, load_settings({"JWT_SECRET": SECRET}).signing_secret) for name in ("ada", "carl"))
SECONDS_MAX = 40
FOLLOWED_SECONDS_MAX = 2.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    done = await trio.run_process(
        [COMMAND, *arguments],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**inherited("PATH", "PYTHONPATH"), "HOME": "/nonexistent", **environ},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def over_http(deployment: Deployment) -> dict[str, str]:
    admin = token("root", is_admin=True)
    return {"VOICE_ADMIN_URL": f"http://127.0.0.1:{deployment.port}", "VOICE_ADMIN_TOKEN": admin}


async def test_over_http_a_session_is_listed_shown_and_ended_and_cannot_be_resumed_F18(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            client = await deployment.join(nursery)
            left = await ready(client)
            await client.type("how warm must the brooder be")
            await client.hears("response.done")
            await trio.sleep(0.5)
            how, name = over_http(deployment), left["session_id"]

            _, stdout, _ = await run("sessions", "list", "--json", "--user", "ada", **how)
            [listed] = json.loads(stdout)["sessions"]
            assert (listed["session_id"], listed["user"], listed["turns"]) == (name, ADA, 1)
            assert (listed["state"], listed["protocol"], listed["plan"]) == ("listening", "voice", "elite")
            exit_code, stdout, _ = await run("sessions", "list", **how)
            assert (exit_code, name in stdout, ADA in stdout) == (0, True, True)

            _, stdout, _ = await run("sessions", "show", name, **how)
            assert "1 completed" in stdout
            assert "brooder" not in stdout
            _, stdout, _ = await run("sessions", "show", name, "--words", **how)
            assert "how warm must the brooder be" in stdout

            assert (await run("sessions", "end", "vs_none", **how))[0] == 1
            assert await run("sessions", "end", name, **how) == (0, f"{name} ended\n", "")
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1008, "Session ended by an operator")
            _, stdout, _ = await run("sessions", "show", name, "--json", **how)
            shown = json.loads(stdout)
            assert (shown["live"], shown["record"]["end_reason"]) == (None, "ended_by_operator")
            again = await deployment.join(nursery, f"{deployment.url}?resume={left['resume_token']}")
            assert (await again.hears("error")).event["error"]["code"] == "resume_invalid"
            nursery.cancel_scope.cancel()


async def test_over_http_a_user_is_barred_and_their_sessions_end_F18(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            ada, grace = await deployment.join(nursery), await deployment.join(nursery, shown=token("grace"))
            await ready(ada)
            await ready(grace)
            how = over_http(deployment)
            exit_code, stdout, _ = await run("rollout", "bar", "ada", **how)
            assert (exit_code, stdout) == (0, f"barred: {ADA} (version 1 of the rollout)\n")
            closed = await ada.is_closed()
            assert (closed.code, closed.reason) == (1008, "Session ended by an operator")
            await is_refused(deployment, nursery, "not_in_rollout", shown=token("ada", is_admin=True))
            await grace.ping("still here")
            await grace.hears("pong")
            assert (await run("rollout", "bar", ADA, **how))[0] == 0
            assert (await run("rollout", "unbar", "ada", **how))[0] == 0
            assert await run("rollout", "unbar", "carl", **how) == (1, "", f"Error: not barred: {CARL}\n")
            nursery.cancel_scope.cancel()


async def test_over_http_the_rollout_is_changed_and_records_and_limits_are_deleted_F38(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, MAX_SESSIONS_PER_USER_PER_HOUR="1") as deployment, trio.open_nursery() as nursery:
            await ready(await deployment.join(nursery))
            how = over_http(deployment)
            refused = await deployment.join(nursery)
            assert (await refused.hears("error")).event["error"]["code"] == "rate_limited"
            assert await run("sessions", "reset-limit", "--user", "ada", **how) == (0, "all rate slots are free\n", "")
            await ready(await deployment.join(nursery))
            assert (await run("sessions", "delete", "--user", "ada", **how))[:2] == (0, "2 records deleted\n")
            _, stdout, _ = await run("rollout", "set", "--percent", "5", "--add-beta-user", "ann", **how)
            _, shown, _ = await run("rollout", "show", **how)
            assert json.loads(stdout) == json.loads(shown)
            assert (json.loads(shown)["percent"], json.loads(shown)["beta_users"][-1]) == (5, "ann")
            stale = await run("rollout", "set", "--disabled", "--version", "0", **how)
            assert (stale[0], "not in force any more" in stale[2]) == (1, True)
            nursery.cancel_scope.cancel()


async def test_a_page_of_the_gateways_protocol_is_named_in_the_list_of_openais_F18(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            url = f"ws://127.0.0.1:{deployment.port}/v1/realtime"
            client = await deployment.join(nursery, url)
            await client.hears("session.created")
            answer = await deployment.get("/v1/voice/sessions", token("root", is_admin=True))
            [listed] = answer.json["sessions"]
            assert listed["protocol"] == "realtime"
            path = f"/api/v1/voice/sessions/{listed['session_id']}"
            status, body = await ask(deployment.port, "DELETE", path)
            assert (status, body["outcome"]) == (200, "ended")
            assert (await client.hears("error")).event["error"]["code"] == "ended_by_operator"
            assert (await client.is_closed()).code == 1008
            nursery.cancel_scope.cancel()


async def test_through_redis_sessions_of_every_instance_are_listed_and_ended_F18(
    tmp_path: Path, redis: RedisServer
) -> None:
    how = {"REDIS_URL": redis.url, "JWT_SECRET": SECRET}
    with trio.fail_after(SECONDS_MAX):
        async with two_gateways(tmp_path, REDIS_URL=redis.url) as (one, two), trio.open_nursery() as nursery:
            first, second = await one.join(nursery), await two.join(nursery, shown=token("grace"))
            names = [(await ready(client))["session_id"] for client in (first, second)]
            for deployment in (one, two):
                await both_are_listed(deployment, names)

            _, stdout, _ = await run("sessions", "list", "--json", **how)
            listed = json.loads(stdout)["sessions"]
            assert {entry["session_id"] for entry in listed} == {*names}
            assert len({entry["instance"] for entry in listed}) == 2

            # By command, on the one; by the other gateway's route, on the second: neither holds the session.
            assert await run("sessions", "end", "--user", "ada", **how) == (0, f"{names[0]} ended\n", "")
            assert (await first.is_closed()).reason == "Session ended by an operator"
            status, body = await ask(one.port, "DELETE", f"/v1/voice/sessions/{names[1]}")
            assert (status, body["outcome"]) == (200, "ended")
            assert (await second.is_closed()).code == 1008

            _, stdout, _ = await run("sessions", "show", names[0], "--json", **how)
            record = json.loads(stdout)["record"]
            assert (record["end_reason"], record["user"]) == ("ended_by_operator", ADA)
            nursery.cancel_scope.cancel()


async def test_while_redis_is_away_a_gateway_knows_its_own_sessions_and_says_so_F18(
    tmp_path: Path, redis: RedisServer
) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, REDIS_URL=redis.url) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            name = (await ready(client))["session_id"]
            redis.kill()
            await trio.sleep(0.5)
            get = partial(ask, deployment.port, "GET")
            status, body = await get("/v1/voice/sessions")
            assert (status, body["complete"], [one["session_id"] for one in body["sessions"]]) == (200, False, [name])
            assert (await get(f"/v1/voice/sessions/{name}"))[0] == 200
            for method in ("GET", "DELETE"):
                status, body = await ask(deployment.port, method, "/v1/voice/sessions/vs_elsewhere")
                assert (status, body["error"]["code"]) == (503, "state_unavailable")
            status, body = await ask(deployment.port, "DELETE", f"/v1/voice/sessions/{name}")
            assert (status, body["outcome"]) == (200, "ended")
            assert (await client.is_closed()).code == 1008
            status, body = await get(f"/v1/voice/sessions/{name}")
            assert (status, body["record"]["end_reason"]) == (200, "ended_by_operator")
            nursery.cancel_scope.cancel()


async def test_through_redis_a_user_is_barred_on_every_instance_F18(tmp_path: Path, redis: RedisServer) -> None:
    how = {"REDIS_URL": redis.url, "JWT_SECRET": SECRET}
    with trio.fail_after(SECONDS_MAX):
        async with two_gateways(tmp_path, REDIS_URL=redis.url) as (one, two), trio.open_nursery() as nursery:
            clients = [await deployment.join(nursery) for deployment in (one, two)]
            for client in clients:
                await ready(client)
            assert (await run("rollout", "bar", "ada", **how))[0] == 0
            with trio.fail_after(FOLLOWED_SECONDS_MAX):
                for client in clients:
                    assert (await client.is_closed()).reason == "Session ended by an operator"
            for deployment in (one, two):
                await is_refused(deployment, nursery, "not_in_rollout")
            nursery.cancel_scope.cancel()


async def both_are_listed(deployment: Deployment, names: list[str]) -> None:
    """Wait until a gateway lists these sessions: its own at once, the other's when that one has reported them."""
    with trio.fail_after(5):
        while True:
            answer = await deployment.get("/v1/voice/sessions", token("root", is_admin=True))
            if {entry["session_id"] for entry in answer.json["sessions"]} == {*names}:
                return
            await trio.sleep(0.1)
