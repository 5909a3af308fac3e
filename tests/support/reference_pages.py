"""The pages and tables that are made from the code. `python -m tests.support.reference_pages` writes all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import configuration_tables, cost_tables, reference_logs
from tests.support.reference_cli import cli_page
from tests.support.reference_dialogue import dialogue_page
from tests.support.reference_http import http_page
from tests.support.reference_metrics import metrics_page

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
NOTICE = "<!-- Written by `python -m tests.support.reference_pages`. Edit its sources, then run it. -->\n"
MAKERS: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "dialogue.md": dialogue_page,
    "http.md": http_page,
    "metrics.md": metrics_page,
}
TABLES: dict[Path, Callable[[str], str]] = {
    configuration_tables.PAGE: configuration_tables.with_tables,
    cost_tables.PAGE: cost_tables.with_tables,
    reference_logs.PAGE: reference_logs.with_rows,
}
"""Pages that are written by hand but for their tables, and what writes the tables into the page's text."""
HINT = "run `python -m tests.support.reference_pages`"


def page_text(name: str) -> str:
    """The text of a generated page."""
    return NOTICE + MAKERS[name]()


if __name__ == "__main__":
    for name in MAKERS:
        (FOLDER / name).write_text(page_text(name), "utf-8")
    for page, with_tables in TABLES.items():
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
