"""Measure the shape of the code: sizes, comments, duplicate names, import circles, and the walks of two events.

    python scripts/measure_shape.py [--root PATH] [--json] [--trace]

PATH is the repository whose `voice_trio` is measured (default: the repository of this script), so that the same script
measures two versions. `measure_files` and `measure_walks` say what is counted. The first only reads files, the second
runs that version, whose dependencies must be installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).resolve().parent.parent


def rows(shape: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The table, line by line."""
    for key, value in shape.items():
        if key == "files_per_folder":
            yield "files per folder", ""
            yield from ((f"  {folder}/", count) for folder, count in value.items())
        elif key == "walks":
            yield "walks (calls / files / moves)", ""
            for name, walk in value.items():
                yield f"  {name}", f"{walk['calls']} / {walk['files']} / {walk['moves']}"
                yield from ((f"    {call}", "") for call in walk.get("trace", ()))
        elif isinstance(value, dict) and key == "duplicate_classes":
            yield "duplicate classes", len(value)
            yield from ((f"  {name}", ", ".join(places)) for name, places in value.items())
        elif isinstance(value, dict):
            yield from ((f"{key.replace('_', ' ')}: {name}", _plain(entry)) for name, entry in value.items())
        elif isinstance(value, list):
            yield key.replace("_", " "), len(value)
            yield from (("  circle", " ".join(circle)) for circle in value)
        else:
            yield key.replace("_", " "), value


def _plain(value: object) -> str:
    return ", ".join(f"{key} {entry}" for key, entry in value.items()) if isinstance(value, dict) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the shape of the code.")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository to measure (default: this one)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--trace", action="store_true", help="list the calls of each walk, too")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    sys.path[:0] = [str(root), str(REPOSITORY)]
    # Only now: they are found by this path, and `voice_trio` in `root` before any other.
    from scripts.measure_files import measure_files
    from scripts.measure_walks import measure_walks

    shape = {**measure_files(root), "walks": measure_walks(root, trace=arguments.trace)}
    if arguments.json:
        print(json.dumps(shape, indent=2))
        return
    for name, value in rows(shape):
        print(f"{name:<48} {value}".rstrip())


if __name__ == "__main__":
    main()
