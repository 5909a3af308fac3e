"""Everything at once, and nothing faked: a spoken question through the gateway into the embedded server, and back.

The right fact in the answer proves that the context reached the model in time: the embedded answerer knows nothing but
the context item after the newest question. Needs the `local` extra.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio_websocket import serve_websocket

from voice_trio.embedded.local import missing_packages
from voice_trio.net.link import Link

if missing := missing_packages():
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from tests.support.deployment import environment, serve_gateway, token
from voice_trio.client import Report, connect_voice, talk
from voice_trio.demo import handbook_folder
from voice_trio.embedded.connection import Connection
from voice_trio.embedded.local import open_local_engines
from voice_trio.embedded.session import EmbeddedConfig
from voice_trio.embedded.speech.synthesis.voice import question_pcm
from voice_trio.knowledge.importing.documents import import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.sqlite.base import KnowledgeWriter
from voice_trio.knowledge.sqlite.readers import read_texts
from voice_trio.net.trio_websocket_link import TrioWebSocketLink, open_link
from voice_trio.protocols.audio import audio_ms
from voice_trio.settings import load_settings
from voice_trio.testing import FakeClient
from voice_trio.testing.sounds import loudness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio_websocket import WebSocketRequest


pytestmark = pytest.mark.timeout(150)
QUESTION = "How warm must the brooder be in the first week?"
SIGNS = "What are the signs of coccidiosis in young birds?"
SECONDS_MAX = 120  # the first time, ears are adapted; that takes some 15 s of two cores
FRAME_BYTES = 40 * 48


class Tap(Link):
    """A link that writes down what passes, as the embedded model hears and says it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.heard: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []

    async def send(self, message: str | bytes) -> None:
        self.said.append(json.loads(message))
        await self._link.send(message)

    async def receive(self) -> str | bytes:
        message = await self._link.receive()
        self.heard.append(json.loads(message))
        return message

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await self._link.aclose(code, reason)


@dataclass
class Place:
    url: str
    taps: list[Tap]

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.taps[-1].heard if event["type"] == kind]

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.taps[-1].said if event["type"] == kind]


@pytest.fixture
def cache_dir(pytestconfig: pytest.Config) -> Path:
    """Kept from run to run: adapting recognition takes some 15 s of two cores."""
    return Path(pytestconfig.cache.mkdir("speech"))


@asynccontextmanager
async def demo(tmp_path: Path, cache_dir: Path) -> AsyncIterator[Place]:
    """What `voice-trio demo` starts, in this process: the handbook, the embedded server, the gateway."""
    knowledge = tmp_path / "knowledge.sqlite3"
    with KnowledgeWriter(knowledge) as writer:
        for _ in import_documents(find_documents([handbook_folder()]), writer):
            pass
    taps: list[Tap] = []
    texts = read_texts(knowledge, 1_000_000)
    async with (
        open_local_engines(texts, recognizers_max=1, cache_dir=cache_dir) as engines,
        trio.open_nursery() as nursery,
    ):

        async def serve(request: WebSocketRequest) -> None:
            """A tapped connection of the embedded server."""
            tap = Tap(TrioWebSocketLink.of_server(await request.accept()))
            taps.append(tap)
            await Connection(tap, engines, EmbeddedConfig(tag="e2e", unix_time=0, model="embedded")).run()

        upstream = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
        settings = load_settings(environment(f"ws://127.0.0.1:{upstream.port}/v1/realtime", knowledge))
        port = await nursery.start(serve_gateway, settings)
        yield Place(f"ws://127.0.0.1:{port}/v1/ws/voice", taps)
        nursery.cancel_scope.cancel()


async def test_a_spoken_question_is_answered_from_the_right_document_without_waiting(
    tmp_path: Path, cache_dir: Path
) -> None:
    words_in: list[int] = []

    def note(report: Report) -> None:
        if "speech_stopped" not in report.timestamps:
            words_in.append(len(report.transcript.split()))

    with trio.fail_after(SECONDS_MAX):
        async with demo(tmp_path, cache_dir) as place, connect_voice(place.url, token()) as voice:
            report = await talk(voice, question_pcm(SIGNS), on_event=note)
    assert max(words_in) >= 5  # before the speech was over …
    assert words_in == sorted(words_in)  # … and growing
    assert set(words_in) >= {1, 2, 3}
    assert (report.context["outcome"], report.context["waited_ms"]) == ("hidden", 0)
    assert report.context["passages"][0]["title"].startswith("Coccidiosis")
    assert "blood in the droppings" in report.answer.lower()
    assert 2 < len(report.audio) / 48_000 < 30  # real speech: seconds of it …
    assert loudness(report.audio) > 300  # … and not silence


async def test_speaking_into_the_answer_stops_it_and_the_model_keeps_what_was_heard(
    tmp_path: Path, cache_dir: Path
) -> None:
    async def speak(client: FakeClient, text: str) -> None:
        pcm = question_pcm(text)
        start = trio.current_time()
        for index, place in enumerate(range(0, len(pcm), FRAME_BYTES)):
            await trio.sleep_until(start + index * 0.04)
            await client.send(pcm[place : place + FRAME_BYTES])

    with trio.fail_after(SECONDS_MAX):
        async with demo(tmp_path, cache_dir) as place, trio.open_nursery() as nursery:
            link = await open_link(nursery, place.url, headers={"Authorization": f"Bearer {token()}"})
            client = FakeClient(link, reports_flush=True)
            nursery.start_soon(client.run)
            await client.hears("session.updated")
            await speak(client, QUESTION)
            first = await client.hears("response.audio.delta")
            item_id = first.event["item_id"]
            await client.report(item_id, 0)
            await speak(client, "Stop, and how much water do they need?")
            flush = await client.hears("playback.flush")
            await client.hears("context.injected")
            await client.hears("context.injected")
            sound = [entry.event for entry in client.heard_of("response.audio.delta")]
            received = sum(audio_ms(event["delta"]) for event in sound if event["item_id"] == item_id)
            heard = client.audio_heard_ms(item_id)
            (truncate,) = place.heard("conversation.item.truncate")
            assert flush.event["item_id"] == truncate["item_id"] == item_id
            assert 0 < heard < received
            assert truncate["audio_end_ms"] == pytest.approx(heard, abs=2)
            assert [event["audio_end_ms"] for event in place.said("conversation.item.truncated")] == [
                truncate["audio_end_ms"]
            ]
            assert place.said("error") == []
            assert place.heard("response.cancel") == []  # the server stopped by itself
            assert client.audio_after_flush == []
            nursery.cancel_scope.cancel()
