"""A remote knowledge base shared by all sessions of a process: cached, deduplicated, behind a circuit breaker.

    search ─► search cache ─► an equal search under way ─► breaker ─► the store ─► passage cache
    search_cached ─► passage cache

A cancelled caller does not cancel the search: it continues up to its own time limit, and its result serves the next
caller. The breaker and the search cache are pure; the caller gives them the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import structlog
import trio
from cachetools import TTLCache

from voice_trio import limits
from voice_trio.conversation.retrieval.text import fold
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import NamesDocuments
from voice_trio.knowledge.passage_cache.cache import ThreadedPassageCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.knowledge.knowledge import DocumentTitles, Knowledge


class Breaker:
    """A circuit breaker: it opens after `failures_max` failures in a row and then admits no call for `open_seconds`.

    After that one call is admitted as a probe; its success closes the breaker, its failure opens it again.
    """

    def __init__(
        self, failures_max: int = limits.BREAKER_FAILURES_MAX, open_seconds: float = limits.BREAKER_OPEN_SECONDS
    ) -> None:
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    def admits(self, now: float) -> bool:
        """Whether a call may be made at `now`. The caller reports each admitted call with `succeed` or `fail`."""
        if self._opened_at is None:
            return True
        if self._is_probing or now - self._opened_at < self._open_seconds:
            return False
        self._is_probing = True
        return True

    def succeed(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._is_probing = False

    def fail(self, now: float) -> None:
        self._failures += 1
        if self._is_probing or (self._opened_at is None and self._failures >= self._failures_max):
            self._opened_at = now
        self._is_probing = False

    def is_open(self, now: float) -> bool:
        """Whether calls are refused at `now`."""
        return self._opened_at is not None and (self._is_probing or now - self._opened_at < self._open_seconds)


Key: TypeAlias = tuple[str, int]


def key_of(query: str, limit: int) -> Key:
    """The cache key: searches are equal if their words are, without case, accents, punctuation and spacing."""
    words = "".join(c if c.isalnum() else " " for c in fold(query)).split()
    return " ".join(words), limit


class SearchCache:
    """Recent results by query: evicts the least recently used one, returns none of `age_seconds_max` or older."""

    def __init__(
        self,
        searches_max: int = limits.SEARCHES_CACHED_MAX,
        age_seconds_max: float = limits.SEARCH_CACHE_SECONDS_MAX,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._results: TTLCache[Key, tuple[Passage, ...]] = TTLCache(searches_max, age_seconds_max, clock)

    def get(self, key: Key) -> tuple[Passage, ...] | None:
        return self._results.get(key)

    def put(self, key: Key, passages: tuple[Passage, ...]) -> None:
        self._results[key] = passages

    def __len__(self) -> int:
        return len(self._results)


log = structlog.get_logger(__name__)


class PassageStore(Protocol):
    """The cache for the passages that searches find."""

    async def put(self, passages: Iterable[Passage]) -> None: ...

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]: ...


@dataclass(slots=True)
class _SharedSearch:
    """One search under way, shared by every caller with an equal query."""

    done: trio.Event = field(default_factory=trio.Event)
    passages: tuple[Passage, ...] = ()
    error: str | None = "the process ends"


class SharedKnowledge:
    """A `Knowledge` that also `CachesPassages`.

    Searches run in `nursery`, which must outlive every session. Each takes `search_seconds_max` at most.
    """

    def __init__(
        self,
        store: Knowledge,
        nursery: trio.Nursery,
        *,
        passage_cache: PassageStore | None = None,
        breaker: Breaker | None = None,
        cache: SearchCache | None = None,
        search_seconds_max: float = limits.SEARCH_SECONDS_MAX,
    ) -> None:
        self._store = store
        self._nursery = nursery
        self._passage_cache = passage_cache or ThreadedPassageCache()
        self._breaker = breaker or Breaker()
        self._cache = SearchCache() if cache is None else cache
        self._search_seconds_max = search_seconds_max
        self._searches: dict[Key, _SharedSearch] = {}

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages of the store, of the search cache, or of an equal search under way.

        Raises `KnowledgeUnavailable`, at once while the breaker is open. Cancellation does not stop the search.
        """
        key = key_of(query, limit)
        known = self._cache.get(key)
        if known is not None:
            await trio.lowlevel.checkpoint()
            return known
        search = self._searches.get(key) or self._start(key, query, limit)
        await search.done.wait()
        if search.error is not None:
            raise KnowledgeUnavailable(search.error)
        return search.passages

    async def search_cached(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages that earlier searches found; raises `KnowledgeUnavailable`."""
        return await self._passage_cache.search(query, limit)

    async def is_available(self) -> bool:
        """Whether the store answers now, regardless of the breaker; never raises."""
        return await self._store.is_available()

    async def titles(self, limit: int) -> DocumentTitles:
        """Titles of the store's documents; raises `KnowledgeUnavailable`, also if it cannot name them."""
        if isinstance(self._store, NamesDocuments):
            return await self._store.titles(limit)
        raise KnowledgeUnavailable("the store cannot name its documents")

    async def is_empty(self) -> bool | None:
        """Whether the store holds no passage; None if it does not say. Never raises."""
        return await self._store.is_empty()

    @property
    def is_circuit_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open(trio.current_time())

    def _start(self, key: Key, query: str, limit: int) -> _SharedSearch:
        if len(self._searches) >= limits.SEARCHES_UNDER_WAY_MAX:
            raise KnowledgeUnavailable("too many searches under way")
        if not self._breaker.admits(trio.current_time()):
            raise KnowledgeUnavailable("the circuit breaker is open after several failures")
        search = self._searches[key] = _SharedSearch()
        self._nursery.start_soon(self._run, search, key, query, limit)
        return search

    async def _run(self, search: _SharedSearch, key: Key, query: str, limit: int) -> None:
        try:
            search.passages = await self._ask(query, limit)
            search.error = None
        except KnowledgeUnavailable as error:
            search.error = str(error)
        except Exception:
            self._breaker.fail(trio.current_time())
            search.error = "the search failed"
            log.exception("search_failed")
        finally:
            del self._searches[key]
            search.done.set()
        if search.error is None:
            self._cache.put(key, search.passages)
            await self._put(search.passages)

    async def _ask(self, query: str, limit: int) -> tuple[Passage, ...]:
        try:
            with trio.fail_after(self._search_seconds_max):
                passages = await self._store.search(query, limit)
        except (KnowledgeUnavailable, trio.TooSlowError) as error:
            self._breaker.fail(trio.current_time())
            raise KnowledgeUnavailable(str(error) or "the search took too long") from error
        self._breaker.succeed()
        return passages

    async def _put(self, passages: tuple[Passage, ...]) -> None:
        try:
            await self._passage_cache.put(passages)
        except Exception as error:  # of whatever kind: this task has no caller, and the passages were found
            log.warning("passages_not_cached", reason=str(error) or type(error).__name__)
