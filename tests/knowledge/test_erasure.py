"""Words of deleted documents are gone from the file: over kills, over readers, and of bases of earlier versions."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.knowledge_commands import files_of
from voice_trio import limits
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "Zanzibar"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A base with a secret document among others."""
    path = tmp_path / "data" / "base.sqlite"
    with KnowledgeWriter(path) as writer:
        for number in range(20):
            writer.import_chunks(
                f"/docs/{number}.md", "1", [Chunk("Hens", f"hens drink water {number}", "hens.md")] * 5
            )
        writer.import_chunks("/docs/secret.md", "1", [Chunk(SECRET, f"{SECRET} is far {n}", SECRET) for n in range(5)])
    return path


def has_words(path: Path) -> bool:
    """Whether the secret is in the file, its journals or its index, which folds case."""
    content = files_of(path).lower()
    return SECRET.lower().encode() in content or b"secret.md" in content


def delete_secret(path: Path) -> None:
    with KnowledgeWriter(path) as writer:
        writer.delete([each for each in writer.documents() if each.path == "/docs/secret.md"])


def test_a_replaced_document_leaves_no_word_F49(path: Path) -> None:
    assert has_words(path)
    with KnowledgeWriter(path) as writer:
        writer.import_chunks("/docs/secret.md", "2", [Chunk("Nothing", "nothing to see", "nothing")])
        writer.delete([each for each in writer.documents() if each.path == "/docs/0.md"])
    assert SECRET.lower().encode() not in path.read_bytes().lower()


def test_what_a_killed_deletion_left_is_overwritten_by_the_next_writer_F49(path: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        from voice_trio.knowledge.sqlite import base
        base.erase_what_is_due = lambda connection, **how: os.kill(os.getpid(), signal.SIGKILL)
        writer = base.KnowledgeWriter(Path({str(path)!r}))
        writer.delete([each for each in writer.documents() if each.path == "/docs/secret.md"])
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert has_words(path)
    with KnowledgeWriter(path) as writer:
        assert len(writer.documents()) == 20
    assert not has_words(path)


def test_what_an_earlier_version_left_is_overwritten_too_F49(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA secure_delete = OFF")
        old.execute("DROP TABLE upkeep")
        old.execute("DELETE FROM terms WHERE rowid IN (SELECT id FROM chunks WHERE source = ?)", (SECRET,))
        old.execute("DELETE FROM chunks WHERE source = ?", (SECRET,))
    assert has_words(path)
    delete_secret(path)
    assert not has_words(path)


async def test_a_server_searches_on_while_a_document_is_deleted_F49(path: Path) -> None:
    knowledge = SqliteKnowledge(path)
    found: list[int] = []

    async def search() -> None:
        while True:
            found.append(len(await knowledge.search("hens water zanzibar", 3)))
            await trio.sleep(0.001)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(search)
            await trio.to_thread.run_sync(delete_secret, path)
            assert await knowledge.search("zanzibar", 3) == ()
            nursery.cancel_scope.cancel()
    knowledge.close()
    assert set(found) == {3}  # also once the rarest word is gone
    assert not has_words(path)


def test_a_reader_without_a_pause_is_named_and_the_words_go_later_F49(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SQLITE_WRITE_WAIT_SECONDS_MAX", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM chunks").fetchone()
        with pytest.raises(KnowledgeUnavailable, match="deleted, but their words are still in the file"):
            delete_secret(path)
    with KnowledgeWriter(path) as writer:
        assert len(writer.documents()) == 20
    assert not has_words(path)


def test_two_imports_of_one_folder_at_once_leave_each_document_once_F49(tmp_path: Path) -> None:
    folder, path = tmp_path / "docs", tmp_path / "data" / "two.sqlite"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.md").write_text(f"# Part {number}\nHens drink water.\n")
    command = [sys.executable, "-m", "voice_trio", "knowledge", "import", str(folder), "--path", str(path), "--prune"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    with KnowledgeWriter(path) as writer:
        assert [each.passages for each in writer.documents()] == [1] * 8
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_each_change_has_a_generation_of_its_own_F50(path: Path) -> None:
    knowledge = SqliteKnowledge(path)
    seen = [await knowledge.generation()]
    with KnowledgeWriter(path) as writer:
        writer.delete(writer.documents()[-1:])
        seen.append(await knowledge.generation())
        writer.import_chunks("/docs/secret.md", "1", [Chunk("A", "b", "c")] * 5)
        seen.append(await knowledge.generation())
        writer.import_chunks("/docs/secret.md", "2", [Chunk("A", "b", "c")] * 5)
        seen.append(await knowledge.generation())
    seen.append(await knowledge.generation())
    knowledge.close()
    assert len(set(seen)) == 4
    assert seen[3] == seen[4]
