"""Office and PDF files: everything in them is in a passage; what cannot be read is named, and the rest is kept."""

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
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, NumberObject, StreamObject

from tests.support.documents import pdf, read
from tests.support.office_files import presentation_file, saved, word_file, workbook_file
from voice_trio import limits
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers import sheets

if TYPE_CHECKING:
    from collections.abc import Callable
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


def changed(change: Callable[[PdfWriter], object]) -> bytes:
    """A PDF file of three pages after a change."""
    writer = PdfWriter(clone_from=BytesIO(pdf("One.", "Two.", "Three.")))
    change(writer)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def page_of(writer: PdfWriter, number: int) -> Any:
    """A page as the dictionary that it is."""
    return writer.pages[number]


def unknown_filter(writer: PdfWriter) -> None:
    page_of(writer, 1)["/Contents"].get_object()[NameObject("/Filter")] = NameObject("/Unheard")


def scanned_page(writer: PdfWriter) -> None:
    picture = StreamObject()
    picture.update(
        {
            NameObject("/Type"): NameObject("/XObject"),
            NameObject("/Subtype"): NameObject("/Image"),
            NameObject("/Filter"): NameObject("/JBIG2Decode"),
            NameObject("/Width"): NumberObject(1),
            NameObject("/Height"): NumberObject(1),
        }
    )
    page = page_of(writer, 1)
    page["/Resources"][NameObject("/XObject")] = DictionaryObject({NameObject("/Im0"): writer._add_object(picture)})
    page["/Contents"].get_object().set_data(b"q /Im0 Do Q")


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (unknown_filter, "page 2: NotImplementedError Unsupported filter /Unheard"),
        (scanned_page, "page 2: a picture without text"),
    ],
)
def test_a_bad_page_is_named_and_the_good_ones_are_kept_F40(
    tmp_path: Path, change: Callable[[PdfWriter], object], lost: str
) -> None:
    document = read(tmp_path / "a.pdf", changed(change))
    assert document.texts == ["One.", "Three."]
    assert document.lost == [lost]


def test_a_page_that_takes_too_long_is_named_and_the_others_are_kept_F40(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(writer: PdfWriter) -> None:
        page_of(writer, 1)["/Contents"].get_object().set_data(b"BT (Hens) Tj ET " * 800_000)

    monkeypatch.setattr(limits, "DOCUMENT_PAGE_SECONDS_MAX", 1.0)
    document = read(tmp_path / "a.pdf", changed(drawn))
    assert document.texts == ["One.", "Three."]
    assert document.lost == ["page 2: takes more than 1 s"]


def form_of(content: bytes, **entries: NameObject) -> Callable[[PdfWriter], object]:
    """A change that draws `content` on the second page as a form, a stream of its own."""

    def change(writer: PdfWriter) -> None:
        page, form = page_of(writer, 1), DecodedStreamObject()
        form.set_data(content)
        form.update({NameObject("/Type"): NameObject("/XObject"), NameObject("/Subtype"): NameObject("/Form")})
        form.update({NameObject(f"/{name}"): value for name, value in entries.items()})
        form[NameObject("/Resources")] = page["/Resources"]
        forms = DictionaryObject({NameObject("/Fm0"): writer._add_object(form)})
        page[NameObject("/Resources")] = DictionaryObject({**page["/Resources"], NameObject("/XObject"): forms})
        page["/Contents"].get_object().set_data(page["/Contents"].get_object().get_data() + b" q /Fm0 Do Q")

    return change


def test_a_part_of_a_page_that_the_library_leaves_out_is_named_F40(tmp_path: Path) -> None:
    broken = form_of(b"BT (Hens) Tj ET", Filter=NameObject("/Unheard"))
    document = read(tmp_path / "a.pdf", changed(broken))
    assert document.texts == ["One.", "Two.", "Three."]
    assert [part.partition(" XFormObject")[0] for part in document.lost] == [
        "page 2, a part of it: Impossible to decode"
    ]


def test_a_form_that_takes_too_long_is_named_F40(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCUMENT_PAGE_SECONDS_MAX", 1.0)
    document = read(tmp_path / "a.pdf", changed(form_of(b"BT (Hens) Tj ET " * 400_000)))
    assert document.lost == ["page 2: takes more than 1 s"]


def test_a_pdf_of_an_unknown_version_is_read_F40(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pdf", pdf("One.").replace(b"%PDF-1.3", b"%PDF-9.9")).texts == ["One."]


@pytest.mark.parametrize(("old", "new"), [(b"/Standard", b"/Adobe.PubSec"), (b"/V 2", b"/V 7")])
def test_a_pdf_encrypted_for_a_certificate_or_in_an_unknown_way_says_so_F40(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    content = changed(lambda writer: writer.encrypt("", owner_password="x", algorithm="RC4-128"))
    assert read(tmp_path / "a.pdf", content).texts == ["One.", "Two.", "Three."]
    with pytest.raises(UnreadableDocument, match="encrypted; save it without a password"):
        read(tmp_path / "a.pdf", content.replace(old, new))


def test_a_word_that_is_split_in_a_pdf_is_joined_F43(tmp_path: Path) -> None:
    def split(writer: PdfWriter) -> None:
        page_of(writer, 0)["/Contents"].get_object().set_data(
            b"BT /F1 12 Tf 20 100 Td (The incu-) Tj 0 -14 Td (bation) Tj ET"
        )

    assert read(tmp_path / "a.pdf", changed(split)).texts[0] == "The incubation"
