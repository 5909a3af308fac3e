"""The protocol of a knowledge base, and its twin in memory on Trio's clock for tests and small sets of passages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import trio

from voice_trio.conversation.retrieval.text import index_terms, query_terms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.retrieval.passage import Passage


class Knowledge(Protocol):
    """Finds passages; cancelling a search abandons it and never blocks."""

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages for `query`, best first; empty when nothing fits.

        Raises `KnowledgeUnavailable` when the store failed. How long a caller waits is the caller's to bound.
        """
        ...

    async def is_available(self) -> bool:
        """Whether the store answers right now; never raises."""
        ...


@runtime_checkable
class KeepsPassages(Protocol):
    """A knowledge base that keeps at hand what its searches returned."""

    async def search_locally(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The best of the kept passages, within milliseconds; raises `KnowledgeUnavailable`."""
        ...


TITLE_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Query:
    """A search that was asked for: when, by `trio.current_time()`, and what."""

    at: float
    text: str
    limit: int


class MemoryKnowledge:
    """A `Knowledge` whose behaviour a test tells it: answer after a while, fail, or hang.

    `queries` records every search in order. Passages are ranked by the query's words they hold, title words first.
    """

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        self.queries: list[Query] = []
        self._passages = list(passages)
        self._delay_seconds = 0.0
        self._error: Exception | None = None

    def learn(self, *passages: Passage) -> None:
        """Hold these as well from now on."""
        self._passages.extend(passages)

    def answer_after(self, seconds: float) -> None:
        """From now on, answer each search after so many seconds; this ends `fail` and `hang`."""
        self._delay_seconds = seconds
        self._error = None

    def fail(self, error: Exception) -> None:
        """From now on, raise `error` after the delay set before (none, unless told)."""
        self._error = error
        if self._delay_seconds == float("inf"):
            self._delay_seconds = 0.0

    def hang(self) -> None:
        """From now on, never answer."""
        self._delay_seconds = float("inf")
        self._error = None

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages; the behaviour is the one told when the search began."""
        self.queries.append(Query(trio.current_time(), query, limit))
        error = self._error
        await trio.sleep(self._delay_seconds)
        if error is not None:
            raise error
        return self._ranked(query)[: max(limit, 0)]

    async def is_available(self) -> bool:
        """Whether a search would be answered."""
        await trio.lowlevel.checkpoint()
        return self._error is None and self._delay_seconds < float("inf")

    def _ranked(self, query: str) -> tuple[Passage, ...]:
        terms = query_terms(query)
        scored = [replace(passage, score=_overlap(terms, passage)) for passage in self._passages]
        return tuple(sorted((p for p in scored if p.score), key=lambda p: -p.score))


def _overlap(terms: tuple[str, ...], passage: Passage) -> float:
    title, body = set(index_terms(passage.title)), set(index_terms(passage.text))
    return float(sum(TITLE_WEIGHT * (term in title) + (term in body) for term in terms))
