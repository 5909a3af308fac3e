"""Reads Markdown and plain text into paragraphs, line by line, so that neither a file nor a line must fit in memory.

A new format is one more function from a path and a name to paragraphs, and one more line in `documents.FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from voice_trio.knowledge.importing.chunks import Paragraph

# Takes the path to read, and the name that is cited as source if the file itself names none.
Reader = Callable[[Path, str], Iterator[Paragraph]]

PIECE_CHARACTERS_MAX = 8_192
FRONT_MATTER_LINES_MAX = 100

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_UNDERLINE = re.compile(r"(=+|-+)\s*$")
_RULE = re.compile(r"\s{0,3}(?:[-*_]\s*){3,}$")
_TABLE_RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")
_LIST_ITEM = re.compile(r"\s{0,9}(?:[-*+]|(\d{1,4})[.)])\s+")
_QUOTE = re.compile(r"^\s{0,3}>\s?")
# Every repetition is bounded, so that no line, however made, costs more than a small multiple of its length.
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\](?:\([^()]{0,600}\)|\[[^\[\]]{0,100}\])")
_TAG = re.compile(r"<!--.{0,500}?-->|</?[A-Za-z][^<>]{0,200}>")
_EMPHASIS = re.compile(r"`+|(?<![\w*])[*_~]{1,3}(?=\S)|(?<=\S)[*_~]{1,3}(?![\w*])")


def read_text(path: Path, name: str) -> Iterator[Paragraph]:
    """Read a plain text file: paragraphs end at empty lines, the title is the file's name."""
    with _open(path) as file:
        paragraph = _ParagraphBuilder(_readable(path.stem), name)
        for line, starts in _lines(file):
            yield from paragraph.add(line.rstrip("\n"), starts_line=starts, ends_line=line.endswith("\n"))
        yield from paragraph.end()


