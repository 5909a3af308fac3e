"""Documents imported into Weaviate are found there, replaced when they change, and whole or done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from click.testing import CliRunner

from tests.support.weaviate_server import WeaviateServer
from voice_trio import limits
from voice_trio.cli.knowledge import knowledge
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.importing.documents import ImportStatus, find_documents, import_documents
from voice_trio.knowledge.sqlite.base import Chunk
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[WeaviateServer]:
    with WeaviateServer() as server:
        yield server


def target_of(server: WeaviateServer, collection: str = "Document") -> WeaviateTarget:
    return WeaviateTarget(WeaviateAddress.of(server.url), api_key=None, collection=collection)


def texts(server: WeaviateServer) -> list[str]:
    return sorted(properties["content"] for properties in server.objects.values())


async def test_what_was_imported_is_found(server: WeaviateServer, tmp_path: Path) -> None:
    (tmp_path / "hens.md").write_text("# Hens\nHens drink water.\n\n## Winter\nIce is broken in the morning.\n")
    with target_of(server) as target:
        (first,) = import_documents(find_documents([tmp_path]), target)
        (second,) = import_documents(find_documents([tmp_path]), target)
    assert (first.status, first.chunks, second.status) == (ImportStatus.IMPORTED, 2, ImportStatus.UNCHANGED)
    knowledge = WeaviateKnowledge(WeaviateAddress.of(server.url))
    with trio.fail_after(20):
        (found,) = await knowledge.search("ice in winter", 1)
    knowledge.close()
    assert (found.title, found.text, found.source) == ("Hens – Winter", "Ice is broken in the morning.", "hens.md")


def test_a_changed_document_replaces_what_was_there_and_no_other(server: WeaviateServer) -> None:
    with target_of(server) as target:
        target.import_chunks("a", "1", [Chunk("A", f"old {n}", "a") for n in range(4)])
        target.import_chunks("b", "1", [Chunk("B", "kept", "b")])
        target.import_chunks("a", "2", [Chunk("A", f"new {n}", "a") for n in range(2)])
        assert target.holds("a", "2")
        assert not target.holds("a", "1")
    assert texts(server) == ["kept", "new 0", "new 1"]


def test_an_import_that_broke_off_is_not_taken_for_whole(server: WeaviateServer) -> None:
    def breaking() -> Iterator[Chunk]:
        for number in range(limits.WEAVIATE_IMPORT_BATCH + 5):
            yield Chunk("A", f"passage {number}", "a")
        raise OSError("the disk is gone")

    with target_of(server) as target:
        with pytest.raises(OSError, match="disk"):
            target.import_chunks("a", "1", breaking())
        assert len(server.objects) == limits.WEAVIATE_IMPORT_BATCH
        assert not target.holds("a", "1")
        assert target.import_chunks("a", "1", [Chunk("A", f"passage {n}", "a") for n in range(3)]) == 3
        assert target.holds("a", "1")


def test_a_missing_collection_and_a_failing_server_are_told(server: WeaviateServer) -> None:
    with pytest.raises(KnowledgeUnavailable, match="no collection Nothing"):
        target_of(server, "Nothing")
    with target_of(server) as target:
        server.fail()
        with pytest.raises(KnowledgeUnavailable, match="told to fail"):
            target.import_chunks("a", "1", [Chunk("A", "text", "a")])


def test_the_command_imports_into_the_weaviate_of_the_settings(server: WeaviateServer, tmp_path: Path) -> None:
    (tmp_path / "hens.md").write_text("# Hens\nHens drink water.\n")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7")
    import_it = ["import", str(tmp_path), "--to", "weaviate"]
    done = CliRunner().invoke(knowledge, import_it, env={"WEAVIATE_URL": server.url})
    assert done.exit_code == 1
    assert "1 imported (1 passage), 0 unchanged, 1 unreadable" in done.output
    assert "broken.pdf" in done.output
    assert texts(server) == ["Hens drink water."]
    unset = CliRunner().invoke(knowledge, import_it, env={"WEAVIATE_URL": ""})
    assert unset.exit_code == 1
    assert "WEAVIATE_URL is not set" in unset.output
