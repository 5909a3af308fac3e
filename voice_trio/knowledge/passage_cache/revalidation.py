"""Revalidation of the passage cache: passages that the store has not returned for a while are looked up by their ids.

So a passage that was deleted or changed in the store is cited for `REVALIDATE_SECONDS` at most. A process that
starts with the passages of yesterday revalidates them within seconds. While the store does not answer, nothing is
removed: the cache is needed then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import KnowledgeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voice_trio.conversation.retrieval.passage import Passage

log = structlog.get_logger(__name__)


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
        await trio.sleep(limits.REVALIDATE_ROUND_SECONDS)


async def revalidate(cache: CachedPassages, store: PassageLookup, now: float) -> None:
    """Look up every passage that the store has not returned for `REVALIDATE_SECONDS`; raises `KnowledgeUnavailable`.

    Each passage is looked up once, also if the clock is set back meanwhile and makes a confirmed passage due again.
    """
    asked: set[str] = set()
    while (
        ids := await cache.unseen_since(now - limits.REVALIDATE_SECONDS, limits.REVALIDATE_BATCH)
    ) and asked.isdisjoint(ids):
        asked.update(ids)
        try:
            with trio.fail_after(limits.LOOK_UP_SECONDS_MAX):
                found = await store.look_up(ids)
        except trio.TooSlowError as error:
            raise KnowledgeUnavailable("the look-up timed out") from error
        await cache.confirm(ids, found)
