"""Splits paragraphs into chunks of whole sentences, about 250 tokens each, with an overlap of 40. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.text import sentences, token_quarters
from voice_trio.knowledge.sqlite.base import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK_TOKENS = 250
OVERLAP_TOKENS = 40
# Part of every document's digest: after a change of readers or chunking the next import reads every document again.
CHUNKING_VERSION = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of a file; `title` is the path of headings above it. Paragraphs of equal title share chunks."""

    title: str
    text: str
    source: str


def chunked(paragraphs: Iterable[Paragraph]) -> Iterator[Chunk]:
    """Chunks of whole sentences, never across headings; holds one chunk and one paragraph in memory."""
    for (title, source), section in groupby(paragraphs, key=lambda paragraph: (paragraph.title, paragraph.source)):
        for text in _packed(_pieces(section)):
            yield Chunk(title, text, source)


def _packed(pieces: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    repeated = 0  # how many of `held` repeat the previous chunk
    size = 0
    for piece in pieces:
        quarters = token_quarters(piece)
        if len(held) > repeated and size + quarters > 4 * CHUNK_TOKENS:
            yield "".join(held).strip()
            held = _tail(held)
            repeated = len(held)
            size = sum(map(token_quarters, held))
        held.append(piece)
        size += quarters
    if len(held) > repeated:
        yield "".join(held).strip()


def _tail(pieces: list[str]) -> list[str]:
    """The last sentences, up to the overlap."""
    left = 4 * OVERLAP_TOKENS
    kept = 0
    for piece in reversed(pieces):
        left -= token_quarters(piece)
        if left < 0:
            break
        kept += 1
    return pieces[len(pieces) - kept :]


def _pieces(paragraphs: Iterable[Paragraph]) -> Iterator[str]:
    """Sentences with the space after them, the last of a paragraph with a line end; long ones are split."""
    for paragraph in paragraphs:
        for sentence in sentences(paragraph.text.strip() + "\n"):
            if sentence.strip():
                yield from _cut(sentence)


def _cut(sentence: str) -> Iterator[str]:
    limit = 4 * (CHUNK_TOKENS - OVERLAP_TOKENS)
    while (size := token_quarters(sentence)) > limit:
        at = max(1, len(sentence) * limit // size)
        space = sentence.rfind(" ", at // 2, at)
        at = space + 1 if space > 0 else at
        yield sentence[:at]
        sentence = sentence[at:]
    yield sentence
