"""Reads plain text line by line, so that neither a file nor a line must fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.cleaning import LineJoiner, clean_text
from voice_trio.knowledge.importing.readers.decoding import text_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from voice_trio.knowledge.importing.readers.source_file import SourceFile

PIECE_CHARACTERS_MAX = 8_192


def read_text(source: SourceFile) -> Iterator[Paragraph]:
    """Read a plain text file: paragraphs end at empty lines, the title is the file's name."""
    title = source.title
    with source.text(text_encoding(source)) as file:
        for text in _paragraphs(file):
            yield Paragraph(title, text, source.name)


def _paragraphs(file: TextIO) -> Iterator[str]:
    joiner = LineJoiner()
    held = ""
    while piece := file.readline(PIECE_CHARACTERS_MAX):
        # Cleaned here, because a word that is split at a line's end may end with a soft hyphen.
        for line in clean_text(piece).splitlines(keepends=True):
            if line.strip():
                held += line.lstrip() if held.endswith("\n") or not held else line
            elif line.endswith("\n"):
                yield from _joined(joiner, held)
                held = ""
        while len(held) > PIECE_CHARACTERS_MAX:
            at = held.rfind(" ", 1, PIECE_CHARACTERS_MAX) + 1 or PIECE_CHARACTERS_MAX
            yield from _joined(joiner, held[:at])
            held = held[at:]
    yield from _joined(joiner, held)


def _joined(joiner: LineJoiner, lines: str) -> Iterator[str]:
    joiner.learn(lines)
    lines = "\n".join(line.strip() for line in lines.split("\n"))
    if text := joiner.join(lines).strip():
        yield text
