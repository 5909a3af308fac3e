"""Upstreams that are not OpenAI's over real sockets: their URLs, their headers, and a spoken turn with its context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.deployment import UPGRADE, Deployment, gateway, http, model_on_tcp, token

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.testing import FakeClient

QUESTION = "how warm must the brooder be in the first week"
SECONDS_MAX = 20
ENTRA_TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln"


async def ask_aloud(deployment: Deployment, client: FakeClient, nursery: trio.Nursery) -> None:
    """A spoken question; words are known at the commit, and the first passage with them."""
    nursery.start_soon(client.speak, 1.2)
    await deployment.model.hear_speech(QUESTION, first_word_after=0.05, word_every=0.05, lasts=0.9, silence=0.2)
    context = (await client.hears("context.injected")).event
    assert context["outcome"] in ("hidden", "waited")  # exact on virtual time, in tests/session
    assert context["passages"][0]["title"] == "Brooding"
    assert (await client.hears("response.done")).event["status"] == "completed"
    assert client.heard_of("response.audio.delta")
    assert client.heard_of("error") == []


async def test_azure_is_reached_by_deployment_and_key(tmp_path: Path) -> None:
    variables = {"OPENAI_API_KEY": "k1", "OPENAI_REALTIME_MODEL": "our-deployment"}
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path, VOICE_UPSTREAM="azure", **variables) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("session.updated")
            await ask_aloud(deployment, client, nursery)
            (handshake,) = deployment.model.handshakes
            assert handshake.path == "/openai/v1/realtime?model=our-deployment"
            assert handshake.headers["api-key"] == "k1"
            assert "authorization" not in handshake.headers
            nursery.cancel_scope.cancel()


async def test_voice_live_is_reached_by_a_token_of_entra_and_its_words_come_from_another_server(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with model_on_tcp("azure") as (elsewhere, sidecar_url):
            variables = {
                "OPENAI_API_KEY": ENTRA_TOKEN,
                "VOICE_SIDECAR_URL": sidecar_url.replace("127.0.0.1", "localhost"),
                "VOICE_SIDECAR_API_KEY": ENTRA_TOKEN,
                "VOICE_SIDECAR_MODEL": "gpt-live-transcribe",
            }
            elsewhere.transcriber.will_hear(QUESTION, first_word_after=0.05, word_every=0.05)
            async with (
                gateway(tmp_path, VOICE_UPSTREAM="azure-voice-live", **variables) as deployment,
                trio.open_nursery() as nursery,
            ):
                client = await deployment.join(nursery)
                await client.hears("session.updated")
                asked = (await elsewhere.transcriber.hears("session.update")).event["session"]
                assert asked["audio"]["input"]["transcription"]["model"] == "gpt-live-transcribe"
                await trio.sleep(0.1)
                await ask_aloud(deployment, client, nursery)
                (handshake,) = deployment.model.handshakes
                assert handshake.path == "/voice-live/realtime?api-version=2026-07-15&model=gpt-realtime"
                assert handshake.headers["authorization"] == f"Bearer {ENTRA_TOKEN}"
                await check_that_openais_clients_are_refused(deployment)
                nursery.cancel_scope.cancel()


async def check_that_openais_clients_are_refused(deployment: Deployment) -> None:
    answer = await http(deployment.port, "/v1/realtime", UPGRADE | {"Authorization": f"Bearer {token('bob')}"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "not_allowed")
    assert "/v1/ws/voice" in answer.json["error"]["message"]
