"""What the command line prints by rich: a value with brackets, as in `voice-trio[local]`, is printed as it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import voice_trio

PACKAGE = Path(voice_trio.__file__).parent
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "from rich" in path.read_text("utf-8")]
MARKUP_METHODS = {"print", "status", "rule", "add_row", "update", "log"}
"""Methods of rich that read markup in a str."""


def texts_with_values(tree: ast.Module) -> list[int]:
    """Lines of calls that give rich a str with a value in it: an f-string, a sum, a variable's str."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in MARKUP_METHODS or not _is_of_rich(call.func.value):
            continue
        if any(_holds_a_text(argument) for argument in call.args):
            found.append(call.lineno)
    return found


def _is_of_rich(owner: ast.expr) -> bool:
    named = ast.unparse(owner)
    return any(word in named.lower() for word in ("console", "table", "live", "bar"))


def _holds_a_text(argument: ast.expr) -> bool:
    """Whether a value may bring brackets: numbers with a format and constants cannot."""
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) and not _is_number(part) for part in argument.values)
    return isinstance(argument, ast.BinOp) or (
        isinstance(argument, ast.Call) and ast.unparse(argument.func) in {"str", "', '.join", "'\\n'.join"}
    )


def _is_number(part: ast.FormattedValue) -> bool:
    text = ast.unparse(part.format_spec) if part.format_spec else ""
    return any(sign in text for sign in (",", ".1f", "d", "g"))


def test_there_is_something_to_look_at_F55() -> None:
    assert len(MODULES) > 5
    sample = ast.parse(
        'console.print(f"install {extra}")\nconsole.print(f"{n:,} documents")\nconsole.print(Text(f"{x}"))'
    )
    assert texts_with_values(sample) == [1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_value_is_read_as_markup_F55(path: Path) -> None:
    assert texts_with_values(ast.parse(path.read_text("utf-8"))) == [], path
