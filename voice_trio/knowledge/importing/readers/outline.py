"""The headings above a paragraph, as its title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.chunks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADING_CHARACTERS_MAX = 200


class Outline:
    """Makes paragraphs, titled by the document's title and the headings above them.

    Without a title of its own, a document takes its first heading of level 1. A heading without text below becomes a
    paragraph itself, and so does one that is too long for a title.
    """

    def __init__(self, title: str, source: str, *, has_title: bool = False) -> None:
        self._title = title
        self._source = source
        self._has_title = has_title
        self._headings: list[tuple[int, str]] = []
        self._unused = ""

    @property
    def path(self) -> str:
        return " – ".join([self._title, *(heading for _, heading in self._headings)])

    def enter(self, level: int, heading: str) -> Iterator[Paragraph]:
        """Enter the section of a heading."""
        if self._headings and level <= self._headings[-1][0]:
            yield from self.end()
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        short = heading[:HEADING_CHARACTERS_MAX]
        if level == 1 and not self._has_title and heading:
            self._title, self._has_title = short, True
            self._unused = heading
        elif heading and heading != self._title:
            self._headings.append((level, short))
            self._unused = heading
        if short != heading:
            yield from self.add(heading)

    def leave_sections(self) -> None:
        """What follows belongs to the document, not to its last section."""
        self._headings.clear()

    def add(self, text: str) -> Iterator[Paragraph]:
        """A paragraph of the section; nothing if `text` is empty."""
        if text.strip():
            self._unused = ""
            yield Paragraph(self.path, text, self._source)

    def end(self) -> Iterator[Paragraph]:
        """End the section: its heading, if it had no text."""
        yield from self.add(self._unused)
