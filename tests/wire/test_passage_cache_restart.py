"""A gateway that starts again has the passages of before, checks them with the store, shows them to no other key."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
import trio

from tests.support.weaviate_server import WeaviateServer
from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.open_knowledge import open_knowledge
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from voice_trio.knowledge.shared_knowledge import SharedKnowledge

BROODING = Passage("1", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook")
WATER = Passage("2", "Water", "Ducks need water deep enough for their bills.", "handbook")
LIGHT = Passage("3", "Light", "Layers need 16 hours of light.", "handbook")
EVERYTHING = "brooder degrees water ducks light layers"


@pytest.fixture
def server() -> Iterator[WeaviateServer]:
    with WeaviateServer([BROODING, WATER, LIGHT]) as server:
        yield server


@asynccontextmanager
async def knowledge(folder: Path, url: str, **variables: str) -> AsyncIterator[SharedKnowledge]:
    settings = load_settings({"WEAVIATE_URL": url, "KNOWLEDGE_PATH": str(folder / "base.sqlite3"), **variables})
    with trio.fail_after(20):
        async with open_knowledge(settings) as shared:
            yield cast("SharedKnowledge", shared)


async def kept_titles(shared: SharedKnowledge) -> set[str]:
    return {passage.title for passage in await shared.search_cached(EVERYTHING, 5)}


async def live_through(folder: Path, server: WeaviateServer) -> None:
    """One life of a gateway, in which something was asked."""
    async with knowledge(folder, server.url) as shared:
        await shared.search(EVERYTHING, 5)
        while len(await kept_titles(shared)) < 3:  # noqa: ASYNC110 - a thread keeps them
            await trio.sleep(0.01)


async def test_a_cold_start_has_the_passages_of_before_without_asking(tmp_path: Path, server: WeaviateServer) -> None:
    await live_through(tmp_path, server)
    asked = len(server.requests)
    async with knowledge(tmp_path, server.url) as shared:
        assert await kept_titles(shared) == {"Brooding", "Water", "Light"}
        (best,) = await shared.search_cached("how warm must the brooder be", 1)
        assert (best.title, best.text, best.source) == (BROODING.title, BROODING.text, "handbook")
    assert len(server.requests) == asked


async def test_also_while_the_store_is_away(tmp_path: Path, server: WeaviateServer) -> None:
    await live_through(tmp_path, server)
    server.close()
    async with knowledge(tmp_path, server.url) as shared:
        assert await kept_titles(shared) == {"Brooding", "Water", "Light"}


async def test_what_was_deleted_or_changed_meanwhile_is_known_within_moments_of_the_start(
    tmp_path: Path, server: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live_through(tmp_path, server)
    by_title = {properties["title"]: key for key, properties in server.objects.items()}
    del server.objects[by_title["Water"]]
    server.objects[by_title["Light"]]["content"] = "Layers need 14 hours of lamps."
    monkeypatch.setattr(limits, "REVALIDATE_SECONDS", 0.0)  # ten minutes have passed
    async with knowledge(tmp_path, server.url) as shared:
        while "Water" in await kept_titles(shared):  # noqa: ASYNC110 - as above
            await trio.sleep(0.01)
        assert await kept_titles(shared) == {"Brooding", "Light"}
        assert [passage.text for passage in await shared.search_cached("lamps", 5)] == [
            "Layers need 14 hours of lamps."
        ]


@pytest.mark.parametrize(
    "other", [{"WEAVIATE_API_KEY": "another"}, {"WEAVIATE_COLLECTION": "Secret"}, {"WEAVIATE_TEXT_PROPERTY": "body"}]
)
async def test_another_key_collection_or_property_finds_nothing_of_it(
    tmp_path: Path, server: WeaviateServer, other: dict[str, str]
) -> None:
    await live_through(tmp_path, server)
    async with knowledge(tmp_path, server.url, **other) as shared:
        assert await kept_titles(shared) == set()


async def test_looking_up_finds_those_that_there_are(server: WeaviateServer) -> None:
    from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

    store = WeaviateKnowledge(WeaviateAddress.of(server.url), search_seconds_max=0.5)
    with trio.fail_after(20):
        keys = [*server.objects, "00000000-0000-0000-0000-000000000000"]
        assert {passage.title for passage in await store.look_up(keys)} == {"Brooding", "Water", "Light"}
    store.close()
