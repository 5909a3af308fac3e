"""Which kinds of files can be imported, and by which reader."""

from __future__ import annotations

from voice_trio.knowledge.importing.page_readers import read_html, read_pdf
from voice_trio.knowledge.importing.readers import TEXT_FORMATS, Format
from voice_trio.knowledge.importing.record_readers import read_csv, read_jsonl

_HTML = Format(read_html, is_text=False)  # pages name their own encoding

FORMATS = {
    **TEXT_FORMATS,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".jsonl": Format(read_jsonl),
    ".ndjson": Format(read_jsonl),
    ".csv": Format(read_csv),
    ".tsv": Format(read_csv),
    ".pdf": Format(read_pdf, is_text=False),
}
