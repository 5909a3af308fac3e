"""docs/api/ is what the docstrings say, and the public names of the client have docstrings."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import voice_trio.client
from tests.support.script_runner import run_script

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


def test_the_pages_are_up_to_date() -> None:
    checked = run_script("api_docs.py", "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_page_that_was_edited_by_hand_fails_the_check(tmp_path: Path) -> None:
    assert run_script("api_docs.py", "--folder", str(tmp_path)).returncode == 0
    page = tmp_path / "client.md"
    page.write_text(page.read_text("utf-8").replace("Ask", "Question"), "utf-8")
    checked = run_script("api_docs.py", "--check", "--folder", str(tmp_path))
    assert checked.returncode == 1
    assert "client.md is out of date" in checked.stderr


def public_names() -> Iterator[tuple[str, object]]:
    for name in voice_trio.client.__all__:
        exported = getattr(voice_trio.client, name)
        yield name, exported
        if inspect.isclass(exported):
            for member, value in vars(exported).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    yield f"{name}.{member}", value


def test_every_public_name_of_the_client_has_a_docstring() -> None:
    # A dataclass without a docstring gets its signature for one.
    undocumented = [name for name, value in public_names() if not value.__doc__ or value.__doc__.startswith(f"{name}(")]
    assert undocumented == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: str(page.name))
def test_every_link_within_a_page_has_a_heading(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = [re.sub(r"[^\w-]", "", line.lstrip("# ").lower()) for line in text.splitlines() if line.startswith("#")]
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= set(headings)
    assert len(headings) == len(set(headings))
