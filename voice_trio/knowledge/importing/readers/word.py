"""Reads DOCX files: headings, lists, tables, text boxes, headers and footers, footnotes and endnotes.

The library opens the package and knows its styles. The text is read from the elements themselves, because the library
leaves out what stands in content controls, insertions and boxes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from lxml import etree

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers.cleaning import squeezed, squeezed_lines
from voice_trio.knowledge.importing.readers.outline import Outline
from voice_trio.knowledge.importing.readers.tables import labelled_rows
from voice_trio.knowledge.importing.readers.zip_bounds import check_office_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docx.document import Document

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same again for old programs
_BOX = f"{_W}txbxContent"
_BREAKS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_WITHOUT_BLOCKS = {_FALLBACK, *(f"{_W}{name}" for name in ("sectPr", "pPr", "sdtPr", "tcPr", "del", "moveFrom"))}
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)


def read_docx(source: SourceFile) -> Iterator[Paragraph]:
    """Read a Word document; its title is that of its properties, or its first heading."""
    check_office_file(source)
    try:
        document = docx.Document(source.file)
    except (KeyError, ValueError) as error:
        raise UnreadableDocument("not a Word document") from error
    stated = squeezed(document.core_properties.title or "")
    # Word's own templates leave this title in documents that have another one.
    has_title = bool(stated) and stated.lower() not in {"word document", "microsoft word"}
    outline = Outline(stated if has_title else source.title, source.name, has_title=has_title)
    yield from _WordDocument(document, outline).read()


class _WordDocument:
    """The walk over the blocks of one document."""

    def __init__(self, document: Document, outline: Outline) -> None:
        self._document = document
        self._outline = outline
        levels = ((style.style_id, _style_level(style.element, style)) for style in document.styles)
        self._levels = {name: level for name, level in levels if level}

    def read(self) -> Iterator[Paragraph]:
        yield from self._blocks(self._document.element.body)
        yield from self._outline.end()
        self._outline.leave_sections()
        for name in ("FOOTNOTES", "ENDNOTES"):
            for part in self._related(getattr(RELATIONSHIP_TYPE, name)):
                for note in etree.fromstring(part).iterchildren():
                    yield from self._blocks(note)
        yield from self._headers_and_footers()

    def _blocks(self, parent: etree._Element) -> Iterator[Paragraph]:
        for element in parent.iterchildren():
            if element.tag == f"{_W}p":
                yield from self._paragraph(element)
            elif element.tag == f"{_W}tbl":
                for line in _table_lines(element):
                    yield from self._outline.add(line)
            elif element.tag not in _WITHOUT_BLOCKS:
                yield from self._blocks(element)  # a content control, an insertion, a part in another format

    def _paragraph(self, element: etree._Element) -> Iterator[Paragraph]:
        text = squeezed_lines(_text(element))
        level = self._level(element)
        if level:
            yield from self._outline.enter(level, squeezed(text))
        else:
            yield from self._outline.add(text)
        for box in _outermost_boxes(element):
            yield from self._blocks(box)

    def _level(self, element: etree._Element) -> int:
        properties = element.find(f"{_W}pPr")
        if properties is None:
            return 0
        style, own = properties.find(f"{_W}pStyle"), properties.find(f"{_W}outlineLvl")
        if own is not None and (value := own.get(f"{_W}val", "")).isdigit():
            return int(value) + 1 if int(value) < 9 else 0
        return self._levels.get(style.get(f"{_W}val", ""), 0) if style is not None else 0

    def _related(self, kind: str) -> Iterator[bytes]:
        for relation in self._document.part.rels.values():
            if relation.reltype == kind and not relation.is_external:
                yield relation.target_part.blob

    def _headers_and_footers(self) -> Iterator[Paragraph]:
        seen: set[str] = set()
        for section in self._document.sections:
            for part in (
                *(section.header, section.first_page_header, section.even_page_header),
                *(section.footer, section.first_page_footer, section.even_page_footer),
            ):
                if part.is_linked_to_previous:
                    continue
                for paragraph in self._blocks(part._element):  # the library reads a part of the text only
                    if paragraph.text not in seen:
                        seen.add(paragraph.text)
                        yield paragraph


def _style_level(element: etree._Element, style: object) -> int:
    for _ in range(20):  # styles are based on others, in a circle if the file is broken
        if style is None:
            return 0
        name = str(getattr(style, "name", "") or "")
        if heading := _HEADING.fullmatch(name):
            return int(heading[1])
        if name.lower() == "title":
            return 1
        level = element.find(f"{_W}pPr/{_W}outlineLvl")
        if level is not None and (value := level.get(f"{_W}val", "")).isdigit() and int(value) < 9:
            return int(value) + 1
        style = getattr(style, "base_style", None)
        element = getattr(style, "element", element)
    return 0


def _text(paragraph: etree._Element) -> str:
    """The text of a paragraph without that of its boxes and of deletions."""
    pieces: list[str] = []
    walk = etree.iterwalk(paragraph, events=("start",))
    for _, element in walk:
        if element.tag in {_BOX, _FALLBACK, f"{_W}moveFrom"}:
            walk.skip_subtree()
        elif element.tag in {f"{_W}t", _MATH_TEXT}:
            pieces.append(element.text or "")
        elif element.tag in _BREAKS:
            pieces.append(_BREAKS[str(element.tag)])
    return "".join(pieces)


def _outermost_boxes(paragraph: etree._Element) -> Iterator[etree._Element]:
    walk = etree.iterwalk(paragraph, events=("start",))
    for _, element in walk:
        if element.tag == _FALLBACK:
            walk.skip_subtree()
        elif element.tag == _BOX:
            walk.skip_subtree()
            yield element


def _table_lines(table: etree._Element) -> Iterator[str]:
    rows = [[_cell(cell) for cell in _parts(row, f"{_W}tc")] for row in _parts(table, f"{_W}tr")]
    rows = [row for row in rows if any(row)]
    if rows and max(map(len, rows)) > 1:
        yield from labelled_rows(rows[0], rows[1:])
    else:  # a frame around text
        yield from (row[0] for row in rows)


def _parts(parent: etree._Element, tag: str) -> Iterator[etree._Element]:
    """Rows of a table or cells of a row, also those in content controls and the like."""
    for element in parent.iterchildren():
        if element.tag == tag:
            yield element
        elif element.tag not in _WITHOUT_BLOCKS:
            yield from _parts(element, tag)


def _cell(cell: etree._Element) -> str:
    """The text of a cell, tables inside and boxes included."""
    lines = []
    walk = etree.iterwalk(cell, events=("start",))
    for _, element in walk:
        if element.tag == _FALLBACK:
            walk.skip_subtree()
        elif element.tag == f"{_W}p":
            lines.append(squeezed(_text(element)))
    return " ".join(filter(None, lines))
