"""Reads JSON Lines and CSV into paragraphs, one record at a time, so that no file must fit in memory."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, TextIO

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LINE_CHARACTERS_MAX = 4_000_000
TEXT_FIELDS = ("text", "content", "body", "passage", "answer")
TITLE_FIELDS = ("title", "heading", "name", "question")
SOURCE_FIELDS = ("source", "url", "uri", "path", "file")


def read_jsonl(path: Path, name: str) -> Iterator[Paragraph]:
    """Read one JSON object per line, with its text in `text`, `content`, `body`, `passage` or `answer`."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(_lines(file), start=1):
            if line.strip():
                yield _paragraph(_object(line, number), f"line {number}", path.stem, name)


def read_csv(path: Path, name: str) -> Iterator[Paragraph]:
    """Read a table with a header: its text column, named as for JSON Lines, else all columns with their names."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _lines(file)
        header = next(lines, "")
        delimiter = max(",;\t", key=header.count)
        csv.field_size_limit(LINE_CHARACTERS_MAX)
        names = [column.strip() for column in next(csv.reader([header], delimiter=delimiter), [])]
        if not any(names):
            raise UnreadableDocument("no header: the first line must name the columns")
        try:
            for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
                record = dict(zip(names, row, strict=False))
                if not any(value.strip() for value in record.values()):
                    continue
                if not any(field in _folded(record) for field in TEXT_FIELDS):
                    record["text"] = ", ".join(
                        f"{key}: {value.strip()}" for key, value in record.items() if value.strip()
                    )
                yield _paragraph(record, f"line {number}", path.stem, name)
        except csv.Error as error:
            raise UnreadableDocument(f"not a table: {error}") from error


def _object(line: str, number: int) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocument(f"line {number} is not JSON: {error}"[:300]) from error
    if not isinstance(record, dict):
        raise UnreadableDocument(f"line {number} is not a JSON object")
    return record


def _paragraph(record: Mapping[str, Any], where: str, stem: str, name: str) -> Paragraph:
    fields = _folded(record)
    text = _first(fields, TEXT_FIELDS)
    if not text:
        raise UnreadableDocument(f"{where} has no text under any of {', '.join(TEXT_FIELDS)}")
    return Paragraph(_first(fields, TITLE_FIELDS) or stem, text, _first(fields, SOURCE_FIELDS) or f"{name}, {where}")


def _folded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).strip().lower(): value for key, value in record.items()}


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    values = (fields.get(name) for name in names)
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")


def _lines(file: TextIO) -> Iterator[str]:
    """Lines with their line ends; raises `UnreadableDocument` for one longer than `LINE_CHARACTERS_MAX`."""
    number = 0
    while line := file.readline(LINE_CHARACTERS_MAX + 1):
        number += 1
        if len(line) > LINE_CHARACTERS_MAX:
            raise UnreadableDocument(f"line {number} is longer than {LINE_CHARACTERS_MAX:,} characters")
        yield line
