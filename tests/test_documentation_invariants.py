"""docs/invariants.md names every invariant, with modules and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "invariants.md").read_text("utf-8")
SECTIONS = {
    f"I{number}": text
    for number, text in re.findall(r"^## I(\d+) .+?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
COMING = re.findall(r"^## (I\d+) .*\(coming\)$", PAGE, re.MULTILINE)
KEPT = [f"I{number}" for number in range(1, 18) if f"I{number}" not in COMING]
TEST_IDS = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE)))
MODULES = sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE)))


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the test functions in a file, methods included."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_every_invariant_has_its_section_in_order() -> None:
    assert list(SECTIONS) == [f"I{number}" for number in range(1, 18)]
    assert {f"I{number}" for number in range(1, 14)} <= set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_an_invariant_that_holds_has_modules_and_tests(name: str) -> None:
    assert re.search(r"^- Modules: `", SECTIONS[name], re.MULTILINE)
    assert re.search(r"^  - `tests/[\w/]+\.py::\w+`$", SECTIONS[name], re.MULTILINE)


@pytest.mark.parametrize("name", COMING)
def test_an_invariant_that_is_planned_says_what_is_true_today(name: str) -> None:
    assert re.search(r"^Today: ", SECTIONS[name], re.MULTILINE)


@pytest.mark.parametrize("test_id", TEST_IDS)
def test_a_test_on_the_page_exists(test_id: str) -> None:
    file, _, name = test_id.partition("::")
    assert (ROOT / file).exists(), file
    assert name in names_in(file)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_on_the_page_exists(module: str) -> None:
    assert (ROOT / "voice_trio" / module).exists() or (module.startswith("tests/") and (ROOT / module).exists())
