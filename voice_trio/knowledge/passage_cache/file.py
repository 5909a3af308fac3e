"""The database of the passage cache: SQLite in memory, or one file for each store, collection and API key.

A file that cannot be read is recreated empty; where no file can be written, the database is in memory. Several
processes may share a file. Synchronous, for one worker thread at a time.
"""

from __future__ import annotations

import glob
import sqlite3
import time
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

from voice_trio import limits
from voice_trio.knowledge.private_files import create_private, make_private, make_private_folder

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x76746B70  # "vtkp", in the file's header
SCHEMA_VERSION = 1

log = structlog.get_logger(__name__)

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS kept (
    id INTEGER PRIMARY KEY, passage TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL,
    source TEXT NOT NULL, seen_at REAL NOT NULL, used_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_by_use ON kept (used_at);
CREATE INDEX IF NOT EXISTS kept_by_age ON kept (seen_at);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5 (title, body, tokenize = 'unicode61 remove_diacritics 0');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


def passage_cache_path(knowledge_path: Path, *key_parts: str | None) -> Path:
    """The file beside the knowledge base for one store; `key_parts` are its URL, collection, property and API key."""
    digest = blake2b("\0".join(part or "" for part in key_parts).encode(), digest_size=12).hexdigest()
    return knowledge_path.with_name(f"{knowledge_path.stem}.kept-{digest}.sqlite3")


def passage_cache_paths(knowledge_path: Path) -> list[Path]:
    """The files of all stores beside the knowledge base."""
    return sorted(knowledge_path.parent.glob(f"{glob.escape(knowledge_path.stem)}.kept-*.sqlite3"))


class PassageCacheFile:
    """Opens the database at its first use; without a path it is in memory.

    Another process may recreate the file at any time, so every use checks that the open file is still at the path.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def for_reading(self) -> sqlite3.Connection | None:
        """The database, or None if there is no file yet. Raises as `for_writing`."""
        if self._path is not None and _identity_of(self._path) is None:
            return None
        return self.for_writing()

    def for_writing(self) -> sqlite3.Connection:
        """The database, created if necessary. Raises `sqlite3.Error` for a temporary failure, such as a lock."""
        if self._connection is not None and not self._is_in_place():
            self.close()
        if self._connection is None:
            self._connection = self._opened(self._path) if self._path is not None else _in_memory()
        return self._connection

    def recreate(self) -> None:
        """Delete the damaged file; the next use creates an empty one, or opens the one that another process created."""
        if self._path is not None and self._is_in_place():
            log.warning("passage_cache_recreated", path=str(self._path))
            _delete(self._path)
        self.close()  # after the deletion: while it is open, no new file gets its inode number

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._identity = None

    def __del__(self) -> None:
        """Close a database that nothing uses any more: Python 3.13 warns of one that was only dropped."""
        self.close()

    def _is_in_place(self) -> bool:
        return self._path is None or _identity_of(self._path) == self._identity

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            make_private_folder(path.parent)
            _delete_orphans(path)
            try:
                return self._with_schema(path)
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise  # locked or read-only: not damaged
                self.recreate()
                return self._with_schema(path)
        except (OSError, sqlite3.Error) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and not _is_refused(error):
                raise
            log.warning("passage_cache_in_memory", path=str(path), reason=str(error))
            self._path = None
            return _in_memory()

    def _with_schema(self, path: Path) -> sqlite3.Connection:
        create_private(path)
        self._identity = _identity_of(path)  # read before opening: a file replaced in between is opened again
        self._connection = sqlite3.connect(
            path, timeout=limits.PASSAGE_LOCK_SECONDS_MAX, isolation_level=None, check_same_thread=False
        )
        _apply_schema(self._connection)
        make_private(path)
        return self._connection


def _apply_schema(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, layout) not in ((0, 0), (APPLICATION_ID, SCHEMA_VERSION)):
        raise sqlite3.DatabaseError("another layout")
    connection.executescript(_SCHEMA)


def _is_refused(error: sqlite3.Error) -> bool:
    """Whether this file can never be written; every other error may be temporary, such as a lock."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)  # errors that this module raises have none
    is_moved = code == sqlite3.SQLITE_READONLY_DBMOVED  # another process is recreating it
    return not is_moved and code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at `path`; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _delete(path: Path) -> None:
    """Delete the journals before the database: the process that recreates it must not lose the new journal."""
    for file in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"), path):
        file.unlink(missing_ok=True)


def _delete_orphans(path: Path) -> None:
    """Delete the files of API keys that have not been used for `limits.PASSAGE_ORPHAN_SECONDS`."""
    stem, _, _ = path.name.partition(".kept-")
    for other in path.parent.glob(f"{stem}.kept-*.sqlite3"):
        with suppress(OSError):  # deleted by another process, or owned by another user
            if other != path and time.time() - _written_at(other) > limits.PASSAGE_ORPHAN_SECONDS:
                _delete(other)


def _written_at(path: Path) -> float:
    """Unix time of the last write; raises `OSError`."""
    times = [path.stat().st_mtime]
    with suppress(FileNotFoundError):
        times.append(path.with_name(path.name + "-wal").stat().st_mtime)
    return max(times)
