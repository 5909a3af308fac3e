"""Passages that a remote store returned, kept at hand and indexed, so that a late question still finds something.

Synchronous, for one worker thread at a time; times are given by the caller: Unix seconds where the passages outlive the
process, else of any clock. One index belongs to one store, one collection and one key: what one key may see is never
shown to another.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.conversation.retrieval.text import index_terms, query_terms
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.file import PassageCacheFile
from voice_trio.knowledge.sqlite.knowledge import BODY_WEIGHT, QUERY_TERMS_CONSIDERED, TITLE_WEIGHT, match_any
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PASSAGES_MAX = 2_000
AGE_SECONDS_MAX = 3_600.0
CLOCK_SECONDS = 60.0  # by which clocks of processes may differ
# More than eight rare words add time and change hardly a result; here the base is small, so a few more are asked.
TERMS_SEARCHED = 24

_SEARCH = """
SELECT kept.id, passage, kept.title, text, source, found.rank FROM
    (SELECT rowid, rank FROM terms WHERE terms MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?) AS found
JOIN kept ON kept.id = found.rowid WHERE seen_at BETWEEN ? AND ? ORDER BY found.rank, kept.id
"""


class PassageCache:
    """An index of at most `passages_max`; the least used go first, and none outlives `age_seconds_max` unseen.

    Errors of SQLite become `KnowledgeUnavailable`.
    """

    def __init__(
        self,
        passages_max: int = PASSAGES_MAX,
        age_seconds_max: float = AGE_SECONDS_MAX,
        *,
        file: PassageCacheFile | None = None,
    ) -> None:
        self._passages_max = passages_max
        self._age_seconds_max = age_seconds_max
        self._file = file or PassageCacheFile()
        self._used: dict[int, float] = {}

    def keep(self, passages: Iterable[Passage], now: float) -> None:
        """Hold these from now on; a passage whose text has changed replaces what was held of it."""
        with self._transaction() as database:
            self._note_uses(database)
            for passage in passages:
                self._keep(database, passage, now, used_at=now)
            self._evict(database, now)

    def search(self, query: str, limit: int, now: float) -> tuple[Passage, ...]:
        """The `limit` best of what is held and not too old, best first, by words."""
        terms = query_terms(query)[-min(QUERY_TERMS_CONSIDERED, TERMS_SEARCHED) :]
        if not terms or limit < 1:
            return ()
        weights = f"bm25({TITLE_WEIGHT}, {BODY_WEIGHT})"
        oldest, newest = self._ages(now)
        with self._mapping_errors():
            database = self._file.for_reading()
            if database is None:
                return ()
            rows = database.execute(_SEARCH, (match_any(terms), weights, limit, oldest, newest)).fetchall()
        # Told to the database when it is written anyway: a search must not wait for another process's lock.
        self._used.update((row[0], now) for row in rows)
        return tuple(Passage(key, title, text, source, -rank) for _, key, title, text, source, rank in rows)

    def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        """The ids of up to `limit` passages that the store has not shown since `then`, the longest unseen first."""
        with self._mapping_errors():
            database = self._file.for_reading()
            if database is None:
                return ()
            rows = database.execute(
                "SELECT passage FROM kept WHERE seen_at < ? ORDER BY seen_at LIMIT ?", (then, limit)
            )
            return tuple(row[0] for row in rows)

    def confirm(self, asked: Sequence[str], found: Iterable[Passage], now: float) -> None:
        """The store was asked for the passages of these ids and has these: the others are gone, changes are taken over.

        What the store has grows younger by it, and no more used.
        """
        there = {passage.id: passage for passage in found}
        with self._transaction() as database:
            self._note_uses(database)
            for passage_id in asked:
                row = database.execute("SELECT id, used_at FROM kept WHERE passage = ?", (passage_id,)).fetchone()
                if row is not None and passage_id in there:
                    self._keep(database, there[passage_id], now, used_at=row[1])
                elif row is not None:
                    self._forget(database, [row[0]])

    def __len__(self) -> int:
        with self._mapping_errors():
            database = self._file.for_reading()
            return 0 if database is None else _count(database)

    def close(self) -> None:
        """Let go; what is in a file stays there."""
        self._file.close()

    def _ages(self, now: float) -> tuple[float, float]:
        """Between which times a passage was last seen; one of the future was kept by a clock that has gone back."""
        return now - self._age_seconds_max, now + CLOCK_SECONDS

    def _note_uses(self, database: sqlite3.Connection) -> None:
        uses = [(at, key) for key, at in self._used.items()]
        self._used.clear()
        database.executemany("UPDATE kept SET used_at = max(used_at, ?) WHERE id = ?", uses)

    def _keep(self, database: sqlite3.Connection, passage: Passage, now: float, *, used_at: float) -> None:
        row = database.execute("SELECT id, title, text, source FROM kept WHERE passage = ?", (passage.id,)).fetchone()
        if row is not None and row[1:] == (passage.title, passage.text, passage.source):
            database.execute("UPDATE kept SET seen_at = ?, used_at = ? WHERE id = ?", (now, used_at, row[0]))
            return
        if row is not None:
            self._forget(database, [row[0]])
        key = database.execute(
            "INSERT INTO kept (passage, title, text, source, seen_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
            (passage.id, passage.title, passage.text, passage.source, now, used_at),
        ).lastrowid
        database.execute(
            "INSERT INTO terms (rowid, title, body) VALUES (?, ?, ?)",
            (key, " ".join(index_terms(passage.title)), " ".join(index_terms(passage.text))),
        )

    def _evict(self, database: sqlite3.Connection, now: float) -> None:
        old = database.execute("SELECT id FROM kept WHERE NOT seen_at BETWEEN ? AND ?", self._ages(now))
        self._forget(database, [row[0] for row in old])
        surplus = _count(database) - self._passages_max
        if surplus > 0:
            unused = database.execute("SELECT id FROM kept ORDER BY used_at, id LIMIT ?", (surplus,))
            self._forget(database, [row[0] for row in unused])

    def _forget(self, database: sqlite3.Connection, keys: list[int]) -> None:
        database.executemany("DELETE FROM terms WHERE rowid = ?", [(key,) for key in keys])
        database.executemany("DELETE FROM kept WHERE id = ?", [(key,) for key in keys])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mapping_errors():
            database = self._file.for_writing()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                if database.in_transaction:  # SQLite may have rolled back by itself
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _mapping_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError:  # damaged; its subclasses mean locks, constraints …
                self._file.start_over()
            raise KnowledgeUnavailable(f"kept passages: {error}") from error


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM kept").fetchone()[0])


class LocalNet:
    """Kept passages behind one worker thread of their own, the only one that touches their file.

    A disk that stands still holds up that thread and whoever waits for it, never a cancellation: a read is left to
    itself, and as it keeps the one place until it ends, nothing else is at the file meanwhile.
    """

    def __init__(self, kept: PassageCache | None = None) -> None:
        self._kept = PassageCache() if kept is None else kept  # an empty one is false
        self._thread = Bulkhead(1)

    async def keep(self, passages: Iterable[Passage]) -> None:
        """Hold these; cancellation waits until they are."""
        await self._thread.write(self._kept.keep, tuple(passages), time.time())

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The best of them; raises `KnowledgeUnavailable`. Cancellation returns at once."""
        return await self._thread.read(self._kept.search, query, limit, time.time())

    async def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        """The ids of those that the store has not shown since `then` (Unix time); raises `KnowledgeUnavailable`.

        Cancellation returns at once.
        """
        return await self._thread.read(self._kept.unseen_since, then, limit)

    async def confirm(self, asked: Sequence[str], found: Iterable[Passage]) -> None:
        """The store was asked for these and has those; raises `KnowledgeUnavailable`."""
        await self._thread.write(self._kept.confirm, asked, tuple(found), time.time())

    async def aclose(self) -> None:
        """Let go of the file; what is in it stays. Cancelled, it leaves that to the thread."""
        await self._thread.read(self._kept.close)
