"""Recorded sessions of real services behind the gateway, over real sockets: a client hears their answers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import environment, fill_knowledge, serve_gateway, token
from tests.support.replayed_upstream import ReplayedUpstream, is_context
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.settings import load_settings
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATHS = {
    "openai": "/v1/realtime",
    "azure": "/openai/v1/realtime",
    "azure-voice-live": "/voice-live/realtime",
    "xai": "/v1/realtime",
    "gpt-live": "/v1/live/sessions",
}
SPOKEN = [
    ("openai", "openai/audio_in_server_vad_turn"),
    ("azure", "azure/audio_in_server_vad_transcribes"),
    ("azure", "azure/audio_in_server_vad_transcription_requires_deployment"),
    ("xai", "xai/audio_in_server_vad_turn"),
    ("azure-voice-live", "azure-voice-live/audio_in_server_vad_turn"),
]
TYPED = [
    ("openai", "openai/tool_call_round", 2),
    ("azure", "azure/tool_call_round", 2),
    ("xai", "xai/tool_call_round", 2),
    ("xai", "xai/thinking_disabled", 1),
    ("azure-voice-live", "azure-voice-live/text_in_audio_out_turn", 1),
]


@pytest.fixture(autouse=True)
def speech_by_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's tone is no speech to webrtcvad."""
    monkeypatch.setattr("voice_trio.speech.choose.has_webrtcvad", lambda: False)


@asynccontextmanager
async def talking_to(
    upstream: ReplayedUpstream, profile: str, tmp_path: Path, **variables: str
) -> AsyncIterator[tuple[FakeClient, trio.Nursery]]:
    """A client of a gateway, in this process, whose upstream is the recording."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(upstream.serve)
        chosen = {"VOICE_UPSTREAM": profile, "OPENAI_API_KEY": "key"} | variables
        settings = load_settings(environment(url + PATHS[profile], knowledge, **chosen))
        port = await nursery.start(serve_gateway, settings)
        headers = {"Authorization": f"Bearer {token()}"}
        client = FakeClient(await open_link(nursery, f"ws://127.0.0.1:{port}/v1/ws/voice", headers=headers))
        nursery.start_soon(client.run)
        await client.hears("session.updated")
        yield client, nursery
        nursery.cancel_scope.cancel()


async def speak(client: FakeClient) -> None:
    await client.speak(1.2, loud=True)
    while True:
        await client.speak(0.4)


def requests(upstream: ReplayedUpstream) -> list[str]:
    """What the gateway asked for once the session was open, context by its name."""
    quiet = ("session.update", "conversation.item.truncate", "conversation.item.delete")
    kinds = ["context" if is_context(event) else str(event["type"]) for event in upstream.heard]
    return [kind for kind in kinds if kind not in quiet]


def heard_audio(client: FakeClient) -> list[Any]:
    return client.heard_of("response.audio.delta")


@pytest.mark.parametrize(("profile", "name"), SPOKEN, ids=[name for _, name in SPOKEN])
async def test_a_recorded_spoken_turn_is_heard(profile: str, name: str, tmp_path: Path) -> None:
    upstream = ReplayedUpstream(name)
    with trio.fail_after(40):
        async with talking_to(upstream, profile, tmp_path) as (client, nursery):
            nursery.start_soon(speak, client)
            done = await client.hears("response.done")
    assert done.event["status"] == "completed"
    assert heard_audio(client)
    assert client.heard_of("response.audio_transcript.delta")
    asked = "input_audio_buffer.commit" if profile == "xai" else "response.create"
    assert requests(upstream)[-1] == asked  # the sentence is no question: nothing is found for it


@pytest.mark.parametrize(("profile", "name", "responses"), TYPED, ids=[name for _, name, _ in TYPED])
async def test_a_recorded_typed_turn_is_heard_and_its_context_stands_before_it_I2(
    profile: str, name: str, responses: int, tmp_path: Path
) -> None:
    upstream = ReplayedUpstream(name)
    with trio.fail_after(40):
        async with talking_to(upstream, profile, tmp_path) as (client, _):
            await client.type("How many hours of light do layers need?")
            for _ in range(responses):
                done = await client.hears("response.done")
    assert done.event["status"] == "completed"
    assert client.heard_of("response.audio_transcript.delta")
    if not name.endswith("tool_call_round"):  # some of those were recorded with written output
        assert heard_audio(client)
    asked = requests(upstream)
    assert asked[:3] == ["conversation.item.create", "context", "response.create"]
    assert asked.count("response.create") == responses


async def test_a_recorded_live_session_is_forked_and_its_answer_heard(tmp_path: Path) -> None:
    upstream = ReplayedUpstream("openai-live/a_stored_session_reconnects_by_forking", speed=3.0)
    with trio.fail_after(50):
        async with talking_to(upstream, "gpt-live", tmp_path, VOICE_LIVE_STORE="true") as (client, nursery):
            nursery.start_soon(speak, client)
            await client.hears("session.recovered")
            done = await client.hears("response.done")
    said = client.heard_of("conversation.item.input_audio_transcription.completed")[-1].event["transcript"]
    words = "".join(entry.event["delta"] for entry in client.heard_of("response.audio_transcript.delta"))
    assert (said, words.strip(), done.event["status"]) == ("What is my favorite color", "Turquoise.", "completed")
    assert heard_audio(client)
    assert [path.rpartition("/")[2] for path in upstream.paths] == ["sessions", "fork"]
    assert upstream.heard[1]["session"] == {}
