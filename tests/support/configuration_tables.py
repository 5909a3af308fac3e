"""The tables of docs/configuration.md, made from the settings."""

from __future__ import annotations

import re
from pathlib import Path

from voice_trio.settings import markdown_tables

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def with_tables(page: str) -> str:
    """`page` with the table of each group in its place, after the group's comment."""
    for about, table in markdown_tables().items():
        comment = f"<!-- {about} -->\n"
        assert page.count(comment) == 1, f"docs/configuration.md must have {comment!r} once"
        before, after = page.split(comment)
        page = before + comment + table + re.sub(r"\A(\|.*\n)*", "", after)
    return page
