"""The demo's recogniser follows the documents: what is imported while it runs is heard, or the demo says so."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio import limits
from voice_trio.cli.demo.base import speech_folder
from voice_trio.cli.demo.vocabulary import learn_imported_words, prepare_speech_folder, read_words
from voice_trio.errors import ModelUnavailable
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.sqlite.readers import read_texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HANDBOOK = Chunk("Brooding", "Warm.", "voice_trio demo handbook, chapter 1")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base with the handbook only, watched four times a second."""
    monkeypatch.setattr(limits, "LEARN_WORDS_AFTER_SECONDS", 0.25)
    path = tmp_path / "demo.sqlite3"
    with KnowledgeWriter(path) as writer:
        writer.import_chunks("/handbook/1.md", "1", [HANDBOOK])
    return path


async def test_words_are_learned_once_an_import_has_ended_F50(base: Path) -> None:
    lessons: list[list[str]] = []
    said: list[str] = []
    has_learned = trio.Event()

    async def learn(texts: Sequence[str]) -> None:
        await trio.lowlevel.checkpoint()
        lessons.append(list(texts))
        has_learned.set()

    with trio.fail_after(10):
        _, generation = await read_words(base)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: learn_imported_words(base, generation, learn, say=said.append))
            with KnowledgeWriter(base) as writer:
                for number in range(5):
                    writer.import_chunks(f"/docs/{number}.md", "1", [Chunk("Llamas", f"Llama {number}.", "llamas.md")])
                    await trio.sleep(0.02)
            await has_learned.wait()
            await trio.sleep(0.6)
            nursery.cancel_scope.cancel()
    assert lessons == [["Brooding\n\nWarm.", *(f"Llamas\n\nLlama {number}." for number in range(5))]]
    assert said[0].startswith("The documents have changed")
    assert "has learned the words of 6 passages" in said[1]


async def test_words_that_cannot_be_learned_are_said_and_tried_again_F50(base: Path) -> None:
    said: list[str] = []
    failures = 0

    async def learn(texts: Sequence[str]) -> None:
        nonlocal failures
        await trio.lowlevel.checkpoint()
        failures += 1
        raise ModelUnavailable("no memory")

    with trio.fail_after(10):
        _, generation = await read_words(base)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: learn_imported_words(base, generation, learn, say=said.append))
            for number in (1, 2):
                with KnowledgeWriter(base) as writer:
                    writer.delete(writer.documents()) if number == 2 else writer.import_chunks("/a.md", "1", [HANDBOOK])
                while failures < number:  # noqa: ASYNC110  # a fake counts
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert said[1] == "New words are not heard: no memory. Restart the demo to hear them."


def test_what_is_learned_of_own_documents_is_private_and_goes_with_them_F50(base: Path) -> None:
    assert prepare_speech_folder(base) is None
    with KnowledgeWriter(base) as writer:
        writer.import_chunks("/docs/a.md", "1", [Chunk("Llamas", "Llama.", "llamas.md")])
    folder = prepare_speech_folder(base)
    assert folder == speech_folder(base)
    assert folder is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with KnowledgeWriter(base) as writer:
        writer.delete([each for each in writer.documents() if not each.is_handbook])
    assert prepare_speech_folder(base) is None
    assert not folder.exists()


def test_of_a_large_base_the_newest_passages_are_learned_F50(base: Path) -> None:
    with KnowledgeWriter(base) as writer:
        writer.import_chunks(
            "/docs/a.md", "1", [Chunk("Llamas", f"Llama {number}.", "llamas.md") for number in range(9)]
        )
    assert read_texts(base, 15) == ["Llamas\n\nLlama 7.", "Llamas\n\nLlama 8."]
