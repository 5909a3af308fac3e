"""Small office files as bytes, made with the libraries that read them."""

from __future__ import annotations

import base64
import datetime
from io import BytesIO
from typing import Any

import docx
import openpyxl
import pptx
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
_BOX = "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
_CHART_DATA: Any = CategoryChartData  # without types in the library
_PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
_FOOTNOTES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"

# What Word writes and the library does not: insertions, deletions, controls and boxes.
_PARTS = (
    "<w:p {}><w:ins w:id='1'><w:r><w:t>Inserted, </w:t></w:r></w:ins><w:del w:id='2'><w:r><w:delText>deleted"
    "</w:delText></w:r></w:del><w:hyperlink><w:r><w:t>linked, </w:t></w:r></w:hyperlink>"
    "<w:sdt><w:sdtContent><w:r><w:t>controlled.</w:t></w:r></w:sdtContent></w:sdt></w:p>",
    "<w:sdt {}><w:sdtContent><w:p><w:r><w:t>A control.</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    "<w:tbl {}><w:tblPr/><w:tblGrid/><w:tr><w:tc><w:p><w:r><w:t>Day</w:t></w:r></w:p></w:tc><w:sdt><w:sdtContent><w:tc>"
    "<w:p><w:r><w:t>Eggs</w:t></w:r></w:p></w:tc></w:sdtContent></w:sdt></w:tr><w:sdt><w:sdtContent><w:tr><w:tc><w:p><w:r>"
    "<w:t>Monday</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>12</w:t></w:r></w:p></w:tc></w:tr></w:sdtContent></w:sdt></w:tbl>",
    f"<w:p {{}} {_MC}><w:r><mc:AlternateContent><mc:Choice>{_BOX}</mc:Choice><mc:Fallback>{_BOX}</mc:Fallback>"
    "</mc:AlternateContent></w:r></w:p>",
)


def word_file() -> bytes:
    """A Word document with headings, lists, tables, boxes, footnotes, a header and a comment."""
    document = docx.Document()
    document.add_heading("Hens", 0)
    document.add_heading("Water", 1)
    document.add_paragraph("Cool and clean.")
    document.add_paragraph("A point", style="List Bullet")
    table = document.add_table(2, 2)
    for number, text in enumerate(("Week", "Heat", "1", "34")):
        table.cell(number // 2, number % 2).text = text
    table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "inside"
    paragraph = document.add_paragraph("Grain")
    paragraph.add_run().add_break()
    paragraph.add_run("or oats\tdaily")
    for part in _PARTS:
        document.element.body.insert(-1, parse_xml(part.format(_W)))
    document.sections[0].header.paragraphs[0].text = "Of the farm"
    note = f'<w:footnotes {_W}><w:footnote w:id="1"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    package = document.part.package
    content_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    document.part.relate_to(Part(PackURI("/word/footnotes.xml"), content_type, note.encode(), package), _FOOTNOTES)
    document.add_comment(document.paragraphs[0].runs, "Check this.", "Ann")
    picture = BytesIO(base64.b64decode(_PIXEL))
    document.sections[0].footer.paragraphs[0].add_run().add_picture(picture)
    return saved(document)


def workbook_file() -> bytes:
    """A workbook with a title line, dates, a percentage, merged cells, a formula never computed, and a hidden sheet."""
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.title = "Prices"
    sheet.append(["Price list"])
    sheet.append([])
    sheet.append(["Breed", "Price", "Since", "Share", "Sum"])
    sheet.append(["Sussex", 12.5, datetime.datetime(2026, 5, 1), 0.15, "=B4*2"])
    sheet.append(["Marans", 9, datetime.datetime(2026, 5, 1, 8, 30), 1, True])
    sheet["D4"].number_format = "0%"
    sheet.merge_cells("A6:B6")
    sheet["A6"] = "both"
    hidden = workbook.create_sheet("Costs")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    workbook.create_sheet("Stock").append(["text", "eggs"])
    return saved(workbook)


def presentation_file() -> bytes:
    """A presentation with text, a table, a chart, a group, notes, a slide with a title only, and a hidden one."""
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Hens"
    slide.placeholders[1].text = "drink\nwater"
    slide.notes_slide.notes_text_frame.text = "Say hello."
    box = slide.shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "Smile."
    slide.notes_slide.shapes._spTree.append(box._element)  # moves it to the notes
    table = slide.shapes.add_table(2, 2, 0, 0, 9999, 9999).table
    for number, text in enumerate(("Week", "Heat", "1", "34")):
        table.cell(number // 2, number % 2).text = text
    chart: Any = _CHART_DATA()
    chart.categories = ["Jan", "Feb"]
    chart.add_series("Eggs", (1, 2.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, chart)
    slide.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    for title in ("Only a title", "Hidden"):
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = title
    presentation.slides[2]._element.set("show", "0")
    return saved(presentation)


def saved(document: Any) -> bytes:
    """The file of a document of any of the libraries."""
    out = BytesIO()
    document.save(out)
    return out.getvalue()
