"""OpenAI's own protocol over real sockets: where its tokens stand, how its refusals read, and how big it may speak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pybase64
import pytest
import trio

from tests.support.deployment import SECRET, UPGRADE, Deployment, HttpResponse, gateway, http, token
from voice_trio.auth.signed_tokens import ClientSecrets
from voice_trio.auth.tokens import User
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.settings import load_settings
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECONDS_MAX = 20


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment:
            yield deployment


async def request_upgrade(
    deployment: Deployment, query: str = "?model=gpt-realtime", path: str = "/v1/realtime", **headers: str
) -> HttpResponse:
    """The response to the handshake."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http(deployment.port, path + query, UPGRADE | named)


async def join(
    deployment: Deployment, nursery: trio.Nursery, query: str = "?model=gpt-realtime", user: str = "ada"
) -> FakeClient:
    url = f"ws://127.0.0.1:{deployment.port}/v1/realtime{query}"
    client = FakeClient(await open_link(nursery, url, headers={"Authorization": f"Bearer {token(user)}"}))
    nursery.start_soon(client.run)
    return client


def said(answer: HttpResponse) -> tuple[int, str, str]:
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status, error["type"], error["code"]


@pytest.mark.parametrize("path", ["/v1/realtime", "/api/v1/realtime", "/openai/v1/realtime", "/openai/realtime"])
async def test_it_is_served_wherever_clients_look(deployment: Deployment, path: str) -> None:
    assert (await request_upgrade(deployment, path=path, Authorization=f"Bearer {token()}")).status == 101


async def test_the_token_is_found_in_each_place_where_clients_put_a_key(deployment: Deployment) -> None:
    secret = ClientSecrets(load_settings({"JWT_SECRET": SECRET}).signing_secret)
    ephemeral = secret.issue(User(id="eve", plan="elite"), seconds=60).value
    for headers in (
        {"Authorization": f"Bearer {token('ann')}"},
        {"api_key": token("ben")},
        {"Sec_WebSocket_Protocol": f"realtime, openai-insecure-api-key.{token('cat')}, openai-agents-sdk.0.20"},
        {"Sec_WebSocket_Protocol": f"realtime, openai-insecure-api-key.{ephemeral}"},
        {"Authorization": f"Bearer {ephemeral}"},
    ):
        answer = await request_upgrade(deployment, **headers)
        assert answer.status == 101
        offered = "Sec_WebSocket_Protocol" in headers
        assert answer.headers.get("sec-websocket-protocol") == ("realtime" if offered else None)


async def test_a_client_secret_opens_no_other_door(deployment: Deployment) -> None:
    secret = ClientSecrets(load_settings({"JWT_SECRET": SECRET}).signing_secret)
    value = secret.issue(User(id="eve", plan="elite", is_admin=True), seconds=60).value
    assert (await deployment.get("/v1/voice/stats", value)).status == 401
    async with trio.open_nursery() as nursery:
        client = await deployment.join(nursery, shown=value)
        assert (await client.is_closed()).code == 1008
        nursery.cancel_scope.cancel()


