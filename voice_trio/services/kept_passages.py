"""Passages that a remote store returned, kept in memory and indexed, so that a late question still finds something.

Synchronous, for one worker thread at a time; times are given by the caller (seconds of any clock that only goes
forward). One index belongs to one store, one collection and one key: what one key may see is never shown to another.
Nothing is written to disk.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from voice_trio.conversation.passages import Passage
from voice_trio.conversation.words import index_terms, query_terms
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.services.sqlite_knowledge import BODY_WEIGHT, QUERY_TERMS_CONSIDERED, TITLE_WEIGHT, match_any

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSAGES_MAX = 2_000
AGE_SECONDS_MAX = 3_600.0
# More than eight rare words add time and change hardly a result; here the base is small, so a few more are asked.
TERMS_SEARCHED = 24

_LAYOUT = """
CREATE TABLE kept (
    id INTEGER PRIMARY KEY, passage TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL,
    source TEXT NOT NULL, seen_at REAL NOT NULL, used_at REAL NOT NULL
);
CREATE INDEX kept_by_use ON kept (used_at);
CREATE INDEX kept_by_age ON kept (seen_at);
CREATE VIRTUAL TABLE terms USING fts5 (title, body, tokenize = 'unicode61 remove_diacritics 0');
"""
_SEARCH = """
SELECT kept.id, passage, kept.title, text, source, found.rank FROM
    (SELECT rowid, rank FROM terms WHERE terms MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?) AS found
JOIN kept ON kept.id = found.rowid WHERE seen_at >= ? ORDER BY found.rank, kept.id
"""


class KeptPassages:
    """An index of at most `passages_max`; the least used go first, and none outlives `age_seconds_max` unseen.

    Errors of SQLite become `KnowledgeUnavailable`.
    """

    def __init__(self, passages_max: int = PASSAGES_MAX, age_seconds_max: float = AGE_SECONDS_MAX) -> None:
        self._passages_max = passages_max
        self._age_seconds_max = age_seconds_max
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_LAYOUT)

    def keep(self, passages: Iterable[Passage], now: float) -> None:
        """Hold these from now on; a passage whose text has changed replaces what was held of it."""
        try:
            self._connection.execute("BEGIN")
            for passage in passages:
                self._keep(passage, now)
            self._evict(now)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.execute("ROLLBACK")
            raise KnowledgeUnavailable(f"kept passages: {error}") from error

    def search(self, query: str, limit: int, now: float) -> tuple[Passage, ...]:
        """The `limit` best of what is held and not too old, best first, by words."""
        terms = query_terms(query)[-min(QUERY_TERMS_CONSIDERED, TERMS_SEARCHED) :]
        if not terms or limit < 1:
            return ()
        weights = f"bm25({TITLE_WEIGHT}, {BODY_WEIGHT})"
        try:
            rows = self._connection.execute(
                _SEARCH, (match_any(terms), weights, limit, now - self._age_seconds_max)
            ).fetchall()
            self._connection.executemany("UPDATE kept SET used_at = ? WHERE id = ?", [(now, row[0]) for row in rows])
        except sqlite3.Error as error:
            raise KnowledgeUnavailable(f"kept passages: {error}") from error
        return tuple(Passage(key, title, text, source, -rank) for _, key, title, text, source, rank in rows)

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM kept").fetchone()[0])

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()

    def _keep(self, passage: Passage, now: float) -> None:
        row = self._connection.execute(
            "SELECT id, title, text, source FROM kept WHERE passage = ?", (passage.id,)
        ).fetchone()
        if row is not None and row[1:] == (passage.title, passage.text, passage.source):
            self._connection.execute("UPDATE kept SET seen_at = ?, used_at = ? WHERE id = ?", (now, now, row[0]))
            return
        if row is not None:
            self._forget([row[0]])
        key = self._connection.execute(
            "INSERT INTO kept (passage, title, text, source, seen_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
            (passage.id, passage.title, passage.text, passage.source, now, now),
        ).lastrowid
        self._connection.execute(
            "INSERT INTO terms (rowid, title, body) VALUES (?, ?, ?)",
            (key, " ".join(index_terms(passage.title)), " ".join(index_terms(passage.text))),
        )

    def _evict(self, now: float) -> None:
        old = self._connection.execute("SELECT id FROM kept WHERE seen_at < ?", (now - self._age_seconds_max,))
        self._forget([row[0] for row in old])
        surplus = len(self) - self._passages_max
        if surplus > 0:
            unused = self._connection.execute("SELECT id FROM kept ORDER BY used_at, id LIMIT ?", (surplus,))
            self._forget([row[0] for row in unused])

    def _forget(self, keys: list[int]) -> None:
        self._connection.executemany("DELETE FROM terms WHERE rowid = ?", [(key,) for key in keys])
        self._connection.executemany("DELETE FROM kept WHERE id = ?", [(key,) for key in keys])
