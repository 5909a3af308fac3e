"""Web pages, PDF files, JSON lines and tables become paragraphs; what is broken is named, and the rest goes on."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.documents import ImportStatus, find_documents, import_documents
from voice_trio.knowledge.importing.page_readers import read_html, read_pdf
from voice_trio.knowledge.importing.record_readers import LINE_CHARACTERS_MAX, read_csv, read_jsonl
from voice_trio.knowledge.sqlite.base import KnowledgeWriter

if TYPE_CHECKING:
    from pathlib import Path

Reader = "Callable[[Path, str], Iterator[Paragraph]]"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF file with one line of text on each page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 200)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_web_page_is_read_by_its_headings_without_scripts_and_navigation(tmp_path: Path) -> None:
    page = """<html><head><title>Hens</title><style>p {}</style></head><body><nav>Home</nav>
      <p>Intro with <b>bold</b> words.</p><h2>Water</h2><script>alert(1)</script><div>Loose <i>text</i>.</div>
      <ul><li>One</li><li>Two</li></ul><table><tr><th>Week</th><th>Degrees</th></tr><tr><td>1</td><td>34</td></tr></table>
      <h3>Winter</h3><p>Ice &amp; snow.</p><h2>Feed</h2><p>Grain.<!-- no --></p><p hidden>Secret</p></body></html>"""
    found = [(each.title, each.text) for each in read_html(write(tmp_path / "a.html", page), "a.html")]
    assert found == [
        ("Hens", "Intro with bold words."),
        ("Hens – Water", "Loose text."),
        ("Hens – Water", "One"),
        ("Hens – Water", "Two"),
        ("Hens – Water", "Week, Degrees"),
        ("Hens – Water", "1, 34"),
        ("Hens – Water – Winter", "Ice & snow."),
        ("Hens – Feed", "Grain."),
    ]


def test_a_web_page_in_its_own_encoding_is_read(tmp_path: Path) -> None:
    page = '<meta charset="windows-1252"><p>Œufs à couver</p>'.encode("cp1252")
    (found,) = read_html(write(tmp_path / "oeufs.html", page), "oeufs.html")
    assert found == Paragraph("oeufs", "Œufs à couver", "oeufs.html")


@pytest.mark.parametrize("page", ["", "<<<>>>", "<p>" * 3_000, "<div" + " a" * 1_000, "<!DOCTYPE", "<![CDATA[x"])
def test_a_broken_web_page_does_no_harm(tmp_path: Path, page: str) -> None:
    assert list(read_html(write(tmp_path / "a.html", page), "a.html")) is not None


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    path = write(tmp_path / "guide.pdf", pdf("Hens need water.", "Ducks swim."))
    assert list(read_pdf(path, "guide.pdf")) == [
        Paragraph("guide", "Hens need water.", "guide.pdf, page 1"),
        Paragraph("guide", "Ducks swim.", "guide.pdf, page 2"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a PDF"),
        (b"%PDF-1.7 and then nothing", "not a PDF"),
        (pdf("Hens need water.")[:300], "not a PDF"),
        (pdf(""), "no text"),
        (pdf("Hens", password="sesame"), "encrypted"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_broken_empty_or_locked_pdf_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        list(read_pdf(write(tmp_path / "a.pdf", content), "a.pdf"))


def test_json_lines_bring_their_own_titles_and_sources(tmp_path: Path) -> None:
    lines = '{"Title": "Water", "content": "Hens drink.", "url": "https://x"}\n\n{"text": "Ducks swim."}\n'
    assert list(read_jsonl(write(tmp_path / "a.jsonl", lines), "a.jsonl")) == [
        Paragraph("Water", "Hens drink.", "https://x"),
        Paragraph("a", "Ducks swim.", "a.jsonl, line 3"),
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('{"text": "x"}\n{"text": ', "line 2 is not JSON"),
        ("[1]", "not a JSON object"),
        ('{"title": "x"}', "line 1 has no text"),
        ('{"text": 5}', "line 1 has no text"),
        ("[" * 100_000, "line 1 is not JSON"),
        ("x" * (LINE_CHARACTERS_MAX + 1), "line 1 is longer"),
    ],
)
def test_broken_json_lines_say_where(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        list(read_jsonl(write(tmp_path / "a.jsonl", lines), "a.jsonl"))


def test_a_table_with_a_text_column_and_one_without(tmp_path: Path) -> None:
    with_text = write(tmp_path / "a.csv", 'question;answer\n"How warm?";"34 degrees; falling"\n')
    assert list(read_csv(with_text, "a.csv")) == [Paragraph("How warm?", "34 degrees; falling", "a.csv, line 2")]
    without = write(tmp_path / "b.csv", "Week,Degrees\n1,34\n,\n2,31\n")
    assert [each.text for each in read_csv(without, "b.csv")] == ["Week: 1, Degrees: 34", "Week: 2, Degrees: 31"]


@pytest.mark.parametrize(
    ("table", "reason"), [("", "no header"), ("a,b\n" + "x" * (LINE_CHARACTERS_MAX + 2), "longer")]
)
def test_a_broken_table_says_why(tmp_path: Path, table: str, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        list(read_csv(write(tmp_path / "a.csv", table), "a.csv"))


@pytest.mark.filterwarnings("ignore")
def test_of_a_folder_of_all_kinds_the_broken_ones_are_named_and_the_rest_is_imported(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    write(folder / "a.html", "<h1>Hens</h1><p>Hens drink water.</p>")
    write(folder / "b.pdf", pdf("Ducks swim."))
    write(folder / "c.jsonl", '{"text": "Geese graze."}')
    write(folder / "d.csv", "text\nQuail lay.\n")
    write(folder / "e.pdf", b"%PDF-1.7 broken")
    write(folder / "f.jsonl", b'{"text": "\xff"}')
    write(folder / "g.md", "# Turkeys\nTurkeys roost.")
    with KnowledgeWriter(tmp_path / "base.sqlite") as writer:
        results = {each.path.name: each for each in import_documents(find_documents([folder]), writer)}
        again = list(import_documents(find_documents([folder]), writer))
    unreadable = {name for name, result in results.items() if result.status is ImportStatus.UNREADABLE}
    assert unreadable == {"e.pdf", "f.jsonl"}
    assert sum(result.chunks for result in results.values()) == 5
    assert {result.status for result in again} == {ImportStatus.UNCHANGED, ImportStatus.UNREADABLE}


@pytest.mark.parametrize(
    ("name", "begin", "end"), [("a.jsonl", '{"title": "Hens", "text": "', '"}'), ("a.csv", "title,text\nHens,", "")]
)
def test_one_line_too_long_to_hold_is_named_without_being_held(tmp_path: Path, name: str, begin: str, end: str) -> None:
    path = write(tmp_path / name, begin + "Hens drink water. " * (5 * LINE_CHARACTERS_MAX // 18) + end)
    with KnowledgeWriter(tmp_path / "base.sqlite3") as writer:
        tracemalloc.start()
        (result,) = import_documents(find_documents([path]), writer)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert result.status is ImportStatus.UNREADABLE
    assert "is longer than 4,000,000 characters" in result.problem
    assert peak < 3 * LINE_CHARACTERS_MAX < path.stat().st_size
