"""Reads XLSX files: each sheet is a table. Hidden sheets are named, and so are formulas without a stored value."""

from __future__ import annotations

import datetime
import warnings
import zipfile
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import openpyxl
from openpyxl.worksheet.formula import ArrayFormula

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers.cleaning import squeezed
from voice_trio.knowledge.importing.readers.tables import table_paragraphs
from voice_trio.knowledge.importing.readers.zip_bounds import check_office_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openpyxl.workbook import Workbook

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

# Up to this size of its sheets a file is read whole, which takes fifty times as much memory, to know merged cells.
WHOLE_BYTES_MAX = 8_000_000
# A sheet read whole has every cell up to its last row and column; one stray cell far out makes that billions.
WHOLE_CELLS_MAX = 1_000_000
PROGRESS_ROWS = 2_000
_ERRORS = frozenset(("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"))


def read_xlsx(source: SourceFile) -> Iterator[Paragraph]:
    """Read a workbook; a row is a paragraph, and its source names sheet and row. Formulas count by their last value."""
    check_office_file(source)
    warnings.simplefilter("ignore")  # of extensions that do not matter for values
    with zipfile.ZipFile(source.file) as archive:
        size = sum(entry.file_size for entry in archive.infolist() if "worksheets/" in entry.filename)
        drawings = [name for name in archive.namelist() if name.startswith("xl/drawings/drawing")]
        if any(b"txBody" in archive.read(name) for name in drawings):
            source.leave_out("text boxes in workbooks")
    values = _open(source, whole=size <= WHOLE_BYTES_MAX, values=True)
    if any((sheet.max_row or 0) * (sheet.max_column or 0) > WHOLE_CELLS_MAX for sheet in values.worksheets):
        values = _open(source, whole=False, values=True)
    formulas = _open(source, whole=False, values=False)
    names = [sheet.title for sheet in values.worksheets]
    for number, name in enumerate(names, start=1):
        source.progress("sheet", number, len(names))
        sheet = values[name]
        if sheet.sheet_state != "visible":
            source.remark(f"sheet {name} is hidden and left out")
            continue
        title = source.title if len(names) == 1 else f"{source.title} – {name}"
        try:
            yield from table_paragraphs(_rows(sheet, formulas[name], source), title, f"{source.name}, sheet {name}")
        except MemoryError:
            raise
        except Exception as error:  # a broken sheet; the others are read
            source.lose(f"sheet {name}", error)


def _open(source: SourceFile, *, whole: bool, values: bool) -> Workbook:
    source.file.seek(0)
    try:
        workbook = openpyxl.load_workbook(source.file, read_only=not whole, data_only=values)
        for sheet in () if whole else workbook.worksheets:
            sheet.reset_dimensions()  # what a file says of its size may be wrong, and then rows are left out
        return workbook
    except MemoryError:
        raise
    except Exception as error:  # the library raises what it likes for a broken file
        reason = squeezed(f"{type(error).__name__}: {error}")
        raise UnreadableDocument(f"not a workbook that can be read: {reason}"[:200]) from error


def _rows(sheet: Any, formulas: Any, source: SourceFile) -> Iterator[tuple[str, list[str]]]:
    merged = _merged_values(sheet)
    without_value = 0
    pairs = zip_longest(sheet.iter_rows(), formulas.iter_rows(values_only=True), fillvalue=())
    for number, (cells, originals) in enumerate(pairs, start=1):
        if number % PROGRESS_ROWS == 0:
            source.progress("row", number, max(number, sheet.max_row or 0))
        texts = []
        for column, (cell, original) in enumerate(zip_longest(cells, originals), start=1):
            text = _text(cell) or merged.get((number, column), "")
            without_value += _is_uncomputed(cell, original)
            texts.append(text)
        yield f"row {number}", texts
    if without_value:
        count = f"{without_value} formula{'s' * (without_value != 1)}"
        source.lose(f"sheet {sheet.title}", f"{count} without a stored value; open and save the file in Excel")


def _is_uncomputed(cell: Any, original: Any) -> bool:
    """Whether no program has computed a formula. An empty text is a value: the library keeps its type only."""
    is_formula = isinstance(original, ArrayFormula) or (isinstance(original, str) and original.startswith("="))
    return is_formula and getattr(cell, "value", None) is None and getattr(cell, "data_type", "n") == "n"


def _merged_values(sheet: Any) -> dict[tuple[int, int], str]:
    """The value of each merged cell but the first of its area, by row and column."""
    values: dict[tuple[int, int], str] = {}
    for area in getattr(getattr(sheet, "merged_cells", None), "ranges", ()):
        text = _text(sheet.cell(area.min_row, area.min_col))
        if text and area.max_row - area.min_row < 1_000 and area.max_col - area.min_col < 100:
            values.update(((row, column), text) for row, column in area.cells)
    return values


def _text(cell: Any) -> str:
    value = getattr(cell, "value", None)
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ", "minutes")
        case int() | float() if "%" in str(getattr(cell, "number_format", "")):
            return f"{value * 100:.10g}%"
        case float():
            return f"{value:.15g}"
        case str() if value in _ERRORS:
            return ""
        case _:
            return str(value)
