"""Documents imported into Weaviate are found there, replaced when they change, and whole or done again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio
from click.testing import CliRunner, Result

from tests.support.deployment import SECRET
from tests.support.weaviate_server import WeaviateServer, collection_schema
from voice_trio import limits
from voice_trio.cli.check import _check_knowledge
from voice_trio.cli.knowledge import knowledge
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.importing.documents import ImportStatus, import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.passage_cache.file import PassageCacheFile, passage_cache_path
from voice_trio.knowledge.sqlite.base import Chunk
from voice_trio.knowledge.stored_documents import document_key
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge
from voice_trio.settings import load_settings

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


def test_a_document_in_parts_is_there_and_read_again_by_the_next_import(server: WeaviateServer) -> None:
    with target_of(server) as target:
        for text in ("old", "new"):
            assert (
                target.import_chunks("a", text, [Chunk("A", f"{text} {n}", "a") for n in range(3)], lambda: False) == 3
            )
            assert texts(server) == [f"{text} {n}" for n in range(3)]
            assert not target.holds("a", text)
        target.import_chunks("a", "new", [Chunk("A", "new and whole", "a")])  # the same file, read whole this time
        assert target.holds("a", "new")
    assert texts(server) == ["new and whole"]


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
    with pytest.raises(KnowledgeUnavailable, match=r"no collection Nothing.*--create"):
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


def run(server: WeaviateServer, *arguments: str | Path, **variables: str) -> Result:
    """Runs `voice-trio knowledge … --to weaviate`."""
    command = [*map(str, arguments), "--to", "weaviate"]
    return CliRunner().invoke(knowledge, command, env={"WEAVIATE_URL": server.url, **variables})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two documents."""
    place = tmp_path / "docs"
    place.mkdir()
    (place / "hens.md").write_text("# Hens\nHens drink water.\n\n## Winter\nIce is broken.\n")
    (place / "ducks.md").write_text("# Ducks\nDucks swim.\n")
    return place


def test_documents_are_listed_and_deleted_there_with_the_same_keys_F49(server: WeaviateServer, folder: Path) -> None:
    server.objects["0e9f9f6e-0000-4000-8000-000000000000"] = {"title": "Not ours", "content": "stays"}
    assert "nothing in" in run(server, "list").stderr
    assert run(server, "import", folder).exit_code == 0
    documents = json.loads(run(server, "list", "--json").stdout)["documents"]
    assert [(each["title"], each["passages"]) for each in documents] == [("Ducks", 1), ("Hens", 2)]
    assert [each["path"] for each in documents] == [str(folder / "ducks.md"), str(folder / "hens.md")]
    assert documents[1]["key"] == document_key(str(folder / "hens.md"))
    assert run(server, "delete", documents[1]["key"][:12]).exit_code == 0
    assert texts(server) == ["Ducks swim.", "stays"]
    assert run(server, "clear", "--yes").exit_code == 0
    assert texts(server) == ["stays"]


def test_prune_keeps_the_collection_in_step_with_the_folder_F49(server: WeaviateServer, folder: Path) -> None:
    with target_of(server) as target:
        target.import_chunks("/elsewhere/geese.md", "1", [Chunk("Geese", "Geese graze.", "geese.md")])
    run(server, "import", folder)
    (folder / "hens.md").unlink()
    assert "would delete" in run(server, "import", folder, "--prune", "--dry-run").output
    assert len(texts(server)) == 4
    assert run(server, "import", folder, "--prune").exit_code == 0
    assert texts(server) == ["Ducks swim.", "Geese graze."]


def test_a_deleted_document_leaves_the_passages_cached_on_this_machine_F49(
    server: WeaviateServer, folder: Path, tmp_path: Path
) -> None:
    run(server, "import", folder)
    base = tmp_path / "knowledge.sqlite3"
    cache = PassageCache(file=PassageCacheFile(passage_cache_path(base, "this store")))
    passages = (Passage(key, each["title"], each["content"], each["source"]) for key, each in server.objects.items())
    cache.put(passages, 0.0)
    assert run(server, "delete", folder / "hens.md", "--yes", KNOWLEDGE_PATH=str(base)).exit_code == 0
    assert [found.text for found in cache.search("ducks swim hens ice", 5, 0.0)] == ["Ducks swim."]
    assert b"broken" not in b"".join(path.read_bytes() for path in tmp_path.glob("knowledge.kept-*"))
    cache.close()


