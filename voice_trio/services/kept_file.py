"""Where kept passages lie: a SQLite database in memory, or one file for each store, collection and key.

A file is a convenience, never the truth: one that cannot be read is begun anew, and where none can be written memory
does. Several processes may share it. Synchronous, for one worker thread at a time.
"""

from __future__ import annotations

import sqlite3
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x76746B70  # "vtkp", in the file's header
LAYOUT = 1
LOCK_SECONDS_MAX = 0.25  # another process writes for some milliseconds
ORPHAN_SECONDS = 3 * 86_400.0  # the passages of a key that nobody uses any more

log = structlog.get_logger(__name__)

_LAYOUT = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS kept (
    id INTEGER PRIMARY KEY, passage TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL,
    source TEXT NOT NULL, seen_at REAL NOT NULL, used_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_by_use ON kept (used_at);
CREATE INDEX IF NOT EXISTS kept_by_age ON kept (seen_at);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5 (title, body, tokenize = 'unicode61 remove_diacritics 0');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""


def kept_path(knowledge_path: Path, *whose: str | None) -> Path:
    """The file beside the knowledge base for the passages of one store; `whose` names it: URL, collection, key …"""
    digest = blake2b("\0".join(part or "" for part in whose).encode(), digest_size=12).hexdigest()
    return knowledge_path.with_name(f"{knowledge_path.stem}.kept-{digest}.sqlite3")


class KeptFile:
    """Opens the database when it is first needed; without a path it is in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def for_reading(self) -> sqlite3.Connection | None:
        """The database, or None where there is none yet."""
        if self._connection is None and self._path is not None and not self._path.exists():
            return None
        return self.for_writing()

    def for_writing(self) -> sqlite3.Connection:
        """The database, made if need be. Raises `sqlite3.Error` only where even memory fails."""
        if self._connection is None:
            self._connection = self._opened(self._path) if self._path is not None else _in_memory()
        return self._connection

    def start_over(self) -> None:
        """The database is damaged: the next use finds an empty one."""
        self.close()
        if self._path is not None:
            log.warning("kept_passages_begun_anew", path=str(self._path))
            _delete(self._path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _delete_orphans(path)
            path.touch(mode=0o600)  # what it holds may not be for everybody on this machine
            try:
                return _laid_out(path)
            except sqlite3.OperationalError:
                raise  # locked or read-only: not ours to delete
            except sqlite3.DatabaseError:
                self.start_over()
                path.touch(mode=0o600)
                return _laid_out(path)
        except (OSError, sqlite3.Error) as error:
            log.warning("kept_passages_in_memory_only", path=str(path), reason=str(error))
            self._path = None
            return _in_memory()


def _laid_out(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (layout,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, layout) not in ((0, 0), (APPLICATION_ID, LAYOUT)):
            raise sqlite3.DatabaseError("another layout")
        connection.executescript(_LAYOUT)
    except BaseException:
        connection.close()
        raise
    return connection


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_LAYOUT)
    return connection


def _delete(path: Path) -> None:
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        file.unlink(missing_ok=True)


def _delete_orphans(path: Path) -> None:
    """What other keys may see is nobody's business once they are not used any more."""
    stem, _, _ = path.name.partition(".kept-")
    for other in path.parent.glob(f"{stem}.kept-*.sqlite3"):
        files = [file for file in (other, other.with_name(other.name + "-wal")) if file.exists()]
        if other != path and all(time.time() - file.stat().st_mtime > ORPHAN_SECONDS for file in files):
            _delete(other)
