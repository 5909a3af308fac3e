"""Test your own prompt: what the model is given, and what your users get of its answer. No key, no network.

    python -m pytest examples/test_your_prompt.py

Copy this file beside your prompt. A session of the gateway runs in memory between a scripted model and a client. Time
is virtual: the clock jumps to the next event, so a conversation of minutes is tested in milliseconds, and every time in
a test is exact. The scripted model answers what a test tells it to. These tests prove what reaches the model and when,
not what a real model makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.prompt_testing import Passage, PromptSession, prompt_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

pytestmark = pytest.mark.trio

PROMPT = """\
You advise people who keep chickens. Answer in two sentences at most.
Use only the facts in <context>. If they do not answer the question, say that the handbook does not say."""

HANDBOOK = (
    Passage("brooding", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook, page 12"),
    Passage("light", "Light", "Layers need 16 hours of light a day.", "handbook, page 30"),
)


@pytest.fixture
async def conversation(autojump_clock: MockClock) -> AsyncIterator[PromptSession]:
    async with prompt_session(PROMPT, HANDBOOK) as session:
        yield session


async def test_the_model_gets_the_prompt_unchanged(autojump_clock: MockClock, conversation: PromptSession) -> None:
    update = await conversation.model.hears("session.update")
    assert update.event["session"]["instructions"] == PROMPT


async def test_the_model_gets_the_matching_document(autojump_clock: MockClock, conversation: PromptSession) -> None:
    await conversation.ask("How warm must the brooder be?")
    assert conversation.texts("user") == ["How warm must the brooder be?"]
    (context,) = conversation.texts("system")
    assert context.startswith("<context>")  # the word that the prompt uses
    assert "34 degrees" in context
    assert "16 hours" not in context


async def test_a_question_beyond_the_handbook_has_no_context(
    autojump_clock: MockClock, conversation: PromptSession
) -> None:
    await conversation.ask("Who won the cup?")
    assert conversation.texts("system") == []


async def test_the_user_gets_the_answer_within_half_a_second(
    autojump_clock: MockClock, conversation: PromptSession
) -> None:
    conversation.model.answers_with("Thirty-four degrees.", audio_ms=1500, first_audio_after=0.3)
    asked_at = conversation.client.now
    await conversation.ask("How warm must the brooder be?")
    first_audio = await conversation.client.hears("response.audio.delta")
    assert first_audio.at - asked_at < 0.5
    done = await conversation.client.hears("response.audio_transcript.done")
    assert done.event["transcript"] == "Thirty-four degrees."


async def test_an_interrupted_answer_is_forgotten_from_there_on(
    autojump_clock: MockClock, conversation: PromptSession
) -> None:
    conversation.model.answers_with("A long answer that the user interrupts.", audio_ms=10_000)
    await conversation.ask("How warm must the brooder be?")
    answer = (await conversation.client.hears("response.audio.delta")).event
    await trio.sleep(2.0)
    await conversation.client.interrupt(answer["item_id"], played_ms=1500)
    truncated = await conversation.model.hears("conversation.item.truncate")
    assert truncated.event["audio_end_ms"] == 1500
