"""The embedded knowledge base: BM25 over a SQLite file, searched in worker threads. `sqlite.base` has the schema.

A running server sees every import, because it reads the same file; also a file that is created later. A base that does
not exist yet counts as empty.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.conversation.retrieval.text import query_terms
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import DocumentTitles, document_title
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeStats, KnowledgeWriter, mapping_errors, read_stats
from voice_trio.knowledge.sqlite.readers import ReaderJob, ReaderPool
from voice_trio.knowledge.sqlite.upkeep import read_generation
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

# An utterance rarely has more; of a longer text the last words count.
QUERY_TERMS_CONSIDERED = 64
# More than the eight rarest words add time and hardly change a result.
QUERY_TERMS_SEARCHED = 8
# What a search may read in all, so that common words cannot make it slow: about 1.7 µs each. Measured with 6,000, 4,000
# and 3,000 at 50,000 passages: P99 11, 8 and 7 ms, the wanted passage first in 89, 87 and 85 % (94 in all at 10,000).
POSTINGS_MAX = 4_000
# Document frequencies only choose words, so old ones suffice; an import is detected after this time.
FREQUENCY_SECONDS = 30.0
FREQUENCIES_MAX = 20_000
TITLE_WEIGHT, BODY_WEIGHT = 3.0, 1.0

_SEARCH = """
SELECT chunks.id, chunks.title, chunks.text, chunks.source, found.rank FROM
    (SELECT rowid, rank FROM terms WHERE terms MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?) AS found
