"""The embedded server with this machine's own speech engines, in real time: speech in, words while it is spoken, speech
out. Needs the `local` extra.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from voice_trio.embedded.local import missing_packages

if missing := missing_packages():
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from tests.support.embedded_fixture import CONTEXT
from tests.support.fake_caller import LISTENING, FakeCaller
from voice_trio.embedded.local import open_local_engines
from voice_trio.embedded.server import serve_embedded
from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle
from voice_trio.embedded.speech.synthesis.voice import pcm_of
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.protocols.audio import decode_audio
from voice_trio.testing.sounds import loudness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUESTION = "how warm should the brooder be in the first week"
DOCUMENT = "# Brooding\nThe brooder should be 32 to 35 degrees Celsius in the first week. Chicks that are cold huddle."
SOUND = "response.output_audio.delta"
TALKATIVE = " ".join(f"The brooder in week {number} is warm enough for chicks of that age." for number in range(1, 9))


def speech(text: str) -> bytes:
    return bytes(300 * 48) + pcm_of(text, SpeakingStyle("en-us", 150)) + bytes(800 * 48)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


@asynccontextmanager
async def calling(cache_dir: Path, **session: Any) -> AsyncIterator[FakeCaller]:
    with trio.fail_after(60):
        async with (
            open_local_engines([DOCUMENT], recognizers_max=1, adapted=False, cache_dir=cache_dir) as engines,
            trio.open_nursery() as nursery,
        ):
            url = await nursery.start(serve_embedded, "127.0.0.1", 0, engines)
            caller = FakeCaller(await open_link(nursery, url))
            nursery.start_soon(caller.read)
            await caller.send("session.update", session={**LISTENING, **session})
            await caller.hears("session.updated")
            yield caller
            await caller.link.aclose()
            nursery.cancel_scope.cancel()


async def test_a_spoken_question_gets_a_spoken_answer_with_the_fact_of_its_document(cache_dir: Path) -> None:
    async with calling(cache_dir) as caller:
        await caller.speak(speech(QUESTION))
        deltas = caller.heard("conversation.item.input_audio_transcription.delta")
        stopped = await caller.hears("input_audio_buffer.speech_stopped")
        assert sum(delta.at < stopped.at - 0.5 for delta in deltas) >= 3  # words while there was speech, not silence
        transcript = (await caller.hears("conversation.item.input_audio_transcription.completed")).event["transcript"]
        assert {"warm", "brooder", "week"} <= set(transcript.split())
        await caller.type(CONTEXT, "system")
        await caller.send("response.create")
        await caller.hears("response.done")
        assert "32 to 35 degrees Celsius" in caller.said()
        pcm = b"".join(decode_audio(entry.event["delta"]) for entry in caller.heard(SOUND))
        assert 4 < len(pcm) / 48000 < 12  # some 15 words
        assert loudness(pcm) > 300
        chunks_ms = [len(decode_audio(entry.event["delta"])) / 48 for entry in caller.heard(SOUND)]
        assert all(40 <= each <= 100 for each in chunks_ms)


async def test_speaking_into_an_answer_cuts_it_and_the_item_can_be_truncated_to_what_was_heard(cache_dir: Path) -> None:
    async with calling(cache_dir) as caller:
        await caller.type("tell me about the brooder week by week")
        await caller.type(TALKATIVE, "system")
        await caller.send("response.create")
        await caller.hears(SOUND)
        await caller.speak(speech(QUESTION))
        done = (await caller.hears("response.done")).event["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        item = done["output"][0]
        assert item["status"] == "incomplete"
        await caller.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=300)
        assert (await caller.hears("conversation.item.truncated")).event["audio_end_ms"] == 300
        transcript = (await caller.hears("conversation.item.input_audio_transcription.completed")).event["transcript"]
        assert "brooder" in transcript


async def test_a_voice_can_be_chosen_and_slowed_down(cache_dir: Path) -> None:
    lengths = []
    for speed in (1.0, 0.5):
        async with calling(
            cache_dir, audio={**LISTENING["audio"], "output": {"voice": "cedar", "speed": speed}}
        ) as caller:
            await caller.send("response.create")
            await caller.hears("response.done")
            lengths.append(sum(len(entry.event["delta"]) for entry in caller.heard(SOUND)))
    assert lengths[1] > 1.5 * lengths[0]
