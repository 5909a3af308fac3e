"""With audio in real time, the rule-based model hears as the real one does: words first, the commit after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.protocols.audio import silence
from voice_trio.protocols.realtime import RealtimeConfig, append_audio, session_update
from voice_trio.testing import RuleBasedModel
from voice_trio.testing.sounds import tone

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.testing import MemoryLink

STT = "conversation.item.input_audio_transcription."
QUESTIONS = ["how warm should the brooder be", "and for layers"]


async def play(link: MemoryLink, *, loud: bool, seconds: float) -> None:
    """Frames of 40 ms in real time."""
    for index in range(round(seconds / 0.04)):
        await link.send(append_audio(tone(index * 40, 40) if loud else silence(40)))
        await trio.sleep(0.04)


async def ready(model: RuleBasedModel, nursery: trio.Nursery) -> MemoryLink:
    link = model.connect()
    nursery.start_soon(drain, link)
    await link.send(session_update(RealtimeConfig(model="any", instructions="", silence_ms=480)))
    await model.says("session.updated")
    return link


async def drain(link: MemoryLink) -> None:
    while True:
        await link.receive()


async def test_words_come_while_the_user_speaks(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    model = RuleBasedModel(QUESTIONS, nursery=nursery)
    link = await ready(model, nursery)
    await play(link, loud=True, seconds=3.0)
    await play(link, loud=False, seconds=1.0)
    started = (await model.says("input_audio_buffer.speech_started")).at
    words = [(await model.says(STT + "delta")).at - started for _ in range(6)]
    committed = (await model.says("input_audio_buffer.committed")).at - started
    assert words == pytest.approx([1.2, 1.5, 1.8, 2.1, 2.4, 2.7], abs=0.041)
    assert committed == pytest.approx(3.0 + 0.48, abs=0.09)
    completed = await model.says(STT + "completed")
    assert completed.event["transcript"] == QUESTIONS[0]
    assert completed.at - started - committed == pytest.approx(0.5)
    nursery.cancel_scope.cancel()


async def test_a_short_question_is_understood_after_the_commit(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    model = RuleBasedModel(["yes please"], nursery=nursery)
    link = await ready(model, nursery)
    await play(link, loud=True, seconds=0.4)
    await play(link, loud=False, seconds=2.0)
    committed = (await model.says("input_audio_buffer.committed")).at
    assert [(await model.says(STT + "delta")).at > committed for _ in range(2)] == [True, True]
    nursery.cancel_scope.cancel()


async def test_each_utterance_is_the_next_question(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    model = RuleBasedModel(QUESTIONS, nursery=nursery)
    link = await ready(model, nursery)
    for question in (*QUESTIONS, QUESTIONS[0]):
        await play(link, loud=True, seconds=1.0)
        await play(link, loud=False, seconds=1.5)
        assert (await model.says(STT + "completed")).event["transcript"] == question
    nursery.cancel_scope.cancel()


async def test_a_click_is_no_speech(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    model = RuleBasedModel(QUESTIONS, nursery=nursery)
    link = await ready(model, nursery)
    for _ in range(5):
        await play(link, loud=True, seconds=0.04)
        await play(link, loud=False, seconds=0.2)
    assert [entry.type for entry in model.said] == ["session.created", "session.updated"]
    nursery.cancel_scope.cancel()
