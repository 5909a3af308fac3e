"""A session that was left is taken up again, through real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
import trio.lowlevel

from tests.support.deployment import gateway, token, wait_until_empty

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deployment import Deployment
    from voice_trio.testing import FakeClient

SECONDS_MAX = 20


async def ready(client: FakeClient) -> dict[str, Any]:
    event: dict[str, Any] = (await client.hears("connection.ready")).event
    await client.hears("session.updated")
    return event


def resuming(deployment: Deployment, resume_token: str) -> str:
    return f"{deployment.url}?resume={resume_token}"


async def talk(deployment: Deployment, client: FakeClient, text: str) -> None:
    await client.type(text)
    await client.hears("response.done")


def told(deployment: Deployment) -> list[tuple[str, str]]:
    """(role, text) of the items in the newest model session, without context."""
    return [
        (item["role"], part.get("text") or part.get("transcript") or "")
        for item in deployment.model.items
        if item["role"] != "system"
        for part in item["content"]
    ]


async def test_a_connection_that_left_goes_on_with_the_same_session_and_its_history(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            first = await deployment.join(nursery)
            left = await ready(first)
            await talk(deployment, first, "how warm must the brooder be")
            await trio.sleep(0.3)
            await first.hang_up(1001)
            second = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            back = await ready(second)
            await talk(deployment, second, "and for ducks?")
            assert back["session_id"] == left["session_id"]
            assert back["expires_at"] >= left["expires_at"]
            assert told(deployment)[:3] == [
                ("user", "how warm must the brooder be"),
                ("assistant", "Thirty-four degrees."),
                ("user", "and for ducks?"),
            ]
            await second.end_session()
            nursery.cancel_scope.cancel()


async def test_I12_a_resumed_session_takes_no_slot(tmp_path: Path) -> None:
    limits = {"MAX_SESSIONS_PER_USER_PER_HOUR": "1", "MAX_CONCURRENT_SESSIONS_PER_USER": "1"}
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, **limits) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            for _ in range(4):
                left = await ready(client)
                await client.hang_up(1001)
                client = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            await ready(client)
            nursery.cancel_scope.cancel()


async def test_a_resume_takes_a_live_connection_over_which_closes_with_4001(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            first = await deployment.join(nursery)
            left = await ready(first)
            second = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            back = await ready(second)
            closed = await first.is_closed()
            assert (closed.code, closed.reason) == (4001, "Resumed elsewhere")
            assert back["session_id"] == left["session_id"]
            assert await deployment.active_sessions() == 1
            nursery.cancel_scope.cancel()


async def test_another_users_token_opens_nothing(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            first = await deployment.join(nursery)
            left = await ready(first)
            thief = await deployment.join(nursery, resuming(deployment, left["resume_token"]), shown=token("eve"))
            closed = await thief.is_closed()
            assert (closed.code, closed.reason) == (1008, "Resume not possible")
            assert thief.heard_of("error")[0].event["error"]["code"] == "resume_invalid"
            assert first.closed_with is None
            nursery.cancel_scope.cancel()


async def test_a_session_that_was_ended_on_purpose_is_not_resumed(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            first = await deployment.join(nursery)
            left = await ready(first)
            await first.end_session()
            await first.is_closed()
            second = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            closed = await second.is_closed()
            assert (closed.code, closed.reason) == (1008, "Resume not possible")
            nursery.cancel_scope.cancel()


async def test_the_clock_stands_still_while_nobody_is_connected(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, MAX_SESSION_DURATION="5") as deployment, trio.open_nursery() as nursery:
            first = await deployment.join(nursery)
            left = await ready(first)
            await trio.sleep(1.0)
            await first.hang_up(1001)
            await trio.sleep(3.0)
            second = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            back = await ready(second)
            await trio.lowlevel.checkpoint()
            assert 2.5 < back["expires_at"] - left["expires_at"] < 3.9
            nursery.cancel_scope.cancel()


async def test_a_session_whose_time_is_used_up_is_not_resumed(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, MAX_SESSION_DURATION="2") as deployment, trio.open_nursery() as nursery:
            first = await deployment.join(nursery)
            left = await ready(first)
            closed = await first.is_closed()
            assert closed.reason == "Session duration limit reached"
            second = await deployment.join(nursery, resuming(deployment, left["resume_token"]))
            assert (await second.is_closed()).reason == "Resume not possible"
            nursery.cancel_scope.cancel()


async def test_no_more_sessions_resume_than_may_be_open_at_once_F12(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with (
            gateway(tmp_path, MAX_CONCURRENT_SESSIONS_PER_USER="2") as deployment,
            trio.open_nursery() as nursery,
        ):
            tokens = []
            for _ in range(4):
                client = await deployment.join(nursery)
                tokens.append((await ready(client))["resume_token"])
                await client.hang_up(1001)
                await wait_until_empty(deployment)
            clients = []
            for number, resume_token in enumerate(tokens):
                client = await deployment.join(nursery, resuming(deployment, resume_token))
                if number < 2:
                    clients.append(client)
                    await ready(client)
                else:
                    closed = await client.is_closed()
                    assert (closed.code, closed.reason) == (1008, "Too many concurrent sessions")
            assert await deployment.active_sessions() == 2
            await clients[0].hang_up(1001)
            await trio.sleep(0.3)
            await ready(await deployment.join(nursery, resuming(deployment, tokens[3])))
            nursery.cancel_scope.cancel()
