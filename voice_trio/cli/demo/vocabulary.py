"""The words of the demo's documents: speech recognition knows them at the start, and learns those imported later.

Recognition on this machine hears only words that it knows. A search finds a new document at once; its words are heard
some seconds after the import has ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

import click
import structlog
import trio

from voice_trio import limits
from voice_trio.cli.demo.base import forget_speech, speech_folder
from voice_trio.errors import KnowledgeUnavailable, ModelUnavailable
from voice_trio.knowledge.private_files import make_private_folder
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.knowledge.sqlite.readers import read_stored_documents, read_texts
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voice_trio.embedded.engines import LearnWords

log = structlog.get_logger(__name__)

DOCUMENT_CHARACTERS_MAX = 2_000_000
"""Of a larger base the words of the newest passages are learned: the model grows, and the recogniser gets slower."""
Generation: TypeAlias = "tuple[int, ...]"


def _say(text: str) -> None:
    click.echo(text, err=True)


def prepare_speech_folder(base: Path) -> Path | None:
    """The folder for what is learned from the base's own documents; None for the handbook alone.

    What is made of the handbook is shared by all demos of this user.
    """
    if all(each.is_handbook for each in read_stored_documents(base)):
        forget_speech(base)  # of documents that were deleted
        return None
    folder = speech_folder(base)
    make_private_folder(folder)
    return folder


async def read_words(base: Path) -> tuple[list[str], Generation]:
    """The texts to learn, and the generation of the base that they are of. Raises `KnowledgeUnavailable`."""
    knowledge = SqliteKnowledge(base)
    try:
        generation = await knowledge.generation()
    finally:
        knowledge.close()
    return await Bulkhead(1).read(read_texts, base, DOCUMENT_CHARACTERS_MAX), generation


async def learn_imported_words(
    base: Path, learned: Generation, learn: LearnWords, *, say: Callable[[str], object] = _say
) -> None:
    """Let the recogniser learn the words of `base` again after each change since `learned`, until cancelled.

    Waits for the end of an import first. Never raises: what fails is said, and tried again after the next change.
    """
    knowledge = SqliteKnowledge(base)
    try:
        while True:
            learned = await _next_change(knowledge, learned)
            began = time.monotonic()
            say("The documents have changed: speech recognition learns their words …")
            try:
                texts, learned = await read_words(base)
                make_private_folder(speech_folder(base))
                await learn(texts)
            except (KnowledgeUnavailable, ModelUnavailable, OSError) as error:
                log.warning("words_not_learned", reason=str(error))
                say(f"New words are not heard: {error}. Restart the demo to hear them.")
            else:
                seconds = time.monotonic() - began
                log.info("words_learned", passages=len(texts), seconds=round(seconds, 1))
                say(f"Speech recognition has learned the words of {len(texts):,} passages, in {seconds:.0f} s.")
    finally:
        knowledge.close()


async def _next_change(knowledge: SqliteKnowledge, learned: Generation) -> Generation:
    """The next generation that is not `learned`, once it has not changed for a moment."""
    before = learned
    while True:
        await trio.sleep(limits.LEARN_WORDS_AFTER_SECONDS)
        try:
            now = await knowledge.generation()
        except KnowledgeUnavailable:  # locked for a moment
            continue
        if now not in (learned, ()) and now == before:
            return now
        before = now
