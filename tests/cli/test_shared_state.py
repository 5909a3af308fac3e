"""`voice-trio rollout` and `voice-trio sessions` against a real Redis, beside an instance that lives there."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio
from click.testing import CliRunner

from tests.support.redis_fixture import granted, instance
from voice_trio.cli import main
from voice_trio.state.session_record import SessionRecord

if TYPE_CHECKING:
    from tests.support.redis_servers import RedisServer


def run(*arguments: str, url: str | None = None) -> tuple[int, str, str]:
    empty = {name: None for name in os.environ if name.startswith(("JWT_", "VOICE_", "REDIS_", "ENABLE_VOICE"))}
    result = CliRunner().invoke(main, list(arguments), env={**empty, "REDIS_URL": url})
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def url(redis: RedisServer) -> str:
    redis.do("FLUSHALL")
    return redis.url


def shown(url: str, *arguments: str) -> dict[str, Any]:
    exit_code, stdout, stderr = run("rollout", *arguments, url=url)
    assert exit_code == 0, stderr
    document: dict[str, Any] = json.loads(stdout)
    return document


def test_what_is_not_given_stays_as_it_was(url: str) -> None:
    before = shown(url, "show")
    after = shown(url, "set", "--percent", "10", "--add-beta-user", "ann@example.com")
    assert after == before | {"percent": 10.0, "beta_users": ["ann@example.com"], "version": 1}
    assert shown(url, "set", "--remove-beta-user", "ann@example.com")["beta_users"] == []
    assert shown(url, "set", "--disabled", "--end-sessions", "--message", "soon")["end_sessions"] is True
    assert shown(url, "set", "--enabled")["end_sessions"] is False


def test_an_old_version_changes_nothing(url: str) -> None:
    shown(url, "set", "--percent", "10")
    exit_code, _, stderr = run("rollout", "set", "--percent", "20", "--version", "0", url=url)
    assert (exit_code, "version 1 is in force" in stderr) == (1, True)
    assert shown(url, "show")["percent"] == 10


@pytest.mark.parametrize("arguments", [("set",), ("set", "--percent", "101"), ("set", "--beta-user", "")])
def test_nonsense_changes_nothing(url: str, arguments: tuple[str, ...]) -> None:
    before = shown(url, "show")
    assert run("rollout", *arguments, url=url)[0] in (1, 2)
    assert shown(url, "show") == before


def test_a_gateway_follows_within_two_seconds(url: str) -> None:
    async def follow() -> None:
        async with instance(url) as state:
            before = await state.rollout()
            await trio.to_thread.run_sync(shown, url, "set", "--disabled")
            with trio.fail_after(2):
                assert (await state.wait_rollout_change(before)).enabled is False

    trio.run(follow)


def test_a_users_records_are_deleted_and_their_limit_opened(url: str) -> None:
    async def talk() -> None:
        async with instance(url) as state:
            assert await granted(state) == 5
            await state.put_record(
                SessionRecord(
                    session_id="s1", user_id="ann", instance="a", started=time.time(), duration_seconds=60.0, revision=1
                )
            )

    async def talk_again() -> None:
        async with instance(url) as state:
            assert await state.record("ann", "s1") is None
            assert await granted(state, prefix="again") == 5

    trio.run(talk)
    assert run("sessions", "delete", "--user", "ann", url=url)[:2] == (0, "1 record deleted\n")
    assert run("sessions", "reset-limit", "--user", "ann", url=url)[0] == 0
    trio.run(talk_again)


def test_without_redis_it_says_so() -> None:
    exit_code, _, stderr = run("rollout", "show")
    assert (exit_code, "set REDIS_URL, or name a gateway" in stderr) == (1, True)


def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    exit_code, stdout, stderr = run("sessions", "delete", "--user", "ann", url="redis://:hidden@127.0.0.1:1")
    assert (exit_code, stdout) == (1, "")
    assert stderr == "Error: Redis at redis://:***@127.0.0.1:1: unreachable\n"
