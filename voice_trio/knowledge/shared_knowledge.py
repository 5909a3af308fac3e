"""A remote knowledge base as all sessions of a process share it: asked once, remembered, and left alone when it fails.

    search ─► cache ─► the same search under way ─► breaker ─► the store ─► kept passages
    search_locally ─► kept passages

A search goes on when whoever asked has left, up to its own time limit: what it finds serves the next question.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog
import trio

from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.breaker import Breaker
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.search_cache import Key, SearchCache, key_of
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.knowledge.knowledge import Knowledge

log = structlog.get_logger(__name__)

SEARCH_SECONDS_MAX = 2.0
FLIGHTS_MAX = 64


class Net(Protocol):
    """Where found passages are kept."""

    async def keep(self, passages: Iterable[Passage]) -> None: ...

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]: ...


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
