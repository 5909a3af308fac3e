#!/usr/bin/env python3
"""Writes docs/api/ from the docstrings of the public packages, or checks that it is up to date.

    .venv/bin/python scripts/api_docs.py            # writes the pages
    .venv/bin/python scripts/api_docs.py --check    # exit code 1 if a page differs from what would be written

The sources are read with griffe, which parses them and imports nothing. A page documents the names in its package's
`__all__`, in alphabetical order. A public member of a base class is documented in the class that inherits it, unless
the base class has an entry of its own.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "voice_trio.client": "client.md",
    "voice_trio.prompt_testing": "prompt_testing.md",
    "voice_trio.testing": "testing.md",
}
NOTICE = "<!-- Written by scripts/api_docs.py from the docstrings. Edit those, then run the script. -->"
SIGNATURE_WIDTH_MAX = 100
DECORATORS = ("asynccontextmanager", "contextmanager", "property", "classmethod", "staticmethod")
_NAME_IN_PROSE = re.compile(r"(?<!\[)`([A-Za-z_][\w.]*)(\([^`]*\))?`")

Member: TypeAlias = griffe.Object | griffe.Alias


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the API reference from the docstrings.")
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if a page is out of date.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "api", help="Where the pages are.")
    given = parser.parse_args()
    stale = [path for path, text in pages(given.folder) if not path.exists() or path.read_text("utf-8") != text]
    if given.check:
        for path in stale:
            print(f"{path} is out of date; run scripts/api_docs.py", file=sys.stderr)
        return 1 if stale else 0
    given.folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages(given.folder):
        path.write_text(text, "utf-8")
    return 0


def pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each page's path and text."""
    loader = griffe.GriffeLoader(search_paths=[ROOT], allow_inspection=False)
    loader.load("voice_trio")
    loader.resolve_aliases()
    for package, file_name in PAGES.items():
        module = loader.modules_collection[package]
        yield folder / file_name, Page(package, module).text()


@dataclass(frozen=True, slots=True)
class Entry:
    """A documented name: its heading, its source and the members that are documented below it."""

    name: str
    source: Member
    members: dict[str, Member]

    @property
    def anchor(self) -> str:
        return anchor(self.name)


class Page:
    """One package's reference as Markdown."""

    def __init__(self, package: str, module: Member) -> None:
        self._package = package
        self._module = module
        exported = {name: target(module[name]) for name in sorted(map(str, module.exports or ()), key=str.lower)}
        self._paths = {member.path for member in exported.values()}
        self._entries = [Entry(name, member, self._members_of(member)) for name, member in exported.items()]
        self._anchors = {entry.name: entry.anchor for entry in self._entries}
        for entry in self._entries:
            headings = [f"{entry.name}.{name}" for name, member in entry.members.items() if not is_field(member)]
            self._anchors |= {heading: anchor(heading) for heading in headings}

    def text(self) -> str:
        blocks = [f"# {self._package}", NOTICE, self._prose(self._module)]
        for title, entries in self._sections():
            blocks.append(f"## {title}")
            blocks.append("\n".join(["| name | |", "|---|---|", *map(self._row, entries)]))
            for entry in entries:
                blocks += self._entry(entry)
        return "\n\n".join(block for block in blocks if block) + "\n"

    def _sections(self) -> Iterator[tuple[str, list[Entry]]]:
        def of(kind: str) -> list[Entry]:
            return [entry for entry in self._entries if kind_of(entry.source) == kind]

        for title in ("Functions", "Classes", "Errors", "Types"):
            if entries := of(title):
                yield title, entries

    def _row(self, entry: Entry) -> str:
        summary = self._prose(entry.source).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        return f"| [`{entry.name}`](#{entry.anchor}) | {summary} |"

    def _entry(self, entry: Entry) -> Iterator[str]:
        yield f"### {entry.name}"
        yield code(declaration(entry.source, entry.name))
        yield self._bases(entry.source)
        yield self._prose(entry.source, entry)
        yield "\n".join(self._attributes(entry))
        for name, member in entry.members.items():
            if not is_field(member):
                yield f"#### {entry.name}.{name}"
                yield code(declaration(member, name))
                yield self._prose(member, entry)

    def _bases(self, source: Member) -> str:
        if not isinstance(source, griffe.Class):
            return ""
        names = [str(base).rpartition(".")[2] for base in source.bases if str(base) not in ("Protocol", "Exception")]
        links = [f"[`{name}`](#{self._anchors[name]})" if name in self._anchors else f"`{name}`" for name in names]
        return f"Base: {', '.join(links)}" if links and self._is_shown(source) else ""

    def _is_shown(self, source: griffe.Class) -> bool:
        """Whether to name the bases: the members of a base class without an entry are listed as the class's own."""
        return kind_of(source) == "Errors" or any(base.path in self._paths for base in source.resolved_bases)

    def _attributes(self, entry: Entry) -> Iterator[str]:
        parameters = declaration(entry.source, entry.name)
        for name, member in entry.members.items():
            documented = self._prose(member, entry).replace("\n", " ")
            if is_field(member) and (documented or f"{name}:" not in parameters):
                yield f"- `{name}`" + (f": {documented}" if documented else "")

    def _members_of(self, source: Member) -> dict[str, Member]:
        """What is public, own members first, properties among the methods."""
        if not isinstance(source, griffe.Class):
            return {}
        elsewhere = {name for base in source.resolved_bases if base.path in self._paths for name in base.all_members}
        inherited = {name: target(member) for name, member in source.inherited_members.items()}
        own = {name: member for name, member in source.members.items() if name not in elsewhere or member.docstring}
        found = own | {name: member for name, member in inherited.items() if name not in own and name not in elsewhere}
        return {name: member for name, member in found.items() if not name.startswith("_")}

    def _prose(self, source: Member, entry: Entry | None = None) -> str:
        """The docstring with links from names to their entries; indented examples stay as they are."""
        if source.docstring is None:
            return ""
        lines = source.docstring.value.strip().split("\n")
        return "\n".join(line if line.startswith("    ") else self._linked(line, entry) for line in lines)

    def _linked(self, line: str, entry: Entry | None) -> str:
        def link(match: re.Match[str]) -> str:
            within = f"{entry.name}.{match[1]}" if entry is not None else ""
            found = self._anchors.get(match[1]) or self._anchors.get(within)
            if match[1] in PAGES and match[1] != self._package:
                return f"[{match[0]}]({PAGES[match[1]]})"
            return f"[{match[0]}](#{found})" if found and match[1] != getattr(entry, "name", None) else match[0]

        return _NAME_IN_PROSE.sub(link, line)


