"""What the log says at the start of a gateway about its knowledge base."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.support.gateway_fixture import settings
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.server.process import _check_knowledge


class Base(MemoryKnowledge):
    """A base that answers or not, and may not know whether it is empty."""

    def __init__(self, passages: tuple[Passage, ...], *, answers: bool) -> None:
        super().__init__(passages)
        self._is_answering = answers

    async def is_available(self) -> bool:
        return self._is_answering

    async def is_empty(self) -> bool | None:
        return await super().is_empty() if self._is_answering else None


HENS = (Passage("1", "Hens", "Hens lay eggs.", "hens.md"),)


@pytest.mark.parametrize(
    ("base", "events"),
    [
        (Base((), answers=True), ["knowledge_empty"]),
        (Base(HENS, answers=False), ["knowledge_unavailable"]),
        (Base(HENS, answers=True), []),
    ],
)
async def test_a_gateway_tells_an_empty_base_from_one_that_is_away(base: Base, events: list[str]) -> None:
    with capture_logs() as logs:
        await _check_knowledge(base, settings())
    assert [entry["event"] for entry in logs] == events
