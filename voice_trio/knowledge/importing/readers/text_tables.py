"""Reads CSV and TSV files row by row, so that no file must fit in memory."""

from __future__ import annotations

import csv
from itertools import chain
from typing import TYPE_CHECKING

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers.decoding import table_encoding
from voice_trio.knowledge.importing.readers.tables import table_paragraphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

LINE_CHARACTERS_MAX = 4_000_000
SAMPLE_LINES = 50
DELIMITERS = ",;\t|"


def read_csv(source: SourceFile) -> Iterator[Paragraph]:
    """Read a table: its text column if it has one, and every other cell with the name of its column."""
    csv.field_size_limit(LINE_CHARACTERS_MAX)
    with source.text(table_encoding(source)) as file:
        lines = bounded_lines(file)
        sample = [line for _, line in zip(range(SAMPLE_LINES), lines, strict=False)]
        skipped = 0
        if sample and (stated := sample[0].strip().lower().lstrip("\ufeff").strip('"')).startswith("sep="):
            delimiter, skipped = stated[4:5] or "\t", 1  # the first line says so to Excel
        else:
            delimiter = _delimiter(sample)
        rows = _rows(chain(sample[skipped:], lines), delimiter, skipped)
        yield from table_paragraphs(rows, source.stem, source.name)


def bounded_lines(file: TextIO) -> Iterator[str]:
    """Lines with their line ends; raises `UnreadableDocument` for one longer than `LINE_CHARACTERS_MAX`."""
    number = 0
    while line := file.readline(LINE_CHARACTERS_MAX + 1):
        number += 1
        if len(line) > LINE_CHARACTERS_MAX:
            raise UnreadableDocument(f"line {number} is longer than {LINE_CHARACTERS_MAX:,} characters")
        yield line


def _rows(lines: Iterable[str], delimiter: str, skipped: int) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    line = skipped + 1
    try:
        for cells in reader:
            yield f"line {line}", cells
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise UnreadableDocument(f"not a table from line {line} on: {error}") from error


def _delimiter(sample: list[str]) -> str:
    """The delimiter that splits the most lines, and them most alike."""

    def score(delimiter: str) -> tuple[int, int, int, int]:
        try:
            # The last line of the sample may end inside of quotes.
            rows = list(csv.reader(sample, delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            return 0, 0, 0, 0
        sizes = [len(row) for row in rows if row]
        # With a wrong delimiter, the quotes around a cell become part of one.
        quotes = sum(cell.startswith('"') or cell.endswith('"') for row in rows for cell in row)
        return sum(size > 1 for size in sizes), -quotes, -len(set(sizes)), sum(sizes)

    return max(DELIMITERS, key=score)
