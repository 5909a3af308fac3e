"""A folder that the workers of one instance share: for their user only, held by a lock, gone with its parent."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX, _LOCK = "voice-trio-", "lock"


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Where workers keep what they count, in memory where there is such a place; gone after the block.

    Those of parents that were killed are removed on the occasion: nobody holds their locks.
    """
    unnamed = _make_folder()
    with (unnamed / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = unnamed.rename(
            unnamed.with_name(unnamed.name.removeprefix("."))
        )  # it can be found only once it is held
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> Path:
    for parent in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        with suppress(OSError):
            _remove_orphans(parent)
            return Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))  # for its owner only
    raise ConfigurationError("--workers: needs a folder to write to: neither /dev/shm nor TMPDIR can be written")


def _remove_orphans(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:  # somebody else's cannot be opened, or is locked
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
