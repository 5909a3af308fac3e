"""The formats that can be imported, and the reader of each. The libraries are imported at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.cleaning import clean_text, squeezed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voice_trio.knowledge.importing.readers.source_file import SourceFile

    Reader = Callable[[SourceFile], Iterator[Paragraph]]

FORMATS = {
    ".md": "markdown.read_markdown",
    ".markdown": "markdown.read_markdown",
    ".mdown": "markdown.read_markdown",
    ".txt": "plain_text.read_text",
    ".text": "plain_text.read_text",
    ".html": "web_pages.read_html",
    ".htm": "web_pages.read_html",
    ".xhtml": "web_pages.read_html",
    ".json": "json_records.read_json",
    ".jsonl": "json_records.read_jsonl",
    ".ndjson": "json_records.read_jsonl",
    ".csv": "text_tables.read_csv",
    ".tsv": "text_tables.read_csv",
    ".xlsx": "sheets.read_xlsx",
    ".xlsm": "sheets.read_xlsx",
    ".docx": "word.read_docx",
    ".pptx": "slides.read_pptx",
    ".pdf": "pdf.read_pdf",
}
"""Suffix in small letters, and the function beside this module that reads it. A new format is one more line."""

TITLE_CHARACTERS_MAX = 2_000
"""Every passage repeats its title, and the longest path of headings that readers make is shorter."""


def read_paragraphs(source: SourceFile) -> Iterator[Paragraph]:
    """The paragraphs of a file whose suffix is one of `FORMATS`, without invisible characters.

    A title that is too long for one comes as a paragraph, and its beginning is the title.
    """
    module, function = FORMATS[source.suffix].split(".")
    reader: Reader = getattr(import_module(f"{__package__}.{module}"), function)
    given = title = ""
    for paragraph in reader(source):
        if not (text := clean_text(paragraph.text).strip()):
            continue
        cited = squeezed(clean_text(paragraph.source))
        if paragraph.title != given:
            given, whole = paragraph.title, squeezed(clean_text(paragraph.title))
            title = whole[:TITLE_CHARACTERS_MAX]
            if title != whole:
                yield Paragraph(title, whole, cited)
        yield Paragraph(title, text, cited)