JOIN chunks ON chunks.id = found.rowid ORDER BY found.rank, chunks.id
"""


class SqliteKnowledge:
    """A `Knowledge` over one file. Searches run in at most four worker threads, each with a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = Bulkhead(limits.SQLITE_READERS_MAX)
        self._writing = Bulkhead(1)
        self._pool = ReaderPool(path, limits.SQLITE_READERS_MAX)
        self._frequencies = _TermFrequencies()

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages, best first; empty when nothing fits or there is no base yet.

        Any text is a safe query. Cancellation returns at once, and the search is interrupted inside SQLite. Raises
        `KnowledgeUnavailable`.
        """
        terms = query_terms(query)[-QUERY_TERMS_CONSIDERED:]
        if not terms or limit < 1:
            return ()
        return await self._read(lambda connection: self._search(connection, terms, limit), if_missing=())

    def search_blocking(self, query: str, limit: int) -> tuple[Passage, ...]:
        """As `search`, in the caller's thread: for programs without Trio and for simulations on virtual time."""
        terms = query_terms(query)[-QUERY_TERMS_CONSIDERED:]
        if not terms or limit < 1:
            return ()
        return self._run(ReaderJob(), lambda connection: self._search(connection, terms, limit), ())

    async def is_available(self) -> bool:
        """Whether there is a readable base now; never raises."""
        try:
            return await self._read(_can_read, if_missing=False)
        except Exception:  # of whatever kind: a health check must not end its caller
            return False

    async def is_empty(self) -> bool | None:
        """Whether there is no passage, or no base yet; None if it cannot be read. Never raises."""
        try:
            return await self._read(_holds_nothing, if_missing=True)
        except Exception:  # of whatever kind: it is asked beside a health check
            return None

    async def stats(self) -> KnowledgeStats:
        """The size of the base; zeros if there is none yet. Raises `KnowledgeUnavailable`."""
        nothing = KnowledgeStats(0, 0, 0, None)
        return await self._read(lambda connection: read_stats(connection, self.path), if_missing=nothing)

    async def generation(self) -> tuple[int, ...]:
        """A value that changes with every import and deletion; empty if there is no base.

        Raises `KnowledgeUnavailable`.
        """
        return await self._read(read_generation, if_missing=())

    async def titles(self, limit: int) -> DocumentTitles:
        """The titles of documents, without those of their sections. Raises `KnowledgeUnavailable`."""
        return await self._read(partial(_read_titles, limit=limit), if_missing=DocumentTitles(0, ()))

    async def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        """Replace the document `key` by `chunks` in one transaction; returns their number, 0 if it is unchanged.

        `chunks` is iterated in a worker thread. Cancellation waits until the import is complete.
        """
        return await self._writing.write(self._import, key, digest, chunks)

    def close(self) -> None:
        """Close every connection; searches from now on raise `KnowledgeUnavailable`."""
        self._pool.close()

    async def _read(self, function: Callable[[sqlite3.Connection], T], *, if_missing: T) -> T:
        job = ReaderJob()
        try:
            return await self._threads.read(self._run, job, function, if_missing)
        except RuntimeError as error:  # the process has as many threads as it may have
            raise KnowledgeUnavailable(str(error)) from error
        finally:
            job.interrupt()

    def _run(self, job: ReaderJob, function: Callable[[sqlite3.Connection], T], if_missing: T) -> T:
        with mapping_errors(self.path), self._pool.reader() as connection:
            if connection is None:
                return if_missing
            with job.using(connection):
                return function(connection)

    def _search(self, connection: sqlite3.Connection, terms: tuple[str, ...], limit: int) -> tuple[Passage, ...]:
        passages = self._find(connection, terms, limit)
        if not passages and self._frequencies.forget_if_changed(connection):
            # Words of a deleted document were chosen, because they had been rare.
            passages = self._find(connection, terms, limit)
        return passages

    def _find(self, connection: sqlite3.Connection, terms: tuple[str, ...], limit: int) -> tuple[Passage, ...]:
        chosen = self._frequencies.choose(connection, terms)
        if not chosen:
            return ()
        rows = connection.execute(_SEARCH, (match_any(chosen), f"bm25({TITLE_WEIGHT}, {BODY_WEIGHT})", limit))
        return tuple(Passage(str(key), title, text, source, -rank) for key, title, text, source, rank in rows)

    def _import(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        with KnowledgeWriter(self.path) as writer:
            return 0 if writer.holds(key, digest) else writer.import_chunks(key, digest, chunks)


def match_any(terms: Iterable[str]) -> str:
    """An FTS5 expression that matches any of `terms`, quoted so that none is an operator."""
    return " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)


def _can_read(connection: sqlite3.Connection) -> bool:
    connection.execute("SELECT count(*) FROM (SELECT 1 FROM chunks LIMIT 1)").fetchone()
    return True


def _holds_nothing(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM chunks LIMIT 1").fetchone() is None


def _read_titles(connection: sqlite3.Connection, limit: int) -> DocumentTitles:
    (count,) = connection.execute("SELECT count(*) FROM documents WHERE chunks > 0").fetchone()
    rows = connection.execute(
        "SELECT (SELECT title FROM chunks WHERE document_id = documents.id ORDER BY ordinal LIMIT 1) "
        "FROM documents WHERE chunks > 0 ORDER BY key LIMIT ?",
        (limit,),
    )
    return DocumentTitles(count, tuple(document_title(str(title or "")) for (title,) in rows))


class _TermFrequencies:
    """The number of passages with each word, cached until an import, and the choice of search words by it.

    Threads share it without a lock: at worst two of them count the same word.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._passages = 0
        self._stamp: tuple[int, ...] = ()
        self._fresh_until = 0.0

    def choose(self, connection: sqlite3.Connection, terms: tuple[str, ...]) -> tuple[str, ...]:
        """The rarest of `terms` in the base: at most eight, within `POSTINGS_MAX`, to bound the time."""
        self._refresh(connection)
        counted = {term: self._frequency(connection, term) for term in terms}
        common = self._passages / 2
        rarest = sorted((count, term) for term, count in counted.items() if count)
        # BM25 scores a word in more than half of all passages as zero or less.
        useful = [pair for pair in rarest if pair[0] <= common] or rarest
        chosen: list[str] = []
        postings = 0
        for count, term in useful[:QUERY_TERMS_SEARCHED]:
            postings += count
            if chosen and postings > POSTINGS_MAX:
                break
            chosen.append(term)
        return tuple(chosen)

    def forget_if_changed(self, connection: sqlite3.Connection) -> bool:
        """Count all words anew if the base has changed since they were counted; whether it has."""
        stamp = read_generation(connection)
        if stamp == self._stamp:
            return False
        self._known.clear()  # counting a common word again takes as long as some searches
        (self._passages,) = connection.execute("SELECT coalesce(sum(chunks), 0) FROM documents").fetchone()
        self._stamp = stamp
        return True

    def _refresh(self, connection: sqlite3.Connection) -> None:
        now = time.monotonic()
        if len(self._known) >= FREQUENCIES_MAX:
            self._known.clear()
        if now >= self._fresh_until:
            self.forget_if_changed(connection)
            self._fresh_until = now + FREQUENCY_SECONDS

    def _frequency(self, connection: sqlite3.Connection, term: str) -> int:
        known = self._known.get(term)
        if known is not None:
            return known
        row = connection.execute("SELECT doc FROM vocabulary WHERE term = ?", (term,)).fetchone()
        if row is None:
            return 0  # not cached: the next import may add it
        self._known[term] = count = int(row[0])
        return count
