"""Office files: everything in them is in a passage; what cannot be read is named, and the rest is kept."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import openpyxl
import pptx
import pytest
from openpyxl.worksheet.formula import ArrayFormula
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from tests.support.documents import pdf, read
from tests.support.office_files import presentation_file, saved, word_file, workbook_file
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers import sheets

if TYPE_CHECKING:
    from pathlib import Path


def test_a_word_document_is_read_whole_F46(tmp_path: Path) -> None:
    document = read(tmp_path / "care.docx", word_file())
    assert document.pairs == [
        ("Hens – Water", "Cool and clean."),
        ("Hens – Water", "A point"),
        ("Hens – Water", "Week: 1, Heat: 34 inside"),
        ("Hens – Water", "Grain\nor oats daily"),
        ("Hens – Water", "Inserted, linked, controlled."),
        ("Hens – Water", "A control."),
        ("Hens – Water", "Day: Monday, Eggs: 12"),
        ("Hens – Water", "In a box."),
        ("Hens", "A note."),
        ("Hens", "Of the farm"),
    ]
    assert document.left_out == ["comments in Word documents", "pictures in Word documents"]


def test_a_workbook_is_read_sheet_by_sheet_F46(tmp_path: Path) -> None:
    document = read(tmp_path / "farm.xlsx", workbook_file())
    assert [(each.title, each.text, each.source) for each in document.paragraphs] == [
        ("Farm – Prices", "Price list", "farm.xlsx, sheet Prices"),
        (
            "Farm – Prices",
            "Breed: Sussex, Price: 12.5, Since: 2026-05-01, Share: 15%",
            "farm.xlsx, sheet Prices, row 4",
        ),
        (
            "Farm – Prices",
            "Breed: Marans, Price: 9, Since: 2026-05-01 08:30, Share: 1, Sum: yes",
            "farm.xlsx, sheet Prices, row 5",
        ),
        ("Farm – Prices", "Breed: both, Price: both", "farm.xlsx, sheet Prices, row 6"),
        ("Farm – Stock", "text, eggs", "farm.xlsx, sheet Stock, row 1"),
    ]
    assert document.lost == ["sheet Prices: 1 formula without a stored value; open and save the file in Excel"]
    assert document.remarks == ["sheet Costs is hidden and left out"]
    assert document.left_out == []


def test_one_stray_cell_far_out_loses_no_cell_F46(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet["A1"], sheet["B1"], sheet["A2"], sheet["XFD20"], sheet["A40000"] = "Breed", "Eggs", "Sussex", "far", "deep"
    document = read(tmp_path / "farm.xlsx", saved(workbook))
    assert document.texts == ["Breed: Sussex", "far", "Breed: deep", "Eggs"]
    assert not document.lost


def test_a_workbook_that_understates_its_size_is_read_whole_F46(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "WHOLE_BYTES_MAX", 0)  # as if it were large
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    for row in (["Breed", "Eggs"], ["Sussex", "brown"], ["Marans", "dark"]):
        sheet.append(row)
    content = edited(saved(workbook), "xl/worksheets/sheet1.xml", b'ref="A1:B3"', b'ref="A1"')
    assert read(tmp_path / "a.xlsx", content).texts == ["Breed: Sussex, Eggs: brown", "Breed: Marans, Eggs: dark"]


@pytest.mark.parametrize(
    ("kind", "value", "lost"),
    [("str", "", 0), ("e", "#N/A", 0), ("str", "x", 0), ("n", "", 1)],
    ids=["an empty text", "an error", "a text", "never computed"],
)
def test_only_a_formula_that_was_never_computed_is_lost_F46(tmp_path: Path, kind: str, value: str, lost: int) -> None:
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.append(["Breed", "Eggs"])
    sheet.append(["Sussex", '=IF(A3="","",1)'])
    computed = edited(saved(workbook), "xl/worksheets/sheet1.xml", b'<c r="B2">', f'<c r="B2" t="{kind}">'.encode())
    computed = edited(computed, "xl/worksheets/sheet1.xml", b"</f><v></v>", f"</f><v>{value}</v>".encode())
    assert len(read(tmp_path / "a.xlsx", computed).lost) == lost


def test_text_boxes_of_a_workbook_are_counted_F46(tmp_path: Path) -> None:
    file = BytesIO(workbook_file())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/drawings/drawing1.xml", "<xdr:wsDr><xdr:sp><xdr:txBody/></xdr:sp></xdr:wsDr>")
        archive.writestr("xl/drawings/drawing2.xml", "<xdr:wsDr/>")
    assert read(tmp_path / "a.xlsx", file.getvalue()).left_out == ["text boxes in workbooks"]


def test_an_array_formula_that_was_never_computed_is_lost_F46(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.append(["Breed", "Eggs"])
    sheet["A2"] = ArrayFormula("A2:A3", "=B2:B3")
    assert len(read(tmp_path / "a.xlsx", saved(workbook)).lost) == 1


def test_a_presentation_is_read_slide_by_slide_F46(tmp_path: Path) -> None:
    document = read(tmp_path / "talk.pptx", presentation_file())
    assert [(each.title, each.text, each.source) for each in document.paragraphs] == [
        ("Talk – Hens", "drink\nwater", "talk.pptx, slide 1"),
        ("Talk – Hens", "Week: 1, Heat: 34", "talk.pptx, slide 1"),
        ("Talk – Hens", "Eggs: Jan: 1, Feb: 2.5", "talk.pptx, slide 1"),
        ("Talk – Hens", "in a group", "talk.pptx, slide 1"),
        ("Talk – Hens", "Say hello.", "talk.pptx, slide 1, notes"),
        ("Talk – Hens", "Smile.", "talk.pptx, slide 1, notes"),
        ("Talk – Only a title", "Only a title", "talk.pptx, slide 2"),
    ]
    assert document.remarks == ["slide 3 is hidden and left out"]


def test_formulas_and_new_kinds_of_shapes_of_a_presentation_are_read_F46(tmp_path: Path) -> None:
    markup = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    formula = (
        f'<mc:AlternateContent {markup}><mc:Choice Requires="a14">'
        '<a14:m xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main">'
        '<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>x=2</m:t></m:r>'
        "</m:oMath></a14:m></mc:Choice><mc:Fallback/></mc:AlternateContent>"
    )
    content = edited(presentation_file(), "ppt/slides/slide1.xml", b"<a:r><a:t>drink</a:t></a:r>", formula.encode())
    shape = f'<mc:AlternateContent {markup}><mc:Choice Requires="p14"><p:grpSp>'.encode()
    content = edited(content, "ppt/slides/slide1.xml", b"<p:grpSp>", shape)
    end = b"</p:grpSp></mc:Choice><mc:Fallback><p:grpSp/></mc:Fallback></mc:AlternateContent>"
    content = edited(content, "ppt/slides/slide1.xml", b"</p:grpSp>", end)
    texts = read(tmp_path / "talk.pptx", content).texts
    assert "x=2\nwater" in texts
    assert "in a group" in texts


def test_a_chart_keeps_every_digit_and_the_titles_of_its_axes_F46(tmp_path: Path) -> None:
    presentation = pptx.Presentation()
    data: Any = CategoryChartData
    data = data()
    data.categories = ["Jan"]
    data.add_series("Eggs", (1234567.25,))
    shapes: Any = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes
    chart = shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data).chart
    chart.value_axis.has_title = True
    chart.value_axis.axis_title.text_frame.text = "a year"
    assert read(tmp_path / "a.pptx", saved(presentation)).texts == ["a year\nEggs: Jan: 1234567.25"]


def test_a_slide_with_nothing_but_a_title_of_two_lines_is_read_F46(tmp_path: Path) -> None:
    presentation = pptx.Presentation()
    slide: Any = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Hens in\vwinter"
    assert read(tmp_path / "talk.pptx", saved(presentation)).pairs == [("Talk – Hens in winter", "Hens in winter")]


@pytest.mark.parametrize("suffix", ["docx", "xlsx", "pptx"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04 broken", "not an office file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", "encrypted, or in the format before 2007"),
        (pdf("Hens"), "not an office file"),
    ],
)
def test_what_is_no_office_file_says_so_F46(tmp_path: Path, suffix: str, content: bytes, problem: str) -> None:
    with pytest.raises(UnreadableDocument, match=problem):
        read(tmp_path / f"a.{suffix}", content)


@pytest.mark.parametrize(
    ("suffix", "content", "problem"),
    [
        ("docx", workbook_file(), "not a Word document"),
        ("pptx", workbook_file(), "not a PowerPoint presentation"),
        ("xlsx", word_file(), "not a workbook that can be read"),
    ],
)
def test_an_office_file_under_the_name_of_another_says_so(
    tmp_path: Path, suffix: str, content: bytes, problem: str
) -> None:
    with pytest.raises(UnreadableDocument, match=problem):
        read(tmp_path / f"a.{suffix}", content)


@pytest.mark.parametrize("suffix", ["docx", "xlsx", "pptx"])
def test_an_office_file_that_would_unpack_to_too_much_is_refused_unopened_F46(tmp_path: Path, suffix: str) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"")
    bomb = bytearray(out.getvalue())
    entry = bomb.rindex(b"PK\x01\x02")
    bomb[entry + 24 : entry + 28] = (4_000_000_000).to_bytes(4, "little")  # what the table of contents says
    with pytest.raises(UnreadableDocument, match="unpacks to 4,000 MB"):
        read(tmp_path / f"a.{suffix}", bytes(bomb))


def edited(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """An office file with one of its parts changed."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as copy:
        for name in archive.namelist():
            text = archive.read(name)
            assert name != part or old in text
            copy.writestr(name, text.replace(old, new) if name == part else text)
    return out.getvalue()
