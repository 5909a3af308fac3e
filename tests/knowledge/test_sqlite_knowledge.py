"""The embedded base: other processes write it while it is read, die half way, or bring the wrong file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio import limits
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.sqlite import knowledge
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "base.sqlite"


@pytest.fixture
def base(path: Path) -> Iterator[SqliteKnowledge]:
    store = SqliteKnowledge(path)
    yield store
    store.close()


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(f"Part {n}", text, "book") for n, text in enumerate(texts)]


def content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)


def in_another_process(path: Path, program: str) -> subprocess.Popen[str]:
    """Run `program` with a writer `w` for `path`, and `Chunk`."""
    prelude = f"""
        from pathlib import Path
        from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
        w = KnowledgeWriter(Path({str(path)!r}))
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(program)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


async def test_a_base_that_does_not_exist_yet_is_an_empty_one(base: SqliteKnowledge, path: Path) -> None:
    assert await base.search("water", 5) == ()
    assert not await base.is_available()
    assert (await base.stats()).documents == 0
    assert content_of(path) is None


async def test_an_import_by_another_process_is_found_at_once(base: SqliteKnowledge, path: Path) -> None:
    assert await base.search("zeppelin", 5) == ()
    for n, word in enumerate(["zeppelin", "airship"]):
        program = f"w.import_chunks('{n}', '1', [Chunk('T', 'A {word} flies.', 's')]); w.close()"
        with in_another_process(path, program) as process:
            assert await trio.to_thread.run_sync(process.wait) == 0
        assert [p.text for p in await base.search(word, 5)] == [f"A {word} flies."]


async def test_a_changed_document_replaces_its_passages(base: SqliteKnowledge) -> None:
    assert await base.import_chunks("a", "1", chunks("old ducks", "old geese")) == 2
    assert await base.import_chunks("b", "1", chunks("quail")) == 1
    assert await base.import_chunks("a", "2", chunks("new turkeys")) == 1
    assert await base.search("ducks geese", 5) == ()
    assert [p.text for p in await base.search("turkeys", 5)] == ["new turkeys"]
    assert [p.text for p in await base.search("quail", 5)] == ["quail"]
    stats = await base.stats()
    assert (stats.documents, stats.chunks) == (2, 2)
    assert stats.size_bytes > 0


async def test_an_unchanged_document_is_not_imported_again(base: SqliteKnowledge) -> None:
    await base.import_chunks("a", "1", chunks("ducks"))
    assert await base.import_chunks("a", "1", chunks("something else")) == 0
    assert len(await base.search("ducks", 5)) == 1


async def test_a_document_whose_reading_fails_leaves_the_base_as_it_was(base: SqliteKnowledge) -> None:
    await base.import_chunks("a", "1", chunks("ducks"))

    def breaking() -> Iterator[Chunk]:
        yield Chunk("T", "geese", "s")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="disk"):
        await base.import_chunks("a", "2", breaking())
    assert len(await base.search("ducks", 5)) == 1
    assert await base.search("geese", 5) == ()


async def test_an_import_killed_half_way_leaves_whole_documents_only(base: SqliteKnowledge, path: Path) -> None:
    program = """
        w.import_chunks('whole', '1', [Chunk('T', f'kept goose{n}', 's') for n in range(50)])
        def endless():
            for n in range(10**9):
                if n == 5_000:
                    print('half way', flush=True)
                yield Chunk('T', f'lost duck{n} ' + 'filler ' * 50, 's')
        w.import_chunks('half', '1', endless())
    """
    with in_another_process(path, program) as process:
        assert process.stdout is not None
        assert await trio.to_thread.run_sync(process.stdout.readline) == "half way\n"
        process.send_signal(signal.SIGKILL)
        assert await trio.to_thread.run_sync(process.wait) == -signal.SIGKILL
    assert await base.search("lost", 5) == ()
    assert (await base.stats()).documents == 1
    assert len(await base.search("goose7 goose8", 5)) == 2
    assert await base.import_chunks("half", "1", chunks("found duck")) == 1
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
    connection.close()


async def test_searches_go_on_while_another_process_imports(base: SqliteKnowledge, path: Path) -> None:
    await base.import_chunks("first", "1", chunks("steady hens drink water"))
    program = """
        for n in range(150):
            w.import_chunks(f'{n}', '1', [Chunk('T', f'new{n} text ' + 'word ' * 100, 's')] * 10)
        w.close()
    """
    slowest = 0.0
    searches = 0
    with in_another_process(path, program) as process:
        while process.poll() is None:
            began = time.perf_counter()
            found = await base.search("steady water", 5)
            slowest = max(slowest, time.perf_counter() - began)
            assert found[0].text == "steady hens drink water"
            searches += 1
            await trio.sleep(0.002)
        assert process.wait() == 0
    assert searches > 10
    assert slowest < 1.0
    assert (await base.stats()).chunks == 1501


async def test_two_processes_may_make_the_base_at_the_same_time(base: SqliteKnowledge, path: Path) -> None:
    program = "w.import_chunks({!r}, '1', [Chunk('T', {!r}, 's')]); w.close()"
    words = ["ducks", "geese", "quail", "turkeys"]
    processes = [in_another_process(path, program.format(word, word)) for word in words]
    for process in processes:
        with process:
            assert await trio.to_thread.run_sync(process.wait) == 0
    assert (await base.stats()).documents == 4


