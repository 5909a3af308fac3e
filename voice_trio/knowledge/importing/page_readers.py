"""Reads web pages and PDF files into paragraphs.

Both are read whole, so their size is bounded. The libraries are imported at first use.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bs4 import Tag

HTML_BYTES_MAX = 20_000_000
PDF_BYTES_MAX = 200_000_000
PDF_PAGE_CHARACTERS_MAX = 200_000
ANCESTORS_MAX = 200

_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BLOCKS = _HEADINGS | frozenset(
    (
        *("p", "li", "tr", "pre", "blockquote", "dt", "dd", "figcaption", "caption", "div", "section", "article"),
        *("main", "body", "html", "table", "ul", "ol", "dl", "details", "summary", "address"),
    )
)
_CELLS = frozenset(("td", "th"))
# Elements without content of the page.
_SKIPPED_TAGS = frozenset(
    (
        *("script", "style", "noscript", "template", "svg", "head", "nav", "footer", "aside", "form", "button"),
        *("iframe", "object", "select", "dialog"),
    )
)
_HYPHENATED = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zà-ÿ])")
_EMPTY_LINE = re.compile(r"\n\s*\n")


def read_html(path: Path, name: str) -> Iterator[Paragraph]:
    """Read a web page: headings form the title, a table row is one line, navigation and scripts are skipped."""
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString

    _check_size(path, HTML_BYTES_MAX)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for pages that look like another format; they are read all the same
        try:
            soup = BeautifulSoup(path.read_bytes(), "html.parser")
        except (RecursionError, ValueError, AssertionError) as error:
            raise UnreadableDocument(f"not a web page that can be parsed: {error}") from error
    page = _HtmlPage(_squeezed(soup.title.get_text()) if soup.title else "", path.stem, name)
    for text in soup.find_all(string=True):
        if type(text) is not NavigableString or text.parent is None:
            continue  # comments, declarations
        block, cell, is_skipped = _block_and_cell(text.parent)
        if not is_skipped:
            yield from page.add(str(text), block, cell)
    yield from page.end()


def read_pdf(path: Path, name: str) -> Iterator[Paragraph]:
    """Read a PDF page by page; the source names the page. A file without text, such as a scan, is unreadable."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    _check_size(path, PDF_BYTES_MAX)
    found = False
    try:
        with path.open("rb") as file:
            reader = PdfReader(file)
            if reader.is_encrypted and not reader.decrypt(""):
                raise UnreadableDocument("encrypted; save it without a password")
            title = _squeezed(str((reader.metadata and reader.metadata.title) or "")) or path.stem
            for number, page in enumerate(reader.pages, start=1):
                text = page.extract_text()[:PDF_PAGE_CHARACTERS_MAX]
                for paragraph in _EMPTY_LINE.split(_HYPHENATED.sub("", text)):
                    if plain := _squeezed(paragraph):
                        found = True
                        yield Paragraph(title, plain, f"{name}, page {number}")
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UnreadableDocument(f"not a PDF file that can be read: {_squeezed(str(error))[:200]}") from error
    if not found:
        raise UnreadableDocument("holds no text; a scanned document must go through text recognition first")


class _HtmlPage:
    """Collects the strings of one block at a time."""

    def __init__(self, title: str, stem: str, source: str) -> None:
        self._title = title or stem
        self._source = source
        self._headings: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        self._block: Tag | None = None
        self._cell: Tag | None = None

    def add(self, text: str, block: Tag | None, cell: Tag | None) -> Iterator[Paragraph]:
        if block is not self._block:
            yield from self.end()
            self._block = block
        elif cell is not self._cell and "".join(self._pieces).strip():
            self._pieces.append(", ")
        if text.strip():
            self._cell = cell
        self._pieces.append(text)

    def end(self) -> Iterator[Paragraph]:
        """End the block: a heading extends the title, anything else is a paragraph."""
        text, self._pieces = _squeezed("".join(self._pieces)).strip(", "), []
        name = self._block.name if self._block is not None else ""
        self._cell = None
        if text and name in _HEADINGS:
            level = int(name[1])
            self._headings = [heading for heading in self._headings if heading[0] < level]
            if text != self._title:
                self._headings.append((level, text[:200]))
        elif text:
            yield Paragraph(" – ".join([self._title, *(heading for _, heading in self._headings)]), text, self._source)


def _block_and_cell(tag: Tag) -> tuple[Tag | None, Tag | None, bool]:
    """The block and the table cell that contain a string, and whether it is skipped."""
    block: Tag | None = None
    cell: Tag | None = None
    ancestor: Tag | None = tag
    for _ in range(ANCESTORS_MAX):
        if ancestor is None:
            break
        if ancestor.name in _SKIPPED_TAGS or ancestor.has_attr("hidden"):
            return None, None, True
        if block is None and cell is None and ancestor.name in _CELLS:
            cell = ancestor
        if block is None and ancestor.name in _BLOCKS:
            block = ancestor
        ancestor = ancestor.parent
    return block, cell, False


def _check_size(path: Path, bytes_max: int) -> None:
    size = path.stat().st_size
    if size > bytes_max:
        raise UnreadableDocument(
            f"{size / 1e6:,.0f} MB, more than the {bytes_max / 1e6:,.0f} MB that can be read at once"
        )


def _squeezed(text: str) -> str:
    return " ".join(text.split())
