"""The twin does what a test tells it, on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import MemoryKnowledge, RecordedSearch

if TYPE_CHECKING:
    from trio.testing import MockClock

WATER = Passage("1", "Water", "Hens drink water.", "handbook")


async def test_it_answers_after_exactly_the_time_it_was_told(autojump_clock: MockClock) -> None:
    base = MemoryKnowledge([WATER])
    base.answer_after(0.35)
    began = trio.current_time()
    assert len(await base.search("water", 5)) == 1
    assert trio.current_time() - began == pytest.approx(0.35)


async def test_it_records_what_was_asked_and_when(autojump_clock: MockClock) -> None:
    base = MemoryKnowledge([WATER])
    began = trio.current_time()
    await base.search("water", 5)
    await trio.sleep(2)
    await base.search("hens", 3)
    assert base.queries[0] == RecordedSearch(began, "water", 5)
    assert (base.queries[1].text, base.queries[1].limit) == ("hens", 3)
    assert base.queries[1].at - began == pytest.approx(2)


async def test_it_fails_until_told_to_answer(autojump_clock: MockClock) -> None:
    base = MemoryKnowledge([WATER])
    base.fail(KnowledgeUnavailable("down"))
    assert not await base.is_available()
    with pytest.raises(KnowledgeUnavailable, match="down"):
        await base.search("water", 5)
    base.answer_after(0)
    assert await base.is_available()
    assert len(await base.search("water", 5)) == 1


async def test_a_hanging_search_ends_only_by_cancellation(autojump_clock: MockClock) -> None:
    base = MemoryKnowledge([WATER])
    base.hang()
    with trio.move_on_after(3600) as scope:
        await base.search("water", 5)
    assert scope.cancelled_caught
    assert not await base.is_available()


async def test_it_learns_more(autojump_clock: MockClock) -> None:
    base = MemoryKnowledge()
    base.learn(WATER)
    assert [p.id for p in await base.search("water", 5)] == ["1"]
