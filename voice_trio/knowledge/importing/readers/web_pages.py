"""Reads web pages whole: headings form the title, blocks are paragraphs, a row of a table is one line.

What is left out is counted: navigation, the page's footer, hidden parts, buttons and choices, drawings. If nothing
else is on a page, those are its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from voice_trio.knowledge.importing.readers.cleaning import squeezed, squeezed_lines
from voice_trio.knowledge.importing.readers.decoding import decode_page
from voice_trio.knowledge.importing.readers.outline import Outline
from voice_trio.knowledge.importing.readers.page_tables import is_data_table, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

HTML_BYTES_MAX = 20_000_000

HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BLOCKS = HEADINGS | frozenset(
    (
        *("p", "li", "tr", "td", "th", "pre", "blockquote", "dt", "dd", "figure", "figcaption", "caption", "div"),
        *("section", "article", "main", "body", "html", "table", "ul", "ol", "dl", "details", "summary", "address"),
        *("header", "footer", "nav", "aside", "form", "fieldset", "legend", "center", "menu", "dialog", "hr"),
        *(
            "search",
            "hgroup",
            "textarea",
            "option",
            "select",
            "object",
            "video",
            "template",
            "noscript",
            "label",
            "svg",
        ),
    )
)
# Elements that hold no text of the page, whatever else it has.
_NEVER_TEXT = frozenset(("script", "style", "head", "rp"))
_LEFT_OUT = {
    "nav": "navigation of web pages",
    "noscript": "text for browsers without scripts",
    "template": "templates of web pages",
    "svg": "drawings in web pages",
    "audio": "embedded objects in web pages",
    "canvas": "embedded objects in web pages",
    "iframe": "embedded objects in web pages",
    "object": "embedded objects in web pages",
    "video": "embedded objects in web pages",
    "button": "buttons and choices of web pages",
    "select": "buttons and choices of web pages",
    "datalist": "buttons and choices of web pages",
}
_PARTS_WITH_FOOTERS = frozenset(("article", "section", "main", "aside", "blockquote", "figure", "dialog"))


def read_html(source: SourceFile) -> Iterator[Paragraph]:
    """Read a web page. Its title is that of the page, with the headings above a paragraph."""
    source.check_size(HTML_BYTES_MAX)
    text = decode_page(source.file.read()).replace("\x00", "")
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    root = etree.fromstring(text.encode("utf-8", "replace"), parser) if text.strip() else None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        source.lose("the page from its deepest part on", "its elements are nested too deeply")
    if root is None:
        return
    title = squeezed(root.findtext(".//head/title") or root.findtext(".//title") or "")
    found = False
    for is_whole in (False, True):
        page = _WebPage(Outline(title or source.stem, source.name, has_title=True), source, is_whole=is_whole)
        for paragraph in page.read(root):
            found = True
            yield paragraph
        if found:
            return


class _WebPage:
    """One walk over a page; with `is_whole`, navigation and the like count as its text."""

    def __init__(self, outline: Outline, source: SourceFile, *, is_whole: bool) -> None:
        self._outline = outline
        self._source = source
        self._is_whole = is_whole
        self._pieces: list[str] = []
        self._pre_depth = 0

    def read(self, root: etree._Element) -> Iterator[Paragraph]:
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            tag = element.tag
            if event == "end":
                yield from self._close(element, tag)
                continue
            if self._skips(element, tag):
                walk.skip_subtree()
            elif tag == "table" and is_data_table(element):
                yield from self._end_block()
                for line in table_lines(element):
                    yield from self._outline.add(line)
                walk.skip_subtree()
            else:
                yield from self._open(element, tag)
        yield from self._end_block()
        yield from self._outline.end()

    def _open(self, element: etree._Element, tag: str) -> Iterator[Paragraph]:
        if tag in _BLOCKS:
            yield from self._end_block()
        if tag == "br":
            self._pieces.append("\n")
        elif tag == "img" and (alternative := element.get("alt")):
            self._pieces.append(f" {alternative} ")
        self._pre_depth += tag == "pre"
        self._add(element.text)

    def _close(self, element: etree._Element, tag: str) -> Iterator[Paragraph]:
        if tag in HEADINGS:
            heading = squeezed("".join(self._pieces))
            self._pieces.clear()
            yield from self._outline.enter(int(tag[1]), heading)
        elif tag in _BLOCKS:
            yield from self._end_block()
        self._pre_depth -= tag == "pre" and self._pre_depth > 0
        self._add(element.tail)

    def _add(self, text: str | None) -> None:
        if text:
            # A line's end is a space, except in preformatted text.
            self._pieces.append(text if self._pre_depth else text.replace("\r", " ").replace("\n", " "))

    def _end_block(self) -> Iterator[Paragraph]:
        text, self._pieces = squeezed_lines("".join(self._pieces)), []
        yield from self._outline.add(text)

    def _skips(self, element: etree._Element, tag: object) -> bool:
        if not isinstance(tag, str) or tag in _NEVER_TEXT:
            return True
        kind = "" if self._is_whole else _left_out_as(element, tag)
        if kind and any(text.strip() for text in element.itertext()):
            self._source.leave_out(kind)
        return bool(kind)


def _left_out_as(element: etree._Element, tag: str) -> str:
    """The kind of part that an element is, if such parts are left out; else empty."""
    if element.get("hidden") not in {None, "until-found"} or (tag == "dialog" and element.get("open") is None):
        return "hidden parts of web pages"
    if tag == "template" and element.get("shadowrootmode"):
        return ""
    if element.get("role") == "navigation":
        return _LEFT_OUT["nav"]
    if tag == "footer" and not any(each.tag in _PARTS_WITH_FOOTERS for each in element.iterancestors()):
        return "footers of web pages"
    return _LEFT_OUT.get(tag, "")
