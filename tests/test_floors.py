"""The layout holds: imports only go down and in no circle, and the two lowest floors know no clock, socket or task."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import voice_trio
from scripts.measure_files import circles, duplicate_classes, import_graph, read_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(voice_trio.__file__).parent

# What a folder (or a module at the top) may import of ours: itself, and lower floors; so folders on one floor are
# independent of each other.
FLOORS = {
    "errors": 0,
    "limits": 0,
    "conversation": 1,
    "protocols": 2,
    "net": 3,
    "speech": 3,
    "upstreams": 4,
    "settings": 5,
    "state": 6,
    "billing": 7,
    "knowledge": 7,
    "auth": 7,
    "observability": 7,
    "session": 8,
    "client": 8,
    "embedded": 8,
    "testing": 8,
    "demo": 8,
    "admission": 9,
    "web": 10,
    "server": 11,
    "prompt_testing": 11,
    "asgi": 12,
    "cli": 13,
    "__main__": 14,
}

WAITING = {"trio", "time", "asyncio", "threading", "socket", "datetime", "random", "subprocess", "os", "secrets"}
# Each foreign library belongs to these folders only.
FOREIGN = {
    "hypercorn": {"web", "server", "asgi"},
    "quart": {"web"},
    "quart_trio": {"web"},
    "websockets": {"net"},
    "trio_websocket": {"net", "testing", "embedded", "client"},
    "jwt": {"auth"},
    "redis": {"state"},
    "weaviate": {"knowledge"},
    "sqlite3": {"knowledge"},
    "httpx2": {"auth", "observability", "cli"},
    "sentry_sdk": {"observability", "server"},
    "prometheus_client": {"observability"},
    "opentelemetry": {"observability"},
    "click": {"cli"},
    "rich": {"cli"},
    "sounddevice": {"client"},
}
# Folders that must not import each other, on whatever floors; what two of them share stands on a lower floor.
STRANGERS = {
    "session": {"client", "embedded", "testing", "demo"},
    "client": {"session", "embedded", "testing", "demo"},
    "embedded": {"session", "client", "demo"},
}


MODULES_MAX = 20
"""In one folder; a reader should take in the list at a glance."""


def modules() -> Iterator[Path]:
    yield from sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, for types only too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "voice_trio":
                yield from (f"voice_trio.{alias.name}" for alias in node.names)


def folder(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


ALL = [path for path in modules() if folder(path) != "__init__"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    here = folder(path)
    assert here in FLOORS, f"{here} has no floor: add it to FLOORS"
    for name in imports(path):
        if name.startswith("voice_trio.") and name != "voice_trio.__version__":
            there = name.split(".")[1]
            assert there == here or FLOORS[there] < FLOORS[here], f"{here} imports {name}, which is not below it"
            assert there not in STRANGERS.get(here, set()), f"{here} must not import {name}"


@pytest.mark.parametrize("path", [path for path in ALL if folder(path) in ("conversation", "protocols")], ids=str)
def test_the_two_lowest_floors_never_wait_nor_look_at_a_clock(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & WAITING


@pytest.mark.parametrize("path", [path for path in ALL if folder(path) == "conversation"], ids=str)
def test_floor_0_knows_no_wire(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"json", "msgspec", "base64", "pybase64"}


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_foreign_libraries_stay_on_their_floors(path: Path) -> None:
    for name in imports(path):
        allowed = FOREIGN.get(name.split(".")[0])
        assert allowed is None or folder(path) in allowed, f"{folder(path)} imports {name}"


def test_threads_are_started_in_one_place_only() -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in ALL
        if "to_thread" in path.read_text("utf-8") and path.name != "threads.py"
    ]
    assert users == []


def test_nothing_waits_without_bound_at_the_end_of_a_session() -> None:
    """A shield without a deadline may hang: each of ours has a deadline on its line."""
    for path in ALL:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if "shield=True" in line:
                assert "move_on_after(" in line or "fail_after(" in line, f"{path}:{number}"


def test_the_speech_engines_stand_behind_one_door() -> None:
    """`embedded/local.py` constructs the engines; they know the protocols they fill, and nothing else of the server."""
    speech = "voice_trio.embedded.speech"
    allowed_inside = {"voice_trio.embedded.engines", "voice_trio.embedded.language"}
    for path in ALL:
        place = path.relative_to(ROOT)
        is_inside = place.is_relative_to("embedded/speech")
        for name in imports(path):
            is_engine = name == speech or name.startswith(f"{speech}.")
            if is_inside and name.startswith("voice_trio.embedded.") and not is_engine:
                assert name in allowed_inside, f"{place} imports {name}"
            elif is_engine and not is_inside:
                assert str(place) == "embedded/local.py", f"{place} imports {name}: go by embedded/local.py"


def test_no_circle_of_imports_not_even_for_types() -> None:
    graph = import_graph(read_modules(ROOT.parent), typing_too=True)
    assert circles(graph) == []


@pytest.mark.parametrize("path", sorted({path.parent for path in ALL}), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_folder_is_too_large_to_take_in(path: Path) -> None:
    assert len(list(path.glob("*.py"))) <= MODULES_MAX


def test_our_modules_are_imported_by_their_own_names() -> None:
    """`commands.PlaybackFlush` can be searched for; an alias as in `do.PlaybackFlush` cannot."""
    ours = read_modules(ROOT.parent)
    aliases = [
        f"{path.relative_to(ROOT)}: {alias.name} as {alias.asname}"
        for path in ALL
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname and (alias.name in ours or f"{getattr(node, 'module', '')}.{alias.name}" in ours)
    ]
    assert aliases == []


def test_a_class_name_stands_once_in_the_package() -> None:
    """Wire structs in `protocols/` aside, whose names the protocols prescribe."""
    assert duplicate_classes(read_modules(ROOT.parent)) == {}