def read_markdown(path: Path, name: str) -> Iterator[Paragraph]:
    """Read Markdown: headings form the title, markup is removed, `title:` and `source:` of the front matter count."""
    with _open(path) as file:
        matter, lines = _front_matter(_lines(file))
        title = matter.get("title") or _readable(path.stem)
        yield from _MarkdownDocument(title, matter.get("source") or name, has_title="title" in matter).read(lines)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How to read a format; `is_text` requires UTF-8 throughout before anything is imported."""

    read: Reader
    is_text: bool = True


_MARKDOWN, _TEXT = FileFormat(read_markdown), FileFormat(read_text)
TEXT_FORMATS = {
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".mdown": _MARKDOWN,
    ".txt": _TEXT,
    ".text": _TEXT,
}


class _ParagraphBuilder:
    """Collects lines until a paragraph is complete, or longer than `PIECE_CHARACTERS_MAX`."""

    def __init__(self, title: str, source: str) -> None:
        self.title = title
        self._source = source
        self.text = ""
        self.lines = 0

    def add(self, line: str, *, starts_line: bool, ends_line: bool, apart: bool = False) -> Iterator[Paragraph]:
        """Add a line, or a piece of a very long one; `apart` starts a new line in the paragraph."""
        if starts_line and not line.strip() and ends_line:
            yield from self.end()
            return
        joint = "" if not starts_line or not self.text else "\n" if apart else " "
        self.text += joint + (line.strip() if starts_line and ends_line else line)
        self.lines += starts_line
        if len(self.text) > PIECE_CHARACTERS_MAX:
            yield from self._flush_long()

    def end(self) -> Iterator[Paragraph]:
        """Yield the collected paragraph, unless it is empty."""
        text, self.text, self.lines = self.text.strip(), "", 0
        if text:
            yield Paragraph(self.title, text, self._source)

    def _flush_long(self) -> Iterator[Paragraph]:
        at = max(self.text.rfind(" "), self.text.rfind("\n")) + 1 or len(self.text)
        rest = self.text[at:]
        self.text = self.text[:at]
        yield from self.end()
        self.text = rest


class _MarkdownDocument:
    """The parser of one Markdown document."""

    def __init__(self, title: str, source: str, *, has_title: bool) -> None:
        self._title = title
        self._has_title = has_title
        self._headings: list[tuple[int, str]] = []
        self._paragraph = _ParagraphBuilder(title, source)
        self._fence: str | None = None

    def read(self, lines: Iterator[tuple[str, bool]]) -> Iterator[Paragraph]:
        for line, starts in lines:
            yield from self._line(line.rstrip("\n"), starts, ends=line.endswith("\n"))
        yield from self._paragraph.end()

    def _line(self, line: str, starts: bool, *, ends: bool) -> Iterator[Paragraph]:
        add = self._paragraph.add
        if not starts or not ends:
            yield from add(_plain(line), starts_line=starts, ends_line=ends)
        elif fence := _FENCE.match(line):
            self._fence = None if self._fence == fence[1] else self._fence or fence[1]
            yield from self._paragraph.end()
        elif self._fence:
            yield from add(line, starts_line=True, ends_line=True, apart=True)
        elif heading := _HEADING.match(line):
            yield from self._paragraph.end()
            self._enter(len(heading[1]), _plain(heading[2]))
        elif (underline := _UNDERLINE.match(line)) and self._paragraph.lines == 1:
            self._enter(1 if underline[1][0] == "=" else 2, self._paragraph.text.strip())
            self._paragraph.text, self._paragraph.lines = "", 0
            self._paragraph.title = self._path()
        elif _RULE.match(line) or _TABLE_RULE.match(line):
            return
        else:
            yield from self._text_line(_QUOTE.sub("", line))

    def _text_line(self, line: str) -> Iterator[Paragraph]:
        item = _LIST_ITEM.match(line)
        is_row = line.lstrip().startswith("|")
        if item:
            line = (f"{item[1]}) " if item[1] else "") + line[item.end() :]
        elif is_row:
            line = ", ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
        apart = item is not None or is_row
        yield from self._paragraph.add(_plain(line), starts_line=True, ends_line=True, apart=apart)

    def _enter(self, level: int, heading: str) -> None:
        """Enter the section of a heading. The first level-1 heading is the title, unless the front matter has one."""
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        if level == 1 and not self._has_title:
            self._title, self._has_title = heading, True
        elif heading and heading != self._title:
            self._headings.append((level, heading))
        self._paragraph.title = self._path()

    def _path(self) -> str:
        return " – ".join([self._title, *(heading for _, heading in self._headings)])


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig")


def _lines(file: TextIO) -> Iterator[tuple[str, bool]]:
    """Lines with their line ends, long ones in pieces; each with whether it starts a line."""
    starts = True
    while piece := file.readline(PIECE_CHARACTERS_MAX):
        yield piece, starts
        starts = piece.endswith("\n")


def _front_matter(lines: Iterator[tuple[str, bool]]) -> tuple[dict[str, str], Iterator[tuple[str, bool]]]:
    """The `key: value` lines between two `---` at the top of a file, and the lines after them."""
    read: list[tuple[str, bool]] = []
    for line in lines:
        read.append(line)
        if read[0][0].strip() != "---" or len(read) > FRONT_MATTER_LINES_MAX:
            break
        if len(read) > 1 and line[0].strip() in {"---", "..."}:
            pairs = (text.partition(":") for text, _ in read[1:-1])
            return {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}, lines
    return {}, chain(read, lines)


def _plain(line: str) -> str:
    """`line` without links, tags and emphasis."""
    return _EMPHASIS.sub("", _TAG.sub("", _LINK.sub(r"\1", line)))


def _readable(stem: str) -> str:
    """A file's name as a title: "02-chick_water" becomes "Chick water"."""
    words = re.sub(r"[-_\s]+", " ", re.sub(r"^\d{1,4}[-_. ]+", "", stem)).strip() or stem
    return words[:1].upper() + words[1:]
