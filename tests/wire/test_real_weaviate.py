"""A real Weaviate, where WEAVIATE_TEST_URL names one (and WEAVIATE_TEST_API_KEY its key): the contract's first part.

A collection is made there for each test, without a vectoriser, filled by our own import, searched by words only and
deleted again; nothing else is touched.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
import trio

from tests.knowledge.test_knowledge_contract import (  # noqa: F401 - these tests run here too
    test_a_base_that_answers_is_available,
    test_a_passage_comes_with_all_that_is_known_of_it,
    test_an_empty_base_answers_with_nothing,
    test_any_text_is_a_safe_query,
    test_no_words_are_no_question,
    test_scores_fall_from_first_to_last_and_the_limit_holds,
    test_the_passage_that_shares_most_words_comes_first,
)
from voice_trio.knowledge.sqlite.base import Chunk
from voice_trio.knowledge.weaviate.collection import NewCollection
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge, connect

if TYPE_CHECKING:
    from tests.knowledge.test_knowledge_contract import Holding
    from voice_trio.knowledge.knowledge import Knowledge

URL = os.environ.get("WEAVIATE_TEST_URL", "")
KEY = os.environ.get("WEAVIATE_TEST_API_KEY")
SECONDS_MAX = 10.0

if not URL:
    pytest.skip("no real Weaviate is tested: WEAVIATE_TEST_URL is not set", allow_module_level=True)


@pytest.fixture
def holding(request: pytest.FixtureRequest) -> Holding:
    """Makes a collection that holds the given (title, text) pairs."""

    async def weaviate(*documents: tuple[str, str]) -> Knowledge:
        collection = f"VoiceTrioContract{uuid.uuid4().hex}"
        request.addfinalizer(lambda: drop(collection))
        await trio.to_thread.run_sync(fill, collection, documents)
        address = WeaviateAddress.of(URL)
        knowledge = WeaviateKnowledge(
            address, api_key=KEY, collection=collection, alpha=0.0, search_seconds_max=SECONDS_MAX
        )
        request.addfinalizer(knowledge.close)
        return knowledge

    return weaviate


def fill(collection: str, documents: tuple[tuple[str, str], ...]) -> None:
    new = NewCollection("none")
    with WeaviateTarget(WeaviateAddress.of(URL), api_key=KEY, collection=collection, new=new) as target:
        for title, text in documents:
            target.import_chunks(title, "1", [Chunk(title, text, "handbook")])


async def test_documents_are_listed_and_deleted_F49(request: pytest.FixtureRequest) -> None:
    collection = f"VoiceTrioContract{uuid.uuid4().hex}"
    request.addfinalizer(lambda: drop(collection))
    await trio.to_thread.run_sync(fill, collection, (("Hens", "Hens drink."), ("Ducks", "Ducks swim.")))
    with WeaviateTarget(WeaviateAddress.of(URL), api_key=KEY, collection=collection) as target:
        hens = [each for each in target.documents() if each.path == "Hens"]
        assert [(each.title, each.source, each.passages) for each in hens] == [("Hens", "handbook", 1)]
        assert len(target.delete(hens)) == 1
        assert [each.title for each in target.documents()] == ["Ducks"]
        assert target.vectorizers == []


def drop(collection: str) -> None:
    with connect(WeaviateAddress.of(URL), KEY, SECONDS_MAX) as client:
        client.collections.delete(collection)