async def test_many_searches_at_once_all_answer(base: SqliteKnowledge) -> None:
    await base.import_chunks("a", "1", [Chunk("T", f"hen number{n}", "s") for n in range(200)])
    found: list[str] = []

    async def search(n: int) -> None:
        found.extend(p.text for p in await base.search(f"number{n}", 1))

    async with trio.open_nursery() as nursery:
        for n in range(100):
            nursery.start_soon(search, n)
    assert sorted(found) == sorted(f"hen number{n}" for n in range(100))


async def test_a_cancelled_search_returns_at_once_and_frees_its_thread(
    base: SqliteKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await base.import_chunks("a", "1", chunks("hens"))
    endless = "WITH RECURSIVE n (x) AS (SELECT ? UNION ALL SELECT x FROM n) SELECT max(x), ?, ?, 1, 1 FROM n"
    with monkeypatch.context() as patch:
        patch.setattr(knowledge, "_SEARCH", endless)
        began = time.perf_counter()
        for _ in range(limits.SQLITE_READERS_MAX + 1):
            with trio.move_on_after(0.05) as scope:
                await base.search("hens", 5)
            assert scope.cancelled_caught
        assert time.perf_counter() - began < 2.0
    with trio.fail_after(5):
        assert len(await base.search("hens", 5)) == 1


async def test_common_words_do_not_hide_what_rare_words_find(base: SqliteKnowledge) -> None:
    texts = [f"hens water feed barn day light litter egg nest perch run {n}" for n in range(300)]
    await base.import_chunks("a", "1", chunks(*texts, "hens and the pip of an egg"))
    question = "hens water feed barn day light litter egg nest perch run pip"
    assert (await base.search(question, 1))[0].text == "hens and the pip of an egg"


async def test_a_replaced_file_is_read_anew(base: SqliteKnowledge, path: Path, tmp_path: Path) -> None:
    await base.import_chunks("a", "1", chunks("ducks"))
    assert len(await base.search("ducks", 5)) == 1
    with KnowledgeWriter(tmp_path / "other.sqlite") as writer:
        writer.import_chunks("b", "1", chunks("geese"))
    os.replace(tmp_path / "other.sqlite", path)
    assert await base.search("ducks", 5) == ()
    assert len(await base.search("geese", 5)) == 1


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_a_broken_file_is_named_and_never_written(base: SqliteKnowledge, path: Path, content: bytes) -> None:
    put(path, content)
    assert not await base.is_available()
    with pytest.raises(KnowledgeUnavailable, match=r"base\.sqlite"):
        await base.search("hens", 5)
    with pytest.raises(KnowledgeUnavailable, match=r"base\.sqlite"):
        await base.import_chunks("a", "1", chunks("hens"))
    assert content_of(path) == content


async def test_the_database_of_another_program_is_refused(base: SqliteKnowledge, path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (thing)")
    connection.close()
    with pytest.raises(KnowledgeUnavailable, match="not a voice_trio knowledge base"):
        await base.import_chunks("a", "1", chunks("hens"))
    with pytest.raises(KnowledgeUnavailable, match="not a voice_trio knowledge base"):
        await base.search("hens", 5)


async def test_a_newer_layout_is_refused(base: SqliteKnowledge, path: Path) -> None:
    await base.import_chunks("a", "1", chunks("hens"))
    base.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer = SqliteKnowledge(path)
    with pytest.raises(KnowledgeUnavailable, match="layout 99"):
        await newer.search("hens", 5)
    newer.close()


async def test_a_closed_base_says_so(base: SqliteKnowledge) -> None:
    await base.import_chunks("a", "1", chunks("hens"))
    base.close()
    assert not await base.is_available()
    with pytest.raises(KnowledgeUnavailable, match="closed"):
        await base.search("hens", 5)


async def test_text_that_sqlite_cannot_hold_is_mended(base: SqliteKnowledge) -> None:
    await base.import_chunks("a", "1", [Chunk("ti\ud800tle", "hens \x00 and \udfff geese", "s\ud800")])
    assert (await base.search("geese", 5))[0].text == "hens \x00 and ? geese"


async def test_a_base_in_a_folder_that_cannot_be_written_is_read(base: SqliteKnowledge, path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    with KnowledgeWriter(path) as writer:
        writer.import_chunks("a", "1", chunks("hens"))
    path.parent.chmod(0o500)
    try:
        assert len(await base.search("hens", 5)) == 1
    finally:
        path.parent.chmod(0o700)


def test_words_are_counted_anew_only_when_something_was_imported(
    path: Path, base: SqliteKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "FREQUENCY_SECONDS", 0.0)
    counted: list[str] = []
    count = knowledge._TermFrequencies._frequency

    def watched(self: knowledge._TermFrequencies, connection: sqlite3.Connection, term: str) -> int:
        if term not in self._known:
            counted.append(term)
        return count(self, connection, term)

    monkeypatch.setattr(knowledge._TermFrequencies, "_frequency", watched)
    with KnowledgeWriter(path) as writer:
        writer.import_chunks("a", "1", chunks("hens drink water"))
        for _ in range(3):
            assert base.search_blocking("hens water", 5)
        assert sorted(counted) == ["hen", "water"]
        writer.import_chunks("b", "1", chunks("ducks drink water"))
        assert base.search_blocking("water", 5)
    assert sorted(counted) == ["hen", "water", "water"]


async def test_a_base_of_another_user_is_named_with_the_cure_F47(
    base: SqliteKnowledge, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await base.import_chunks("a", "1", chunks("hens"))
    monkeypatch.setattr(os, "access", lambda place, mode: place != path)
    with pytest.raises(KnowledgeUnavailable, match="import as the user that runs the server"):
        await base.search("hens", 5)