def target(member: Member) -> Member:
    return member.final_target if isinstance(member, griffe.Alias) else member


def kind_of(source: Member) -> str:
    if source.is_function:
        return "Functions"
    if isinstance(source, griffe.Class):
        is_error = any("Error" in str(base) or "Exception" in str(base) for base in (*source.bases, *source.mro()))
        return "Errors" if is_error else "Classes"
    return "Types"


def is_field(member: Member) -> bool:
    return member.is_attribute and "property" not in member.labels


def anchor(heading: str) -> str:
    """The fragment that forges give to a heading."""
    return re.sub(r"[^\w-]", "", heading.lower())


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def declaration(source: Member, name: str) -> str:
    """A definition's head as it would stand in a stub file."""
    if isinstance(source, griffe.Function):
        kept = [str(decorator.value) for decorator in source.decorators if str(decorator.value) in DECORATORS]
        head = "async def" if "async" in source.labels else "def"
        returns = f" -> {source.returns}" if source.returns is not None else ""
        return "\n".join([*(f"@{each}" for each in kept), _call(f"{head} {name}", source.parameters, returns)])
    if isinstance(source, griffe.Class):
        if "Protocol" in map(str, source.bases):
            return f"class {name}(Protocol)"
        if any(str(parameter.annotation).startswith("_") for parameter in source.parameters):
            return f"class {name}"  # made by a function of its package, not by callers
        return _call(f"class {name}", source.parameters, "")
    if isinstance(source, griffe.Attribute) and "property" in source.labels:
        return f"@property\ndef {name}(self) -> {source.annotation}"
    return f"{name} = {getattr(source, 'value', '')}"


def _call(head: str, parameters: Iterable[griffe.Parameter], tail: str) -> str:
    shown = list(_parameters(parameters))
    line = f"{head}({', '.join(shown)}){tail}"
    if line.startswith("class ") and not shown:
        return head
    if len(line) <= SIGNATURE_WIDTH_MAX:
        return line
    return "\n".join([f"{head}(", *(f"    {each}," for each in shown), f"){tail}"])


def _parameters(parameters: Iterable[griffe.Parameter]) -> Iterator[str]:
    has_star = False
    for parameter in parameters:
        if parameter.name == "self" or parameter.name == "cls":
            continue
        if parameter.kind is griffe.ParameterKind.var_positional:
            has_star = True
        elif parameter.kind is griffe.ParameterKind.keyword_only and not has_star:
            has_star = True
            yield "*"
        yield _parameter(parameter)


def _parameter(parameter: griffe.Parameter) -> str:
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
    text = stars.get(parameter.kind, "") if parameter.kind else ""
    text += parameter.name
    if parameter.annotation is not None:
        text += f": {parameter.annotation}"
    is_optional = parameter.default is not None and not text.startswith("*")
    return f"{text} = {_default(parameter)}" if is_optional else text


def _default(parameter: griffe.Parameter) -> str:
    """The value of a default; of a constant of this package its value, not its name."""
    default, function = parameter.default, parameter.function
    if isinstance(default, griffe.ExprName | griffe.ExprAttribute) and function is not None:
        try:
            constant = function.modules_collection[default.canonical_path]
        except KeyError:  # not of this package
            return str(default)
        return str(getattr(constant, "value", default))
    return str(default)


if __name__ == "__main__":
    sys.exit(main())
