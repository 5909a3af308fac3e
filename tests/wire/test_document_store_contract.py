"""What `voice-trio knowledge` asks of a store of documents: SQLite and Weaviate are held to the same."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.weaviate_server import WeaviateServer
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.stored_documents import choose_documents, document_key
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HENS = [Chunk("Hens", "Hens drink water.", "hens.md"), Chunk("Hens – Winter", "Ice is broken.", "hens.md")]
DUCKS = [Chunk("Ducks", "Ducks swim.", "ducks.md")]


@pytest.fixture(params=["sqlite", "weaviate"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KnowledgeWriter | WeaviateTarget]:
    """A store with two documents."""
    with ExitStack() as stack:
        store: KnowledgeWriter | WeaviateTarget
        if request.param == "sqlite":
            store = stack.enter_context(KnowledgeWriter(tmp_path / "base.sqlite3"))
        else:
            address = WeaviateAddress.of(stack.enter_context(WeaviateServer()).url)
            store = stack.enter_context(WeaviateTarget(address, api_key=None, collection="Document"))
        store.import_chunks("/docs/hens.md", "1", HENS)
        store.import_chunks("/docs/d\udce9.md", "1", DUCKS)
        yield store


def test_documents_are_listed_with_title_source_and_number_of_passages_F49(
    store: KnowledgeWriter | WeaviateTarget,
) -> None:
    listed = {each.path: (each.key, each.title, each.source, each.passages) for each in store.documents()}
    assert listed == {
        "/docs/hens.md": (document_key("/docs/hens.md"), "Hens", "hens.md", 2),
        r"/docs/d\udce9.md": (document_key("/docs/d\udce9.md"), "Ducks", "ducks.md", 1),
    }


def test_a_deleted_document_is_no_more_held_and_can_come_again_F49(store: KnowledgeWriter | WeaviateTarget) -> None:
    hens = choose_documents(store.documents(), ["/docs/hens.md"])
    store.delete(hens)
    store.delete(hens)
    assert [each.title for each in store.documents()] == ["Ducks"]
    assert not store.holds("/docs/hens.md", "1")
    assert store.holds("/docs/d\udce9.md", "1")
    assert store.import_chunks("/docs/hens.md", "1", HENS) == 2
    assert store.holds("/docs/hens.md", "1")


def test_a_changed_document_keeps_its_key_F49(store: KnowledgeWriter | WeaviateTarget) -> None:
    store.import_chunks("/docs/hens.md", "2", DUCKS)
    assert [(each.key, each.passages) for each in store.documents() if each.path == "/docs/hens.md"] == [
        (document_key("/docs/hens.md"), 1)
    ]


def test_everything_is_deleted_at_once_F49(store: KnowledgeWriter | WeaviateTarget) -> None:
    store.delete(store.documents())
    assert store.documents() == []
