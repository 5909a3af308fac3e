"""The passage cache: an index of the passages that a remote store returned, for turns in which the store is late.

`PassageCache` is synchronous, for one worker thread at a time. The caller gives the times: Unix seconds if the passages
outlive the process, else seconds of any clock. One index belongs to one store, one collection and one API key, so that
no key sees the passages of another.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.conversation.retrieval.text import index_terms, query_terms
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.file import PassageCacheFile
from voice_trio.knowledge.sqlite.knowledge import BODY_WEIGHT, QUERY_TERMS_CONSIDERED, TITLE_WEIGHT, match_any
from voice_trio.knowledge.sqlite.upkeep import erase_deleted
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# More than eight rare words add time and hardly change a result (see `sqlite.knowledge`); a small index affords more.
TERMS_SEARCHED = 24

_SEARCH = """
SELECT kept.id, passage, kept.title, text, source, found.rank FROM
    (SELECT rowid, rank FROM terms WHERE terms MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?) AS found
JOIN kept ON kept.id = found.rowid WHERE seen_at BETWEEN ? AND ? ORDER BY found.rank, kept.id
"""


class PassageCache:
    """An index of at most `passages_max` passages.

    Evicts the least recently used passages, and those that the store has not returned for `age_seconds_max`. Errors of
    SQLite become `KnowledgeUnavailable`.
    """

    def __init__(
        self,
        passages_max: int = limits.PASSAGES_CACHED_MAX,
        age_seconds_max: float = limits.PASSAGE_SECONDS_MAX,
        *,
        file: PassageCacheFile | None = None,
    ) -> None:
        self._passages_max = passages_max
        self._age_seconds_max = age_seconds_max
        self._file = file or PassageCacheFile()
        self._has_unerased = False
        self._used: dict[int, float] = {}

    def put(self, passages: Iterable[Passage], now: float) -> None:
        """Add or update passages; `now` becomes the time at which the store last returned them."""
        with self._transaction() as database:
            self._note_uses(database)
            for passage in passages:
                self._put(database, passage, now, used_at=now)
            self._evict(database, now)
        self._erase_what_is_due()

    def search(self, query: str, limit: int, now: float) -> tuple[Passage, ...]:
        """The `limit` best passages that are not too old, by words, best first."""
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
        # Written with the next change: a search must not wait for the lock of another process.
        self._used.update((row[0], now) for row in rows)
        return tuple(Passage(key, title, text, source, -rank) for _, key, title, text, source, rank in rows)

    def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        """The ids of up to `limit` passages that the store has not returned since `then`, oldest first."""
        with self._mapping_errors():
            database = self._file.for_reading()
            if database is None:
                return ()
            rows = database.execute(
                "SELECT passage FROM kept WHERE seen_at < ? ORDER BY seen_at LIMIT ?", (then, limit)
            )
            return tuple(row[0] for row in rows)

    def confirm(self, asked: Sequence[str], found: Iterable[Passage], now: float) -> None:
        """Apply a look-up in the store: `asked` are the ids, `found` the passages that still exist.

        Missing passages are removed, changed ones updated. A confirmed passage gets a new age but counts as no use.
        """
        there = {passage.id: passage for passage in found}
        with self._transaction() as database:
            self._note_uses(database)
            for passage_id in asked:
                row = database.execute("SELECT id, used_at FROM kept WHERE passage = ?", (passage_id,)).fetchone()
                if row is not None and passage_id in there:
                    self._put(database, there[passage_id], now, used_at=row[1])
                elif row is not None:
                    self._forget(database, [row[0]])
                    self._has_unerased = True
        self._erase_what_is_due()

    def forget(self, ids: Iterable[str]) -> None:
        """Delete the passages `ids`, which the store has no more, and overwrite their words."""
        with self._transaction() as database:
            rows = [database.execute("SELECT id FROM kept WHERE passage = ?", (each,)).fetchone() for each in ids]
            self._forget(database, [row[0] for row in rows if row is not None])
        with self._mapping_errors():
            erase_deleted(self._file.for_writing())

    def __len__(self) -> int:
        with self._mapping_errors():
            database = self._file.for_reading()
            return 0 if database is None else _count(database)

    def close(self) -> None:
        """Close the database; the content of a file stays."""
        self._file.close()

    def _ages(self, now: float) -> tuple[float, float]:
        """The oldest and newest valid `seen_at`; a newer one was written before the clock was set back."""
        return now - self._age_seconds_max, now + limits.PASSAGE_CLOCK_SECONDS

    def _note_uses(self, database: sqlite3.Connection) -> None:
        uses = [(at, key) for key, at in self._used.items()]
        self._used.clear()
        database.executemany("UPDATE kept SET used_at = max(used_at, ?) WHERE id = ?", uses)

    def _put(self, database: sqlite3.Connection, passage: Passage, now: float, *, used_at: float) -> None:
        row = database.execute("SELECT id, title, text, source FROM kept WHERE passage = ?", (passage.id,)).fetchone()
        if row is not None and row[1:] == (passage.title, passage.text, passage.source):
            database.execute("UPDATE kept SET seen_at = ?, used_at = ? WHERE id = ?", (now, used_at, row[0]))
            return
        if row is not None:
            self._forget(database, [row[0]])
            self._has_unerased = True
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

    def _erase_what_is_due(self) -> None:
        """Overwrite the words of passages that the store has deleted or changed; it still has those evicted."""
        if not self._has_unerased:
            return
        with suppress(KnowledgeUnavailable), self._mapping_errors():  # locked by another process: with the next change
            self._has_unerased = not erase_deleted(self._file.for_writing())

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
            if type(error) is sqlite3.DatabaseError:  # a damaged file; subclasses mean locks, constraints …
                self._file.recreate()
            raise KnowledgeUnavailable(f"passage cache: {error}") from error


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM kept").fetchone()[0])


class ThreadedPassageCache:
    """A `PassageCache` behind one worker thread, the only one that uses its file.

    A stalled disk blocks that thread and its callers, but never a cancellation: a cancelled read is abandoned. It
    occupies the thread until it ends, so that no other access runs at the same time.
    """

    def __init__(self, cache: PassageCache | None = None) -> None:
        self._cache = PassageCache() if cache is None else cache  # an empty cache is falsy
        self._thread = Bulkhead(1)

    async def put(self, passages: Iterable[Passage]) -> None:
        """Add or update passages; cancellation waits until that is done."""
        await self._thread.write(self._cache.put, tuple(passages), time.time())

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages; raises `KnowledgeUnavailable`. Cancellation returns at once."""
        return await self._thread.read(self._cache.search, query, limit, time.time())

    async def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        """The ids of passages that the store has not returned since `then` (Unix time); raises `KnowledgeUnavailable`.

        Cancellation returns at once.
        """
        return await self._thread.read(self._cache.unseen_since, then, limit)

    async def confirm(self, asked: Sequence[str], found: Iterable[Passage]) -> None:
        """Apply a look-up in the store, as `PassageCache.confirm`; raises `KnowledgeUnavailable`."""
        await self._thread.write(self._cache.confirm, asked, tuple(found), time.time())

    async def aclose(self) -> None:
        """Close the file; its content stays. When cancelled, the thread closes it later."""
        await self._thread.read(self._cache.close)
