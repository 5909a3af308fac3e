"""Weaviate keeps the contract of every knowledge base, all of it where the server ranks by our words, as ours does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.knowledge.test_knowledge_contract import (  # noqa: F401 - these tests run here too
    test_a_base_that_answers_is_available,
    test_a_passage_comes_with_all_that_is_known_of_it,
    test_an_empty_base_answers_with_nothing,
    test_an_empty_base_says_so_F38,
    test_any_text_is_a_safe_query,
    test_chinese_and_japanese_are_found_without_spaces,
    test_diacritics_and_case_make_no_difference,
    test_no_words_are_no_question,
    test_nothing_that_fits_is_an_empty_answer,
    test_other_forms_of_a_word_are_found,
    test_scores_fall_from_first_to_last_and_the_limit_holds,
    test_the_passage_that_shares_most_words_comes_first,
    test_words_in_the_title_weigh_more_than_words_in_the_text,
)
from tests.support.weaviate_server import WeaviateServer
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import DocumentTitles, MemoryKnowledge
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

if TYPE_CHECKING:
    from tests.knowledge.test_knowledge_contract import Holding
    from voice_trio.knowledge.knowledge import Knowledge


@pytest.fixture
def holding(request: pytest.FixtureRequest) -> Holding:
    """Makes a Weaviate that holds the given (title, text) pairs."""

    async def weaviate(*documents: tuple[str, str]) -> Knowledge:
        await trio.lowlevel.checkpoint()
        server = WeaviateServer(Passage(title, title, text, "handbook") for title, text in documents)
        server.__enter__()
        request.addfinalizer(lambda: server.__exit__(None, None, None))
        knowledge = WeaviateKnowledge(WeaviateAddress.of(server.url))
        request.addfinalizer(knowledge.close)
        return knowledge

    return weaviate


async def test_documents_are_named_without_a_count_F39(holding: Holding) -> None:
    handbook = (("Ducks – Water", "Deep."), ("Ducks – Feed", "Mash."), ("", "A note."), ("Brooding", "Warm."))
    async with trio.open_nursery() as nursery:
        shared = SharedKnowledge(await holding(*handbook), nursery)
        assert await shared.titles(12) == DocumentTitles(None, ("Brooding", "Ducks"))
        assert await shared.titles(1) == DocumentTitles(None, ("Brooding",))
        assert await SharedKnowledge(await holding(), nursery).titles(12) == DocumentTitles(0, ())


async def test_a_store_that_names_nothing_says_so_F39() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(KnowledgeUnavailable, match="cannot name"):
            await SharedKnowledge(MemoryKnowledge(), nursery).titles(12)
