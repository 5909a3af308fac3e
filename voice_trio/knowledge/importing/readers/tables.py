"""Rows of a table as paragraphs: every cell is in one, with the name of its column.

Nothing is known of the table beforehand: lines may stand above the header, rows may be longer or shorter than it, and
names may be equal or empty.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.cleaning import clean_text, squeezed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TEXT_FIELDS = ("text", "content", "body", "passage", "answer")
TITLE_FIELDS = ("title", "heading", "name", "question")
SOURCE_FIELDS = ("source", "url", "uri", "path", "file")
TITLE_CHARACTERS_MAX = 200
SOURCE_CHARACTERS_MAX = 500
ONE_LINE_CHARACTERS_MAX = 400
LINES_ABOVE_HEADER_MAX = 20

Row = tuple[str, "Sequence[str]"]
"""Where a row stands, for example "line 4", and its cells."""


def table_paragraphs(rows: Iterable[Row], title: str, source: str) -> Iterator[Paragraph]:
    """One paragraph for each row below the header, and one for the lines above the header."""
    filled = (row for row in rows if any(map(squeezed, row[1])))
    above: list[Row] = []
    header: Row | None = None
    for row in filled:
        if _filled_cells(row) > 1 or (not above and _names_a_field(row)):
            header = row
            break
        above.append(row)
        if len(above) > LINES_ABOVE_HEADER_MAX:
            break
    rest: Iterable[Row] = filled
    if header is None and above:  # one column
        header, rest, above = above[0], chain(above[1:], filled), []
    if above:
        yield Paragraph(title, "\n".join(_unnamed(row) for row in above), source)
    if header is None:
        return
    names = [squeezed(name) for name in header[1]]
    found, empty = False, set(range(len(names)))
    for where, cells in rest:
        found = True
        empty -= {column for column, cell in enumerate(cells) if squeezed(cell)}
        pairs = zip_longest(names[: len(cells)], cells, fillvalue="")
        yield record_paragraph(list(pairs), title, f"{source}, {where}")
    if not found:
        yield Paragraph(title, _unnamed(header), f"{source}, {header[0]}")
    elif unused := ", ".join(names[column] for column in sorted(empty) if names[column]):
        yield Paragraph(title, unused, f"{source}, {header[0]}")  # columns without values


def record_paragraph(fields: Sequence[tuple[str, str]], title: str, source: str) -> Paragraph:
    """A record, as pairs of name and value, as one paragraph. A field named as a text, title or source serves as that.

    All other fields follow the text with their names.
    """
    fields = [(clean_text(name), clean_text(value)) for name, value in fields]
    text = _first(fields, TEXT_FIELDS)
    own_title = _first(fields, TITLE_FIELDS, TITLE_CHARACTERS_MAX)
    own_source = _first(fields, SOURCE_FIELDS, SOURCE_CHARACTERS_MAX)
    used = {own_source} if text < 0 else {text, own_title, own_source}
    rest = [pair for number, pair in enumerate(fields) if number not in used and squeezed(pair[1])]
    lines = [fields[text][1].strip()] if text >= 0 else []
    lines.append(labelled(rest))
    body = "\n".join(filter(None, lines)) or labelled(fields)
    return Paragraph(
        squeezed(fields[own_title][1]) if own_title >= 0 else title,
        body,
        squeezed(fields[own_source][1]) if own_source >= 0 else source,
    )


def labelled(fields: Iterable[tuple[str, str]]) -> str:
    """Names and values as one line, or as lines if they are long; values without a name stand alone."""
    parts = []
    for name, value in fields:
        plain = squeezed(value)
        if plain:
            parts.append(f"{name.rstrip(':')}: {plain}" if name else plain)
    joint = ", " if sum(map(len, parts)) <= ONE_LINE_CHARACTERS_MAX else "\n"
    return joint.join(parts)


def labelled_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows of a table inside a document, each as one line; the names of columns without values follow."""
    empty = set(range(len(header)))
    for row in rows:
        empty -= {column for column, cell in enumerate(row) if cell}
        # A cell that spans columns comes once for each of them.
        pairs = list(zip_longest(header[: len(row)], row, fillvalue=""))
        once = [pair for number, pair in enumerate(pairs) if not number or pair != pairs[number - 1]]
        if text := labelled(once):
            yield text
    if unused := ", ".join(header[column] for column in sorted(empty) if header[column]):
        yield unused


def _filled_cells(row: Row) -> int:
    return sum(bool(squeezed(cell)) for cell in row[1])


def _names_a_field(row: Row) -> bool:
    """Whether the only cell of a row is the name of a column, so that it is the header of a table with one."""
    return "".join(row[1]).strip().lower() in {*TEXT_FIELDS, *TITLE_FIELDS}


def _unnamed(row: Row) -> str:
    return labelled(("", clean_text(cell)) for cell in row[1])


def _first(fields: Sequence[tuple[str, str]], names: tuple[str, ...], characters_max: int = 0) -> int:
    """The number of the first field with one of `names`, in their order, that has a value; else -1."""
    for wanted in names:
        for number, (name, value) in enumerate(fields):
            plain = squeezed(value)
            if squeezed(name).lower() == wanted and plain and not 0 < characters_max < len(plain):
                return number
    return -1
