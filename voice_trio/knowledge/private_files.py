"""Files that only their owner may read: a knowledge base, its journals, and cached passages. Synchronous."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path, *, is_ours: bool = False) -> None:
    """Create `folder` for its owner only. An existing one keeps its mode, unless it `is_ours`. Raises `OSError`.

    A folder that the user chose, such as /tmp, may belong to other programs too; the files in it are private anyway.
    """
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    if is_ours:
        _close_to_others(folder, _FOLDER_MODE)


def create_private(path: Path) -> None:
    """Create the file at `path` if it is missing, for its owner only; SQLite gives its journals the same mode."""
    with suppress(OSError):  # SQLite names the fault when it opens the file
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE))


def make_private(path: Path) -> None:
    """Take the rights of others to the database at `path` and to its journals, as far as this user may."""
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        _close_to_others(file, _FILE_MODE)


def _close_to_others(path: Path, mode: int) -> None:
    with suppress(OSError):  # missing, or another user's
        if path.stat().st_mode & _OTHERS:
            path.chmod(mode)
