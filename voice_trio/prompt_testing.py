"""Tests of your own prompt: what the model is given, and what your users get of its answer. No key, no network.

A session of the gateway runs in memory between a scripted model and a client. Under Trio's `autojump_clock` time is
virtual: a conversation of minutes takes milliseconds, and every time is exact.

    from voice_trio.prompt_testing import Passage, prompt_session

    HANDBOOK = [Passage("brooding", "Brooding", "The brooder must be at 34 degrees.", "handbook, page 12")]

    async def test_the_model_gets_the_matching_document(autojump_clock):
        async with prompt_session("Use only the facts in <context>.", HANDBOOK) as session:
            await session.ask("How warm must the brooder be?")
            (context,) = session.texts("system")
            assert "34 degrees" in context
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio.auth.tokens import User
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.session.config import SessionConfig
from voice_trio.session.session import Session
from voice_trio.settings import load_settings
from voice_trio.testing import FakeClient, MemoryLink, ScriptedModel, memory_link_pair
from voice_trio.web.session_config import realtime_config_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["Passage", "PromptSession", "prompt_session"]


class PromptSession:
    """A session that is ready; `model` is the scripted model, `client` the user's end. Made by `prompt_session`."""

    def __init__(self, model: ScriptedModel, client: FakeClient) -> None:
        self.model = model
        self.client = client

    async def ask(self, question: str) -> None:
        """Type a question, and wait until the model is asked to answer it."""
        await self.client.type(question)
        await self.model.hears("response.create")

    def texts(self, role: str) -> list[str]:
        """The texts that the model's conversation holds of one role, in order.

        `user` and `assistant` are what was said; the passages of a turn are one text of `system`.
        """
        items = [item for item in self.model.items if item.get("role") == role]
        return [part["text"] for item in items for part in item["content"] if "text" in part]


@asynccontextmanager
async def prompt_session(
    prompt: str, documents: Sequence[Passage] = (), **variables: str
) -> AsyncIterator[PromptSession]:
    """A session with `prompt` as its instructions, over `documents`; it is ended when the block is left.

    `variables` are settings by their names, such as `RAG_LIMIT="1"`. Raises `ConfigurationError` for a wrong one.
    """
    settings = load_settings({"VOICE_INSTRUCTIONS": prompt, **variables})
    retrieval = settings.retrieval
    async with trio.open_nursery() as nursery:
        model, (ours, theirs) = ScriptedModel(nursery), memory_link_pair()
        client = FakeClient(theirs)

        async def connect_upstream(_: trio.Nursery) -> MemoryLink:
            await trio.lowlevel.checkpoint()
            return model.connect()

        config = SessionConfig(
            "test",
            realtime_config_for(User("test"), settings),
            search_limit=retrieval.limit,
            policy=Policy(
                wait_seconds_max=retrieval.wait_ms / 1000,
                prefetch_words_min=retrieval.min_words,
                context_tokens_max=retrieval.context_tokens,
            ),
        )
        nursery.start_soon(client.run)
        nursery.start_soon(Session(ours, connect_upstream, MemoryKnowledge(documents), config).run)
        await client.hears("session.updated")
        yield PromptSession(model, client)
        await client.end_session()
        await client.is_closed()
        nursery.cancel_scope.cancel()