def test_a_missing_collection_is_created_when_asked_F49(server: WeaviateServer, folder: Path) -> None:
    there = {"WEAVIATE_COLLECTION": "Handbook"}
    refused = run(server, "import", folder, **there)
    assert refused.exit_code == 1
    assert "no collection Handbook" in refused.output
    made = run(server, "import", folder, "--create", **there)
    assert made.exit_code == 0, made.output
    assert "Created the collection Handbook; its vectorizer: text2vec-transformers" in made.output
    properties = {each["name"]: each for each in server.schemas["Handbook"]["properties"]}
    assert list(properties)[:3] == ["content", "title", "source"]
    assert "1 imported" not in run(server, "import", folder, "--create", **there).output
    chosen = run(server, "import", folder, "--create", "--vectorizer", "text2vec-ollama", WEAVIATE_COLLECTION="Other")
    assert "its vectorizer: text2vec-ollama" in chosen.output


def test_a_collection_without_vectors_is_refused_unless_words_are_enough_F49(
    server: WeaviateServer, folder: Path
) -> None:
    server.default_vectorizer = "none"
    refused = run(server, "import", folder, "--create", WEAVIATE_COLLECTION="Plain")
    assert refused.exit_code == 1
    assert "has no vectorizer, and RAG_ALPHA=0.7" in refused.output
    assert "Plain" not in server.schemas
    words = run(
        server, "import", folder, "--create", "--vectorizer", "none", WEAVIATE_COLLECTION="Plain", RAG_ALPHA="0"
    )
    assert words.exit_code == 0, words.output


def test_a_collection_that_does_not_fit_says_why_F49(server: WeaviateServer, folder: Path) -> None:
    server.schemas["Document"] = collection_schema("Document", types={"content": "int", "title": "text"})
    assert "does not fit: `content` is int, not text" in run(server, "import", folder).output
    server.schemas["Document"] = collection_schema("Document", types={"body": "text"})
    assert "no property `content` (WEAVIATE_TEXT_PROPERTY), only body" in run(server, "import", folder).output


def test_a_refused_passage_is_named_with_its_document_F49(server: WeaviateServer, folder: Path) -> None:
    server.refused_titles.add("Hens – Winter")
    result = run(server, "import", folder)
    assert result.exit_code == 1
    assert f"passages of {folder / 'hens.md'} from 'Hens – Winter' on: " in result.output
    assert "told to refuse it" in result.output
    (folder / "hens.md").write_text("# Hens\n\n## Summer\nShade.\n\n## Winter\nIce is broken.\n\n## Spring\nMud.\n")
    result = run(server, "import", folder)
    assert f"refused 1 of 2 passages of {folder / 'hens.md'}: 'Hens – Winter': told to refuse it" in result.output


async def test_check_says_that_a_collection_is_empty_or_missing_F49(server: WeaviateServer) -> None:
    async def checked(collection: str) -> tuple[bool, str]:
        settings = load_settings({"WEAVIATE_URL": server.url, "WEAVIATE_COLLECTION": collection, "JWT_SECRET": SECRET})
        return await _check_knowledge(settings)

    with trio.fail_after(20):
        is_well, words = await checked("Document")
        assert not is_well
        assert words.endswith("empty; fill it with: voice-trio knowledge import FOLDER --to weaviate")
        with target_of(server) as target:
            target.import_chunks("/docs/a.md", "1", [Chunk("A", "text", "a.md")])
        assert (await checked("Document"))[0]
        server.missing.add("Missing")
        is_well, words = await checked("Missing")
        assert not is_well
        assert words.endswith("create it with: voice-trio knowledge import FOLDER --to weaviate --create")
