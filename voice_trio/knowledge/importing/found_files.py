"""Finds the files to import below folders, and counts the others by kind."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.readers.formats import FORMATS
from voice_trio.knowledge.stored_documents import storable_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file to import. `name` is cited as its source: its path below the folder that the user named.

    `problem` says why it must not be read; it is empty for all others.
    """

    path: Path
    name: str
    problem: str = ""

    @property
    def key(self) -> str:
        """The key in an `ImportTarget`: the absolute path, without `..`, links not resolved."""
        return storable_name(os.path.abspath(self.path))


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """Files to import, how many others were found, by kind, and the folders that could not be listed."""

    documents: list[DocumentFile]
    left_out: Counter[str]
    unlisted: list[Path] = field(default_factory=list)


def find_files(paths: Iterable[Path]) -> FoundFiles:
    """Files that are named directly, and files of a known format in folders, sorted; the others are counted.

    Hidden files and folders are neither read nor counted.
    """
    found = FoundFiles([], Counter())
    for path in paths:
        if path.is_dir():
            _look_into(path, found)
        else:
            found.documents.append(DocumentFile(path, storable_name(path.name)))
    return found


def find_documents(paths: Iterable[Path]) -> Iterator[DocumentFile]:
    """The documents of `find_files`."""
    yield from find_files(paths).documents


def _look_into(folder: Path, found: FoundFiles) -> None:
    # Symbolic links to folders are not followed: they may form cycles.
    def note(error: OSError) -> None:
        path = Path(error.filename or folder)
        found.unlisted.append(path)
        cited = storable_name(path.relative_to(folder).as_posix())
        found.documents.append(DocumentFile(path, cited, f"this folder cannot be listed: {error.strerror}"))

    for root, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in (*links, *sorted(name for name in files if not name.startswith("."))):
            path = Path(root, name)
            if name not in links and path.suffix.lower() not in FORMATS:
                found.left_out[storable_name(path.suffix.lower()) or "without a suffix"] += 1
            elif (problem := _link_problem(path, folder)) or name not in links:
                cited = storable_name(path.relative_to(folder).as_posix())
                found.documents.append(DocumentFile(path, cited, problem))


def _link_problem(path: Path, folder: Path) -> str:
    """Why the symbolic link `path` is not followed: what it names was not meant to be imported. Else empty."""
    if not os.path.islink(path):  # `Path.is_symlink` raises in a folder that may be listed but not entered
        return ""
    try:
        place = path.resolve(strict=True)
    except (OSError, RuntimeError):  # Python 3.11 raises RuntimeError for a link to itself
        return "a symbolic link to nothing"
    return "" if place.is_relative_to(folder.resolve()) else f"a symbolic link out of the folder, to {place}"
