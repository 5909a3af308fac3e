"""What a knowledge base is to a session: something that finds passages for a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
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
