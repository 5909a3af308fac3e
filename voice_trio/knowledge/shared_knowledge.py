"""A breaker: after a few failures in a row a service is left alone for a while, then tried with one call. Pure.

Results of recent searches by normalised query, bounded in number and age. Pure: times are given by the caller.

A remote knowledge base as all sessions of a process share it: asked once, remembered, and left alone when it fails.

    search ─► cache ─► the same search under way ─► breaker ─► the store ─► kept passages
    search_locally ─► kept passages

A search goes on when whoever asked has left, up to its own time limit: what it finds serves the next question.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import structlog
import trio

from voice_trio.conversation.retrieval.text import fold
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.cache import LocalNet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.knowledge.knowledge import Knowledge

FAILURES_MAX = 3
OPEN_SECONDS = 30.0


class Breaker:
    """Closed: calls pass. Open: none does. After `open_seconds` one call probes; its success closes it again."""

    def __init__(self, failures_max: int = FAILURES_MAX, open_seconds: float = OPEN_SECONDS) -> None:
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    def admits(self, now: float) -> bool:
        """Whether a call may be made now; one that is admitted ends in `succeed` or `fail`."""
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
        """Whether calls are turned away."""
        return self._opened_at is not None and (self._is_probing or now - self._opened_at < self._open_seconds)


SEARCHES_MAX = 1_024
AGE_SECONDS_MAX = 60.0

Key: TypeAlias = tuple[str, int]


def key_of(query: str, limit: int) -> Key:
    """What makes two searches equal: the same words, whatever their case, accents, punctuation and spacing."""
    words = "".join(c if c.isalnum() else " " for c in fold(query)).split()
    return " ".join(words), limit


class SearchCache:
    """The least recently used result goes first; an old one is never given."""

    def __init__(self, searches_max: int = SEARCHES_MAX, age_seconds_max: float = AGE_SECONDS_MAX) -> None:
        self._searches_max = searches_max
        self._age_seconds_max = age_seconds_max
        self._results: OrderedDict[Key, tuple[float, tuple[Passage, ...]]] = OrderedDict()

    def get(self, key: Key, now: float) -> tuple[Passage, ...] | None:
        at, passages = self._results.get(key, (float("-inf"), ()))
        if now - at > self._age_seconds_max:
            self._results.pop(key, None)
            return None
        self._results.move_to_end(key)
        return passages

    def put(self, key: Key, passages: tuple[Passage, ...], now: float) -> None:
        self._results[key] = (now, passages)
        self._results.move_to_end(key)
        while len(self._results) > self._searches_max:
            self._results.popitem(last=False)

    def __len__(self) -> int:
        return len(self._results)


log = structlog.get_logger(__name__)

SEARCH_SECONDS_MAX = 2.0
FLIGHTS_MAX = 64


class Net(Protocol):
    """Where found passages are kept."""

    async def keep(self, passages: Iterable[Passage]) -> None: ...

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]: ...


@dataclass(slots=True)
class _Flight:
    """One search under way, and whoever waits for it."""

    landed: trio.Event = field(default_factory=trio.Event)
    passages: tuple[Passage, ...] = ()
    error: str | None = "the process ends"


class SharedKnowledge:
    """A `Knowledge` that also `KeepsPassages`. Its `nursery` must outlive every session."""

    def __init__(
        self,
        store: Knowledge,
        nursery: trio.Nursery,
        *,
        net: Net | None = None,
        breaker: Breaker | None = None,
        cache: SearchCache | None = None,
        search_seconds_max: float = SEARCH_SECONDS_MAX,
    ) -> None:
        self._store = store
        self._nursery = nursery
        self._net = net or LocalNet()
        self._breaker = breaker or Breaker()
        self._cache = cache or SearchCache()
        self._search_seconds_max = search_seconds_max
        self._flights: dict[Key, _Flight] = {}

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """As the store would; from the cache or an equal search under way where there is one.

        Raises `KnowledgeUnavailable`, at once while the breaker is open. Cancellation leaves the search to itself.
        """
        key = key_of(query, limit)
        known = self._cache.get(key, trio.current_time())
        if known is not None:
            await trio.lowlevel.checkpoint()
            return known
        flight = self._flights.get(key) or self._take_off(key, query, limit)
        await flight.landed.wait()
        if flight.error is not None:
            raise KnowledgeUnavailable(flight.error)
        return flight.passages

    async def search_locally(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The best of the passages that earlier searches found."""
        return await self._net.search(query, limit)

    async def is_available(self) -> bool:
        """Whether the store answers right now, whatever the breaker says; never raises."""
        return await self._store.is_available()

    @property
    def is_left_alone(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open(trio.current_time())

    def _take_off(self, key: Key, query: str, limit: int) -> _Flight:
        if len(self._flights) >= FLIGHTS_MAX:
            raise KnowledgeUnavailable("too many searches under way")
        if not self._breaker.admits(trio.current_time()):
            raise KnowledgeUnavailable("the store failed lately and is left alone for a while")
        flight = self._flights[key] = _Flight()
        self._nursery.start_soon(self._fly, flight, key, query, limit)
        return flight

    async def _fly(self, flight: _Flight, key: Key, query: str, limit: int) -> None:
        try:
            flight.passages = await self._ask(query, limit)
            flight.error = None
        except KnowledgeUnavailable as error:
            flight.error = str(error)
        finally:
            del self._flights[key]
            flight.landed.set()
        if flight.error is None:
            self._cache.put(key, flight.passages, trio.current_time())
            await self._keep(flight.passages)

    async def _ask(self, query: str, limit: int) -> tuple[Passage, ...]:
        try:
            with trio.fail_after(self._search_seconds_max):
                passages = await self._store.search(query, limit)
        except (KnowledgeUnavailable, trio.TooSlowError) as error:
            self._breaker.fail(trio.current_time())
            raise KnowledgeUnavailable(str(error) or "the search took too long") from error
        self._breaker.succeed()
        return passages

    async def _keep(self, passages: tuple[Passage, ...]) -> None:
        try:
            await self._net.keep(passages)
        except KnowledgeUnavailable as error:
            log.warning("passages_not_kept", reason=str(error))
