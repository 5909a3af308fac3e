"""What scripts/architecture_pictures.py reads from the sources, which it parses and never imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "voice_trio"
WRAPPERS = ("contain", "keep_running")  # of net/background.py: the task is their first argument


def floors() -> Mapping[str, int]:
    """The table of tests/test_floors.py: each folder's floor, 0 the lowest."""
    tree = ast.parse((ROOT / "tests" / "test_floors.py").read_text("utf-8"))
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "FLOORS" for target in targets):
            table: dict[str, int] = ast.literal_eval(node.value)  # type: ignore[attr-defined]  # an Assign has it
            return table
    raise LookupError("tests/test_floors.py has no table FLOORS")


def folder_imports() -> Mapping[str, set[str]]:
    """For each folder, or module at the top, the other ones that its modules import."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "voice_trio":
                names += [f"voice_trio.{alias.name}" for alias in node.names]
            found[here] |= {name.split(".")[1] for name in names if name.startswith("voice_trio.")} - {here}
    return found


@cache
def definitions(file: str) -> frozenset[str]:
    """The functions, classes and methods of a module below voice_trio/, methods as `Class.method`."""
    path = PACKAGE / file
    if not path.exists():
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, kinds):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, kinds)}
    return frozenset(names)


def exists(reference: str) -> bool:
    """Whether `file:function` names something in voice_trio/."""
    file, _, name = reference.partition(":")
    return name in definitions(file)


def started_tasks(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "start_soon":
            names = [callee(given) for given in node.args[:2]]
            yield names[-1] if names[0] in WRAPPERS else names[0]


def callee(given: ast.expr) -> str:
    if isinstance(given, ast.Call) and given.args:  # a partial
        return callee(given.args[0])
    return given.attr if isinstance(given, ast.Attribute) else getattr(given, "id", ast.unparse(given))
