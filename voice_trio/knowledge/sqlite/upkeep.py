"""Upkeep of a base: a counter of its changes, and the overwriting of what was deleted. Synchronous.

`unerased` says that the file may still have words of deleted passages. So the next writer does what a killed one has
left. `generation` grows with every change. Bases of earlier versions lack the table, and those versions ignore it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS upkeep (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER, unerased INTEGER);
INSERT OR IGNORE INTO upkeep VALUES (1, 0, 0);
COMMIT;
"""


def prepare_upkeep(connection: sqlite3.Connection) -> None:
    """Let `connection`, a writer's, overwrite what it deletes, and count its changes."""
    connection.execute("PRAGMA secure_delete = ON")
    if not _has_upkeep(connection):
        connection.executescript(_SCHEMA)


def note_change(connection: sqlite3.Connection) -> None:
    """Count a change, in its own transaction."""
    connection.execute("UPDATE upkeep SET generation = generation + 1")


def note_deletion(connection: sqlite3.Connection) -> None:
    """Remember, in the transaction that deletes, that the words are still to be overwritten."""
    connection.execute("UPDATE upkeep SET unerased = 1")


def read_generation(connection: sqlite3.Connection) -> tuple[int, ...]:
    """A value that changes with every import and deletion, and nearly always with those of earlier versions."""
    documents = connection.execute("SELECT coalesce(max(id), 0), count(*) FROM documents").fetchone()
    chunk = connection.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
    changes = connection.execute("SELECT generation FROM upkeep").fetchone() if _has_upkeep(connection) else (0,)
    return (*documents, *chunk, *changes)


def erase_what_is_due(connection: sqlite3.Connection, *, compact: bool = False) -> bool:
    """Overwrite the words of all deleted passages, unless that was done; whether it is done. Raises `sqlite3.Error`."""
    generation, unerased = connection.execute("SELECT generation, unerased FROM upkeep").fetchone()
    if not unerased:
        return True
    if not erase_deleted(connection, compact=compact):
        return False
    # Not if another writer has deleted something meanwhile.
    connection.execute("UPDATE upkeep SET unerased = 0 WHERE generation = ?", (generation,))
    return True


def erase_deleted(connection: sqlite3.Connection, *, compact: bool = False) -> bool:
    """Overwrite the words of deleted passages in the file, its index and its write-ahead log; whether that worked.

    `secure_delete` overwrote the rows; the index keeps their words until it is merged. `compact` also removes what
    versions without `secure_delete` have left. A process that keeps reading prevents it. Raises `sqlite3.Error`.
    """
    connection.execute("INSERT INTO terms (terms) VALUES ('optimize')")
    if compact:
        connection.execute("VACUUM")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint (TRUNCATE)").fetchone()
    return not is_busy


def _has_upkeep(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'upkeep'").fetchone() is not None
