"""Tables of web pages as lines, each cell with the names of its row and column."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from lxml import etree

from voice_trio.knowledge.importing.readers.cleaning import squeezed
from voice_trio.knowledge.importing.readers.tables import labelled, labelled_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

SPAN_MAX = 100
COLUMNS_MAX = 1_000
LONG_CELL_CHARACTERS = 1_000
_SILENT = frozenset(("script", "style", "noscript", "template"))
_FRAME = ("table", "thead", "tbody", "tfoot", "tr")
_LAYOUT = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "article", "section", "main", "nav", "form")


def is_data_table(table: etree._Element) -> bool:
    """Whether a table has rows of values. Others arrange the page, and their cells are blocks of it."""
    if next(islice(table.iter(*_LAYOUT), 1, None), None) is not None or table.get("role") == "presentation":
        return False
    if any(_has_own_text(part) for part in table.iter(*_FRAME)):  # text between the cells
        return False
    cells = list(table.iter("td", "th"))
    return bool(cells) and all(len(_cell_text(cell)) <= LONG_CELL_CHARACTERS for cell in cells)


def _has_own_text(part: etree._Element) -> bool:
    return any(text and text.strip() for text in (part.text, *(child.tail for child in part)))


def table_lines(table: etree._Element) -> Iterator[str]:
    """The caption and the rows of a table."""
    for caption in table.iter("caption"):
        if text := _cell_text(caption):
            yield text
    rows = list(_grid(table))
    count = _header_rows(rows)
    header = [
        " ".join(dict.fromkeys(name for name in names if name))
        for names in zip(*(_padded([text for text, _ in row], rows) for row in rows[:count]), strict=True)
    ]
    for row in () if header else rows:
        if row and row[0][1] and not all(is_heading for _, is_heading in row):  # its first cell names the row
            values = ", ".join(dict.fromkeys(text for text, _ in row[1:] if text))
            yield labelled([(row[0][0], values)]) or row[0][0]
        else:
            yield ", ".join(filter(None, (text for text, _ in row)))
    if header:
        yield from labelled_rows(header, ([text for text, _ in row] for row in rows[count:]))


def _header_rows(rows: list[list[tuple[str, bool]]]) -> int:
    count = 0
    for row in rows:
        if not row or not all(is_heading for _, is_heading in row):
            break
        count += 1
    return count if count < len(rows) or count == 1 else 0


def _padded(names: list[str], rows: list[list[tuple[str, bool]]]) -> list[str]:
    return names + [""] * (max(map(len, rows)) - len(names))


def _grid(table: etree._Element) -> Iterator[list[tuple[str, bool]]]:
    """Rows of cells, each with its text and whether it is a heading. Cells that span others are repeated."""
    pending: dict[int, tuple[int, tuple[str, bool]]] = {}  # by column: rows to come that a cell above fills
    for row in table.iter("tr"):
        is_header = row.getparent() is not None and row.getparent().tag == "thead"  # type: ignore[union-attr]  # seen
        cells: list[tuple[str, bool]] = []
        for cell in row.iterchildren("td", "th"):
            _fill(cells, pending)
            value = (_cell_text(cell), is_header or cell.tag == "th")
            rows_below = _span(cell, "rowspan") - 1
            for _ in range(min(_span(cell, "colspan"), COLUMNS_MAX - len(cells))):
                if rows_below:
                    pending[len(cells)] = (rows_below, value)
                cells.append(value)
        _fill(cells, pending)
        if any(text for text, _ in cells):
            yield cells


def _fill(cells: list[tuple[str, bool]], pending: dict[int, tuple[int, tuple[str, bool]]]) -> None:
    while held := pending.pop(len(cells), None):
        rows, value = held
        if rows > 1:
            pending[len(cells)] = (rows - 1, value)
        cells.append(value)


def _span(cell: etree._Element, name: str) -> int:
    value = cell.get(name, "1").strip()
    return max(1, min(int(value), SPAN_MAX)) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _cell_text(cell: etree._Element) -> str:
    pieces: list[str] = []
    walk = etree.iterwalk(cell, events=("start", "end"))
    for event, element in walk:
        if event == "start":
            if element.tag in _SILENT:
                walk.skip_subtree()
                continue
            pieces.append(" " if element.tag in {"br", "p", "div", "li"} else "")
            pieces.append(f" {element.get('alt', '')} " if element.tag == "img" else element.text or "")
        elif element is not cell:
            pieces.append(" " if element.tag in {"p", "div", "li"} else "")
            pieces.append(element.tail or "")
    return squeezed("".join(pieces))
