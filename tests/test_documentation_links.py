"""Links between the pages of this repository lead to a file, and to a heading of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The fragments that forges give to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        assert not fragment or fragment in anchors(there), target


def test_every_decision_is_in_the_index_with_a_date_and_a_status() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == sorted(set(numbers))  # some may be missing: decided about, and not taken
    for record in records:
        assert f"]({record.name})" in index
        assert re.search(
            r"^Date: \d{4}-\d\d-\d\d\. Status: (proposed|accepted|superseded)", record.read_text("utf-8"), re.MULTILINE
        ), record.name
