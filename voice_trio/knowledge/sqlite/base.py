"""The schema and the writer of a knowledge base, which is one SQLite file. Synchronous; imports no Trio.

The index holds words as `conversation.retrieval.text` folds and stems them, for documents and queries alike. So it does
not depend on how SQLite splits a language. With WAL, readers see a document as soon as it is committed, and a killed
process leaves whole documents only.

What is deleted or replaced is also overwritten in the file (`upkeep`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from voice_trio import limits
from voice_trio.conversation.retrieval.text import index_terms
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.private_files import create_private, make_private, make_private_folder
from voice_trio.knowledge.sqlite.upkeep import erase_what_is_due, note_change, note_deletion, prepare_upkeep
from voice_trio.knowledge.stored_documents import StoredDocument, document_key, storable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

APPLICATION_ID = 0x76747269  # "vtri" in the file header identifies a knowledge base of this program
SCHEMA_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, chunks INTEGER NOT NULL DEFAULT 0,
    imported_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_of_document ON chunks (document_id);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5 (title, body, tokenize = 'unicode61 remove_diacritics 0');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage of a document, about 200 to 300 tokens."""

    title: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class KnowledgeStats:
    """The size of a base; `size_bytes` is that of the file and its write-ahead log."""

    documents: int
    chunks: int
    size_bytes: int
    last_import: str | None


def default_knowledge_path() -> Path:
    """The path of the base unless `KNOWLEDGE_PATH` is set: in the user's data directory."""
    return user_data_path("voice-trio", appauthor=False) / "knowledge.sqlite3"


class KnowledgeWriter:
    """The only writer of a base, which it creates with its folder if missing; a context manager.

    Waits up to 30 s for another writer at each document. Raises `KnowledgeUnavailable` if the file cannot be written,
    is no knowledge base, or has the schema of a newer version.
    """

    def __init__(self, path: Path) -> None:
        with mapping_errors(path):
            try:
                make_private_folder(path.parent, is_ours=path.parent == default_knowledge_path().parent)
            except OSError as error:
                raise KnowledgeUnavailable(f"cannot make the folder of {path}: {error.strerror}") from error
            create_private(path)
            self._connection = sqlite3.connect(
                path, timeout=limits.SQLITE_WRITE_WAIT_SECONDS_MAX, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(path)
            except BaseException:
                self._connection.close()
                raise
        self._path = path
        self._is_read = False

    def __enter__(self) -> KnowledgeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def holds(self, key: str, digest: str) -> bool:
        """Whether the base holds the document `key` with exactly this content."""
        with mapping_errors(self._path):
            row = self._connection.execute(
                "SELECT digest FROM documents WHERE key = ?", (storable_name(key),)
            ).fetchone()
        return row is not None and row[0] == digest

    def import_chunks(
        self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool] = lambda: True
    ) -> int:
        """Replace the document `key` by `chunks` in one transaction; returns their number.

        `chunks` may be a generator; if it raises, the base stays unchanged. If it is not whole, `holds` stays false.
        """
        with mapping_errors(self._path), self._transaction():
            self._forget([key])
            document = self._connection.execute(
                "INSERT INTO documents (key, digest) VALUES (?, ?)", (storable_name(key), digest)
            ).lastrowid
            count = 0
            for count, chunk in enumerate(chunks, start=1):
                self._add(document, count, chunk)
            known = digest if is_whole() else ""
            self._connection.execute(
                "UPDATE documents SET chunks = ?, digest = ? WHERE id = ?", (count, known, document)
            )
        return count

    def documents(self) -> list[StoredDocument]:
        """The documents of the base, by path."""
        with mapping_errors(self._path):
            return read_documents(self._connection)

    def delete(self, documents: Iterable[StoredDocument]) -> Sequence[str]:
        """Delete `documents` in one transaction, and overwrite their words in the file; nothing is cached elsewhere.

        The file is compacted for that: some 20 s a gigabyte, and as much free space as it has.
        """
        with mapping_errors(self._path):
            with self._transaction():
                self._forget([each.path for each in documents])
            if not erase_what_is_due(self._connection, compact=True):
                self._is_read = True
                raise KnowledgeUnavailable(
                    f"{self._path}: deleted, but their words are still in the file, because another process reads it "
                    "without a pause; the next import or deletion overwrites them"
                )
        return ()

    def close(self) -> None:
        """Overwrite what was replaced, checkpoint the write-ahead log, as far as readers allow, and close."""
        try:
            with mapping_errors(self._path):
                if not self._is_read:  # else it would wait as long again
                    erase_what_is_due(self._connection)
        finally:
            self._connection.close()

    def _prepare(self, path: Path) -> None:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        if not check_layout(self._connection, path, or_empty=True):
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
        make_private(path)
        prepare_upkeep(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            note_change(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _forget(self, keys: Iterable[str]) -> None:
        for key in map(storable_name, keys):
            self._connection.execute(
                "DELETE FROM terms WHERE rowid IN "
                "(SELECT id FROM chunks WHERE document_id = (SELECT id FROM documents WHERE key = ?))",
                (key,),
            )
            if self._connection.execute("DELETE FROM documents WHERE key = ?", (key,)).rowcount:
                note_deletion(self._connection)

    def _add(self, document: int | None, ordinal: int, chunk: Chunk) -> None:
        row = self._connection.execute(
            "INSERT INTO chunks (document_id, ordinal, title, text, source) VALUES (?, ?, ?, ?, ?)",
            (document, ordinal, _storable(chunk.title), _storable(chunk.text), _storable(chunk.source)),
        ).lastrowid
        self._connection.execute(
            "INSERT INTO terms (rowid, title, body) VALUES (?, ?, ?)",
            (row, " ".join(index_terms(chunk.title)), " ".join(index_terms(chunk.text))),
        )


def read_documents(connection: sqlite3.Connection) -> list[StoredDocument]:
    """The documents of the base, by path."""
    rows = connection.execute(
        "SELECT key, coalesce(title, ''), coalesce(source, ''), chunks, imported_at FROM documents "
        "LEFT JOIN chunks ON document_id = documents.id AND ordinal = 1 ORDER BY key"
    )
    return [StoredDocument(document_key(key), key, *rest) for key, *rest in rows]


def read_stats(connection: sqlite3.Connection, path: Path) -> KnowledgeStats:
    """The size of the base now."""
    documents, chunks, last = connection.execute(
        "SELECT count(*), coalesce(sum(chunks), 0), max(imported_at) FROM documents"
    ).fetchone()
    files = (path, path.with_name(path.name + "-wal"))
    return KnowledgeStats(documents, chunks, sum(file.stat().st_size for file in files if file.exists()), last)


def check_layout(connection: sqlite3.Connection, path: Path, *, or_empty: bool = False) -> bool:
    """Whether the file is a base that this program can read; False for an empty file with `or_empty`.

    Raises `KnowledgeUnavailable` for anything else.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if or_empty and application == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise KnowledgeUnavailable(f"{path} is not a voice_trio knowledge base")
    if version != SCHEMA_VERSION:
        raise KnowledgeUnavailable(f"{path} has layout {version}, this program reads layout {SCHEMA_VERSION}")
    return True


@contextmanager
def mapping_errors(path: Path) -> Iterator[None]:
    """Raise `KnowledgeUnavailable` in place of SQLite's errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise KnowledgeUnavailable(f"{path}: {error}") from error


def _storable(text: str) -> str:
    """`text` without lone surrogates, which SQLite cannot store."""
    return text.encode("utf-8", "replace").decode()
