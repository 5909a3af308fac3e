"""Revalidation of the passage cache: passages that the store has not returned for a while are looked up by their ids.

So a passage that was deleted or changed in the store is cited for `REVALIDATE_SECONDS` at most. A process that starts
with the passages of yesterday revalidates them within seconds. While the store does not answer, nothing is removed: the
cache is needed then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import structlog
import trio

from voice_trio.errors import KnowledgeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voice_trio.conversation.retrieval.passage import Passage

log = structlog.get_logger(__name__)

REVALIDATE_SECONDS = 600.0
"""How long a passage is used without another look-up, while the store answers."""
ROUND_INTERVAL_SECONDS = 60.0  # between two rounds
BATCH = 100
LOOK_UP_SECONDS_MAX = 5.0


class PassageLookup(Protocol):
    """A store that returns passages by their ids."""

    async def look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        """The passages that exist; raises `KnowledgeUnavailable`."""
        ...


class CachedPassages(Protocol):
    """The cache to revalidate."""

    async def unseen_since(self, then: float, limit: int) -> tuple[str, ...]: ...

    async def confirm(self, asked: Sequence[str], found: Iterable[Passage]) -> None: ...


async def revalidate_forever(
    cache: CachedPassages, store: PassageLookup, *, unix_time: Callable[[], float] = time.time
) -> None:
    """Revalidate what is due in rounds, until cancelled."""
    while True:
        try:
            await revalidate(cache, store, unix_time())
        except KnowledgeUnavailable as error:
            log.info("passage_cache_not_revalidated", reason=str(error))
        await trio.sleep(ROUND_INTERVAL_SECONDS)


async def revalidate(cache: CachedPassages, store: PassageLookup, now: float) -> None:
    """Look up every passage that the store has not returned for `REVALIDATE_SECONDS`; raises `KnowledgeUnavailable`.

    Each passage is looked up once, also if the clock is set back meanwhile and makes a confirmed passage due again.
    """
    asked: set[str] = set()
    while (ids := await cache.unseen_since(now - REVALIDATE_SECONDS, BATCH)) and asked.isdisjoint(ids):
        asked.update(ids)
        try:
            with trio.fail_after(LOOK_UP_SECONDS_MAX):
                found = await store.look_up(ids)
        except trio.TooSlowError as error:
            raise KnowledgeUnavailable("the look-up timed out") from error
        await cache.confirm(ids, found)
