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
    """Finds passages. Cancellation abandons a search and never blocks."""

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages for `query`, best first; empty when nothing fits.

        Raises `KnowledgeUnavailable` if the store fails. The caller bounds the time.
        """
        ...

    async def is_available(self) -> bool:
        """Whether the store answers now; never raises."""
        ...

    async def is_empty(self) -> bool | None:
        """Whether there is no passage to find; None if that is not known now. Never raises."""
        ...


@runtime_checkable
class CachesPassages(Protocol):
    """A knowledge base that caches the passages of its searches on this machine."""

    async def search_cached(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best cached passages, within milliseconds; raises `KnowledgeUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class DocumentTitles:
    """The titles of some documents, and how many there are; `count` is None if the base cannot count them quickly."""

    count: int | None
    titles: tuple[str, ...]


def document_title(title: str) -> str:
    """The title of a passage's document: a passage's title is that, and then those of its sections."""
    return title.partition(" – ")[0].strip()


@runtime_checkable
class NamesDocuments(Protocol):
    """A knowledge base that can name its documents."""

    async def titles(self, limit: int) -> DocumentTitles:
        """At most `limit` titles; raises `KnowledgeUnavailable`."""
        ...


TITLE_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class RecordedSearch:
    """A search that `MemoryKnowledge` received; `at` is `trio.current_time()`."""

    at: float
    text: str
    limit: int


class MemoryKnowledge:
    """A `Knowledge` in memory whose behaviour a test sets: answer after a delay, fail, or hang.

    `queries` records every search in order. Passages are ranked by the words that they share with the query; a word of
    the title counts three times.
    """

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        self.queries: list[RecordedSearch] = []
        self._passages = list(passages)
        self._delay_seconds = 0.0
        self._error: Exception | None = None

    def learn(self, *passages: Passage) -> None:
        """Add passages."""
        self._passages.extend(passages)

    def answer_after(self, seconds: float) -> None:
        """Answer each further search after `seconds`; ends `fail` and `hang`."""
        self._delay_seconds = seconds
        self._error = None

    def fail(self, error: Exception) -> None:
        """Raise `error` from each further search, after the delay that `answer_after` set (0 by default)."""
        self._error = error
        if self._delay_seconds == float("inf"):
            self._delay_seconds = 0.0

    def hang(self) -> None:
        """Never answer a further search."""
        self._delay_seconds = float("inf")
        self._error = None

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages, by the behaviour that was set when the search began."""
        self.queries.append(RecordedSearch(trio.current_time(), query, limit))
        error = self._error
        await trio.sleep(self._delay_seconds)
        if error is not None:
            raise error
        return self._ranked(query)[: max(limit, 0)]

    async def is_available(self) -> bool:
        """Whether a search would return passages."""
        await trio.lowlevel.checkpoint()
        return self._answers

    async def is_empty(self) -> bool | None:
        """Whether it holds no passage; None while it fails or hangs."""
        await trio.lowlevel.checkpoint()
        return not self._passages if self._answers else None

    @property
    def _answers(self) -> bool:
        return self._error is None and self._delay_seconds < float("inf")

    def _ranked(self, query: str) -> tuple[Passage, ...]:
        terms = query_terms(query)
        scored = [replace(passage, score=_overlap(terms, passage)) for passage in self._passages]
        return tuple(sorted((p for p in scored if p.score), key=lambda p: -p.score))


def _overlap(terms: tuple[str, ...], passage: Passage) -> float:
    title, body = set(index_terms(passage.title)), set(index_terms(passage.text))
    return float(sum(TITLE_WEIGHT * (term in title) + (term in body) for term in terms))
