"""Where kept passages lie: a SQLite database in memory, or one file for each store, collection and key.

A file is a convenience, never the truth: one that cannot be read is begun anew, and where none can ever be written
memory does. Several processes may share it. Synchronous, for one worker thread at a time.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
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


def passage_cache_path(knowledge_path: Path, *whose: str | None) -> Path:
    """The file beside the knowledge base for the passages of one store; `whose` names it: URL, collection, key …"""
    digest = blake2b("\0".join(part or "" for part in whose).encode(), digest_size=12).hexdigest()
    return knowledge_path.with_name(f"{knowledge_path.stem}.kept-{digest}.sqlite3")


class PassageCacheFile:
    """Opens the database when it is first needed; without a path it is in memory.

    Another process may begin the file anew at any time: every use asks whether the one it has open still lies there.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def for_reading(self) -> sqlite3.Connection | None:
        """The database, or None where there is none yet. Raises as `for_writing`."""
        if self._path is not None and _identity_of(self._path) is None:
            return None
        return self.for_writing()

    def for_writing(self) -> sqlite3.Connection:
        """The database, made if need be. Raises `sqlite3.Error` for what may pass, such as a lock."""
        if self._connection is not None and not self._is_in_place():
            self.close()
        if self._connection is None:
            self._connection = self._opened(self._path) if self._path is not None else _in_memory()
        return self._connection

    def start_over(self) -> None:
        """The database is damaged: the next use finds an empty one, or the one that another process has begun."""
        if self._path is not None and self._is_in_place():
            log.warning("kept_passages_begun_anew", path=str(self._path))
            _delete(self._path)
        self.close()  # only now: the number of an open file is not given to a new one

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._identity = None

    def _is_in_place(self) -> bool:
        return self._path is None or _identity_of(self._path) == self._identity

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _delete_orphans(path)
            try:
                return self._laid_out(path)
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise  # locked or read-only: not ours to delete
                self.start_over()
                return self._laid_out(path)
        except (OSError, sqlite3.Error) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and not _is_refused(error):
                raise
            log.warning("kept_passages_in_memory_only", path=str(path), reason=str(error))
            self._path = None
            return _in_memory()

    def _laid_out(self, path: Path) -> sqlite3.Connection:
        path.touch(mode=0o600)  # what it holds may not be for everybody on this machine
        self._identity = _identity_of(path)  # before it is opened: replaced in between, it is opened once more
        self._connection = sqlite3.connect(
            path, timeout=LOCK_SECONDS_MAX, isolation_level=None, check_same_thread=False
        )
        _lay_out(self._connection)
        return self._connection


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, layout) not in ((0, 0), (APPLICATION_ID, LAYOUT)):
        raise sqlite3.DatabaseError("another layout")
    connection.executescript(_LAYOUT)


def _is_refused(error: sqlite3.Error) -> bool:
    """Whether this file can never be written; all else may pass, as a lock does."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)  # our own errors have none
    is_moved = code == sqlite3.SQLITE_READONLY_DBMOVED  # begun anew by another process this very moment
    return not is_moved and code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_LAYOUT)
    return connection


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Which file lies there; None where none can be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _delete(path: Path) -> None:
    """The database last: whoever begins it anew must not lose a journal that belongs to the new one."""
    for file in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"), path):
        file.unlink(missing_ok=True)


def _delete_orphans(path: Path) -> None:
    """What other keys may see is nobody's business once they are not used any more."""
    stem, _, _ = path.name.partition(".kept-")
    for other in path.parent.glob(f"{stem}.kept-*.sqlite3"):
        with suppress(OSError):  # deleted by another process meanwhile, or not ours to delete
            if other != path and time.time() - _written_at(other) > ORPHAN_SECONDS:
                _delete(other)


def _written_at(path: Path) -> float:
    """Unix time of the last write; raises `OSError`."""
    times = [path.stat().st_mtime]
    with suppress(FileNotFoundError):
        times.append(path.with_name(path.name + "-wal").stat().st_mtime)
    return max(times)