async def test_a_missing_token_and_a_wrong_one_are_401_in_openais_words(deployment: Deployment) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"api_key": "ek_nonsense"}):
        answer = await request_upgrade(deployment, **headers)
        assert said(answer) == (401, "invalid_request_error", "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_not_served_is_400_and_names_the_parameter(deployment: Deployment) -> None:
    for name in ("intent", "call_id"):
        answer = await request_upgrade(deployment, f"?{name}=transcription", Authorization=f"Bearer {token()}")
        assert said(answer)[0] == 400
        assert answer.json["error"]["param"] == name


async def test_a_plan_without_voice_is_403(deployment: Deployment) -> None:
    answer = await request_upgrade(deployment, Authorization=f"Bearer {token(plan='basic')}")
    assert said(answer) == (403, "invalid_request_error", "plan_required")


async def test_a_page_of_a_foreign_origin_is_403(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, ALLOWED_ORIGINS="https://farm.example") as deployment:
            bearer = f"Bearer {token()}"
            answer = await request_upgrade(deployment, Authorization=bearer, Origin="https://evil.example")
            assert said(answer)[0] == 403
            assert (
                await request_upgrade(deployment, Authorization=bearer, Origin="https://farm.example")
            ).status == 101


async def test_too_many_sessions_an_hour_are_429_with_the_time_of_the_next(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, MAX_SESSIONS_PER_USER_PER_HOUR="1") as deployment, trio.open_nursery() as nursery:
            await (await join(deployment, nursery)).hears("session.created")
            answer = await request_upgrade(deployment, Authorization=f"Bearer {token()}")
            assert said(answer) == (429, "rate_limit_exceeded", "rate_limit_exceeded")
            assert 0 < int(answer.headers["retry-after"]) <= 3600
            nursery.cancel_scope.cancel()


async def test_no_room_and_no_model_are_503(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, MAX_CONCURRENT_SESSIONS="1") as deployment, trio.open_nursery() as nursery:
            await (await join(deployment, nursery)).hears("session.created")
            answer = await request_upgrade(deployment, Authorization=f"Bearer {token('bob')}")
            assert said(answer) == (503, "server_error", "at_capacity")
            nursery.cancel_scope.cancel()
        async with gateway(tmp_path, OPENAI_REALTIME_URL="wss://api.openai.com/v1/realtime") as deployment:
            answer = await request_upgrade(deployment, Authorization=f"Bearer {token()}")  # no key is configured
            assert said(answer) == (503, "server_error", "upstream_unavailable")


async def test_without_a_list_every_model_that_is_asked_for_is_the_one_that_is_served(deployment: Deployment) -> None:
    async with trio.open_nursery() as nursery:
        client = await join(deployment, nursery, "?model=gpt-4o-realtime-preview")
        await client.hears("session.created")
        nursery.cancel_scope.cancel()


async def test_with_a_list_only_its_models_can_be_had(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, VOICE_CLIENT_MODELS="gpt-realtime-2.1-mini") as deployment:
            bearer = f"Bearer {token()}"
            answer = await request_upgrade(deployment, "?model=gpt-5", Authorization=bearer)
            assert said(answer) == (403, "invalid_request_error", "model_not_found")
            for query in (
                "",
                "?model=gpt-realtime-2.1",
                "?model=gpt-realtime-2.1-mini",
                "?deployment=gpt-realtime-2.1",
            ):
                assert (await request_upgrade(deployment, query, Authorization=bearer)).status == 101


async def test_fifteen_mebibytes_of_sound_in_one_message_are_taken_and_seventeen_are_too_many(
    deployment: Deployment,
) -> None:
    async with trio.open_nursery() as nursery:
        client = await join(deployment, nursery)
        await client.hears("session.created")
        await client.send(append(11 * 1024 * 1024))  # 14.7 MiB in base64
        heard = await deployment.model.hears("input_audio_buffer.append")
        assert len(heard.event["audio"]) > 15_000_000
        other = await join(deployment, nursery)
        await other.hears("session.created")
        await other.send(append(13 * 1024 * 1024))
        assert (await other.hears("error")).event["error"]["code"] == "invalid_value"
        assert (await other.is_closed()).code == 1009
        nursery.cancel_scope.cancel()


async def test_a_client_that_leaves_takes_the_upstream_with_it(deployment: Deployment) -> None:
    """I8, for this protocol too."""
    async with trio.open_nursery() as nursery:
        client = await join(deployment, nursery)
        await client.hears("session.created")
        model_session = await deployment.model.wait_for_session()
        await client.hang_up()
        with trio.fail_after(1.0):
            await model_session.over.wait()
        nursery.cancel_scope.cancel()


def append(size: int) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": pybase64.b64encode(bytes(size)).decode()}


async def test_nothing_that_was_shown_at_the_door_is_in_a_log(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = token("secretive")
    await request_upgrade(
        deployment, f"?model=x&token={shown}", Sec_WebSocket_Protocol=f"realtime, openai-insecure-api-key.{shown}"
    )
    await request_upgrade(deployment, Authorization=f"Bearer {shown}x")
    captured = capsys.readouterr()
    assert shown not in captured.out + captured.err
    assert json.dumps(shown) not in captured.out
