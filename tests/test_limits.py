"""`voice_trio.limits` is the one table of grace periods and bounds: each entry is used, and no module keeps its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from voice_trio import limits

ROOT = Path(limits.__file__).parent
GATEWAY = ("admission", "auth", "billing", "knowledge", "net", "observability", "server", "session", "state", "web")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_each_limit_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in ROOT.rglob("*.py"))
    own = (ROOT / "limits.py").read_text("utf-8")
    names = [name for name in vars(limits) if name.isupper()]
    assert [name for name in names if f"limits.{name}" not in text and own.count(name) < 2] == []


@pytest.mark.parametrize("path", modules(*GATEWAY), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_the_gateway_has_a_timeout_of_its_own(path: Path) -> None:
    assigned = [
        target.id
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert [name for name in assigned if name.endswith("_SECONDS_MAX")] == []
