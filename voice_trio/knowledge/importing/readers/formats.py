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


def read_paragraphs(source: SourceFile) -> Iterator[Paragraph]:
    """The paragraphs of a file whose suffix is one of `FORMATS`, without invisible characters."""
    module, function = FORMATS[source.suffix].split(".")
    reader: Reader = getattr(import_module(f"{__package__}.{module}"), function)
    for paragraph in reader(source):
        if text := clean_text(paragraph.text).strip():
            title, cited = squeezed(clean_text(paragraph.title)), squeezed(clean_text(paragraph.source))
            yield Paragraph(title, text, cited)
