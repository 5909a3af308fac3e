"""Read-only connections to the knowledge base: pooled, and interruptible while in use.

Synchronous, for worker threads; knows neither Trio nor the queries.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.private_files import make_private
from voice_trio.knowledge.sqlite.base import check_layout, mapping_errors, read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voice_trio.knowledge.stored_documents import StoredDocument


class ReaderJob:
    """One use of a connection, which another thread may interrupt while it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._interrupted = False

    @contextmanager
    def using(self, connection: sqlite3.Connection) -> Iterator[None]:
        with self._lock:
            if self._interrupted:
                raise KnowledgeUnavailable("cancelled before it began")
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def interrupt(self) -> None:
        """Interrupt the use now, or before it begins; no effect once it is over."""
        with self._lock:
            self._interrupted = True
            if self._connection is not None:
                self._connection.interrupt()


class ReaderPool:
    """Idle connections, at most `size`."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        self._closed = False

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for one use; None if there is no file."""
        file = self._identity()
        if file is None:
            yield None
            return
        connection = self._take(file) or open_to_read(self._path)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, file)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop_idle()

    def __del__(self) -> None:
        """Close what nothing uses any more: Python 3.13 warns of connections that were only dropped."""
        self._drop_idle()

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode of the file at the path: an open connection may belong to a file that was replaced."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KnowledgeUnavailable(f"{self._path}: {error.strerror}") from error
        return (status.st_dev, status.st_ino) if status.st_size else None

    def _take(self, file: tuple[int, int]) -> sqlite3.Connection | None:
        with self._lock:
            if self._closed:
                raise KnowledgeUnavailable("the knowledge base is closed")
            if file != self._file:
                self._drop_idle()
                self._file = file
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: sqlite3.Connection, file: tuple[int, int]) -> None:
        with self._lock:
            if self._closed or file != self._file or len(self._idle) >= self._size:
                connection.close()
            else:
                self._idle.append(connection)

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def read_texts(path: Path, characters_max: int) -> list[str]:
    """Title and text of the base's newest chunks, up to `characters_max` characters in all; blocking.

    For speech recognition that adapts to the words of the base. Raises `KnowledgeUnavailable`.
    """
    texts: list[str] = []
    with mapping_errors(path), closing(open_to_read(path)) as connection:
        for title, text in connection.execute("SELECT title, text FROM chunks ORDER BY id DESC"):
            texts.append(f"{title}\n\n{text}")
            characters_max -= len(text)
            if characters_max <= 0:
                break
    return texts[::-1]


def read_stored_documents(path: Path) -> list[StoredDocument]:
    """The documents of the base at `path`, none if there is no base; blocking. Raises `KnowledgeUnavailable`."""
    if not path.exists():
        return []
    with mapping_errors(path), closing(open_to_read(path)) as connection:
        return read_documents(connection)


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that never writes, for one thread at a time; the file must exist."""
    if path.exists() and not os.access(path, os.R_OK):
        raise KnowledgeUnavailable(f"{path}: this user may not read it; import as the user that runs the server")
    options = "mode=rw"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        options = "immutable=1"  # WAL needs a shared-memory file beside the base, which cannot be created here
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=limits.SQLITE_READ_WAIT_SECONDS_MAX,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        check_layout(connection, path)
        make_private(path)  # one of an earlier version may be readable for every user of this machine
        connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, terms, row)")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection
