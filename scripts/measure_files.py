"""The static part of `measure_shape`: what is seen of the code without running it.

- Lines are physical lines, empty ones included. Shares of comments are per cent of them: lines with a comment, lines
  with nothing but a comment, and lines of docstrings. A function's lines run from its `def` to its end, without its
  decorators; methods and nested functions count.
- An import counts wherever it stands in a module. `from package import module` leads to the module; `from package
  import name` leads to the package's `__init__`. A circle is a set of modules that all reach each other (a strongly
  connected component). A circle of folders is one between the entries of a folder, at least one of them a folder.
- A class name is duplicate if it is defined twice in the package. Subclasses of `msgspec.Struct` in `dialects/` or
  `protocols/` are left out: the wire prescribes their names.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PACKAGE = "voice_trio"
SMALL_MODULE_LINES = 40
WIRE_FOLDERS = ("dialects", "protocols")
COMMENTED_FOLDERS = ("conversation", "session")
SESSION_MODULE = f"{PACKAGE}.session.session"

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Module:
    """One file of the package; `name` is its dotted name, for a folder's `__init__` that of the folder."""

    name: str
    parts: tuple[str, ...]
    """Its path in the package."""
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def lines(self) -> int:
        return len(self.source.splitlines())

    @property
    def is_package(self) -> bool:
        return self.parts[-1] == "__init__.py"


def read_modules(root: Path) -> dict[str, Module]:
    """Every module of the package under `root`, by its dotted name."""
    modules = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).parts
        name = ".".join((PACKAGE, *parts)).removesuffix(".py").removesuffix(".__init__")
        modules[name] = Module(name, parts, path.read_text("utf-8"))
    return modules


# Imports


