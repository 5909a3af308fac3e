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

from voice_trio.auth.tokens import User
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.session.config import SessionConfig
from voice_trio.session.session import Session
from voice_trio.settings import load_settings
from voice_trio.testing import FakeClient, ScriptedModel, memory_link_pair
from voice_trio.web.session_config import realtime_config_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from voice_trio.testing import MemoryLink

pytestmark = pytest.mark.trio

PROMPT = """\
You advise people who keep chickens. Answer in two sentences at most.
Use only the facts in <context>. If they do not answer the question, say that the handbook does not say."""

HANDBOOK = (
    Passage("brooding", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook, page 12"),
    Passage("light", "Light", "Layers need 16 hours of light a day.", "handbook, page 30"),
)


class Conversation:
    """A session with `PROMPT` and `HANDBOOK`; `model` and `client` are its two ends."""

    def __init__(self, nursery: trio.Nursery) -> None:
        ours, theirs = memory_link_pair()
        self.model = ScriptedModel(nursery)
        self.client = FakeClient(theirs)
        settings = load_settings({"VOICE_INSTRUCTIONS": PROMPT})
        terms = SessionConfig("test", realtime_config_for(User("ada"), settings))
        self._session = Session(ours, self._connect_upstream, MemoryKnowledge(HANDBOOK), terms)
        nursery.start_soon(self.client.run)
        nursery.start_soon(self._session.run)

    async def _connect_upstream(self, nursery: trio.Nursery) -> MemoryLink:
        return self.model.connect()

    async def ask(self, question: str) -> None:
        """The user types a question; returns when the model is asked to answer it."""
        await self.client.type(question)
        await self.model.hears("response.create")

    def texts(self, role: str) -> list[str]:
        """What the model's conversation holds of one role, in order."""
        items = [item for item in self.model.items if item.get("role") == role]
        return [part["text"] for item in items for part in item["content"] if "text" in part]


@pytest.fixture
async def conversation(autojump_clock: MockClock, nursery: trio.Nursery) -> AsyncIterator[Conversation]:
    conversation = Conversation(nursery)
    await conversation.client.hears("session.updated")
    yield conversation
    await conversation.client.end_session()
    await conversation.client.is_closed()


async def test_the_model_gets_the_prompt_unchanged(autojump_clock: MockClock, conversation: Conversation) -> None:
    update = await conversation.model.hears("session.update")
    assert update.event["session"]["instructions"] == PROMPT


async def test_the_model_gets_the_matching_document(autojump_clock: MockClock, conversation: Conversation) -> None:
    await conversation.ask("How warm must the brooder be?")
    assert conversation.texts("user") == ["How warm must the brooder be?"]
    (context,) = conversation.texts("system")
    assert context.startswith("<context>")  # the word that the prompt uses
    assert "34 degrees" in context
    assert "16 hours" not in context


async def test_a_question_beyond_the_handbook_has_no_context(
    autojump_clock: MockClock, conversation: Conversation
) -> None:
    await conversation.ask("Who won the cup?")
    assert conversation.texts("system") == []


async def test_the_user_gets_the_answer_within_half_a_second(
    autojump_clock: MockClock, conversation: Conversation
) -> None:
    conversation.model.answers_with("Thirty-four degrees.", audio_ms=1500, first_audio_after=0.3)
    asked_at = conversation.client.now
    await conversation.ask("How warm must the brooder be?")
    first_audio = await conversation.client.hears("response.audio.delta")
    assert first_audio.at - asked_at < 0.5
    done = await conversation.client.hears("response.audio_transcript.done")
    assert done.event["transcript"] == "Thirty-four degrees."


async def test_an_interrupted_answer_is_forgotten_from_there_on(
    autojump_clock: MockClock, conversation: Conversation
) -> None:
    conversation.model.answers_with("A long answer that the user interrupts.", audio_ms=10_000)
    await conversation.ask("How warm must the brooder be?")
    answer = (await conversation.client.hears("response.audio.delta")).event
    await trio.sleep(2.0)
    await conversation.client.interrupt(answer["item_id"], played_ms=1500)
    truncated = await conversation.model.hears("conversation.item.truncate")
    assert truncated.event["audio_end_ms"] == 1500
