"""The order of events as recorded from the real service, replayed through a session.

A normal turn under server_vad, and a barge-in while the answer is being generated. The normal one follows recordings of
July and August 2026; with `create_response: false` the model stops after the user's item until it is asked.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture


def folded(kinds: list[str]) -> list[str]:
    """Runs of the same event count as one, and sound with its text as one stream."""
    names = ["answer" if kind.endswith(("audio.delta", "audio_transcript.delta")) else kind for kind in kinds]
    return [kind for kind, _ in groupby(names)]


async def test_a_normal_turn_reaches_the_client_in_the_recorded_order(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    before = len(session.client.types())
    await session.asks("hello my name is Marcelo", words_at=[1.2, 1.5, 1.8, 2.1, 2.4], lasts=2.0, silence=0.5)
    await session.client.hears("response.done")
    kinds = folded(session.client.types()[before:])
    transcription = "conversation.item.input_audio_transcription"
    assert kinds == [
        "input_audio_buffer.speech_started",
        f"{transcription}.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "context.injected",
        "response.created",
        "answer",
        f"{transcription}.completed",
        "answer",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.done",
    ]


async def test_a_barge_in_reaches_client_and_model_in_the_recorded_order(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("a long answer", audio_ms=10_000, pace=1.2)
    await session.ready()
    await session.asks("hello my name is Marcelo")
    await session.client.hears("response.audio.delta")
    await trio.sleep(2.013)
    said, told = len(session.model.said), len(session.client.types())
    await session.asks("wait a moment please", completed_after=5.0)
    await session.model.hears("conversation.item.truncate")
    await trio.sleep(0.5)
    by_model = [kind for kind in folded([entry.type for entry in session.model.said[said:]]) if "delta" not in kind]
    assert by_model[:10] == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
        "conversation.item.truncated",
        "input_audio_buffer.speech_stopped",
    ]
    to_client = [kind for kind in folded(session.client.types()[told:]) if "transcription" not in kind]
    assert to_client[:5] == [
        "input_audio_buffer.speech_started",
        "playback.flush",
        "response.done",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
