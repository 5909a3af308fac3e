"""Reads PPTX files: titles, text, tables, charts, diagrams and notes of each slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pptx
from lxml import etree
from pptx.oxml.xmlchemy import OxmlElement

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.cleaning import squeezed, squeezed_lines
from voice_trio.knowledge.importing.readers.outline import HEADING_CHARACTERS_MAX
from voice_trio.knowledge.importing.readers.tables import labelled_rows
from voice_trio.knowledge.importing.readers.zip_bounds import check_office_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.knowledge.importing.readers.source_file import SourceFile

_DRAWING_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_DRAWING_PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"
_MATH = "{http://schemas.microsoft.com/office/drawing/2010/main}m"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_MARKUP = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
GROUP_DEPTH_MAX = 20


def read_pptx(source: SourceFile) -> Iterator[Paragraph]:
    """Read a presentation; the source names the slide. Hidden slides are left out and named."""
    check_office_file(source)
    try:
        presentation = pptx.Presentation(source.file)
    except (KeyError, ValueError) as error:
        raise UnreadableDocument("not a PowerPoint presentation") from error
    title = squeezed(presentation.core_properties.title or "")
    if not title or title.lower() == "powerpoint presentation":
        title = source.title
    total = len(presentation.slides)
    for number, slide in enumerate(presentation.slides, start=1):
        source.progress("slide", number, total)
        if slide._element.get("show") == "0":  # the library does not say it
            source.remark(f"slide {number} is hidden and left out")
            continue
        try:
            _resolve_alternatives(slide._element)
            yield from _slide_paragraphs(slide, title, f"{source.name}, slide {number}")
        except Exception as error:  # a broken slide; the others are read
            source.lose(f"slide {number}", error)


def _slide_paragraphs(slide: Any, title: str, where: str) -> Iterator[Paragraph]:
    heading = slide.shapes.title
    own = squeezed(heading.text_frame.text) if heading is not None and heading.has_text_frame else ""
    path = f"{title} – {own[:HEADING_CHARACTERS_MAX]}" if own and own != title else title
    texts = [text for text in _shape_texts(slide.shapes) if text and squeezed(text) != own]
    if own and (len(own) > HEADING_CHARACTERS_MAX or not texts):
        yield Paragraph(path, own, where)
    yield from (Paragraph(path, text, where) for text in texts)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        boxes = _shape_texts(shape for shape in slide.notes_slide.shapes if not shape.is_placeholder)
        notes = filter(None, (squeezed_lines(frame.text) if frame is not None else "", *boxes))
        yield from (Paragraph(path, text, f"{where}, notes") for text in notes)


def _resolve_alternatives(slide: Any) -> None:
    """Put the newest form of each part in the place of its alternatives, which the library passes over."""
    for alternatives in list(slide.iter(f"{_MARKUP}AlternateContent")):
        chosen = alternatives.find(f"{_MARKUP}Choice")
        if chosen is None:
            chosen = alternatives.find(f"{_MARKUP}Fallback")
        for element in () if chosen is None else list(chosen):
            alternatives.addprevious(element)
        alternatives.getparent().remove(alternatives)
    for formula in list(slide.iter(_MATH)):
        text = OxmlElement("a:t")
        text.text = "".join(each.text or "" for each in formula.iter(_MATH_TEXT))
        run = OxmlElement("a:r")
        run.append(text)
        formula.getparent().replace(formula, run)


def _shape_texts(shapes: Iterable[Any], depth: int = 0) -> Iterator[str]:
    for shape in shapes:
        if depth < GROUP_DEPTH_MAX and hasattr(shape, "shapes"):
            yield from _shape_texts(shape.shapes, depth + 1)
        elif getattr(shape, "has_table", False):
            rows = [[squeezed(cell.text) for cell in row.cells] for row in shape.table.rows]
            yield "\n".join(labelled_rows(rows[0], rows[1:]) if rows else ())
        elif getattr(shape, "has_chart", False):
            yield _chart_text(shape.chart)
        elif getattr(shape, "has_text_frame", False):
            yield squeezed_lines(shape.text_frame.text.replace("\x0b", "\n"))
        else:
            yield _diagram_text(shape)


def _chart_text(chart: Any) -> str:
    # The title of the chart, and those of its axes.
    lines = [_drawing_text(paragraph) for paragraph in chart._chartSpace.iter(_DRAWING_PARAGRAPH)]
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        for series in plot.series:
            values = ", ".join(
                f"{category}: {value:.15g}"
                for category, value in zip(categories, series.values, strict=False)
                if value is not None
            )
            lines.append(f"{series.name}: {values}")
    return "\n".join(filter(None, lines))


def _diagram_text(shape: Any) -> str:
    """The text of a diagram (SmartArt), which stands in a part of its own."""
    identities = [
        value
        for element in shape._element.iter()
        for name, value in element.attrib.items()
        if str(name).endswith("}dm") and str(element.tag).endswith("}relIds")
    ]
    lines: list[str] = []
    for identity in identities:
        root = etree.fromstring(shape.part.related_part(identity).blob, etree.XMLParser(resolve_entities=False))
        lines += map(_drawing_text, root.iter(_DRAWING_PARAGRAPH))
    return "\n".join(filter(None, lines))


def _drawing_text(paragraph: Any) -> str:
    return squeezed("".join(text.text or "" for text in paragraph.iter(_DRAWING_TEXT)))
