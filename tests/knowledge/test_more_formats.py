"""Web pages, PDF files, JSON lines and tables become paragraphs; what is broken is named, and the rest goes on."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import ReadDocument, pdf, read, write
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.documents import ImportStatus, import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.importing.readers.text_tables import LINE_CHARACTERS_MAX
from voice_trio.knowledge.sqlite.base import KnowledgeWriter

if TYPE_CHECKING:
    from pathlib import Path


def test_a_web_page_is_read_by_its_headings_without_scripts_and_navigation(tmp_path: Path) -> None:
    page = """<html><head><title>Hens</title><style>p {}</style></head><body><nav>Home</nav>
      <p>Intro with <b>bold</b> words.</p><h2>Water</h2><script>alert(1)</script><div>Loose <i>text</i>.</div>
      <ul><li>One</li><li>Two</li></ul><table><tr><th>Week</th><th>Degrees</th></tr><tr><td>1</td><td>34</td></tr></table>
      <h3>Winter</h3><p>Ice &amp; snow.</p><h2>Feed</h2><p>Grain.<!-- no --></p><p hidden>Secret</p></body></html>"""
    document = read(tmp_path / "a.html", page)
    assert document.left_out == ["navigation of web pages", "hidden parts of web pages"]
    assert document.pairs == [
        ("Hens", "Intro with bold words."),
        ("Hens – Water", "Loose text."),
        ("Hens – Water", "One"),
        ("Hens – Water", "Two"),
        ("Hens – Water", "Week: 1, Degrees: 34"),
        ("Hens – Water – Winter", "Ice & snow."),
        ("Hens – Feed", "Grain."),
    ]


def test_a_web_page_in_its_own_encoding_is_read(tmp_path: Path) -> None:
    page = '<meta charset="windows-1252"><p>Œufs à couver</p>'.encode("cp1252")
    (found,) = read(tmp_path / "oeufs.html", page).paragraphs
    assert found == Paragraph("oeufs", "Œufs à couver", "oeufs.html")


@pytest.mark.parametrize("page", ["", "<<<>>>", "<p>" * 3_000, "<div" + " a" * 1_000, "<!DOCTYPE", "<![CDATA[x"])
def test_a_broken_web_page_does_no_harm(tmp_path: Path, page: str) -> None:
    assert all(read(tmp_path / "a.html", page).texts)


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    path = write(tmp_path / "guide.pdf", pdf("Hens need water.", "Ducks swim."))
    assert ReadDocument(path).paragraphs == [
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
        read(tmp_path / "a.pdf", content)


def test_json_lines_bring_their_own_titles_and_sources(tmp_path: Path) -> None:
    lines = '{"Title": "Water", "content": "Hens drink.", "url": "https://x"}\n\n{"text": "Ducks swim."}\n'
    assert read(tmp_path / "a.jsonl", lines).paragraphs == [
        Paragraph("Water", "Hens drink.", "https://x"),
        Paragraph("a", "Ducks swim.", "a.jsonl, line 3"),
    ]


@pytest.mark.parametrize("wrong", ['{"text": ', "[" * 100_000, "Hens"])
def test_a_line_that_is_not_json_is_named_and_the_others_are_read(tmp_path: Path, wrong: str) -> None:
    document = read(tmp_path / "a.jsonl", f'{{"text": "One."}}\n{wrong}\n{{"text": "Three."}}')
    assert document.texts == ["One.", "Three."]
    (lost,) = document.lost
    assert lost.startswith("line 2: not JSON")


def test_a_table_with_a_text_column_and_one_without(tmp_path: Path) -> None:
    with_text = read(tmp_path / "a.csv", 'question;answer\n"How warm?";"34 degrees; falling"\n')
    assert with_text.paragraphs == [Paragraph("How warm?", "34 degrees; falling", "a.csv, line 2")]
    without = read(tmp_path / "b.csv", "Week,Degrees\n1,34\n,\n2,31\n")
    assert without.texts == ["Week: 1, Degrees: 34", "Week: 2, Degrees: 31"]


def test_a_line_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocument, match="line 2 is longer than"):
        read(tmp_path / "a.csv", "a,b\n" + "x" * (LINE_CHARACTERS_MAX + 2))


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