def import_statements(nodes: Iterable[ast.AST], typing_only: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Each import statement, and whether it stands under `if TYPE_CHECKING`."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, typing_only
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from import_statements(node.body, typing_only=True)
            yield from import_statements(node.orelse, typing_only)
        else:
            yield from import_statements(ast.iter_child_nodes(node), typing_only)


def imported(statement: ast.stmt, module: Module, modules: Mapping[str, Module]) -> set[str]:
    """The modules of the package that a statement names; never the module it stands in."""
    if isinstance(statement, ast.Import):
        names = {alias.name for alias in statement.names}
    elif isinstance(statement, ast.ImportFrom):
        source = _source(statement, module)
        submodules = {alias.name: f"{source}.{alias.name}" for alias in statement.names}
        names = {submodules[name] if submodules[name] in modules else source for name in submodules}
    else:
        names = set()
    return {name for name in names if name in modules and name != module.name}


def _source(statement: ast.ImportFrom, module: Module) -> str:
    """The dotted name after `from`, a relative one resolved."""
    if not statement.level:
        return statement.module or ""
    above = statement.level - 1 if module.is_package else statement.level
    base = module.name.split(".")[: module.name.count(".") + 1 - above]
    return ".".join([*base, *filter(None, [statement.module])])


def import_graph(modules: Mapping[str, Module], *, typing_too: bool) -> Graph:
    """From each module to what it imports of the package."""
    graph: Graph = {name: set() for name in modules}
    for module in modules.values():
        for statement, typing_only in import_statements(module.tree.body):
            if typing_too or not typing_only:
                graph[module.name] |= imported(statement, module, modules)
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """The strongly connected components of more than one node, each sorted, the largest first."""
    reach = {node: _reachable(node, graph) for node in graph}
    found = {
        frozenset(other for other in reach[node] if node in reach.get(other, ()))
        for node in graph
        if node in reach[node]
    }
    return sorted((sorted(circle) for circle in found if len(circle) > 1), key=lambda circle: (-len(circle), circle))


def _reachable(node: str, graph: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - seen
        seen |= fresh
        waiting.extend(fresh)
    return seen


def folder_circles(graph: Graph, modules: Mapping[str, Module]) -> list[list[str]]:
    """Circles between the entries of one folder, for every folder; a circle of modules alone is not repeated."""
    inside: dict[tuple[str, ...], Graph] = defaultdict(lambda: defaultdict(set))
    for here, targets in graph.items():
        for there in targets:
            ours, theirs = modules[here].parts, modules[there].parts
            shared = next(i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1])
            inside[ours[:shared]][_entry(ours, shared)].add(_entry(theirs, shared))
    found = chain.from_iterable(circles(dict(level)) for level in inside.values())
    return [circle for circle in found if any(entry.endswith("/") for entry in circle)]


def _entry(parts: tuple[str, ...], depth: int) -> str:
    return "/".join(parts[: depth + 1]) + ("/" if len(parts) > depth + 1 else "")


# Lines and names


def comment_lines(module: Module, *, alone: bool) -> int:
    """Lines with a comment; if `alone`, only those with nothing else."""
    tokens = tokenize.generate_tokens(io.StringIO(module.source).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    return sum(not alone or token.line.lstrip().startswith("#") for token in comments)


def docstring_lines(module: Module) -> int:
    """Lines of strings that stand as statements: docstrings, those of attributes included."""
    return sum(
        _lines(node)
        for node in module.nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def comment_shares(modules: Iterable[Module]) -> dict[str, float]:
    """Per cent of all lines."""
    modules = list(modules)
    total = sum(module.lines for module in modules) or 1
    counts = {
        "with_comment": sum(comment_lines(module, alone=False) for module in modules),
        "comment_only": sum(comment_lines(module, alone=True) for module in modules),
        "docstring": sum(map(docstring_lines, modules)),
    }
    return {kind: round(100 * count / total, 2) for kind, count in counts.items()}


def duplicate_classes(modules: Mapping[str, Module]) -> dict[str, list[str]]:
    """Each class name defined more than once, wire structs left out, with the modules that define it."""
    classes = [(m, node) for m in modules.values() for node in m.nodes if isinstance(node, ast.ClassDef)]
    structs = {"Struct"}
    wire = [(m.name, node) for m, node in classes if m.parts[0] in WIRE_FOLDERS]
    for _ in wire:  # a base class may come later in the list
        known = len(structs)
        structs |= {node.name for _, node in wire if structs & {_last_name(base) for base in node.bases}}
        if len(structs) == known:
            break
    where = defaultdict(list)
    for module, node in classes:
        if not (module.parts[0] in WIRE_FOLDERS and node.name in structs):
            where[node.name].append(module.name)
    return {name: places for name, places in sorted(where.items()) if len(places) > 1}


def _last_name(base: ast.expr) -> str:
    return ast.unparse(base).split("[")[0].split(".")[-1]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _in_folder(modules: Mapping[str, Module], folder: str) -> list[Module]:
    return [module for module in modules.values() if module.parts[0] == folder]


def percentile(values: Iterable[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0


def measure_files(root: Path) -> dict[str, Any]:
    """Everything that is seen without running the code."""
    modules = read_modules(root)
    lengths = [module.lines for module in modules.values()]
    functions = [
        _lines(node)
        for module in modules.values()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    graph = import_graph(modules, typing_too=True)
    return {
        "modules": len(modules),
        "module_lines_median": statistics.median(lengths) if lengths else 0,
        "module_lines_max": max(lengths, default=0),
        f"modules_under_{SMALL_MODULE_LINES}_lines": sum(lines < SMALL_MODULE_LINES for lines in lengths),
        "files_per_folder": dict(Counter("/".join((PACKAGE, *m.parts[:-1])) for m in modules.values()).most_common()),
        "functions": len(functions),
        "function_lines_median": percentile(functions, 0.5),
        "function_lines_p90": percentile(functions, 0.9),
        "comment_shares": {
            **{folder: comment_shares(_in_folder(modules, folder)) for folder in COMMENTED_FOLDERS},
            PACKAGE: comment_shares(modules.values()),
        },
        "duplicate_classes": duplicate_classes(modules),
        "circles": circles(graph),
        "circles_at_runtime": circles(import_graph(modules, typing_too=False)),
        "folder_circles": folder_circles(graph, modules),
        "session_imports": _session_imports(modules, graph),
    }


def _session_imports(modules: Mapping[str, Module], graph: Graph) -> dict[str, int]:
    """Import statements at the top of the session's module, TYPE_CHECKING included, and what of ours they lead to."""
    session = modules.get(SESSION_MODULE)
    if session is None:
        return {}
    top = [node for node in session.tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.If)]
    return {"statements": len(list(import_statements(top))), "modules_of_ours": len(graph[SESSION_MODULE])}
