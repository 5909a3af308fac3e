"""The sidecar socket of a deployed gateway: its URL, its transcripts, and that it closes with its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.deployment import Deployment, gateway, wait_until_empty
from tests.support.fake_engines import FakeRecognizer, fake_engines
from voice_trio.embedded.server import ServerSettings, serve_embedded

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.testing import FakeClient

QUESTION = "how warm must the brooder be in the first week"
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"


async def test_words_come_by_a_second_socket_where_the_conversation_refuses_to_stream(tmp_path: Path) -> None:
    with trio.fail_after(15):
        async with gateway(tmp_path, OPENAI_API_KEY="sk-hidden") as deployment, trio.open_nursery() as nursery:
            deployment.model.refuse_transcription_model()
            deployment.model.transcriber.will_hear(QUESTION, first_word_after=0.05, word_every=0.05)
            client = await deployment.join(nursery)
            await client.hears("session.updated")
            await deployment.model.transcriber.hears("session.update")
            await trio.sleep(0.1)
            nursery.start_soon(client.speak, 1.2)
            await deployment.model.hear_speech(QUESTION, lasts=0.9, silence=0.2)
            context = await client.hears("context.injected")
            assert context.event["outcome"] in ("hidden", "waited")  # exact on virtual time, in tests/session
            best = context.event["passages"][0]
            assert (best["title"], best["source"]) == ("Brooding", "Brooding.md")
            await client.hears(COMPLETED)
            assert "".join(each.event["delta"] for each in client.heard_of(DELTA)) == f" {QUESTION}"
            conversation, sidecar = deployment.model.handshakes
            assert conversation.path.endswith("?model=gpt-realtime-2.1")
            assert sidecar.path == "/v1/realtime?intent=transcription"
            for name in ("authorization", "openai-safety-identifier"):
                assert sidecar.headers[name] == conversation.headers[name]
            await wait_for_its_bill(deployment)
            await client.end_session()
            await client.is_closed()
            await wait_until_empty(deployment)
            assert len(deployment.model.transcriber.losses) == 1
            nursery.cancel_scope.cancel()


async def test_switched_off_there_is_no_second_socket(tmp_path: Path) -> None:
    with trio.fail_after(15):
        variables = {"VOICE_SIDECAR_TRANSCRIPTION": "off"}
        async with gateway(tmp_path, **variables) as deployment, trio.open_nursery() as nursery:
            deployment.model.refuse_transcription_model()
            client = await deployment.join(nursery)
            await client.hears("session.updated")
            await trio.sleep(0.3)
            assert len(deployment.model.handshakes) == 1
            nursery.cancel_scope.cancel()


async def test_the_embedded_server_serves_both_sockets_and_each_word_is_told_once(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            ears = FakeRecognizer(QUESTION, size=4)
            url = await nursery.start(serve_embedded, "127.0.0.1", 0, fake_engines(ears), ServerSettings())
            variables = {"OPENAI_REALTIME_URL": url, "VOICE_SIDECAR_TRANSCRIPTION": "on"}
            async with gateway(tmp_path, **variables) as deployment:
                client = await deployment.join(nursery)
                await client.hears("session.updated")
                await trio.sleep(0.3)
                nursery.start_soon(speak_then_listen, client)
                final = await client.hears(COMPLETED)
                assert final.event["transcript"] == QUESTION
                told = "".join(each.event["delta"] for each in client.heard_of(DELTA))
                assert told.split() == QUESTION.split()[: len(told.split())]
                assert len(told.split()) > 3
                await wait_for_its_bill(deployment)
                assert len(ears.microphones) == 2
                nursery.cancel_scope.cancel()


async def speak_then_listen(client: FakeClient) -> None:
    await client.speak(2.5, loud=True)
    await client.speak(2.0)


async def wait_for_its_bill(deployment: Deployment) -> None:
    """The sidecar's usage, stated by its server, has been counted."""
    while await sidecar_costs(deployment) == 0:  # noqa: ASYNC110 - an HTTP page knows no events
        await trio.sleep(0.05)


async def sidecar_costs(deployment: Deployment) -> float:
    lines = (await deployment.get("/metrics")).body.decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith('voice_trio_cost_usd_total{estimated="no",kind="sidecar"')
    )
